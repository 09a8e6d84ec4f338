/* SPDX-License-Identifier: MIT */
/*
 * Writing that looks at what it did: a patch over a hole goes as far as there is memory, each range tells what became of
 * it, and an overlay keeps all of it away from the target.
 */
#include <sonde/sonde.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct patch {
	uint64_t addr;
	uint32_t n_done, n_refused;
};

static void told(void *user, const struct sonde_written *w)
{
	static const char *const words[] = { "refused", "written", "differs", "unread" };
	struct patch *patch = user;

	printf("0x%" PRIx64 " %" PRIu32 " bytes %s%s%s\n", patch->addr + w->off, w->len,
	       words[w->result], w->err ? ": " : "", w->err ? sonde_strerror(w->err) : "");
	patch->n_done += w->result == SONDE_WRITE_DONE ? w->len : 0;
	patch->n_refused += w->result == SONDE_WRITE_REFUSED ? w->len : 0;
}

int main(void)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct patch patch = { .addr = 0xff8 };
	uint8_t bytes[0x410];
	struct sonde_xfer x = { .addr = patch.addr, .buf = bytes, .len = sizeof(bytes) };
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int r = -1;

	memset(bytes, 0x90, sizeof(bytes));
	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:16k,hole=0x1000+0x400|overlay", &options, &target, &err) <
		    0)
		fprintf(stderr, "%s\n", err.text);
	else
		r = sonde_space_write_verified(sonde_target_memory(target), &x, 1, 0, told, &patch);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return r == 0 && patch.n_done == 16 && patch.n_refused == 0x400 ? 0 : 1;
}

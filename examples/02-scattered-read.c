/* SPDX-License-Identifier: MIT */
/*
 * The one idea: a batch of scattered reads goes down, an outcome per piece comes up. The
 * target is test memory of 64 KiB whose byte i is i/16, with a hole of 256 bytes at 0x1000.
 */
#include <sonde/sonde.h>

#include <stdio.h>

static void tell(const struct sonde_xfer *x)
{
	const unsigned char *bytes = x->buf;

	printf("0x%05llx +%3u: %3u bytes came", (unsigned long long)x->addr, x->len, x->done);
	if (x->err)
		printf(", missing from +%u: %s", x->err_off, sonde_strerror(x->err));
	else
		printf(", the first is %02x", bytes[0]);
	printf("\n");
}

static int read_pieces(struct sonde_space *memory)
{
	char a[16], b[512], c[64], d[8];
	struct sonde_xfer pieces[] = {
		{ .addr = 0x8000, .buf = a, .len = sizeof(a) }, /* any order           */
		{ .addr = 0x0f00, .buf = b, .len = sizeof(b) }, /* runs into the hole  */
		{ .addr = 0x1080, .buf = c, .len = sizeof(c) }, /* lies in it          */
		{ .addr = 0x1100, .buf = d, .len = sizeof(d) }, /* just behind it      */
	};

	/* One trip for all four. What could not be read is zero, and said. */
	int n_whole = sonde_space_read(memory, pieces, 4);
	for (int i = 0; i < 4; i++)
		tell(&pieces[i]);
	printf("%d of 4 pieces came whole\n", n_whole);
	return n_whole == 2 && pieces[1].done == 256 && pieces[1].err_off == 256 ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:64k,hole=0x1000+256", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = read_pieces(sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}

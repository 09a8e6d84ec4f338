/* SPDX-License-Identifier: MIT */
/*
 * Two channels for errors. Cold calls (open, attach) fill a struct with a story for a
 * person; hot ones (reads) give a code a piece. A code is a number for programs, has a
 * name for logs and a fixed text.
 */
#include <sonde/sonde.h>

#include <stdio.h>

static int try_open(struct sonde_loop *loop, const char *name, int expected)
{
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };

	int r = sonde_target_open(loop, name, NULL, &target, &err);
	printf("%-28s %-10s %s\n", name, sonde_error_name(r), r < 0 ? err.text : "opened");
	sonde_target_close(target);
	return r == expected ? 0 : 1;
}

/* Context is put in front of a story by each layer that knows something. */
static int add_context(void)
{
	struct sonde_error err = { 0 };

	sonde_error_set(&err, SONDE_E_BAD_FORMAT, "page 0x1f3: bad zlib stream");
	sonde_error_prefix(&err, "kdump: '%s'", "vm.core");
	printf("%s (%s)\n", err.text, sonde_strerror(err.code));
	return err.code == SONDE_E_BAD_FORMAT ? 0 : 1;
}

static int read_nothing(struct sonde_loop *loop)
{
	struct sonde_target *target = NULL;
	uint64_t value = 0;

	if (sonde_target_open(loop, "ram:4k", NULL, &target, NULL) < 0)
		return 1;
	int r = sonde_space_u64(sonde_target_memory(target), 0x10000, &value);
	printf("a read outside of memory: %s: %s\n", sonde_error_name(r), sonde_strerror(r));
	sonde_target_close(target);
	return r == SONDE_E_NOT_MAPPED ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_error err = { 0 };

	if (sonde_loop_create(NULL, &loop, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	int failed = try_open(loop, "./no-such-file", SONDE_E_NOT_FOUND) +
		     try_open(loop, "/", SONDE_E_BAD_FORMAT) +
		     try_open(loop, "ram:4k,colour=blue", SONDE_E_BAD_ARG) +
		     try_open(loop, "ram:4k", SONDE_OK) + add_context() + read_nothing(loop);
	sonde_loop_destroy(loop);
	return failed;
}

/* SPDX-License-Identifier: MIT */
/*
 * A cursor: a space for code that expects a file. A small text is written into the memory of a machine
 * through a FILE, and read back by the C library's own functions.
 */
#include <sonde/sonde.h>

#include <stdio.h>

static int write_text(struct sonde_space *memory)
{
	struct sonde_cursor cursor = { .space = memory, .base = 0x2000, .size = 0x800 };
	FILE *file = sonde_cursor_file(&cursor, "r+");

	if (!file)
		return 1;
	for (int i = 1; i <= 5; i++)
		fprintf(file, "%d squared is %d\n", i, i * i);
	return fclose(file);
}

static int read_text(struct sonde_space *memory)
{
	struct sonde_cursor cursor = { .space = memory, .base = 0x2000, .size = 0x800 };
	FILE *file = sonde_cursor_file(&cursor, "r");
	int n = 0, square = 0, right = 0;

	while (file && fscanf(file, "%d squared is %d\n", &n, &square) == 2)
		right += square == n * n;
	printf("%d lines, the last: %d squared is %d\n", right, n, square);
	return file && fclose(file) == 0 && right == 5 ? 0 : 1;
}

/* From the start to the end, holes as zeros. */
static int count(struct sonde_space *memory)
{
	struct sonde_cursor cursor;
	char buf[4096];
	long bytes = 0, zeros = 0;
	int64_t n = sonde_cursor_init(&cursor, memory, SONDE_CURSOR_ZEROS);

	while (n >= 0 && (n = sonde_cursor_read(&cursor, buf, sizeof(buf))) > 0) {
		bytes += n;
		for (int64_t i = 0; i < n; i++)
			zeros += buf[i] == 0;
	}
	printf("%ld bytes, %ld of them zero\n", bytes, zeros);
	return n == 0 && bytes == 0x4000 ? 0 : 1;
}

int main(void)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:16k,hole=0x1000+0x400", &options, &target, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		struct sonde_space *memory = sonde_target_memory(target);
		failed = write_text(memory) || read_text(memory) || count(memory);
	}
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}

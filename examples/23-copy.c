/* SPDX-License-Identifier: MIT */
/*
 * A copy tool with a progress bar: `23-copy FROM TO` keeps 64 MiB on their way, reads and writes
 * together. Without arguments it copies a file of its own making, in memory.
 */
#include <sonde/sonde.h>

#include <inttypes.h>
#include <stdio.h>

#define WIDTH 40

static void show(struct sonde_copy *copy)
{
	int *shown = copy->user;
	int now = copy->total ? (int)(copy->done * WIDTH / copy->total) : WIDTH;

	now = now > WIDTH ? WIDTH : now; /* a file may grow while it is copied */
	if (now == *shown)
		return;
	*shown = now;
	printf("\r[%.*s%*s] %3d%%", now, "########################################", WIDTH - now,
	       "", now * 100 / WIDTH);
	fflush(stdout);
}

static int copy_file(struct sonde_fs *fs, const char *from, const char *to)
{
	int shown = -1;
	struct sonde_copy copy = {
		.from_fs = fs,
		.from_dir = SONDE_FS_ROOT,
		.from = from,
		.to_dir = SONDE_FS_ROOT,
		.to = to,
		.flags = SONDE_COPY_BYTES,
		.in_flight = 64u << 20,
		.progress = show,
		.user = &shown,
	};
	int r = sonde_file_copy(NULL, &copy);

	if (r < 0)
		fprintf(stderr, "\n%s to %s: %s\n", from, to, sonde_strerror(r));
	else
		printf("\n%" PRIu64 " bytes copied\n", copy.done);
	return r;
}

/* A file of 100 MiB, which is as long as it says and all zero. */
static int make_file(struct sonde_fs *fs, const char *path)
{
	struct sonde_file file;
	int r = sonde_file_open(NULL, fs, SONDE_FS_ROOT, path, SONDE_FS_FOR_WRITE | SONDE_FS_CREATE,
				0644, &file);

	if (r < 0)
		return r;
	r = sonde_fs_set_length(NULL, fs, file.handle, 100u << 20);
	sonde_file_close(NULL, &file);
	return r;
}

int main(int argc, char **argv)
{
	struct sonde_error err = { 0 };
	struct sonde_loop *loop = NULL;
	struct sonde_fs *fs = NULL;
	int r = sonde_loop_create(NULL, &loop, &err);

	if (r == 0 && argc > 2)
		r = sonde_fs_native(loop, ".", 0, &fs, &err);
	else if (r == 0)
		r = sonde_fs_memory(loop, NULL, &fs);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	else if (argc > 2)
		r = copy_file(fs, argv[1], argv[2]);
	else if ((r = make_file(fs, "from")) == 0)
		r = copy_file(fs, "from", "to");
	sonde_fs_destroy(fs);
	sonde_loop_destroy(loop);
	return r < 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * File systems: any bytes as operations on files in memory, where names, counts and limits have to
 * agree afterwards; and any bytes as what a file system tells of a directory.
 */
#include <sonde/dir.h>
#include <sonde/file.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MAX_BYTES 4096
#define MAX_NODES 64
#define N_OPEN 4

struct input {
	const uint8_t *bytes;
	size_t len;
};

static uint8_t next(struct input *input)
{
	if (!input->len)
		return 0;
	input->len--;
	return *input->bytes++;
}

/* ---- operations ---------------------------------------------------------------------------------- */

/* Names of few letters meet each other. */
static void take_path(struct input *input, char path[16])
{
	static const char letters[] = "ab/./..c";
	size_t n = next(input) % 15;

	for (size_t i = 0; i < n; i++)
		path[i] = letters[next(input) % 8];
	path[n] = 0;
}

static void operate(struct sonde_fs *fs, struct input *input, int32_t open[N_OPEN])
{
	static char buf[1024];
	char path[16], to[16];
	struct sonde_fs_info info;
	int slot = next(input) % N_OPEN;
	struct sonde_fs_io io = { .op = next(input) % SONDE_FS_N_OPS,
				  .dir = SONDE_FS_ROOT,
				  .to_dir = SONDE_FS_ROOT,
				  .file = open[slot],
				  .to_file = open[0],
				  .path = path,
				  .to = to,
				  .buf = buf,
				  .info = &info };

	io.flags = next(input);
	io.flags |= (uint32_t)next(input) << 8;
	io.off = next(input);
	io.off <<= next(input) % 56;
	io.len = next(input) * 4u;
	take_path(input, path);
	take_path(input, to);
	if (sonde_fs_run(NULL, fs, &io) >= 0 && io.op == SONDE_FS_CLOSE)
		open[slot] = -1;
	if (io.result < 0 || io.op != SONDE_FS_OPEN)
		return;
	if (open[slot] >= 0)
		sonde_fs_close(NULL, fs, open[slot]);
	open[slot] = io.result;
}

/* Every name leads to something, and all of it stays within the limits. */
static void check_all(struct sonde_fs *fs)
{
	const struct sonde_walk_entry *entry;
	struct sonde_fs_info info;
	struct sonde_walk *walk;
	uint64_t names = 0;

	if (sonde_walk_open(NULL, fs, SONDE_FS_ROOT, ".", SONDE_WALK_DEPTH_MAX, &walk) < 0)
		abort();
	while (sonde_walk_next(NULL, walk, &entry) > 0) {
		if (entry->err || ++names > MAX_NODES)
			abort();
		if (sonde_fs_stat(NULL, fs, entry->dir, entry->name, SONDE_FS_NO_FOLLOW, &info) < 0)
			abort();
		if (info.length > MAX_BYTES || info.node != entry->node || !info.n_links)
			abort();
	}
	sonde_walk_close(NULL, walk);
}

static void run_operations(struct sonde_loop *loop, struct input *input)
{
	const struct sonde_fs_memory_options options = { .size = sizeof(options),
							 .max_bytes = MAX_BYTES,
							 .max_nodes = MAX_NODES };
	int32_t open[N_OPEN] = { -1, -1, -1, -1 };
	struct sonde_fs *fs;

	if (sonde_fs_memory(loop, &options, &fs) < 0)
		return;
	while (input->len)
		operate(fs, input, open);
	check_all(fs);
	for (int i = 0; i < N_OPEN; i++) {
		if (open[i] >= 0)
			sonde_fs_close(NULL, fs, open[i]);
	}
	sonde_fs_destroy(fs);
}

/* ---- a directory --------------------------------------------------------------------------------- */

static void tell(void *impl, struct sonde_fs_io *io)
{
	struct input *input = impl;
	uint32_t n = io->len < input->len ? io->len : (uint32_t)input->len;

	if (io->op != SONDE_FS_LIST) {
		sonde_fs_finish(io, 0, 0);
		return;
	}
	memcpy(io->buf, input->bytes, n);
	input->bytes += n;
	input->len -= n;
	sonde_fs_finish(io, (int32_t)n, 0);
}

static void run_list(struct sonde_loop *loop, struct input *input)
{
	const struct sonde_fs_ops ops = { .size = sizeof(ops), .submit = tell };
	const struct sonde_fs_entry *entry;
	struct sonde_dir *dir;
	struct sonde_fs *fs;

	if (sonde_fs_create(loop, &ops, input, &fs) < 0)
		return;
	if (sonde_dir_open(NULL, fs, SONDE_FS_ROOT, ".", 0, &dir) == 0) {
		while (sonde_dir_next(NULL, dir, &entry) > 0) {
			size_t n = strlen(entry->name);
			if (n == 0 || n > SONDE_FS_NAME_MAX || strchr(entry->name, '/'))
				abort();
		}
		sonde_dir_close(NULL, dir);
	}
	sonde_fs_destroy(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct sonde_loop_options options = { .size = sizeof(options),
						    .engine = SONDE_ENGINE_SYNC };
	struct input input = { bytes, len };
	struct sonde_loop *loop;

	if (len == 0 || sonde_loop_create(&options, &loop, NULL) < 0)
		return 0;
	if (next(&input) % 2)
		run_list(loop, &input);
	else
		run_operations(loop, &input);
	sonde_loop_destroy(loop);
	return 0;
}

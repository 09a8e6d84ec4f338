/* SPDX-License-Identifier: MIT */
/* Files of another machine: client and server in one loop. */
#include <sonde/error.h>
#include <sonde/fs_remote.h>
#include <string.h>
#include <unistd.h>

#include "refuse.h"
#include "world.h"

#define ROOT SONDE_FS_ROOT

/* A handle that is closed, whatever came of what was done with it. */
static int write_and_read(struct sonde_fs *fs, int file)
{
	char bytes[5] = "";
	int r = sonde_fs_write(NULL, fs, file, 0, "hello", 5);

	if (r == 5)
		r = sonde_fs_read(NULL, fs, file, 0, bytes, 5);
	if (r == 5)
		assert_memory_equal(bytes, "hello", 5);
	sonde_fs_close(NULL, fs, file);
	return r < 0 ? r : 0;
}

static int use(struct sonde_fs *fs)
{
	const uint32_t flags = SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE;
	uint64_t list[SONDE_FS_LIST_MIN / 8];
	struct sonde_fs_io io = { .op = SONDE_FS_LIST, .buf = list, .len = sizeof(list) };
	int r = sonde_fs_mkdir(NULL, fs, ROOT, "dir", 0755);

	if (r == 0)
		r = sonde_fs_symlink(NULL, fs, ROOT, "link", "dir");
	if (r == 0)
		r = sonde_fs_open(NULL, fs, ROOT, "link/file", flags, 0644);
	if (r >= 0)
		r = write_and_read(fs, r);
	if (r == 0)
		r = sonde_fs_rename(NULL, fs, ROOT, "dir/file", ROOT, "file", 0);
	if (r == 0)
		r = io.file = sonde_fs_open(NULL, fs, ROOT, ".", SONDE_FS_DIRECTORY, 0);
	if (r >= 0)
		r = sonde_fs_run(NULL, fs, &io);
	return r < 0 ? r : 0;
}

static int with_client(struct sonde_loop *loop, const char *address)
{
	struct sonde_fs *fs = NULL;
	int r = sonde_fs_remote(NULL, loop, address, NULL, &fs, NULL);

	if (r == 0)
		r = use(fs);
	sonde_fs_destroy(fs);
	return r;
}

/* A server that cannot even say that it has no memory hangs up. */
static int with_server(struct sonde_loop *loop, struct sonde_fs *fs)
{
	const struct sonde_fs_server_options options = { .size = sizeof(options),
							 .flags = SONDE_FS_SERVER_WRITES };
	struct sonde_fs_server *server = NULL;
	char address[SONDE_NET_TEXT];
	int listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);

	assert_int_equal(sonde_net_own(listener, address, sizeof(address)), 0);
	int r = sonde_fs_server_start(loop, fs, listener, &options, &server);
	if (r == 0)
		r = with_client(loop, address);
	sonde_fs_server_stop(NULL, server);
	close(listener);
	return r == SONDE_E_GONE ? SONDE_E_NO_MEMORY : r;
}

static int files_by_9p(uint32_t engine)
{
	struct sonde_loop *loop = NULL;
	struct sonde_fs *fs = NULL;
	int r = world_loop(engine, &loop);

	if (r == 0)
		r = sonde_fs_memory(loop, NULL, &fs);
	if (r == 0)
		r = with_server(loop, fs);
	sonde_fs_destroy(fs);
	sonde_loop_destroy(loop);
	return r;
}

const struct scenario file_scenarios[] = {
	{ "files by 9P", files_by_9p, SONDE_ENGINE_EPOLL },
};
const size_t n_file_scenarios = sizeof(file_scenarios) / sizeof(file_scenarios[0]);

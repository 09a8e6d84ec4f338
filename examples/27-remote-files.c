/* SPDX-License-Identifier: MIT */
/*
 * Files of a server, where sonde_fs_remote stands in place of sonde_fs_native: all below its root is
 * listed. The server is at the address that is given ("127.0.0.1:5640": sonde serve --9p, diod), or, with
 * none, in this program: files in memory, served by the same loop that asks for them.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <unistd.h>

static int list(struct sonde_fs *fs)
{
	const struct sonde_walk_entry *entry;
	struct sonde_walk *walk;
	int r = sonde_walk_open(NULL, fs, SONDE_FS_ROOT, ".", SONDE_WALK_DEPTH_MAX, &walk);

	if (r < 0)
		return r;
	while ((r = sonde_walk_next(NULL, walk, &entry)) > 0)
		printf("%s%s\n", entry->path, entry->kind == SONDE_KIND_DIRECTORY ? "/" : "");
	sonde_walk_close(NULL, walk);
	return r;
}

static int list_remote(struct sonde_loop *loop, const char *address)
{
	struct sonde_error err = { 0 };
	struct sonde_fs *fs;
	int r = sonde_fs_remote(NULL, loop, address, NULL, &fs, &err);

	if (r < 0) {
		fprintf(stderr, "%s\n", err.text);
		return r;
	}
	r = list(fs);
	sonde_fs_destroy(fs);
	return r;
}

static int make_files(struct sonde_fs *fs)
{
	int r = sonde_fs_mkdir(NULL, fs, SONDE_FS_ROOT, "case-1", 0755);

	return r < 0 ? r : sonde_fs_symlink(NULL, fs, SONDE_FS_ROOT, "case-1/dump", "../vm.core");
}

static int serve_and_list(struct sonde_loop *loop, struct sonde_fs *files, int listener)
{
	struct sonde_fs_server *server;
	char address[SONDE_NET_TEXT];
	int r = make_files(files);

	if (r == 0)
		r = sonde_net_own(listener, address, sizeof(address));
	if (r == 0)
		r = sonde_fs_server_start(loop, files, listener, NULL, &server);
	if (r < 0)
		return r;
	r = list_remote(loop, address);
	sonde_fs_server_stop(NULL, server);
	return r;
}

static int of_our_own(struct sonde_loop *loop)
{
	struct sonde_error err = { 0 };
	struct sonde_fs *files = NULL;
	int listener = sonde_net_listen("127.0.0.1:0", NULL, &err);
	int r = listener < 0 ? listener : sonde_fs_memory(loop, NULL, &files);

	if (r == 0)
		r = serve_and_list(loop, files, listener);
	sonde_fs_destroy(files);
	if (listener >= 0)
		close(listener);
	return r;
}

int main(int argc, char **argv)
{
	struct sonde_loop *loop = NULL;
	int r = sonde_loop_create(NULL, &loop, NULL);

	if (r == 0)
		r = argc > 1 ? list_remote(loop, argv[1]) : of_our_own(loop);
	if (r < 0)
		fprintf(stderr, "%s\n", sonde_strerror(r));
	sonde_loop_destroy(loop);
	return r < 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Files over TCP: a client sends a path and a newline and half-closes; it gets the bytes, then the
 * end. A reader task fills a bounded channel that a writer task empties into the socket, so a
 * client that reads slowly slows the reader of its own file down, and nobody else.
 *
 *	26-file-server ADDRESS FOLDER    serve, until interrupted: 26-file-server 127.0.0.1:8000 .
 *	26-file-server                   serve itself to itself, and compare
 */
#include <sonde/sonde.h>

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK = 4096, AHEAD = 4 }; /* bytes; blocks that are read before they can be sent */

struct block {
	uint32_t len;
	char bytes[BLOCK];
};

static struct sonde_loop *loop;
static int folder;

/* ---- serving --------------------------------------------------------------------------------- */

struct sending {
	int file;
	struct sonde_channel *blocks;
};

static int read_file(struct sonde_task *task, void *arg)
{
	struct sending *sending = arg;
	struct block *block = malloc(sizeof(*block)); /* more than belongs on a task's stack */
	int n = -1;

	while (block && (n = sonde_fd_read(task, loop, sending->file, block->bytes, BLOCK)) > 0) {
		block->len = (uint32_t)n;
		if (sonde_channel_send(task, sending->blocks, block) < 0)
			break; /* the client is gone */
	}
	free(block);
	sonde_channel_close(sending->blocks);
	return n;
}

static int send_blocks(struct sonde_task *task, struct sonde_channel *blocks, int client)
{
	struct block *block = malloc(sizeof(*block));
	int r = block ? 0 : SONDE_E_NO_MEMORY;

	while (r >= 0 && sonde_channel_recv(task, blocks, block) == 0)
		r = sonde_fd_write_all(task, loop, client, block->bytes, block->len);
	free(block);
	return r;
}

static int send_file(struct sonde_task *task, int file, int client)
{
	struct sending sending = { .file = file };
	struct sonde_task *reader;
	int r = sonde_channel_create(loop, AHEAD, sizeof(struct block), &sending.blocks);

	if (r < 0)
		return r;
	r = sonde_task_spawn_child(task, read_file, &sending, &reader);
	if (r == 0) {
		r = send_blocks(task, sending.blocks, client);
		sonde_channel_close(sending.blocks);
		sonde_task_join(task, reader);
	}
	sonde_channel_destroy(sending.blocks);
	return r;
}

/* The line the client sends, without its newline; false: none came, or it is too long. */
static bool read_line(struct sonde_task *task, int client, char *line, size_t cap)
{
	size_t used = 0;
	int n;

	while (used < cap && (n = sonde_fd_read(task, loop, client, line + used, cap - used)) > 0) {
		char *end = memchr(line + used, '\n', (size_t)n);
		used += (size_t)n;
		if (end) {
			*end = 0;
			return true;
		}
	}
	return false;
}

/* A client is a stranger: it gets regular files below the folder, and no link leads out of it. */
static int open_file(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
	struct stat file;

	if (fd >= 0 && (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int serve_one(struct sonde_task *task, void *arg)
{
	int client = (int)(intptr_t)arg;
	char line[256];

	if (read_line(task, client, line, sizeof(line))) {
		int file = open_file(line);
		if (file >= 0 && send_file(task, file, client) >= 0)
			sonde_fd_shutdown(task, loop, client);
		if (file >= 0)
			sonde_fd_close(task, loop, file);
	}
	return sonde_fd_close(task, loop, client);
}

static int serve(struct sonde_task *task, void *arg)
{
	for (int fd; (fd = sonde_acceptor_next(task, arg)) >= 0;) {
		if (sonde_task_spawn(loop, serve_one, (void *)(intptr_t)fd, NULL) < 0)
			close(fd);
	}
	return 0; /* the acceptor was closed */
}

/* ---- asking, to see that it works ------------------------------------------------------------ */

enum { N_CLIENTS = 20, SIZE = 300000 };

static char address[SONDE_NET_TEXT];

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

static int ask(struct sonde_task *task, void *arg)
{
	int fd = sonde_net_connect(task, loop, address, NULL, NULL), n = fd, n_bad = 0;
	unsigned char bytes[1024];
	size_t got = 0;

	(void)arg;
	if (fd < 0)
		return 1;
	sonde_fd_write_all(task, loop, fd, "numbers\n", 8);
	sonde_fd_shutdown(task, loop, fd);
	while ((n = sonde_fd_read(task, loop, fd, bytes, sizeof(bytes))) > 0) {
		for (int i = 0; i < n; i++)
			n_bad += bytes[i] != byte_at(got++);
	}
	sonde_fd_close(task, loop, fd);
	return n < 0 || n_bad || got != SIZE;
}

static int make_file(char *path)
{
	if (!mkdtemp(path) || (folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	int fd = openat(folder, "numbers", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), n = 0;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	for (size_t i = 0; file && i < SIZE; i++)
		n += putc(byte_at(i), file) == EOF;
	return !file || fclose(file) || n ? -1 : 0;
}

static int ask_all(void)
{
	struct sonde_task *clients[N_CLIENTS];
	int n_bad = 0;

	for (int i = 0; i < N_CLIENTS; i++)
		sonde_task_spawn(loop, ask, NULL, &clients[i]);
	for (int i = 0; i < N_CLIENTS; i++)
		n_bad += sonde_task_join(NULL, clients[i]) != 0;
	printf("%d clients got the file, %d did not\n", N_CLIENTS - n_bad, n_bad);
	return n_bad;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/sonde-example-XXXXXX";
	struct sonde_acceptor *acceptor;
	struct sonde_error err = { 0 };
	struct sonde_task *server;
	int r = argc == 3 ? (folder = open(argv[2], O_RDONLY | O_DIRECTORY)) : make_file(path);
	int listener = sonde_net_listen(argc == 3 ? argv[1] : "127.0.0.1:0", NULL, &err);

	if (r < 0 || listener < 0 || sonde_net_own(listener, address, sizeof(address)) < 0 ||
	    sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_acceptor_open(loop, listener, &acceptor) < 0 ||
	    sonde_task_spawn(loop, serve, acceptor, &server) < 0) {
		fprintf(stderr, "%s\n", err.text[0] ? err.text : "the folder cannot be opened");
		return 1;
	}
	printf("serving at %s\n", address);
	if (argc == 3)
		return sonde_task_join(NULL, server); /* until interrupted */
	int n_bad = ask_all();
	sonde_acceptor_close(NULL, acceptor);
	sonde_task_join(NULL, server);
	sonde_loop_run(loop);
	sonde_loop_destroy(loop);
	unlinkat(folder, "numbers", 0);
	rmdir(path);
	close(folder);
	close(listener);
	return n_bad;
}

/* SPDX-License-Identifier: MIT */
/*
 * The file over NBD, on a socket of this machine: 'sonde serve' read through the nbd connector, beside nbdkit's file plugin
 * read through libnbd as it comes. One connection each, as many commands in flight as the work has.
 */
#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contenders.h"
#include "ours.h"

enum { WAIT_MS = 20000, LOOK_MS = 10 };

extern char **environ;

/* ---- servers ------------------------------------------------------------------------------------------ */

struct server {
	pid_t pid;
	char folder[64], socket[96];
};

static void server_stop(struct server *server)
{
	if (server->pid > 0) {
		kill(server->pid, SIGTERM);
		waitpid(server->pid, NULL, 0);
	}
	if (server->folder[0]) {
		unlink(server->socket);
		rmdir(server->folder);
	}
}

/* Returns 0 when somebody listens there, -ETIMEDOUT, -ECHILD: it ended before. */
static int await_socket(struct server *server)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000 };

	for (int ms = 0; ms < WAIT_MS; ms += LOOK_MS) {
		struct nbd_handle *nbd = nbd_create();
		int r = nbd ? nbd_connect_unix(nbd, server->socket) : -1;
		nbd_close(nbd);
		if (r == 0)
			return 0;
		if (waitpid(server->pid, NULL, WNOHANG) != 0) {
			server->pid = 0;
			return -ECHILD;
		}
		nanosleep(&look, NULL);
	}
	return -ETIMEDOUT;
}

static int make_folder(struct server *server)
{
	snprintf(server->folder, sizeof(server->folder), "/tmp/sonde-bench-XXXXXX");
	if (!mkdtemp(server->folder)) {
		server->folder[0] = '\0';
		return -errno;
	}
	snprintf(server->socket, sizeof(server->socket), "%s/nbd", server->folder);
	return 0;
}

/* words[0] NULL, or not to be found: BENCH_SKIPPED. Owns *ret: server_stop. */
static int server_start(const struct contender *contender, char *const *words, struct server *ret)
{
	posix_spawn_file_actions_t actions;

	if (!words[0])
		return bench_skip(contender, "SONDE_EXE is not set");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
	int r = -posix_spawnp(&ret->pid, words[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r < 0)
		ret->pid = 0;
	if (r == -ENOENT)
		return bench_skip(contender, "its server is not installed");
	return r < 0 ? r : await_socket(ret);
}

/* ---- ours ---------------------------------------------------------------------------------------------- */

struct served {
	struct server server;
	struct ours *ours;
	struct ours_run *run;
};

static void close_ours(void *state)
{
	struct served *served = state;

	ours_run_destroy(served->run);
	ours_destroy(served->ours);
	server_stop(&served->server);
	free(served);
}

/* The contender's argument is the layers that the server has in front of the file. */
static int serve(const struct contender *contender, struct work *work, struct served *served)
{
	char target[2 * sizeof(work->file->path) + 64], where[128];
	int r = make_folder(&served->server);

	ours_name(work->file, target, sizeof(target));
	strncat(target, contender->arg, sizeof(target) - strlen(target) - 1);
	snprintf(where, sizeof(where), "unix:%s", served->server.socket);
	char *const words[] = { getenv("SONDE_EXE"), "serve", target, "--listen", where, NULL };
	if (r == 0)
		r = server_start(contender, words, &served->server);
	snprintf(where, sizeof(where), "nbd:unix:%s", served->server.socket);
	if (r == 0)
		r = ours_create(contender, "auto", where, 0, &served->ours);
	return r == 0 ? ours_run_create(served->ours, work, &served->run) : r;
}

static int open_ours(const struct contender *contender, struct work *work, void **ret)
{
	struct served *served = calloc(1, sizeof(*served));
	int r = served ? serve(contender, work, served) : -ENOMEM;

	if (r == 0)
		*ret = served;
	else if (served)
		close_ours(served);
	return r;
}

static int run_ours(void *state, struct work *work)
{
	return ours_run_completions(((struct served *)state)->run, work);
}

/* ---- theirs ------------------------------------------------------------------------------------------- */

struct command_of;

struct kit {
	struct server server;
	struct nbd_handle *nbd;
	struct walk walk;
	uint64_t n_left;
	uint32_t n_flight;
	int error;
	struct work *work;
	struct command_of *commands; /* [depth] */
	struct command_of *idle;
};

struct command_of {
	struct kit *kit;
	struct slot *slot;
	struct command_of *next;
};

static void close_kit(void *state)
{
	struct kit *kit = state;

	nbd_close(kit->nbd);
	server_stop(&kit->server);
	free(kit->commands);
	free(kit);
}

static int begin(const struct contender *contender, struct work *work, struct kit *kit)
{
	int r = make_folder(&kit->server);
	char *const words[] = { "nbdkit",         "-f", "-U", kit->server.socket, "file",
				work->file->path, NULL };

	kit->work = work;
	kit->commands = calloc(work->shape.depth, sizeof(*kit->commands));
	kit->nbd = nbd_create();
	if (r == 0 && (!kit->commands || !kit->nbd))
		r = -ENOMEM;
	if (r == 0)
		r = server_start(contender, words, &kit->server);
	if (r == 0)
		nbd_set_pread_initialize(kit->nbd, false);
	return r == 0 && nbd_connect_unix(kit->nbd, kit->server.socket) < 0 ? -nbd_get_errno() : r;
}

static int open_kit(const struct contender *contender, struct work *work, void **ret)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	int r = kit ? begin(contender, work, kit) : -ENOMEM;

	if (r == 0)
		*ret = kit;
	else if (kit)
		close_kit(kit);
	return r;
}

static int was_read(void *user, int *error)
{
	struct command_of *command = user;
	struct kit *kit = command->kit;

	if (*error)
		kit->error = -*error;
	kit->n_flight--;
	command->next = kit->idle;
	kit->idle = command;
	return 1;
}

static void fill(struct kit *kit)
{
	while (kit->n_left && kit->idle && !kit->error) {
		struct command_of *command = kit->idle;
		nbd_completion_callback done = { .callback = was_read, .user_data = command };
		kit->idle = command->next;
		kit->n_left--;
		kit->n_flight++;
		command->slot->off = walk_next(&kit->walk);
		if (nbd_aio_pread(kit->nbd, command->slot->buf, kit->work->shape.size,
				  command->slot->off, done, 0) < 0)
			kit->error = -nbd_get_errno();
	}
}

static int pump(struct nbd_handle *nbd)
{
	unsigned direction = nbd_aio_get_direction(nbd);
	struct pollfd fd = { .fd = nbd_aio_get_fd(nbd),
			     .events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0) };

	if (poll(&fd, 1, -1) < 0)
		return -errno;
	if (fd.revents & POLLIN && nbd_aio_notify_read(nbd) < 0)
		return -EIO;
	return fd.revents & POLLOUT && !(fd.revents & POLLIN) && nbd_aio_notify_write(nbd) < 0
		       ? -EIO
		       : 0;
}

static int run_kit(void *state, struct work *work)
{
	struct kit *kit = state;
	int r = 0;

	kit->walk = walk_start(work);
	kit->n_left = work->n_ops;
	kit->error = 0;
	kit->idle = NULL;
	for (uint32_t i = 0; i < work->shape.depth; i++) {
		kit->commands[i] = (struct command_of){ kit, &work->slots[i], kit->idle };
		kit->idle = &kit->commands[i];
	}
	fill(kit);
	while (kit->n_flight && r == 0 && !kit->error) {
		r = pump(kit->nbd);
		fill(kit);
	}
	return r < 0 ? r : kit->error;
}

const struct contender contenders_nbd[] = {
	{ .name = "nbd", .arg = "", .open = open_ours, .run = run_ours, .close = close_ours },
	{ .name = "nbd.delay",
	  .arg = "|delay,ms=5",
	  .n_rounds = 5,
	  .longer = 50, /* the first and the last 5 ms hold less than 256 in flight */
	  .open = open_ours,
	  .run = run_ours,
	  .close = close_ours },
	{ .name = "nbdkit", .open = open_kit, .run = run_kit, .close = close_kit },
	{ 0 },
};

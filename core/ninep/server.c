/* SPDX-License-Identifier: MIT */
/* A listener, and the list of its sessions. */
#include <unistd.h>

#include "base/mem.h"
#include "ninep/server.h"

/* ---- sessions ------------------------------------------------------------------------------------ */

static void add(struct sonde_fs_server *server, struct ninep_session *s)
{
	s->prev = server->last;
	*(server->last ? &server->last->next : &server->first) = s;
	server->last = s;
	server->n_sessions++;
}

void ninep_session_ended(struct ninep_session *s)
{
	struct sonde_fs_server *server = s->server;

	*(s->prev ? &s->prev->next : &server->first) = s->next;
	*(s->next ? &s->next->prev : &server->last) = s->prev;
	server->n_sessions--;
	if (server->n_sessions == 0 && server->stopper)
		task_wake(server->stopper, SONDE_OK);
}

/* May one more come? Where all places are taken, the oldest leaves that has not attached. */
static bool has_room(struct sonde_fs_server *server)
{
	struct ninep_session *oldest = NULL;
	uint32_t n = 0;

	for (struct ninep_session *s = server->first; s; s = s->next) {
		n += !s->is_cut;
		if (!oldest && !s->is_attached && !s->is_cut)
			oldest = s;
	}
	if (n < server->max_sessions)
		return server->n_sessions < 2 * server->max_sessions;
	if (oldest)
		ninep_session_cut(oldest);
	return oldest && server->n_sessions < 2 * server->max_sessions;
}

static void welcome(struct sonde_fs_server *server, int fd)
{
	struct ninep_session *s;

	server->n_accepted++;
	if (!has_room(server))
		close(fd);
	else if (ninep_session_start(server, fd, &s) == SONDE_OK)
		add(server, s);
}

static int accept_all(struct sonde_task *self, void *arg)
{
	struct sonde_fs_server *server = arg;

	for (;;) {
		int fd = sonde_acceptor_next(self, server->acceptor);
		if (fd >= 0)
			welcome(server, fd);
		else if (fd != SONDE_E_EXHAUSTED && fd != SONDE_E_NO_MEMORY &&
			 fd != SONDE_E_NO_ACCESS)
			return fd;
	}
}

/* ---- the server ---------------------------------------------------------------------------------- */

static int open_server(struct sonde_fs_server *server, int listener)
{
	int r = sonde_acceptor_open(server->loop, listener, &server->acceptor);

	if (r < 0)
		return r;
	r = sonde_task_spawn(server->loop, accept_all, server, &server->task);
	if (r < 0)
		sonde_acceptor_close(NULL, server->acceptor);
	return r;
}

int sonde_fs_server_start(struct sonde_loop *loop, struct sonde_fs *fs, int listener,
			  const struct sonde_fs_server_options *options,
			  struct sonde_fs_server **ret)
{
	struct sonde_fs_server_options own = { 0 };
	struct sonde_fs_server *server;

	if (options)
		memcpy(&own, options, options->size < sizeof(own) ? options->size : sizeof(own));
	if (own.flags & ~(uint32_t)SONDE_FS_SERVER_WRITES)
		return SONDE_E_BAD_ARG;
	server = mem_alloc(1, sizeof(*server));
	if (!server)
		return SONDE_E_NO_MEMORY;
	*server = (struct sonde_fs_server){
		.loop = loop,
		.fs = fs,
		.flags = own.flags,
		.max_sessions = own.max_sessions ? own.max_sessions : SESSIONS_DEFAULT,
		.handshake_ns = SESSION_HANDSHAKE_NS,
		.stall_ns = SESSION_STALL_NS,
	};
	int r = open_server(server, listener);
	if (r < 0)
		mem_release(server);
	else
		*ret = server;
	return r;
}

void sonde_fs_server_figures(const struct sonde_fs_server *server,
			     struct sonde_fs_server_figures *ret)
{
	*ret = (struct sonde_fs_server_figures){ .accepted = server->n_accepted,
						 .attached = server->n_attached,
						 .now = server->n_sessions };
}

/* Sessions that are cut end whatever is asked of who waits for them. */
static void stop_waiting(struct task_wait *wait, int code)
{
	(void)wait, (void)code;
}

int sonde_fs_server_stop(struct sonde_task *self, struct sonde_fs_server *server)
{
	struct task_wait wait = { .stop = stop_waiting };
	int r = server ? task_may_wait(server->loop) : SONDE_OK;

	if (!server || r < 0)
		return r;
	/* Not the other way round: the task may not even have begun to ask the acceptor. */
	sonde_task_cancel(server->task);
	sonde_task_join(self, server->task);
	sonde_acceptor_close(self, server->acceptor);
	for (struct ninep_session *s = server->first; s; s = s->next)
		ninep_session_cut(s);
	if (server->n_sessions) {
		server->stopper = &wait;
		task_wait(server->loop, &wait);
	}
	mem_release(server);
	return SONDE_OK;
}

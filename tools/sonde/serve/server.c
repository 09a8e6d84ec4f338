/* SPDX-License-Identifier: MIT */
#include "server.h"

#include "client.h"

#include <stdlib.h>

/* Clients of one kind, the oldest first. */
struct line {
	struct client *first, *last;
	uint32_t n;
};

struct server {
	struct client_host host;
	struct sonde_acceptor *acceptor;
	struct sonde_task *task;
	struct line negotiating, serving, leaving;
	uint64_t n_accepted, n_served;
};

static void line_add(struct line *line, struct client *c)
{
	c->prev = line->last;
	c->next = NULL;
	*(line->last ? &line->last->next : &line->first) = c;
	line->last = c;
	line->n++;
}

static void line_remove(struct line *line, struct client *c)
{
	*(c->prev ? &c->prev->next : &line->first) = c->next;
	*(c->next ? &c->next->prev : &line->last) = c->prev;
	line->n--;
}

/* ---- what clients say ----------------------------------------------------------------------------- */

static struct line *line_of(struct server *server, const struct client *c)
{
	return c->phase == CLIENT_NEGOTIATES ? &server->negotiating
	       : c->phase == CLIENT_SERVES   ? &server->serving
					     : &server->leaving;
}

static void move_to(struct server *server, struct client *c, enum client_phase phase)
{
	line_remove(line_of(server, c), c);
	c->phase = phase;
	line_add(line_of(server, c), c);
}

static int may_go(void *user)
{
	return ((struct server *)user)->serving.n < SERVER_SERVING_MAX;
}

static void goes(void *user, struct client *c)
{
	struct server *server = user;

	if (c->phase == CLIENT_NEGOTIATES)
		move_to(server, c, CLIENT_SERVES);
	server->n_served++;
}

static void ended(void *user, struct client *c)
{
	struct server *server = user;

	line_remove(line_of(server, c), c);
}

/* ---- connections -------------------------------------------------------------------------------------- */

static void cut(struct server *server, struct client *c)
{
	move_to(server, c, CLIENT_LEAVES);
	client_cut(c);
}

static void welcome(struct server *server, int fd)
{
	struct client *c;

	server->n_accepted++;
	if (server->negotiating.n >= SERVER_NEGOTIATING_MAX)
		cut(server, server->negotiating.first);
	if (client_start(&server->host, fd, &c) == 0)
		line_add(&server->negotiating, c);
}

static int accept_clients(struct sonde_task *self, void *arg)
{
	struct server *server = arg;
	int fd;

	for (;;) {
		fd = sonde_acceptor_next(self, server->acceptor);
		if (fd >= 0)
			welcome(server, fd);
		else if (fd != SONDE_E_EXHAUSTED && fd != SONDE_E_NO_MEMORY &&
			 fd != SONDE_E_NO_ACCESS)
			return fd;
	}
}

/* ---- the server ------------------------------------------------------------------------------------------ */

int server_start(struct sonde_loop *loop, int listener, const struct export *export,
		 struct tls_server *tls, struct server **ret)
{
	struct server *server = calloc(1, sizeof(*server));
	int r = SONDE_E_NO_MEMORY;

	if (!server)
		return r;
	server->host = (struct client_host){ .loop = loop,
					     .export = export,
					     .tls = tls,
					     .user = server,
					     .may_go = may_go,
					     .goes = goes,
					     .ended = ended };
	r = sonde_acceptor_open(loop, listener, &server->acceptor);
	if (r < 0) {
		free(server);
		return r;
	}
	r = sonde_task_spawn(loop, accept_clients, server, &server->task);
	if (r < 0) {
		sonde_acceptor_close(NULL, server->acceptor);
		free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void server_figures(const struct server *server, struct server_figures *ret)
{
	*ret = (struct server_figures){
		.accepted = server->n_accepted,
		.served = server->n_served,
		.now = server->negotiating.n + server->serving.n + server->leaving.n,
	};
}

void server_stop(struct server *server)
{
	if (!server)
		return;
	/* In this order: the task may not have run yet, and would ask what is gone. */
	sonde_task_cancel(server->task);
	sonde_task_join(NULL, server->task);
	sonde_acceptor_close(NULL, server->acceptor);
	while (server->negotiating.n)
		cut(server, server->negotiating.first);
	while (server->serving.n)
		cut(server, server->serving.first);
	while (server->leaving.n)
		sonde_loop_wait(server->host.loop, UINT64_MAX);
	free(server);
}

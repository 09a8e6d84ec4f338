/* SPDX-License-Identifier: MIT */
/*
 * Sockets in tasks: an echo server and its clients on one thread. Every call here that waits
 * parks its task only.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <string.h>

enum { N_CLIENTS = 50, N_ROUNDS = 20 };

static struct sonde_loop *loop;
static char address[SONDE_NET_TEXT];
static int n_served;

static int echo(struct sonde_task *task, void *arg)
{
	int fd = (int)(intptr_t)arg, n;
	char bytes[256];

	while ((n = sonde_fd_read(task, loop, fd, bytes, sizeof(bytes))) > 0)
		sonde_fd_write_all(task, loop, fd, bytes, (size_t)n);
	n_served++;
	return sonde_fd_close(task, loop, fd);
}

static int serve(struct sonde_task *task, void *arg)
{
	for (int fd; (fd = sonde_acceptor_next(task, arg)) >= 0;)
		sonde_task_spawn(loop, echo, (void *)(intptr_t)fd, NULL);
	return 0; /* the acceptor was closed */
}

static int client(struct sonde_task *task, void *arg)
{
	char sent[32], got[32] = "";
	int fd = sonde_net_connect(task, loop, address, NULL, NULL), n_bad = fd < 0;

	for (int i = 0; i < N_ROUNDS && !n_bad; i++) {
		int len = snprintf(sent, sizeof(sent), "%d of %d", i, (int)(intptr_t)arg);
		sonde_fd_write_all(task, loop, fd, sent, (size_t)len);
		sonde_fd_read_all(task, loop, fd, got, (size_t)len);
		n_bad += strcmp(sent, got) != 0;
	}
	if (fd >= 0)
		sonde_fd_close(task, loop, fd);
	return n_bad;
}

int main(void)
{
	struct sonde_acceptor *acceptor;
	struct sonde_task *server, *clients[N_CLIENTS];
	struct sonde_error err = { 0 };
	int listener = sonde_net_listen("127.0.0.1:0", NULL, &err), n_bad = 0;

	if (listener < 0 || sonde_net_own(listener, address, sizeof(address)) < 0 ||
	    sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_acceptor_open(loop, listener, &acceptor) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	sonde_task_spawn(loop, serve, acceptor, &server);
	for (intptr_t i = 0; i < N_CLIENTS; i++)
		sonde_task_spawn(loop, client, (void *)i, &clients[i]);
	for (int i = 0; i < N_CLIENTS; i++)
		n_bad += sonde_task_join(NULL, clients[i]);
	sonde_acceptor_close(NULL, acceptor);
	sonde_task_join(NULL, server);
	sonde_fd_close(NULL, loop, listener);
	sonde_loop_run(loop); /* the last ones see their client's end */
	printf("%d clients, %d served, %d bad\n", N_CLIENTS, n_served, n_bad);
	sonde_loop_destroy(loop);
	return n_bad || n_served != N_CLIENTS;
}

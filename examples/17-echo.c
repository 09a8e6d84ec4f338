/* SPDX-License-Identifier: MIT */
/*
 * Sockets in tasks: an echo server and its clients on one thread. Every call here that waits
 * parks its task only, and takes blocking sockets as they are.
 */
#include <sonde/sonde.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_CLIENTS = 50, N_ROUNDS = 20 };

static struct sonde_loop *loop;
static struct sockaddr_in addr = { .sin_family = AF_INET };
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
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), n_bad;

	connect(fd, (struct sockaddr *)&addr, sizeof(addr)); /* EINPROGRESS */
	n_bad = sonde_fd_connected(task, loop, fd) < 0;
	for (int i = 0; i < N_ROUNDS && !n_bad; i++) {
		int len = snprintf(sent, sizeof(sent), "%d of %d", i, (int)(intptr_t)arg);
		sonde_fd_write_all(task, loop, fd, sent, (size_t)len);
		sonde_fd_read_all(task, loop, fd, got, (size_t)len);
		n_bad += strcmp(sent, got) != 0;
	}
	close(fd);
	return n_bad;
}

int main(void)
{
	struct sonde_acceptor *acceptor;
	struct sonde_task *server, *clients[N_CLIENTS];
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), n_bad = 0;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, N_CLIENTS) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    sonde_loop_create(NULL, &loop, NULL) < 0 ||
	    sonde_acceptor_open(loop, listener, &acceptor) < 0)
		return 1;
	sonde_task_spawn(loop, serve, acceptor, &server);
	for (intptr_t i = 0; i < N_CLIENTS; i++)
		sonde_task_spawn(loop, client, (void *)i, &clients[i]);
	for (int i = 0; i < N_CLIENTS; i++)
		n_bad += sonde_task_join(NULL, clients[i]);
	sonde_acceptor_close(NULL, acceptor);
	sonde_task_join(NULL, server);
	close(listener);
	sonde_loop_run(loop); /* the last ones see their client's end */
	printf("%d clients, %d served, %d bad\n", N_CLIENTS, n_served, n_bad);
	sonde_loop_destroy(loop);
	return n_bad || n_served != N_CLIENTS;
}

/* SPDX-License-Identifier: MIT */
/* A file system served on loopback from a thread and a loop of its own, for a client in the test's. */
#ifndef UNIT_FS_SERVED_H
#define UNIT_FS_SERVED_H

#include <pthread.h>
#include <sonde/fs_remote.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

struct served {
	pthread_t thread;
	const char *folder;                           /* NULL: files in memory */
	const struct sonde_fs_memory_options *limits; /* ... of them; or NULL */
	uint32_t flags;                               /* enum sonde_fs_server_flag */
	int listener;
	char address[SONDE_NET_TEXT];
	_Atomic(struct sonde_loop *) loop;
	atomic_bool ends, woken, failed;
};

static inline int served_open_fs(const struct served *served, struct sonde_loop *loop,
				 struct sonde_fs **ret)
{
	return served->folder ? sonde_fs_native(loop, served->folder, 0, ret, NULL)
			      : sonde_fs_memory(loop, served->limits, ret);
}

static inline void *served_run(void *arg)
{
	const struct sonde_loop_options on = { .size = sizeof(on), .engine = SONDE_ENGINE_EPOLL };
	struct sonde_fs_server_options options = { .size = sizeof(options) };
	struct served *served = arg;
	struct sonde_fs_server *server = NULL;
	struct sonde_loop *loop = NULL;
	struct sonde_fs *fs = NULL;

	options.flags = served->flags;
	if (sonde_loop_create(&on, &loop, NULL) < 0 || served_open_fs(served, loop, &fs) < 0 ||
	    sonde_fs_server_start(loop, fs, served->listener, &options, &server) < 0)
		served->failed = true;
	served->loop = loop;
	while (!served->failed && !served->ends)
		sonde_loop_wait(loop, UINT64_MAX);
	sonde_fs_server_stop(NULL, server);
	sonde_fs_destroy(fs);
	while (served->ends && !served->woken) /* by which the loop is still used */
		usleep(1000);
	sonde_loop_destroy(loop);
	return NULL;
}

/* Set folder and flags before. 0, or not. */
static inline int served_start(struct served *served)
{
	served->listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);
	if (served->listener < 0 ||
	    sonde_net_own(served->listener, served->address, sizeof(served->address)) < 0)
		return -1;
	if (pthread_create(&served->thread, NULL, served_run, served))
		return -1;
	while (!served->loop)
		usleep(1000);
	return served->failed ? -1 : 0;
}

static inline void served_stop(struct served *served)
{
	served->ends = true;
	sonde_loop_wake(served->loop);
	served->woken = true;
	pthread_join(served->thread, NULL);
	close(served->listener);
}

#endif

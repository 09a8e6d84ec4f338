/* SPDX-License-Identifier: MIT */
/*
 * A server of 9P2000.L that does as it is told: from a thread, with plain sockets, it agrees, attaches,
 * walks anywhere and opens anything; what it makes of all else is the test's.
 */
#ifndef UNIT_NINEP_PUPPET_H
#define UNIT_NINEP_PUPPET_H

#include <poll.h>
#include <pthread.h>
#include <sonde/net.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ninep/message.h"

enum { PUPPET_BYTES = 256 << 10 };

struct puppet {
	pthread_t thread;
	int listener, fd;
	char address[SONDE_NET_TEXT];
	/* Of a message that is not one of the above. Returns 0: go on; else hang up. */
	int (*asked)(struct puppet *puppet, const struct ninep_msg *msg);
	atomic_int also;     /* a type of the above that asked is told of, too; 0: none */
	const char *version; /* NULL: 9P2000.L */
	uint32_t msize;      /* 0: what the client says */
	atomic_int n_asked;
	void *user;
	uint8_t in[PUPPET_BYTES], out[PUPPET_BYTES];
};

static inline void puppet_send(struct puppet *puppet, const struct ninep_msg *msg)
{
	size_t len = ninep_encode(msg, puppet->out, sizeof(puppet->out));

	send(puppet->fd, puppet->out, len, MSG_NOSIGNAL);
}

/* Returns 0: there is no more. */
static inline int puppet_take(struct puppet *puppet, struct ninep_msg *ret)
{
	if (recv(puppet->fd, puppet->in, 4, MSG_WAITALL) != 4)
		return 0;
	uint32_t size = ninep_size(puppet->in);
	if (size < NINEP_HEAD || size > sizeof(puppet->in))
		return 0;
	if (recv(puppet->fd, puppet->in + 4, size - 4, MSG_WAITALL) != (ssize_t)size - 4)
		return 0;
	return ninep_decode(puppet->in, size, ret);
}

static inline int puppet_agree(struct puppet *puppet, const struct ninep_msg *msg)
{
	const char *version = puppet->version ? puppet->version : NINEP_VERSION;
	struct ninep_msg answer = { .type = msg->type + 1,
				    .tag = msg->tag,
				    .msize = puppet->msize ? puppet->msize : msg->msize,
				    .name = { version, (uint16_t)strlen(version) },
				    .qid.type = NINEP_QID_DIRECTORY,
				    .n_qids = msg->n_names };

	if (msg->type == NINEP_TVERSION && msg->tag != NINEP_NO_TAG)
		return 1;
	if (msg->type == NINEP_TLOPEN)
		answer.qid.type = 0;
	puppet_send(puppet, &answer);
	return 0;
}

static inline int puppet_answer(struct puppet *puppet, const struct ninep_msg *msg)
{
	switch (msg->type == puppet->also ? 0 : msg->type) {
	case NINEP_TVERSION:
	case NINEP_TATTACH:
	case NINEP_TWALK:
	case NINEP_TLOPEN:
	case NINEP_TCLUNK:
		return puppet_agree(puppet, msg);
	default:
		puppet->n_asked++;
		return puppet->asked(puppet, msg);
	}
}

static inline void *puppet_run(void *arg)
{
	struct puppet *puppet = arg;
	struct pollfd knock = { .fd = puppet->listener, .events = POLLIN };
	struct ninep_msg msg;

	poll(&knock, 1, -1);
	puppet->fd = accept(puppet->listener, NULL, NULL);
	while (puppet_take(puppet, &msg) && puppet_answer(puppet, &msg) == 0)
		;
	shutdown(puppet->fd, SHUT_WR);
	while (recv(puppet->fd, puppet->in, sizeof(puppet->in), 0) > 0)
		;
	close(puppet->fd);
	return NULL;
}

static inline struct puppet *puppet_start(int (*asked)(struct puppet *, const struct ninep_msg *))
{
	struct puppet *puppet = calloc(1, sizeof(*puppet));

	puppet->asked = asked;
	puppet->listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);
	sonde_net_own(puppet->listener, puppet->address, sizeof(puppet->address));
	return puppet;
}

static inline void puppet_go(struct puppet *puppet)
{
	pthread_create(&puppet->thread, NULL, puppet_run, puppet);
}

/* Behind the client's end. */
static inline void puppet_stop(struct puppet *puppet)
{
	pthread_join(puppet->thread, NULL);
	close(puppet->listener);
	free(puppet);
}

#endif

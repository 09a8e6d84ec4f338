/* SPDX-License-Identifier: MIT */
/*
 * Connections by the task and blocking doors: an accept request that stays armed, a queue of what
 * came before anybody asked, a list of who asked before anything came. One of both is empty.
 */
#include <sonde/error.h>
#include <sonde/fd.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"
#include "task/task.h"

/* The listener is left alone while so many wait to be taken, until most of them are. */
#define AHEAD_MAX 64u
#define AHEAD_MIN 16u

struct sonde_acceptor {
	struct sonde_fd_io io;
	struct sonde_loop *loop;
	int *fds; /* [cap] a ring: n from first on */
	size_t cap, first, n;
	struct taker *takers, **takers_tail;
	int error;                /* nobody has been told of; 0: none     */
	int end;                  /* why no more come; 0: they do         */
	bool armed;               /* the request is in flight             */
	bool full;                /* ... and called off, for enough wait  */
	struct task_wait *closer; /* waits until it is not                */
};

struct taker {
	struct task_wait wait;
	struct taker *next;
	struct sonde_acceptor *acceptor;
};

/* ---- who waits --------------------------------------------------------------------------- */

static void add_taker(struct sonde_acceptor *acceptor, struct taker *taker)
{
	taker->next = NULL;
	*acceptor->takers_tail = taker;
	acceptor->takers_tail = &taker->next;
}

static void remove_taker(struct sonde_acceptor *acceptor, struct taker *taker)
{
	struct taker **at = &acceptor->takers;

	while (*at != taker)
		at = &(*at)->next;
	*at = taker->next;
	if (!*at)
		acceptor->takers_tail = at;
}

/* False: nobody waits. */
static bool hand_out(struct sonde_acceptor *acceptor, int result)
{
	struct taker *taker = acceptor->takers;

	if (!taker)
		return false;
	remove_taker(acceptor, taker);
	task_wake(&taker->wait, result);
	return true;
}

static void stop_taker(struct task_wait *wait, int code)
{
	struct taker *taker = (struct taker *)(void *)wait;

	remove_taker(taker->acceptor, taker);
	task_wake(wait, code);
}

/* ---- what came ------------------------------------------------------------------------------- */

static bool grow(struct sonde_acceptor *acceptor)
{
	size_t cap = acceptor->cap ? 2 * acceptor->cap : AHEAD_MAX;
	int *fds = mem_alloc(cap, sizeof(*fds));

	if (!fds)
		return false;
	for (size_t i = 0; i < acceptor->n; i++)
		fds[i] = acceptor->fds[(acceptor->first + i) % acceptor->cap];
	mem_release(acceptor->fds);
	acceptor->fds = fds;
	acceptor->cap = cap;
	acceptor->first = 0;
	return true;
}

static void keep(struct sonde_acceptor *acceptor, int fd)
{
	if (acceptor->n == acceptor->cap && !grow(acceptor)) {
		close(fd); /* no memory for four bytes: its peer sees an end */
		acceptor->error = SONDE_E_NO_MEMORY;
		return;
	}
	acceptor->fds[(acceptor->first + acceptor->n++) % acceptor->cap] = fd;
	if (acceptor->n >= AHEAD_MAX && !acceptor->full)
		acceptor->full = sonde_fd_cancel(&acceptor->io);
}

static int take(struct sonde_acceptor *acceptor)
{
	int fd = acceptor->fds[acceptor->first];

	acceptor->first = (acceptor->first + 1) % acceptor->cap;
	acceptor->n--;
	return fd;
}

static void came(struct sonde_fd_io *io, int fd)
{
	struct sonde_acceptor *acceptor = io->user;

	if (hand_out(acceptor, fd))
		return;
	if (fd < 0)
		acceptor->error = fd;
	else
		keep(acceptor, fd);
}

/* ---- the request ----------------------------------------------------------------------------- */

static int arm(struct sonde_acceptor *acceptor)
{
	int r = sonde_fd_submit(acceptor->loop, &acceptor->io);

	acceptor->armed = r == SONDE_OK;
	acceptor->full = false;
	return r;
}

/* Called off by itself, it is armed again when there is room. */
static void disarmed(struct sonde_fd_io *io)
{
	struct sonde_acceptor *acceptor = io->user;

	acceptor->armed = false;
	if (acceptor->closer) {
		task_wake(acceptor->closer, SONDE_OK);
		return;
	}
	if (!acceptor->full)
		acceptor->end = io->result;
	else if (acceptor->n < AHEAD_MIN)
		acceptor->end = arm(acceptor);
	while (acceptor->end && hand_out(acceptor, acceptor->end))
		;
}

int sonde_acceptor_open(struct sonde_loop *loop, int fd, struct sonde_acceptor **ret)
{
	struct sonde_acceptor *acceptor = mem_alloc(1, sizeof(*acceptor));

	if (!acceptor)
		return SONDE_E_NO_MEMORY;
	acceptor->loop = loop;
	acceptor->takers_tail = &acceptor->takers;
	acceptor->io = (struct sonde_fd_io){ .fd = fd,
					     .op = SONDE_FD_ACCEPT,
					     .accepted = came,
					     .done = disarmed,
					     .user = acceptor };
	int r = arm(acceptor);
	if (r < 0)
		mem_release(acceptor);
	else
		*ret = acceptor;
	return r;
}

static int wait_for_one(struct sonde_acceptor *acceptor)
{
	struct taker taker = { .wait.stop = stop_taker, .acceptor = acceptor };
	int r = task_may_wait(acceptor->loop);

	if (r < 0)
		return r;
	add_taker(acceptor, &taker);
	return task_wait(acceptor->loop, &taker.wait);
}

int sonde_acceptor_next(struct sonde_task *self, struct sonde_acceptor *acceptor)
{
	if (self && self != acceptor->loop->current)
		return SONDE_E_BAD_ARG;
	int r = task_stop_here(acceptor->loop);
	if (r < 0)
		return r;
	if (acceptor->n > 0) {
		r = take(acceptor);
		if (acceptor->n < AHEAD_MIN && !acceptor->armed && !acceptor->end)
			acceptor->end = arm(acceptor);
		return r;
	}
	if (acceptor->error) {
		r = acceptor->error;
		acceptor->error = 0;
		return r;
	}
	return acceptor->end ? acceptor->end : wait_for_one(acceptor);
}

/* It ends in any case, so nothing ends this wait early. */
static void stop_closer(struct task_wait *wait, int code)
{
	(void)wait, (void)code;
}

int sonde_acceptor_close(struct sonde_task *self, struct sonde_acceptor *acceptor)
{
	struct task_wait wait = { .stop = stop_closer };
	int r = task_may_wait(acceptor->loop);

	if (self && self != acceptor->loop->current)
		return SONDE_E_BAD_ARG;
	if (r < 0)
		return r;
	while (hand_out(acceptor, SONDE_E_CANCELLED))
		;
	if (acceptor->armed) {
		acceptor->closer = &wait;
		sonde_fd_cancel(&acceptor->io);
		task_wait(acceptor->loop, &wait);
	}
	while (acceptor->n > 0)
		close(take(acceptor));
	mem_release(acceptor->fds);
	mem_release(acceptor);
	return SONDE_OK;
}

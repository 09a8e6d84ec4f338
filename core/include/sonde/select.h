/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the first of several things. That one happens, an item moved among them; the others
 * are as if nobody had waited for them.
 *
 *	struct sonde_select wait[] = {
 *		{ .kind = SONDE_SELECT_RECV, .channel = orders, .item = &order },
 *		{ .kind = SONDE_SELECT_TIME, .at_ns = sonde_now_ns() + 1000000000 },
 *	};
 *	int first = sonde_task_select(self, wait, 2);
 */
#ifndef SONDE_SELECT_H
#define SONDE_SELECT_H

#include <sonde/channel.h>
#include <sonde/fd.h>
#include <sonde/io.h>
#include <sonde/task.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_SELECT_MAX 1024u /* entries of one call; each costs as much as the next */

enum sonde_select_kind {
	SONDE_SELECT_NONE = 0, /* nothing: passed over                                      */
	SONDE_SELECT_TASK,     /* task has ended; it is still to be joined                  */
	SONDE_SELECT_IO,       /* io is over and its callback has run, or it never was sent */
	SONDE_SELECT_RECV,     /* an item came from channel and is in item now              */
	SONDE_SELECT_SEND,     /* item has gone into channel                                */
	SONDE_SELECT_TIME,     /* it is at_ns or later                                      */
	SONDE_SELECT_FD,       /* fd_io is over and its callback has run, or it never was sent */
};

/* One thing to wait for; a caller's struct, set anew or used again. */
struct sonde_select {
	uint32_t kind;  /* in:  enum sonde_select_kind                                */
	int32_t result; /* out: of the first: 0; SONDE_E_CLOSED: no item has moved    */
	union {         /* in:  by kind                                               */
		struct sonde_task *task; /* not detached, not the one that waits      */
		struct sonde_io *io;     /* submitted through io.h, of the same loop  */
		struct sonde_channel *channel;
		uint64_t at_ns;            /* sonde_now_ns() time                                */
		struct sonde_fd_io *fd_io; /* submitted through fd.h, of the same loop */
	};
	void *item;       /* in:  RECV: to be written; SEND: only read                  */
	uint64_t core[6]; /* the library's                                              */
};

/*
 * Wait for the first of n entries. Of several that are there already, which one comes first is left
 * to chance, so none is kept from its turn for ever.
 *
 * Returns   the index of the first;
 *           as sonde_task_check, when self was asked to end before: none has happened;
 *           SONDE_E_BAD_ARG: n is 0 or above SONDE_SELECT_MAX, no entry is other than NONE, one is
 *           not what its kind asks for, or self is not the task that runs;
 *           SONDE_E_BUSY: from a callback or, sonde_loop_select, from a task.
 * Context   a task (the first) is parked, plain code (the second) pumps the loop. Allocates nothing.
 */
int sonde_task_select(struct sonde_task *self, struct sonde_select *entries, size_t n);
int sonde_loop_select(struct sonde_loop *loop, struct sonde_select *entries, size_t n);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/* The inside of channels: who waits at one, be it in send and recv or in a select. */
#ifndef SONDE_TASK_CHANNEL_H
#define SONDE_TASK_CHANNEL_H

#include <sonde/channel.h>

#include "task/inside.h"

/* It has left the queue, and its item has moved, when watch.fire is called with 0. */
struct channel_waiter {
	struct loop_watch watch;
	void *item; /* where to, or where from */
};

enum channel_end { CHANNEL_RECV, CHANNEL_SEND };

/* First come, first served. */
struct channel_queue {
	struct loop_watch *first, *last;
};

struct sonde_channel {
	struct sonde_loop *loop;
	struct channel_queue queues[2]; /* by channel_end; at most one has somebody in it, or */
	bool closed;                    /* neither                                            */
	size_t capacity, item_size;
	size_t count, head; /* items, from that slot on, round the end */
	_Alignas(16) char items[];
};

/* Send or receive one without waiting. Returns 1; 0 it would have to wait; SONDE_E_CLOSED. */
int channel_move(struct sonde_channel *channel, enum channel_end end, void *item);

void channel_wait(struct sonde_channel *channel, enum channel_end end,
		  struct channel_waiter *waiter);
void channel_leave(struct sonde_channel *channel, enum channel_end end,
		   struct channel_waiter *waiter);

/* Is that an item of it? */
static inline bool channel_takes(const struct sonde_channel *channel, const void *item)
{
	return item || !channel->item_size;
}

#endif

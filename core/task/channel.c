/* SPDX-License-Identifier: MIT */
/*
 * Channels. An item goes from hand to hand where the other end waits already, so what a waiter was
 * woken for cannot be taken from it by someone who came later.
 */
#include "task/channel.h"

#include <sonde/error.h>

#include "base/mem.h"

/* ---- the queues of those who wait ---------------------------------------------------------- */

/* noinline: gcc 12 would see a local's address stored here, and not that it is taken back (-Wdangling-pointer). */
__attribute__((noinline)) void channel_wait(struct sonde_channel *channel, enum channel_end end,
					    struct channel_waiter *waiter)
{
	struct channel_queue *queue = &channel->queues[end];
	struct loop_watch *watch = &waiter->watch;

	watch->next = NULL;
	watch->prev = queue->last;
	*(watch->prev ? &watch->prev->next : &queue->first) = watch;
	queue->last = watch;
}

void channel_leave(struct sonde_channel *channel, enum channel_end end,
		   struct channel_waiter *waiter)
{
	struct channel_queue *queue = &channel->queues[end];

	loop_watch_remove(&queue->first, &waiter->watch);
	if (queue->last == &waiter->watch)
		queue->last = waiter->watch.prev;
}

static struct channel_waiter *longest_waiter(struct sonde_channel *channel, enum channel_end end)
{
	struct channel_waiter *waiter = (void *)channel->queues[end].first;

	if (waiter)
		channel_leave(channel, end, waiter);
	return waiter;
}

/* ---- items ------------------------------------------------------------------------------- */

static void copy(const struct sonde_channel *channel, void *to, const void *from)
{
	if (channel->item_size)
		memcpy(to, from, channel->item_size);
}

static char *slot(struct sonde_channel *channel, size_t i)
{
	size_t at = channel->head + i; /* both below capacity, and twice that is memory */

	return channel->items +
	       (at < channel->capacity ? at : at - channel->capacity) * channel->item_size;
}

static void put(struct sonde_channel *channel, const void *item)
{
	copy(channel, slot(channel, channel->count), item);
	channel->count++;
}

static void take(struct sonde_channel *channel, void *item)
{
	copy(channel, item, slot(channel, 0));
	channel->count--;
	if (++channel->head == channel->capacity)
		channel->head = 0;
}

static int send(struct sonde_channel *channel, const void *item)
{
	if (channel->closed)
		return SONDE_E_CLOSED;
	struct channel_waiter *receiver = longest_waiter(channel, CHANNEL_RECV);
	if (receiver) {
		copy(channel, receiver->item, item);
		receiver->watch.fire(&receiver->watch, SONDE_OK);
	} else if (channel->count < channel->capacity) {
		put(channel, item);
	} else {
		return 0;
	}
	return 1;
}

static int recv(struct sonde_channel *channel, void *item)
{
	struct channel_waiter *sender = longest_waiter(channel, CHANNEL_SEND);

	if (channel->count) {
		take(channel, item);
		if (sender)
			put(channel, sender->item);
	} else if (sender) {
		copy(channel, item, sender->item);
	} else {
		return channel->closed ? SONDE_E_CLOSED : 0;
	}
	if (sender)
		sender->watch.fire(&sender->watch, SONDE_OK);
	return 1;
}

int channel_move(struct sonde_channel *channel, enum channel_end end, void *item)
{
	return end == CHANNEL_SEND ? send(channel, item) : recv(channel, item);
}

/* ---- waiting ----------------------------------------------------------------------------- */

struct blocked {
	struct task_wait wait;
	struct channel_waiter waiter;
	struct sonde_channel *channel;
	enum channel_end end;
};

static void has_moved(struct loop_watch *watch, int result)
{
	struct blocked *blocked =
		(struct blocked *)((char *)watch - offsetof(struct blocked, waiter));

	task_wake(&blocked->wait, result);
}

static void stop_blocked(struct task_wait *wait, int code)
{
	struct blocked *blocked = (struct blocked *)(void *)wait;

	channel_leave(blocked->channel, blocked->end, &blocked->waiter);
	task_wake(wait, code);
}

static int move(struct sonde_task *self, struct sonde_channel *channel, enum channel_end end,
		void *item)
{
	struct blocked blocked = { .wait.stop = stop_blocked,
				   .waiter = { .watch.fire = has_moved, .item = item },
				   .channel = channel,
				   .end = end };
	int r = channel_takes(channel, item) ? task_may_begin(channel->loop, self)
					     : SONDE_E_BAD_ARG;

	if (r < 0)
		return r;
	r = channel_move(channel, end, item);
	if (r)
		return r < 0 ? r : SONDE_OK;
	channel_wait(channel, end, &blocked.waiter);
	return task_wait(channel->loop, &blocked.wait);
}

int sonde_channel_send(struct sonde_task *self, struct sonde_channel *channel, const void *item)
{
	return move(self, channel, CHANNEL_SEND, (void *)(uintptr_t)item);
}

int sonde_channel_recv(struct sonde_task *self, struct sonde_channel *channel, void *item)
{
	return move(self, channel, CHANNEL_RECV, item);
}

int sonde_channel_try_send(struct sonde_channel *channel, const void *item)
{
	return channel_takes(channel, item) ? send(channel, item) : SONDE_E_BAD_ARG;
}

int sonde_channel_try_recv(struct sonde_channel *channel, void *item)
{
	return channel_takes(channel, item) ? recv(channel, item) : SONDE_E_BAD_ARG;
}

/* ---- life -------------------------------------------------------------------------------- */

int sonde_channel_create(struct sonde_loop *loop, size_t capacity, size_t item_size,
			 struct sonde_channel **ret)
{
	struct sonde_channel *channel;
	size_t size;

	if (__builtin_mul_overflow(capacity, item_size, &size) ||
	    __builtin_add_overflow(size, sizeof(*channel), &size) || capacity > SIZE_MAX / 2)
		return SONDE_E_NO_MEMORY;
	channel = mem_alloc(1, size);
	if (!channel)
		return SONDE_E_NO_MEMORY;
	channel->loop = loop;
	channel->capacity = capacity;
	channel->item_size = item_size;
	*ret = channel;
	return SONDE_OK;
}

/* Whoever waits to receive waits because there is nothing in it. */
void sonde_channel_close(struct sonde_channel *channel)
{
	struct channel_waiter *waiter;

	channel->closed = true;
	while ((waiter = longest_waiter(channel, CHANNEL_SEND)) ||
	       (waiter = longest_waiter(channel, CHANNEL_RECV)))
		waiter->watch.fire(&waiter->watch, SONDE_E_CLOSED);
}

void sonde_channel_destroy(struct sonde_channel *channel)
{
	if (!channel)
		return;
	sonde_channel_close(channel);
	mem_release(channel);
}

size_t sonde_channel_count(const struct sonde_channel *channel)
{
	return channel->count;
}

/* SPDX-License-Identifier: MIT */
/*
 * Channels: bounded queues of items of one size between the tasks, callbacks and plain code of one
 * loop. A full one makes senders wait, an empty one receivers, each in the order they came: what comes
 * goes to the one that has waited longest, and nobody overtakes him. Items are copied in and out.
 */
#ifndef SONDE_CHANNEL_H
#define SONDE_CHANNEL_H

#include <sonde/task.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_channel; /* handle; belongs to its loop, and to its thread */

/*
 * A channel that holds up to capacity items of item_size bytes. Capacity 0: it holds none, and a
 * send meets a receive. Item size 0: only that there is one is told, and item may be NULL below.
 *
 * Returns   0; SONDE_E_NO_MEMORY.
 * Owns      *ret: sonde_channel_destroy, before the loop's. Nothing below allocates.
 */
int sonde_channel_create(struct sonde_loop *loop, size_t capacity, size_t item_size,
			 struct sonde_channel **ret);

/* Close it and free it; items still in it are dropped. NULL is allowed. */
void sonde_channel_destroy(struct sonde_channel *channel);

/*
 * Put an item in, or take the oldest one out. Where that has to wait, a task is parked and plain
 * code (self NULL) pumps the loop.
 *
 * Returns   0; SONDE_E_CLOSED: it was closed before there was room (the item is not in it), or it is
 *           closed and empty (*item is as it was); as sonde_task_check, with nothing moved;
 *           SONDE_E_BUSY from a callback: use the two below; SONDE_E_BAD_ARG: self is not
 *           the task that runs, or of another loop, or item is NULL.
 */
int sonde_channel_send(struct sonde_task *self, struct sonde_channel *channel, const void *item);
int sonde_channel_recv(struct sonde_task *self, struct sonde_channel *channel, void *item);

/*
 * The same where it need not wait. Tasks, callbacks and plain code.
 * Returns 1 done; 0 it would have to wait; SONDE_E_CLOSED; SONDE_E_BAD_ARG.
 */
int sonde_channel_try_send(struct sonde_channel *channel, const void *item);
int sonde_channel_try_recv(struct sonde_channel *channel, void *item);

/*
 * No item is taken in any more; those in it can still be received. All who wait are told
 * SONDE_E_CLOSED. Twice is once. Tasks, callbacks and plain code.
 */
void sonde_channel_close(struct sonde_channel *channel);

/* How many items it holds. */
size_t sonde_channel_count(const struct sonde_channel *channel);

#ifdef __cplusplus
}
#endif
#endif

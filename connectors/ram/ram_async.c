/* SPDX-License-Identifier: MIT */
/*
 * mode=submit: a thread of its own that does everything the contract allows a connector to
 * do: it takes only part of a batch, completes requests in another order than they came,
 * and tells each piece in several stretches, last ones first. The order follows from seed.
 */
#include "ram.h"

#include <pthread.h>
#include <stdlib.h>

#define ASYNC_QUEUE 256

struct ram_async {
	const struct ram *ram;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct sonde_io *queue[ASYNC_QUEUE]; /* [n], any order; under lock */
	size_t n;
	size_t take;     /* requests one submit takes at most */
	uint64_t random; /* the thread's, never 0             */
	int stop;        /* under lock                        */
};

/* xorshift64: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003. */
static uint64_t next_random(struct ram_async *async)
{
	async->random ^= async->random << 13;
	async->random ^= async->random >> 7;
	async->random ^= async->random << 17;
	return async->random;
}

/* Do [off, off + len) of piece i, uniform stretch by uniform stretch. */
static void serve_range(const struct ram *ram, struct sonde_io *io, uint32_t i, uint32_t off,
			uint32_t len)
{
	const struct sonde_xfer *x = &io->xfers[i];

	for (uint32_t end = off + len, step; off < end; off += step) {
		uint64_t addr = x->addr + off;
		int wrapped = addr < x->addr;
		int32_t err = ram_at(ram, wrapped ? UINT64_MAX : addr, end - off, &step);
		ram_move(ram, io, i, off, step, err);
	}
}

/* A piece in up to three parts, the last first. */
static void serve_piece(struct ram_async *async, struct sonde_io *io, uint32_t i)
{
	uint32_t end = io->xfers[i].len;

	for (int part = 0; part < 2 && end > 1; part++) {
		uint32_t cut = (uint32_t)(next_random(async) % end);
		serve_range(async->ram, io, i, cut, end - cut);
		end = cut;
	}
	if (end)
		serve_range(async->ram, io, i, 0, end);
}

static void *async_main(void *arg)
{
	struct ram_async *async = arg;

	pthread_mutex_lock(&async->lock);
	for (;;) {
		while (async->n == 0 && !async->stop)
			pthread_cond_wait(&async->wake, &async->lock);
		if (async->n == 0)
			break;
		size_t pick = next_random(async) % async->n;
		struct sonde_io *io = async->queue[pick];
		async->queue[pick] = async->queue[--async->n];

		pthread_mutex_unlock(&async->lock);
		for (uint32_t i = io->n; i > 0; i--)
			serve_piece(async, io, i - 1);
		async->ram->host->io_done(io);
		pthread_mutex_lock(&async->lock);
	}
	pthread_mutex_unlock(&async->lock);
	return NULL;
}

int ram_async_open(struct ram *ram, uint64_t seed, uint64_t take, struct sonde_error *err)
{
	struct ram_async *async = calloc(1, sizeof(*async));
	if (!async)
		return ram->host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	async->ram = ram;
	async->random = seed ? seed : 1;
	async->take = take && take < ASYNC_QUEUE ? (size_t)take : ASYNC_QUEUE;
	pthread_mutex_init(&async->lock, NULL);
	pthread_cond_init(&async->wake, NULL);
	int os_code = pthread_create(&async->thread, NULL, async_main, async);
	if (os_code) {
		free(async);
		return ram->host->error_os(err, os_code, "ram: thread");
	}
	ram->async = async;
	return 0;
}

void ram_async_close(struct ram_async *async)
{
	if (!async)
		return;
	pthread_mutex_lock(&async->lock);
	async->stop = 1;
	pthread_cond_signal(&async->wake);
	pthread_mutex_unlock(&async->lock);
	pthread_join(async->thread, NULL);
	pthread_cond_destroy(&async->wake);
	pthread_mutex_destroy(&async->lock);
	free(async);
}

/* One that the thread has not begun with is given up. */
void ram_async_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct ram_async *async = ((struct ram *)conn)->async;
	int found = 0;

	pthread_mutex_lock(&async->lock);
	for (size_t i = 0; i < async->n && !found; i++) {
		found = async->queue[i] == io;
		if (found)
			async->queue[i] = async->queue[--async->n];
	}
	pthread_mutex_unlock(&async->lock);
	if (!found)
		return;
	for (uint32_t i = 0; i < io->n; i++)
		sonde_progress(async->ram->host, io, i, 0, io->xfers[i].len, why);
	async->ram->host->io_done(io);
}

size_t ram_async_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct ram_async *async = ((struct ram *)conn)->async;

	pthread_mutex_lock(&async->lock);
	size_t room = ASYNC_QUEUE - async->n;
	size_t taken = n < async->take ? n : async->take;
	taken = taken < room ? taken : room;
	for (size_t i = 0; i < taken; i++)
		async->queue[async->n++] = ios[i];
	pthread_cond_signal(&async->wake);
	pthread_mutex_unlock(&async->lock);
	return taken;
}

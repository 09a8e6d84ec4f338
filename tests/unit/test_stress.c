/* SPDX-License-Identifier: MIT */
/*
 * Everything at once, seeded: files on each engine, a connector with a thread of its own, page tables over
 * both; requests through all doors, cancelled and timed out at random. Checked of every piece: what came
 * is right, what did not is zero, and each request ends once.
 */
#include <pthread.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
#include "synth/page_tables.h"

#define MEM UINT64_C(0x100000)
#define TABLES UINT64_C(0x80000)
#define VA UINT64_C(0x7f0000000000)
#define PAGES 64u /* of VA; every fifth is missing, every seventh is swapped */

enum { FLIGHT = 48, PIECES = 6, MAX_LEN = 300, TURNS = 1500, N_TASKS = 24, TASK_READS = 40 };

/* ---- a connector with a thread, which ends requests in any order ------------------------- */

struct worker {
	struct fake *fake;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct sonde_io *queue[16];
	size_t n;
	unsigned random;
	bool stop;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->n && !worker->stop)
			pthread_cond_wait(&worker->more, &worker->lock);
		if (!worker->n)
			break;
		worker->random = worker->random * 1103515245u + 12345u;
		size_t pick = (worker->random >> 8) % worker->n;
		struct sonde_io *io = worker->queue[pick];
		worker->queue[pick] = worker->queue[--worker->n];
		pthread_mutex_unlock(&worker->lock);
		fake_serve(worker->fake, io);
		space_host.io_done(io);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

static size_t give_to_worker(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	struct worker *worker = fake->user;
	size_t taken = 0;

	pthread_mutex_lock(&worker->lock);
	while (taken < n && worker->n < sizeof(worker->queue) / sizeof(worker->queue[0]))
		worker->queue[worker->n++] = ios[taken++];
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->lock);
	return taken;
}

/* ---- the world ------------------------------------------------------------------------------ */

struct world {
	struct sonde_loop *loop;
	struct fake async; /* its bytes are what everything here holds */
	struct worker worker;
	int fd;
	struct sonde_space *spaces[4]; /* file, async, tables over file, tables over async */
	unsigned n_done;
};

static uint64_t page_at(uint64_t page)
{
	return page % 5 == 4 ? MEM : page % 7 == 6 ? MEM + 1 : (page * 11 % PAGES + 16) * 4096;
}

/* What the byte at addr of a space is, or the error it meets. */
static int32_t truth(const struct world *w, unsigned space, uint64_t addr, uint8_t *ret)
{
	if (space >= 2) {
		uint64_t page = (addr - VA) / 4096;
		if (addr < VA || page >= PAGES || page_at(page) == MEM)
			return SONDE_E_NOT_MAPPED;
		if (page_at(page) == MEM + 1)
			return SONDE_E_PAGED_OUT;
		addr = page_at(page) + addr % 4096;
	}
	if (addr >= MEM)
		return SONDE_E_NOT_MAPPED;
	*ret = w->async.bytes[addr];
	return 0;
}

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = MEM, .kind = SONDE_EXTENT_FILE, .fd = *(int *)conn };

	(void)err;
	return fn(user, &e);
}

static void build_tables(struct page_tables *tables, uint8_t *bytes)
{
	tables_build(tables, bytes, MEM, TABLES, 4, "");
	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t pa = page_at(page);
		*tables_entry(tables, VA + page * 4096, 0) = pa == MEM       ? 0
							     : pa == MEM + 1 ? 0x5000
									     : pa | 3;
	}
}

static void world_open(struct world *w, struct sonde_loop *loop, unsigned seed)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = file_extents };
	struct page_tables tables;

	memset(w, 0, sizeof(*w));
	w->loop = loop;
	w->worker.fake = &w->async;
	w->worker.random = seed;
	w->async.user = &w->worker;
	w->async.submit = give_to_worker;
	pthread_mutex_init(&w->worker.lock, NULL);
	pthread_cond_init(&w->worker.more, NULL);
	fake_open(&w->async, loop, MEM, SONDE_WAY_SUBMIT);
	build_tables(&tables, w->async.bytes);
	w->fd = memfd_create("stress", 0);
	assert_int_equal(pwrite(w->fd, w->async.bytes, MEM, 0), MEM);
	assert_int_equal(pthread_create(&w->worker.thread, NULL, work, &w->worker), 0);
	w->spaces[1] = w->async.space;
	assert_int_equal(space_from_connector(loop, &ops, &w->fd, &w->spaces[0], NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(paging_space(w->spaces[i],
					      paging_map(paging_x86_64(4), tables.root), 0,
					      &w->spaces[2 + i]),
				 0);
}

static void world_close(struct world *w)
{
	pthread_mutex_lock(&w->worker.lock);
	w->worker.stop = true;
	pthread_cond_signal(&w->worker.more);
	pthread_mutex_unlock(&w->worker.lock);
	pthread_join(w->worker.thread, NULL);
	sonde_space_close(w->spaces[3]);
	sonde_space_close(w->spaces[2]);
	sonde_space_close(w->spaces[0]);
	fake_close(&w->async);
	pthread_cond_destroy(&w->worker.more);
	pthread_mutex_destroy(&w->worker.lock);
	close(w->fd);
}

/* ---- requests ---------------------------------------------------------------------------------- */

struct request {
	struct sonde_io io; /* first: the callback finds the rest by it */
	struct world *world;
	unsigned space;
	struct sonde_xfer xfers[PIECES];
	uint8_t bytes[PIECES][MAX_LEN];
	uint64_t told;
	bool busy;
};

static void make_pieces(struct request *r)
{
	r->space = (unsigned)rand() % 4;
	r->told = 0;
	memset(r->bytes, 0xee, sizeof(r->bytes));
	r->io.n = (uint32_t)rand() % (PIECES + 1);
	for (uint32_t i = 0; i < r->io.n; i++) {
		uint64_t room = r->space < 2 ? MEM : PAGES * 4096;
		uint64_t addr = ((uint64_t)rand() << 5) % (room + 400);
		r->xfers[i] = (struct sonde_xfer){ .addr = addr + (r->space < 2 ? 0 : VA),
						   .buf = r->bytes[i],
						   .len = 1 + (uint32_t)rand() % MAX_LEN };
	}
	r->io.xfers = r->xfers;
}

static void check_piece(const struct request *r, const struct sonde_xfer *x, bool may_stop)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < x->len; i++) {
		uint8_t got = ((uint8_t *)x->buf)[i], want = 0;
		int32_t err = truth(r->world, r->space, x->addr + i, &want);
		done += err == 0;
		if (err)
			assert_int_equal(got, 0);
		else if (!may_stop || (got && x->err == 0))
			assert_int_equal(got, want);
		if (may_stop || x->err_off != i)
			continue;
		assert_int_equal(x->err, err);
	}
	if (!may_stop)
		assert_int_equal(x->done, done);
	if (x->err == 0)
		assert_int_equal(x->done, x->len);
}

static void check(const struct request *r, int32_t result)
{
	bool stopped = result == SONDE_E_CANCELLED || result == SONDE_E_TIMED_OUT;
	int32_t full = 0;

	for (uint32_t i = 0; i < r->io.n; i++) {
		check_piece(r, &r->xfers[i], stopped);
		full += r->xfers[i].err == 0;
	}
	if (!stopped)
		assert_int_equal(result, full);
}

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	((struct request *)(void *)io)->told += f->len;
}

static void done(struct sonde_io *io)
{
	struct request *r = (struct request *)(void *)io;
	uint64_t total = 0;

	assert_true(r->busy);
	r->busy = false;
	r->world->n_done++;
	check(r, io->result);
	for (uint32_t i = 0; i < io->n; i++)
		total += r->xfers[i].len;
	if (io->fragment)
		assert_true(r->told == total);
}

static void start(struct world *w, struct request *r)
{
	memset(&r->io, 0, sizeof(r->io));
	r->world = w;
	make_pieces(r);
	r->io.done = done;
	r->io.fragment = rand() % 2 ? tell : NULL;
	if (rand() % 4 == 0)
		r->io.deadline_ns = sonde_now_ns() + (uint64_t)rand() % 200000;
	r->busy = true;
	assert_int_equal(sonde_io_submit(w->spaces[r->space], &r->io), 0);
}

static int reading_task(struct sonde_task *task, void *arg)
{
	struct request *r = malloc(sizeof(*r));

	assert_non_null(r);
	for (int i = 0; i < TASK_READS; i++) {
		memset(&r->io, 0, sizeof(r->io));
		r->world = arg;
		make_pieces(r);
		check(r, sonde_task_read(task, r->world->spaces[r->space], r->xfers, r->io.n));
		if (rand() % 8 == 0)
			sonde_task_sleep_until(task, sonde_now_ns() + (uint64_t)rand() % 50000);
		else if (rand() % 4 == 0)
			sonde_task_yield(task);
	}
	free(r);
	return 0;
}

static void run_world(struct sonde_loop *loop, unsigned seed)
{
	static struct request requests[FLIGHT], blocking;
	static struct world w;
	unsigned n_started = 0;

	memset(requests, 0, sizeof(requests));
	srand(seed);
	world_open(&w, loop, seed);
	for (int i = 0; i < N_TASKS; i++)
		assert_int_equal(sonde_task_spawn(loop, reading_task, &w, NULL), 0);
	for (int turn = 0; turn < TURNS; turn++) {
		struct request *r = &requests[rand() % FLIGHT];
		if (!r->busy) {
			start(&w, r);
			n_started++;
		} else if (rand() % 3 == 0) {
			sonde_io_cancel(&r->io);
		}
		if (rand() % 3 == 0)
			sonde_loop_turn(loop);
		if (rand() % 50 == 0) {
			memset(&blocking.io, 0, sizeof(blocking.io));
			blocking.world = &w;
			make_pieces(&blocking);
			check(&blocking, sonde_space_read(w.spaces[blocking.space], blocking.xfers,
							  blocking.io.n));
		}
	}
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_int_equal(w.n_done, n_started);
	world_close(&w);
}

static void every_engine_stands_it(void **state)
{
	(void)state;
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_THREADS; engine++) {
		for (uint32_t depth = 1; depth <= 64; depth *= 8) {
			struct sonde_loop_options options = { .size = sizeof(options),
							      .engine = engine,
							      .depth = depth };
			struct sonde_loop *loop;
			struct sonde_error err;
			if (sonde_loop_create(&options, &loop, &err) < 0) {
				print_message("skipped: %s\n", err.text);
				break;
			}
			if (depth == 8)
				sonde_loop_fd(loop); /* embedded ones keep more books */
			run_world(loop, engine * 100 + depth);
			sonde_loop_destroy(loop);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_engine_stands_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

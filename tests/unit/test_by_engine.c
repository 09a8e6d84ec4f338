/* SPDX-License-Identifier: MIT */
/*
 * A file's space through the engines: what becomes one move and what does not, what that costs, and
 * whose verdict each piece gets. Between the engines and the system stands this test, which makes reads of
 * one byte of the file fail, and between the library and its memory, which it counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sonde/io.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef SONDE_HAVE_URING
#include <liburing.h>
#endif

#include "fake.h"
#include "io/loop.h"
#include "space/merge.h"
#include "space/connector_space.h"

#define PAGE UINT64_C(0x1000)
#define FILLED UINT64_C(0x100000)    /* bytes that are not zero ...        */
#define FILE_LEN UINT64_C(0x4000000) /* ... of those that there are        */

/* ---- between library and system ----------------------------------------------------------------- */

static atomic_long n_allocs;
static uint64_t bad_byte = UINT64_MAX; /* reads of it fail with EIO: of the threads engine */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
ssize_t __real_pread64(int fd, void *buf, size_t len, off_t off);
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags);

void *__wrap_malloc(size_t size)
{
	atomic_fetch_add(&n_allocs, 1);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	atomic_fetch_add(&n_allocs, 1);
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	atomic_fetch_add(&n_allocs, 1);
	return __real_realloc(p, size);
}

static bool is_bad(size_t len, off_t off)
{
	errno = EIO;
	return bad_byte - (uint64_t)off < len;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	return is_bad(len, off) ? -1 : __real_pread64(fd, buf, len, off);
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return is_bad(iov->iov_len, off) ? -1 : __real_preadv64v2(fd, iov, n, off, flags);
}

static unsigned n_busy; /* so often the kernel is short of something: of the ring */

#ifdef SONDE_HAVE_URING
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

int __wrap_io_uring_submit(struct io_uring *ring)
{
	if (n_busy == 0)
		return __real_io_uring_submit(ring);
	n_busy--;
	return -EBUSY;
}
#endif

/* ---- a file as a space ----------------------------------------------------------------------------- */

struct world {
	struct sonde_loop *loop;
	struct sonde_space *space;
	int fd;
};

static uint8_t byte_at(uint64_t i)
{
	return i < FILLED ? (uint8_t)(1 + i * 31 % 251) : 0;
}

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = FILE_LEN,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = ((struct world *)conn)->fd };

	(void)err;
	return fn(user, &e);
}

/* On disk where there is one, for memory files know no reading without waiting. */
static int new_file(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("by-engine", MFD_CLOEXEC);
}

static void open_world(struct world *w, const struct sonde_loop_options *options)
{
	const struct sonde_connector_ops ops = { .size = sizeof(ops),
						 .close = fake_conn_close,
						 .info = fake_info,
						 .extents = file_extents };
	uint8_t *bytes = malloc(FILLED);
	struct sonde_error err;

	assert_non_null(bytes);
	for (uint64_t i = 0; i < FILLED; i++)
		bytes[i] = byte_at(i);
	*w = (struct world){ .fd = new_file() };
	assert_int_equal(pwrite(w->fd, bytes, FILLED, 0), FILLED);
	assert_int_equal(ftruncate(w->fd, FILE_LEN), 0);
	free(bytes);
	if (sonde_loop_create(options, &w->loop, &err) < 0) {
		print_message("skipped: %s\n", err.text);
		close(w->fd);
		skip();
	}
	assert_int_equal(space_from_connector(w->loop, &ops, w, &w->space, NULL), 0);
}

static void close_world(struct world *w)
{
	sonde_space_close(w->space);
	sonde_loop_destroy(w->loop);
	close(w->fd);
}

static struct sonde_loop_options options_of(uint32_t engine, uint32_t depth, uint32_t gap)
{
	return (struct sonde_loop_options){ .size = sizeof(struct sonde_loop_options),
					    .engine = engine,
					    .depth = depth,
					    .n_threads = 2,
					    .merge_gap = gap };
}

static struct sonde_space_stats stats_of(const struct world *w)
{
	struct sonde_space_stats stats;

	sonde_space_stats(w->space, &stats);
	return stats;
}

static void end(struct sonde_io *io)
{
	*(bool *)io->user = true;
}

static uint32_t seed = 1;

static uint32_t next(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* ---- what becomes one move ------------------------------------------------------------------------ */

enum { MANY = 5000 };
static struct sonde_xfer xfers[MANY];
static struct sonde_io ios[MANY];
static uint8_t bytes[MANY][16];

/* A request each; their addresses and lengths are set. */
static void read_each(struct world *w, uint32_t n)
{
	bool over;

	for (uint32_t i = 0; i < n; i++) {
		xfers[i].buf = bytes[i];
		ios[i] =
			(struct sonde_io){ .xfers = &xfers[i], .n = 1, .done = end, .user = &over };
		assert_int_equal(sonde_io_submit(w->space, &ios[i]), 0);
	}
	assert_int_equal(sonde_loop_run(w->loop), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(ios[i].result, 1);
		for (uint32_t k = 0; k < xfers[i].len; k++)
			assert_int_equal(bytes[i][k], byte_at(xfers[i].addr + k));
	}
}

static void on_both_engines(void (*test)(uint32_t engine))
{
	test(SONDE_ENGINE_THREADS);
	test(SONDE_ENGINE_URING);
}

static void sequential(uint32_t engine)
{
	struct sonde_loop_options options = options_of(engine, 0, 0);
	struct world w;

	open_world(&w, &options);
	for (uint32_t i = 0; i < MANY; i++)
		xfers[i] = (struct sonde_xfer){ .addr = 77 + i, .len = 1 };
	read_each(&w, MANY);
	assert_int_equal(stats_of(&w).pieces, MANY);
	assert_in_range(stats_of(&w).moves, 1, 8);
	assert_int_equal(stats_of(&w).moved, MANY);
	close_world(&w);
}

static void single_bytes_of_many_requests_become_few_moves(void **state)
{
	(void)state;
	on_both_engines(sequential);
}

static void scattered(uint32_t engine)
{
	struct sonde_loop_options options = options_of(engine, 0, 0);
	struct world w;

	open_world(&w, &options);
	for (uint32_t i = 0; i < MANY; i++)
		xfers[i] = (struct sonde_xfer){ .addr = (uint64_t)i * 1999 % MANY * 3 * PAGE,
						.len = 8 };
	read_each(&w, MANY);
	assert_int_equal(stats_of(&w).moves, MANY);
	assert_int_equal(stats_of(&w).moved, 8 * MANY);
	close_world(&w);
}

static void what_lies_far_apart_is_moved_on_its_own(void **state)
{
	(void)state;
	on_both_engines(scattered);
}

static void unmerged(uint32_t engine)
{
	struct sonde_loop_options options = options_of(engine, 0, UINT32_MAX);
	struct world w;

	open_world(&w, &options);
	for (uint32_t i = 0; i < MANY; i++)
		xfers[i] = (struct sonde_xfer){ .addr = i * 8, .len = 8 };
	read_each(&w, MANY);
	assert_int_equal(stats_of(&w).moves, MANY);
	assert_int_equal(stats_of(&w).moved, 8 * MANY);
	close_world(&w);
}

static void who_wants_no_merging_gets_none(void **state)
{
	(void)state;
	on_both_engines(unmerged);
}

/* One request of pieces in clusters, in any order. */
static void make_clusters(uint32_t n)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		at = next(6) ? at + next(1500) : next(FILLED - 20);
		at = at < FILLED - 20 ? at : 0;
		xfers[i] = (struct sonde_xfer){ .addr = at, .len = 1 + next(16), .buf = bytes[i] };
	}
}

/* Each piece but the first of its move brings a gap at most, or what lies between two in a page. */
static void wasteful(uint32_t engine)
{
	static const uint32_t gaps[] = { 1, 64, 1024, 65536 };

	for (size_t g = 0; g < 4; g++) {
		struct sonde_loop_options options = options_of(engine, 0, gaps[g]);
		uint64_t most = gaps[g] > PAGE ? gaps[g] : PAGE;
		struct world w;
		open_world(&w, &options);
		for (int round = 0; round < 20; round++) {
			struct sonde_space_stats before = stats_of(&w), after;
			make_clusters(1000);
			assert_int_equal(sonde_space_read(w.space, xfers, 1000), 1000);
			after = stats_of(&w);
			uint64_t moves = after.moves - before.moves;
			assert_in_range(moves, 1, 1000);
			assert_true(after.moved - before.moved <=
				    after.bytes - before.bytes + (1000 - moves) * most);
			for (uint32_t i = 0; i < 1000; i++)
				assert_int_equal(bytes[i][0], byte_at(xfers[i].addr));
		}
		close_world(&w);
	}
}

static void waste_is_bounded_by_the_gap(void **state)
{
	(void)state;
	on_both_engines(wasteful);
}

/* ---- a huge batch ---------------------------------------------------------------------------------- */

static void huge(uint32_t engine)
{
	enum { N = 1000000 };
	struct sonde_xfer *many = calloc(N, sizeof(*many));
	uint8_t *all = calloc(N, 8);

	assert_true(many && all);
	for (uint32_t depth = 1; depth <= 256; depth *= 256) {
		struct sonde_loop_options options = options_of(engine, depth, 0);
		struct world w;
		open_world(&w, &options);
		for (uint32_t i = 0; i < N; i++)
			many[i] = (struct sonde_xfer){ .addr = (uint64_t)i * 9 % FILLED,
						       .buf = all + 8 * (size_t)i,
						       .len = 1 + i % 8 };
		sonde_space_read(w.space, many, 1000);
		long before = atomic_load(&n_allocs);
		int r = sonde_space_read(w.space, many, N);
		assert_int_equal(atomic_load(&n_allocs), before);
		assert_int_equal(r, N);
		for (uint32_t i = 0; i < N; i++)
			assert_true(all[8 * (size_t)i] == byte_at(many[i].addr));
		assert_in_range(stats_of(&w).moves, 100, N / 100);
		close_world(&w);
	}
	free(many);
	free(all);
}

static void a_million_pieces_take_no_memory_and_end(void **state)
{
	(void)state;
	on_both_engines(huge);
}

/* ---- whose verdict each piece gets --------------------------------------------------------------- */

/* Three neighbours, of which the second goes over the end, and one behind it. */
static void at_the_end(uint32_t engine)
{
	enum { END = 0x8123 };
	struct sonde_loop_options options = options_of(engine, 0, 0);
	struct world w;

	open_world(&w, &options);
	assert_int_equal(ftruncate(w.fd, END), 0);
	for (uint32_t i = 0; i < 4; i++)
		xfers[i] =
			(struct sonde_xfer){ .addr = END - 12 + 8 * i, .len = 8, .buf = bytes[i] };
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sonde_space_read(w.space, xfers, 4), 1);
	assert_int_equal(xfers[0].done, 8);
	assert_int_equal(xfers[1].done, 4);
	assert_int_equal(xfers[1].err, SONDE_E_TRUNCATED);
	assert_int_equal(xfers[1].err_off, 4);
	assert_int_equal(bytes[1][3], byte_at(END - 1));
	assert_int_equal(bytes[1][4], 0);
	for (uint32_t i = 2; i < 4; i++) {
		assert_int_equal(xfers[i].done, 0);
		assert_int_equal(xfers[i].err, SONDE_E_TRUNCATED);
		assert_int_equal(bytes[i][0], 0);
	}
	close_world(&w);
}

static void a_merged_move_that_comes_short_costs_only_those_behind_the_end(void **state)
{
	(void)state;
	on_both_engines(at_the_end);
}

static void a_merged_move_that_fails_costs_only_the_piece_that_fails_alone(void **state)
{
	struct sonde_loop_options options = options_of(SONDE_ENGINE_THREADS, 0, 0);
	struct world w;

	(void)state;
	open_world(&w, &options);
	for (uint32_t i = 0; i < 64; i++)
		xfers[i] = (struct sonde_xfer){ .addr = 0x4000 + 8 * i, .len = 8, .buf = bytes[i] };
	memset(bytes, 0xee, sizeof(bytes));
	bad_byte = 0x4000 + 8 * 21 + 3;
	int r = sonde_space_read(w.space, xfers, 64);
	bad_byte = UINT64_MAX;
	assert_int_equal(r, 63);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(xfers[i].err, i == 21 ? SONDE_E_IO : 0);
		assert_int_equal(xfers[i].done, i == 21 ? 0 : 8);
		assert_int_equal(bytes[i][0], i == 21 ? 0 : byte_at(xfers[i].addr));
	}
	assert_int_equal(stats_of(&w).moves, 65); /* all in one, then each */
	close_world(&w);
}

/* The process may not write beyond LIMIT: the merged move stops there. */
static void limited(uint32_t engine)
{
	enum { LIMIT = 0x5000 };
	struct sonde_loop_options options = options_of(engine, 0, 0);
	struct rlimit old, limit;
	struct world w;

	open_world(&w, &options);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){ LIMIT, old.rlim_max };
	for (uint32_t i = 0; i < 16; i++) {
		xfers[i] = (struct sonde_xfer){ .addr = LIMIT - 64 - 4 + 8 * i,
						.len = 8,
						.buf = bytes[i] };
		memset(bytes[i], 0x80 + (int)i, 8);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int r = sonde_space_write(w.space, xfers, 16);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, 8);
	for (uint32_t i = 0; i < 16; i++) {
		uint8_t is[8];
		uint32_t done = i < 8 ? 8 : i == 8 ? 4 : 0;
		assert_int_equal(xfers[i].done, done);
		assert_int_equal(xfers[i].err, i < 8 ? 0 : SONDE_E_IO);
		assert_int_equal(xfers[i].err_off, done);
		assert_int_equal(pread(w.fd, is, 8, (off_t)xfers[i].addr), 8);
		for (uint32_t k = 0; k < 8; k++)
			assert_int_equal(is[k], k < done ? 0x80 + i : byte_at(xfers[i].addr + k));
	}
	close_world(&w);
}

static void a_merged_write_that_comes_short_tells_each_piece_how_far_it_came(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	on_both_engines(limited);
}

/* ---- requests one after another, each refilled in its callback --------------------------------------- */

enum { FLYING = 400, FLYING_MAX = 600, TOTAL = 60000, END = 0x2345000 };

enum kind {
	PLAIN,
	AT_END,
	BEHIND_END,
	OUTSIDE,
	TWO_PIECES,
	NO_PIECE,
	WATCHED,
	LATE,
	CANCELLED,
	N_KINDS
};

/* More of them than the engine is deep, or than are kept for maps, over a file that ends before it was said to. */
struct flight {
	struct world w;
	uint32_t copy_percent; /* auto: of them, so many begin while it copies */
	uint32_t n_left, n_at_once, n_ended[N_KINDS], n_fragments;
	struct flyer {
		struct sonde_io io;
		struct sonde_xfer x[2];
		uint8_t got[16];
		enum kind kind;
		struct flight *flight;
	} flyers[FLYING_MAX];
};

static void flyer_submit(struct flyer *f);

/* What the piece reads, as far as the file has it, and nothing behind. */
static void check_flyer(const struct flyer *f, uint64_t end)
{
	const struct sonde_xfer *x = &f->x[0];
	uint64_t there = x->addr < end ? end - x->addr : 0;
	uint32_t done = there < x->len ? (uint32_t)there : x->len;

	assert_int_equal(x->done, done);
	assert_int_equal(x->err, done == x->len       ? 0
				 : x->addr < FILE_LEN ? SONDE_E_TRUNCATED
						      : SONDE_E_NOT_MAPPED);
	assert_int_equal(x->err_off, done);
	for (uint32_t k = 0; k < x->len; k++)
		assert_int_equal(f->got[k], k < done ? byte_at(x->addr + k) : 0);
	assert_int_equal(f->io.result, (done == x->len) + (f->io.n == 2));
}

static void flyer_ended(struct sonde_io *io)
{
	struct flyer *f = (struct flyer *)(void *)io;
	bool stopped = io->result == SONDE_E_TIMED_OUT || io->result == SONDE_E_CANCELLED;

	if (stopped)
		assert_int_equal(f->kind, io->result == SONDE_E_TIMED_OUT ? LATE : CANCELLED);
	else if (f->kind != NO_PIECE)
		check_flyer(f, END);
	f->flight->n_ended[f->kind]++;
	if (f->flight->n_left)
		flyer_submit(f);
}

static void flyer_fragment(struct sonde_io *io, const struct sonde_fragment *fragment)
{
	(void)fragment;
	((struct flyer *)(void *)io)->flight->n_fragments++;
}

static uint64_t flyer_addr(enum kind kind)
{
	switch (kind) {
	case AT_END:
		return END - 4;
	case BEHIND_END:
		return END + 5;
	case OUTSIDE:
		return FILE_LEN;
	default:
		return next(END / PAGE) * PAGE + next(4000);
	}
}

/* What auto does with a file depends on what is in memory, and here all is: it is told instead. */
static void choose(struct sonde_space *space, bool copies)
{
	struct connector_space *cs = of_space(space);

	if (space->loop->kind != SONDE_ENGINE_AUTO || cs->choice.copies == copies)
		return;
	cs->choice.copies = copies;
	space->at_once = 0;
}

static void flyer_submit(struct flyer *f)
{
	struct flight *flight = f->flight;

	flight->n_left--;
	choose(flight->w.space, flight->copy_percent > next(100));
	f->kind = next(40) ? PLAIN : (enum kind)next(N_KINDS);
	memset(f->got, 0xee, sizeof(f->got));
	f->x[0] = (struct sonde_xfer){ .addr = flyer_addr(f->kind), .buf = f->got, .len = 8 };
	f->x[1] = (struct sonde_xfer){ .addr = 64, .buf = f->got + 8, .len = 8 };
	f->io = (struct sonde_io){ .xfers = f->x,
				   .n = f->kind == TWO_PIECES ? 2 : 1,
				   .done = flyer_ended };
	f->io.fragment = f->kind == WATCHED ? flyer_fragment : NULL;
	f->io.deadline_ns = f->kind == LATE ? 1 : 0;
	flight->n_at_once += flight->w.space->at_once > 0;
	f->x[0].len = 0;
	assert_int_equal(sonde_io_submit(flight->w.space, &f->io), SONDE_E_BAD_ARG);
	f->x[0].len = 8;
	if (f->kind == NO_PIECE) {
		f->io.n = 0;
		f->io.xfers = NULL;
	}
	assert_int_equal(sonde_io_submit(flight->w.space, &f->io), 0);
	assert_int_equal(sonde_io_submit(flight->w.space, &f->io), SONDE_E_BAD_ARG);
	if (f->kind == CANCELLED)
		assert_int_equal(sonde_io_cancel(&f->io), 1);
}

static void refilled_by(uint32_t engine, uint32_t copy_percent)
{
	struct sonde_loop_options options = options_of(engine, 256, 0);
	struct flight *flight = calloc(1, sizeof(*flight));
	uint32_t n_ended = 0;

	assert_non_null(flight);
	open_world(&flight->w, &options);
	assert_int_equal(ftruncate(flight->w.fd, END), 0);
	assert_int_equal(by_engine_open(of_space(flight->w.space)),
			 0); /* auto: not before it is chosen */
	flight->n_left = TOTAL;
	flight->copy_percent = copy_percent;
	long before = atomic_load(&n_allocs);
	for (uint32_t i = 0; i < (copy_percent ? FLYING_MAX : FLYING); i++) {
		flight->flyers[i].flight = flight;
		flyer_submit(&flight->flyers[i]);
	}
	assert_int_equal(sonde_loop_run(flight->w.loop), 0);
	assert_int_equal(atomic_load(&n_allocs), before);
	for (uint32_t i = 0; i < N_KINDS; i++) {
		assert_true(flight->n_ended[i] > 50);
		n_ended += flight->n_ended[i];
	}
	assert_int_equal(n_ended, TOTAL);
	assert_int_equal(flight->n_fragments, flight->n_ended[WATCHED]);
	/* Those that were stopped while they waited left for nowhere. */
	uint32_t n_pieces = TOTAL + flight->n_ended[TWO_PIECES] - flight->n_ended[NO_PIECE];
	assert_in_range(stats_of(&flight->w).pieces,
			n_pieces - flight->n_ended[CANCELLED] - flight->n_ended[LATE], n_pieces);
	assert_int_equal(stats_of(&flight->w).bytes, 8 * stats_of(&flight->w).pieces);
	/* A ring has them as they are submitted, most of the time, and maps always. */
	if (copy_percent % 100)
		;
	else if (copy_percent == 100 || flight->w.loop->engine_ops->read_lone)
		assert_true(flight->n_at_once > TOTAL / 2);
	else
		assert_int_equal(flight->n_at_once, 0);
	close_world(&flight->w);
	free(flight);
}

static void refilled(uint32_t engine)
{
	refilled_by(engine, 0);
}

static void lone_reads_without_end_are_each_ended_as_they_must(void **state)
{
	(void)state;
	on_both_engines(refilled);
	refilled(SONDE_ENGINE_AUTO);
}

static void and_those_of_maps_and_where_auto_changes_its_mind_between_them(void **state)
{
	(void)state;
	refilled_by(SONDE_ENGINE_AUTO, 100);
	refilled_by(SONDE_ENGINE_AUTO, 50);
	refilled_by(SONDE_ENGINE_AUTO, 99);
}

/* Nothing is sent at once before it is known where reads lie. */
static void a_clone_of_one_that_sends_sends_as_well(void **state)
{
	struct sonde_loop_options options = options_of(SONDE_ENGINE_AUTO, 0, 0);
	struct sonde_space *clone;
	uint8_t got = 0;
	struct sonde_xfer x = { .addr = 5 * PAGE, .buf = &got, .len = 1 };
	bool over = false;
	struct sonde_io io = { .xfers = &x, .n = 1, .done = end, .user = &over };
	struct world w;

	(void)state;
	open_world(&w, &options);
	choose(w.space, false);
	assert_int_equal(sonde_space_clone(w.space, w.loop, &clone, NULL), 0);
	assert_false(of_space(clone)->choice.copies);
	assert_int_equal(clone->at_once, 0);
	assert_int_equal(sonde_io_submit(clone, &io), 0);
	assert_int_equal(sonde_loop_run(w.loop), 0);
	assert_true(over);
	assert_int_equal(io.result, 1);
	assert_int_equal(got, byte_at(5 * PAGE));
	sonde_space_close(clone);
	choose(w.space, true);
	close_world(&w);
}

/* ---- foreign loops ------------------------------------------------------------------------------ */

/* It is turned when its descriptor says so, and never else. */
static void read_in_foreign_loop(struct world *w, uint32_t n)
{
	struct pollfd fd = { .fd = sonde_loop_fd(w->loop), .events = POLLIN };
	bool over = false;
	struct sonde_io io = { .xfers = xfers, .n = n, .done = end, .user = &over };

	for (uint32_t i = 0; i < n; i++)
		xfers[i] = (struct sonde_xfer){ .addr = i * PAGE, .buf = bytes[i], .len = 1 };
	assert_int_equal(sonde_io_submit(w->space, &io), 0);
	while (!over) {
		assert_int_equal(poll(&fd, 1, 10000), 1);
		sonde_loop_turn(w->loop);
	}
	assert_int_equal(io.result, n);
	assert_int_equal(bytes[n - 1][0], byte_at((n - 1) * PAGE));
}

static void a_foreign_loop_hears_of_every_last_move(void **state)
{
	struct sonde_loop_options options = options_of(SONDE_ENGINE_THREADS, 0, UINT32_MAX);
	struct world w;

	(void)state;
	open_world(&w, &options);
	for (uint32_t n = 1; n <= 40; n++)
		read_in_foreign_loop(&w, n);
	close_world(&w);
}

static void a_foreign_loop_is_told_to_send_again_what_the_kernel_did_not_take(void **state)
{
	struct sonde_loop_options options = options_of(SONDE_ENGINE_URING, 0, UINT32_MAX);
	struct world w;

	(void)state;
	open_world(&w, &options);
	for (unsigned i = 1; i < 4; i++) {
		n_busy = i;
		read_in_foreign_loop(&w, 10);
		assert_int_equal(n_busy, 0);
	}
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_bytes_of_many_requests_become_few_moves),
		cmocka_unit_test(what_lies_far_apart_is_moved_on_its_own),
		cmocka_unit_test(who_wants_no_merging_gets_none),
		cmocka_unit_test(waste_is_bounded_by_the_gap),
		cmocka_unit_test(a_million_pieces_take_no_memory_and_end),
		cmocka_unit_test(a_merged_move_that_comes_short_costs_only_those_behind_the_end),
		cmocka_unit_test(a_merged_move_that_fails_costs_only_the_piece_that_fails_alone),
		cmocka_unit_test(a_merged_write_that_comes_short_tells_each_piece_how_far_it_came),
		cmocka_unit_test(lone_reads_without_end_are_each_ended_as_they_must),
		cmocka_unit_test(and_those_of_maps_and_where_auto_changes_its_mind_between_them),
		cmocka_unit_test(a_clone_of_one_that_sends_sends_as_well),
		cmocka_unit_test(a_foreign_loop_hears_of_every_last_move),
		cmocka_unit_test(a_foreign_loop_is_told_to_send_again_what_the_kernel_did_not_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

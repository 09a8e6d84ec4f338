/* SPDX-License-Identifier: MIT */
/*
 * The stream of fragments: a source that tells random stretches in random order, a task that is now
 * quick and now slow, and a model that knows each byte; early ends at every point.
 */
#include <sonde/fragments.h>
#include <stdbool.h>

#include "fake.h"

#define SIZE 16384u

static uint32_t seed;

static uint32_t throw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* ---- a source that tells a bit at a time ---------------------------------------------------------- */

/* What is left to tell of one piece: stretches of one outcome each, told in any order. */
struct bit {
	struct sonde_io *io;
	uint32_t piece, off, len;
	int32_t err;
};

enum { MOST_BITS = 1 << 16, MOST_IOS = 4 };

static struct {
	struct bit bits[MOST_BITS];
	uint32_t first_bit, n_bits;     /* those from first_bit on are left */
	struct sonde_io *ios[MOST_IOS]; /* not ended yet */
	uint32_t n_ios, n_pieces;
	uint32_t longest; /* bytes of a bit           */
	bool in_order, at_once, backwards;
} source;

static void cut(const struct fake *fake, struct sonde_io *io, uint32_t piece)
{
	const struct sonde_xfer *x = &io->xfers[piece];

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		int32_t err = SONDE_E_NOT_MAPPED;
		len = x->len - off;
		if (addr >= x->addr)
			err = fake_at(fake, addr, len, &len);
		uint32_t most = 1 + throw(source.longest);
		len = len < most ? len : most;
		assert_true(source.n_bits < MOST_BITS);
		source.bits[source.n_bits++] = (struct bit){ io, piece, off, len, err };
	}
}

static void tell_bit(const struct fake *fake, uint32_t at)
{
	struct bit bit = source.bits[at];
	struct sonde_xfer *x = &bit.io->xfers[bit.piece];
	uint8_t *buf = (uint8_t *)x->buf + bit.off;

	if (at == source.first_bit)
		source.first_bit++;
	else
		source.bits[at] = source.bits[--source.n_bits];
	if (source.first_bit == source.n_bits)
		source.first_bit = source.n_bits = 0;
	if (!bit.err && bit.io->op == SONDE_IO_READ)
		memcpy(buf, fake->bytes + x->addr + bit.off, bit.len);
	else if (!bit.err)
		memcpy(fake->bytes + x->addr + bit.off, buf, bit.len);
	sonde_progress(&space_host, bit.io, bit.piece, bit.off, bit.len, bit.err);
}

static bool has_bits(const struct sonde_io *io)
{
	for (uint32_t i = source.first_bit; i < source.n_bits; i++) {
		if (source.bits[i].io == io)
			return true;
	}
	return false;
}

static void end_told(void)
{
	for (uint32_t i = 0; i < source.n_ios;) {
		struct sonde_io *io = source.ios[i];
		if (has_bits(io)) {
			i++;
			continue;
		}
		source.ios[i] = source.ios[--source.n_ios];
		space_host.io_done(io);
	}
}

static void tell_some(struct fake *fake, uint32_t n)
{
	while (n-- && source.n_bits) {
		uint32_t left = source.n_bits - source.first_bit;
		uint32_t at = source.first_bit + (source.in_order    ? 0
						  : source.backwards ? left - 1
								     : throw(left));
		tell_bit(fake, at);
	}
	end_told();
}

static size_t take(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(source.n_ios < MOST_IOS);
		source.ios[source.n_ios++] = ios[i];
		source.n_pieces += ios[i]->n;
		for (uint32_t piece = 0; piece < ios[i]->n; piece++)
			cut(fake, ios[i], piece);
	}
	if (source.at_once)
		tell_some(fake, UINT32_MAX);
	return n;
}

/* Gives up what is left of a request whose end is asked for. */
static void give_up(struct sonde_io *io, int32_t why)
{
	for (uint32_t i = source.first_bit; i < source.n_bits;) {
		struct bit bit = source.bits[i];
		if (bit.io != io) {
			i++;
			continue;
		}
		source.bits[i] = source.bits[--source.n_bits];
		sonde_progress(&space_host, io, bit.piece, bit.off, bit.len, why);
	}
	end_told();
}

static void cancel(void *conn, struct sonde_io *io, int32_t why)
{
	(void)conn;
	if (throw(2))
		give_up(io, why);
}

/* ---- the task and its model ------------------------------------------------------------------------- */

struct job {
	struct fake fake;
	struct sonde_xfer *x; /* [n] */
	uint8_t *buf, *told;  /* [bytes] all pieces, one behind the other */
	uint32_t *first;      /* [n] byte of each piece                   */
	uint32_t n, op;
	uint32_t slow;  /* yields after a fragment, below this        */
	uint32_t leave; /* have enough after so many fragments        */
	uint32_t n_told;
	bool started, ended, cancelled;
	int result;
};

static int32_t err_at(const struct fake *fake, uint64_t base, uint32_t off)
{
	uint32_t len;

	return base + off < base ? SONDE_E_NOT_MAPPED : fake_at(fake, base + off, 1, &len);
}

static void check(struct job *job, const struct sonde_fragment *f)
{
	const struct sonde_xfer *x = &job->x[f->piece];
	const uint8_t *buf = x->buf;

	assert_true(f->piece < job->n && f->len && f->off <= x->len && f->len <= x->len - f->off);
	for (uint32_t k = f->off; k < f->off + f->len; k++) {
		assert_int_equal(job->told[job->first[f->piece] + k], 0);
		job->told[job->first[f->piece] + k] = 1;
		if (f->err == SONDE_E_CANCELLED && job->cancelled)
			continue;
		assert_int_equal(f->err, err_at(&job->fake, x->addr, k));
		if (job->op == SONDE_IO_READ)
			assert_int_equal(buf[k], f->err ? 0 : job->fake.bytes[x->addr + k]);
	}
}

static int consume(struct sonde_task *self, void *arg)
{
	struct job *job = arg;
	struct sonde_fragments *stream = malloc(sizeof(*stream));
	struct sonde_fragment f;

	assert_non_null(stream);
	int r = sonde_fragments_start(self, job->fake.space, stream, job->x, job->n, job->op);
	job->started = r == 0;
	bool over = r < 0;
	while (!over && job->n_told < job->leave) {
		r = sonde_fragments_next(self, stream, &f);
		over = r <= 0;
		if (over)
			break;
		check(job, &f);
		job->n_told++;
		for (uint32_t k = throw(job->slow + 1); k > 0; k--)
			sonde_task_yield(self);
	}
	if (!over)
		sonde_fragments_end(self, stream);
	if (job->started)
		job->result = stream->result;
	job->ended = true;
	memset(stream, 0xa5, sizeof(*stream));
	free(stream);
	return r;
}

static int feed(struct sonde_task *self, void *arg)
{
	struct job *job = arg;

	while (!job->ended || source.n_ios) {
		tell_some(&job->fake, 1 + throw(12));
		sonde_task_yield(self);
	}
	return 0;
}

static void job_open(struct job *job, struct sonde_loop *loop, const struct fake_range *bad,
		     size_t n_bad, uint32_t n, uint32_t longest)
{
	static const struct sonde_connector_ops plain = { .size = sizeof(plain),
							  .close = fake_conn_close,
							  .info = fake_info,
							  .submit = fake_submit,
							  .cancel = cancel };
	uint32_t total = 0;

	memset(job, 0, sizeof(*job));
	job->fake = (struct fake){ .bad = bad, .n_bad = n_bad, .submit = take };
	fake_open(&job->fake, loop, SIZE, SONDE_WAY_SUBMIT);
	sonde_space_close(job->fake.space);
	assert_int_equal(space_from_connector(loop, &plain, &job->fake, &job->fake.space, NULL), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		job->fake.bytes[i] = (uint8_t)(i * 7 + i / 256);
	job->n = n;
	job->leave = UINT32_MAX;
	job->x = calloc(n + 1, sizeof(*job->x));
	job->first = calloc(n + 1, sizeof(*job->first));
	for (uint32_t i = 0; i < n; i++) {
		job->x[i].len = 1 + throw(longest);
		job->x[i].addr = throw(40) ? throw(SIZE) : UINT64_MAX - throw(300);
		job->first[i] = total;
		total += job->x[i].len;
	}
	job->buf = malloc(total + 1);
	job->told = calloc(1, total + 1);
	memset(job->buf, 0xee, total + 1);
	for (uint32_t i = 0; i < n; i++)
		job->x[i].buf = job->buf + job->first[i];
	source.first_bit = source.n_bits = source.n_ios = source.n_pieces = 0;
}

static void job_close(struct job *job)
{
	assert_int_equal(source.n_ios, 0);
	free(job->x);
	free(job->buf);
	free(job->told);
	free(job->first);
	fake_close(&job->fake);
}

static void job_run(struct job *job, struct sonde_loop *loop)
{
	struct sonde_task *feeder, *task;

	assert_int_equal(sonde_task_spawn(loop, consume, job, &task), 0);
	assert_int_equal(sonde_task_spawn(loop, feed, job, &feeder), 0);
	if (job->cancelled) {
		for (uint32_t turns = throw(60); turns > 0; turns--)
			sonde_loop_turn(loop);
		sonde_task_cancel(task);
	}
	int r = sonde_task_join(NULL, task);
	if (!job->cancelled)
		assert_true(r == 0 || job->n_told == job->leave);
	assert_int_equal(sonde_task_join(NULL, feeder), 0);
}

/* Every byte told once, and each piece's outcome that of its bytes. */
static void all_is_told(struct job *job)
{
	int full = 0;

	for (uint32_t i = 0; i < job->n; i++) {
		const struct sonde_xfer *x = &job->x[i];
		struct sonde_xfer want = { .err_off = x->len };
		for (uint32_t k = 0; k < x->len; k++) {
			int32_t err = err_at(&job->fake, x->addr, k);
			assert_int_equal(job->told[job->first[i] + k], 1);
			want.done += err == 0;
			if (err && !want.err) {
				want.err = err;
				want.err_off = k;
			}
		}
		assert_int_equal(x->done, want.done);
		assert_int_equal(x->err, want.err);
		assert_int_equal(x->err_off, want.err_off);
		full += want.err == 0;
	}
	assert_int_equal(job->result, full);
}

enum { N_BAD = 400 };
static struct fake_range bad[N_BAD];

static void make_holes(uint32_t longest)
{
	for (uint32_t i = 0; i < N_BAD; i++)
		bad[i] = (struct fake_range){ throw(SIZE), 1 + throw(longest),
					      SONDE_E_NOT_SAVED }; /* alike: they may overlap */
}

static void every_byte_is_told_once(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct job job;
	uint32_t again = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		seed = (uint32_t)round * 7919 + 5;
		make_holes(1 + throw(60));
		source.longest = 1u << throw(12);
		source.in_order = round % 4 == 0;
		source.backwards = round % 4 == 1;
		source.at_once = throw(3) == 0;
		job_open(&job, loop, bad, throw(N_BAD + 1), throw(round % 5 ? 200 : 3),
			 round % 5 ? 300 : 9000);
		job.slow = throw(2) ? 0 : throw(40);
		job_run(&job, loop);
		all_is_told(&job);
		again += source.n_pieces - job.n;
		job_close(&job);
	}
	/* It has come to that a good number of times, or this test has lost its point. */
	assert_true(again > 100);
	sonde_loop_destroy(loop);
}

static void writes_are_told_and_written(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct job job;

	(void)state;
	for (int round = 0; round < 100; round++) {
		seed = (uint32_t)round * 104729 + 3;
		make_holes(40);
		source.longest = 1u << throw(10);
		source.in_order = source.backwards = false;
		source.at_once = throw(3) == 0;
		job_open(&job, loop, bad, throw(N_BAD + 1), throw(150), 400);
		job.op = SONDE_IO_WRITE;
		/* Neighbours, so that no two pieces write the same byte. */
		for (uint32_t i = 0; i < job.n; i++) {
			if (job.x[i].len > SIZE / 150)
				job.x[i].len = SIZE / 150;
			job.x[i].addr = i * (SIZE / 150);
			memset(job.x[i].buf, (int)(i + 1), job.x[i].len);
		}
		job_run(&job, loop);
		for (uint32_t i = 0; i < job.n; i++) {
			for (uint32_t k = 0; k < job.x[i].len; k++) {
				uint64_t at = job.x[i].addr + k;
				uint8_t was = (uint8_t)(at * 7 + at / 256);
				assert_int_equal(job.fake.bytes[at],
						 err_at(&job.fake, at, 0) ? was : (uint8_t)(i + 1));
			}
		}
		job_close(&job);
	}
	sonde_loop_destroy(loop);
}

/* Whatever has not been told, nothing writes to the buffers any more: they are freed. */
static void one_may_have_enough_at_any_point(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct job job;

	(void)state;
	for (int round = 0; round < 400; round++) {
		seed = (uint32_t)round * 31 + 17;
		make_holes(30);
		source.longest = 1u << throw(8);
		source.in_order = source.backwards = false;
		source.at_once = throw(5) == 0;
		job_open(&job, loop, bad, throw(N_BAD + 1), 1 + throw(300), 500);
		job.slow = throw(3);
		job.leave = (uint32_t)round / 2;
		job.cancelled = true; /* its end is asked for besides, now and then */
		if (throw(2)) {
			job.cancelled = false;
			job_run(&job, loop);
			job.cancelled = true;
		} else {
			job_run(&job, loop);
		}
		for (uint32_t i = 0; i < job.n && job.started; i++) {
			const struct sonde_xfer *x = &job.x[i];
			assert_true(x->done <= x->len);
			assert_int_equal(x->err == 0, x->err_off == x->len);
			if (x->err == 0)
				assert_int_equal(x->done, x->len);
			for (uint32_t k = 0; k < x->len; k++) {
				uint8_t got = ((uint8_t *)x->buf)[k];
				bool right = x->addr + k >= x->addr && x->addr + k < SIZE &&
					     got == job.fake.bytes[x->addr + k];
				assert_true(right || (x->err && got == 0));
			}
		}
		job_close(&job);
	}
	sonde_loop_destroy(loop);
}

/* ---- by hand ------------------------------------------------------------------------------------------ */

static size_t tell_first_piece(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++) {
		source.ios[source.n_ios++] = ios[i];
		sonde_progress(&space_host, ios[i], 1, 0, 16, 0);
	}
	return n;
}

static void fragments_come_before_the_request_is_done(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { .submit = tell_first_piece };
	uint8_t buf[2][16];
	struct sonde_xfer x[2] = { { .addr = 0, .buf = buf[0], .len = 16 },
				   { .addr = 16, .buf = buf[1], .len = 16 } };
	struct sonde_fragments stream;
	struct sonde_fragment f = { 0 };

	(void)state;
	source.n_ios = 0;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	/* In plain code the loop is pumped meanwhile. */
	assert_int_equal(sonde_fragments_start(NULL, fake.space, &stream, x, 2, SONDE_IO_READ), 0);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 1);
	assert_int_equal(f.piece, 1);
	assert_int_equal(f.len, 16);
	assert_int_equal(source.n_ios, 1);
	sonde_progress(&space_host, source.ios[0], 0, 0, 8, SONDE_E_IO);
	sonde_progress(&space_host, source.ios[0], 0, 8, 8, 0);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 1);
	assert_int_equal(f.piece, 0);
	assert_int_equal(f.err, SONDE_E_IO);
	space_host.io_done(source.ios[0]);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 1);
	assert_int_equal(f.off, 8);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 0);
	assert_int_equal(stream.result, 1);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 0);
	assert_int_equal(sonde_fragments_end(NULL, &stream), 1);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

static int wrong_self(struct sonde_task *self, void *arg)
{
	struct fake *fake = arg;
	struct sonde_fragments stream;
	uint8_t buf[4];
	struct sonde_xfer x[2] = { { .addr = 0, .buf = buf, .len = 4 },
				   { .addr = 4, .buf = buf, .len = 0 } };

	assert_int_equal(sonde_fragments_start(NULL, fake->space, &stream, x, 1, SONDE_IO_READ),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fragments_start(self, fake->space, &stream, x, 2, SONDE_IO_READ),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fragments_start(self, fake->space, &stream, x, 1, 2),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fragments_start(self, fake->space, &stream, x, (size_t)INT32_MAX + 1,
					       SONDE_IO_READ),
			 SONDE_E_BAD_ARG);
	sonde_task_cancel(self);
	assert_int_equal(sonde_fragments_start(self, fake->space, &stream, x, 1, SONDE_IO_READ),
			 SONDE_E_CANCELLED);
	assert_int_equal(fake->calls, 0);
	return 0;
}

static void in_callback(struct sonde_io *io)
{
	struct fake *fake = io->user;
	struct sonde_fragments stream;

	assert_int_equal(
		sonde_fragments_start(NULL, fake->space, &stream, io->xfers, 1, SONDE_IO_READ),
		SONDE_E_BUSY);
	fake->user = io;
}

static void what_cannot_be_started_sends_nothing(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct sonde_task *task;
	uint8_t byte;
	struct sonde_xfer x = { .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = in_callback, .user = &fake };

	(void)state;
	fake_open(&fake, loop, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_task_spawn(loop, wrong_self, &fake, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	sonde_loop_run(loop);
	assert_ptr_equal(fake.user, &io);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* Over memory that answers at once, and of no piece at all. */
static void resident_memory_streams_as_well(void **state)
{
	enum { N = 500 };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	static const struct fake_range hole[] = { { 1000, 24, SONDE_E_PAGED_OUT } };
	struct fake fake = { .bad = hole, .n_bad = 1 };
	static struct sonde_xfer x[N];
	static uint8_t buf[N][64];
	struct sonde_fragments stream;
	struct sonde_fragment f;
	uint32_t bytes = 0, n = 0;

	(void)state;
	fake_open(&fake, loop, 32000, SONDE_WAY_EXTENTS);
	for (uint32_t i = 0; i < N; i++)
		x[i] = (struct sonde_xfer){ .addr = i * 64, .buf = buf[i], .len = 64 };
	assert_int_equal(sonde_fragments_start(NULL, fake.space, &stream, x, N, SONDE_IO_READ), 0);
	for (; sonde_fragments_next(NULL, &stream, &f) > 0; n++) {
		bytes += f.len;
		if (f.err) {
			assert_int_equal(f.piece, 15);
			assert_int_equal(f.off, 40);
			assert_int_equal(f.len, 24);
		}
	}
	assert_int_equal(bytes, N * 64);
	assert_int_equal(n, N + 1);
	assert_int_equal(stream.result, N - 1);
	assert_int_equal(sonde_fragments_start(NULL, fake.space, &stream, NULL, 0, SONDE_IO_READ),
			 0);
	assert_int_equal(sonde_fragments_next(NULL, &stream, &f), 0);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* A connector that breaks its contract loses bytes, not the stream. */
static size_t tell_badly(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++) {
		for (uint32_t p = 0; p < ios[i]->n; p++) {
			for (uint32_t k = throw(6); k > 0; k--)
				sonde_progress(&space_host, ios[i], p, throw(64), throw(64),
					       throw(3) ? 0 : SONDE_E_IO);
		}
		space_host.io_done(ios[i]);
	}
	return n;
}

static void a_broken_connector_does_not_keep_a_stream_from_its_end(void **state)
{
	enum { N = 150 };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { .submit = tell_badly };
	static struct sonde_xfer x[N];
	static uint8_t buf[N][64];

	(void)state;
	fake_open(&fake, loop, 32000, SONDE_WAY_SUBMIT);
	for (int round = 0; round < 200; round++) {
		struct sonde_fragments stream;
		struct sonde_fragment f;
		uint32_t told[N] = { 0 };
		seed = (uint32_t)round;
		for (uint32_t i = 0; i < N; i++)
			x[i] = (struct sonde_xfer){ .addr = i * 64, .buf = buf[i], .len = 64 };
		assert_int_equal(
			sonde_fragments_start(NULL, fake.space, &stream, x, N, SONDE_IO_READ), 0);
		while (sonde_fragments_next(NULL, &stream, &f) > 0)
			told[f.piece] += f.len;
		for (uint32_t i = 0; i < N; i++) {
			assert_int_equal(told[i], 64);
			assert_true(x[i].err < 0 || x[i].done == 64);
		}
	}
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_told_once),
		cmocka_unit_test(writes_are_told_and_written),
		cmocka_unit_test(one_may_have_enough_at_any_point),
		cmocka_unit_test(fragments_come_before_the_request_is_done),
		cmocka_unit_test(what_cannot_be_started_sends_nothing),
		cmocka_unit_test(resident_memory_streams_as_well),
		cmocka_unit_test(a_broken_connector_does_not_keep_a_stream_from_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

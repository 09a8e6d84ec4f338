/* SPDX-License-Identifier: MIT */
/*
 * Descriptors at random: many streams, reads of all kinds, writes, polls, cancels, deadlines and
 * closes in any order. Whatever the order: each callback comes once, and the bytes that were read
 * and those still in the stream are those that were written, none lost and none twice.
 * SONDE_TEST_SEED=N repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/fd.h"

enum { N_STREAMS = 12, N_READS = 6, N_POLLS = 2, STEPS = 6000, LEN_MAX = 30000 };

struct stream;

struct one {
	struct sonde_fd_io io;
	struct stream *stream;
	int n_expected, n_done;
	uint8_t *bytes; /* [LEN_MAX] */
};

struct stream {
	int ends[2];
	uint64_t n_written, n_read; /* bytes, by what requests say of themselves */
	struct one reads[N_READS], polls[N_POLLS], write, close;
	bool closing;
};

static struct stream streams[N_STREAMS];
static struct sonde_loop *loop;
static uint64_t state64;
static unsigned n_ends[8];

static uint32_t draw(uint32_t below)
{
	state64 = state64 * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state64 >> 33) % below;
}

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 37 + (i >> 8));
}

static bool is_in_flight(const struct one *one)
{
	return one->io.state != SONDE_IO_IDLE;
}

static void count_end(const struct sonde_fd_io *io)
{
	n_ends[io->result >= 0                   ? 0
	       : io->result == SONDE_E_CANCELLED ? 1
	       : io->result == SONDE_E_TIMED_OUT ? 2
						 : 3]++;
	assert_true(io->result >= 0 || io->result == SONDE_E_CANCELLED ||
		    io->result == SONDE_E_TIMED_OUT);
}

static void done(struct sonde_fd_io *io)
{
	struct one *one = (struct one *)(void *)io;

	one->n_done++;
	assert_int_equal(one->n_done, one->n_expected);
	count_end(io);
}

static void read_done(struct sonde_fd_io *io)
{
	struct one *one = (struct one *)(void *)io;

	done(io);
	assert_true(io->moved <= io->len);
	for (uint32_t i = 0; i < io->moved; i++)
		assert_int_equal(one->bytes[i], byte_at(one->stream->n_read + i));
	one->stream->n_read += io->moved;
}

static void write_done(struct sonde_fd_io *io)
{
	done(io);
	((struct one *)(void *)io)->stream->n_written += io->moved;
}

static void open_stream(struct stream *stream)
{
	bool is_pipe = draw(2);
	int flags = draw(2) ? O_NONBLOCK : 0;

	assert_int_equal(is_pipe ? pipe2(stream->ends, flags)
				 : socketpair(AF_UNIX, SOCK_STREAM | flags, 0, stream->ends),
			 0);
	stream->n_read = stream->n_written = 0;
	stream->closing = false;
}

static void submit(struct one *one, uint32_t op, int fd, sonde_fd_done_fn *fn)
{
	uint64_t now = sonde_now_ns();
	uint8_t *bytes = one->bytes;

	memset(&one->io, 0, sizeof(one->io));
	one->io.fd = fd;
	one->io.op = op;
	one->io.buf = bytes;
	one->io.len = 1 + draw(draw(4) ? 200 : LEN_MAX);
	one->io.done = fn;
	if (op == SONDE_FD_POLL)
		one->io.events = 1 + draw(3);
	if (op != SONDE_FD_CLOSE && draw(6) == 0)
		one->io.deadline_ns = now + draw(200000);
	one->n_expected++;
	assert_int_equal(sonde_fd_submit(loop, &one->io), 0);
}

static void start_write(struct stream *stream)
{
	struct one *one = &stream->write;

	for (uint32_t i = 0; i < LEN_MAX; i++)
		one->bytes[i] = byte_at(stream->n_written + i);
	submit(one, draw(2) ? SONDE_FD_WRITE : SONDE_FD_WRITE_ALL, stream->ends[1], write_done);
}

/* The end to read is closed, with all that waits there; then the stream begins anew. */
static void closed(struct sonde_fd_io *io)
{
	struct stream *stream = ((struct one *)(void *)io)->stream;

	done(io);
	for (int i = 0; i < N_READS; i++)
		assert_false(is_in_flight(&stream->reads[i]));
	assert_int_equal(fcntl(io->fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
	close(stream->ends[1]);
	open_stream(stream);
}

static struct one *any_of(struct stream *stream)
{
	uint32_t i = draw(N_READS + N_POLLS + 1);

	if (i < N_READS)
		return &stream->reads[i];
	return i < N_READS + N_POLLS ? &stream->polls[i - N_READS] : &stream->write;
}

static void step_of(struct stream *stream)
{
	struct one *one = any_of(stream);

	if (stream->closing && !is_in_flight(&stream->close))
		stream->closing = false;
	if (stream->closing)
		return;
	if (is_in_flight(one)) {
		int can_end = one->io.state != SONDE_IO_DONE;
		if (draw(3) == 0)
			assert_int_equal(sonde_fd_cancel(&one->io), can_end);
	} else if (one == &stream->write) {
		start_write(stream);
	} else if (one >= stream->polls && one < stream->polls + N_POLLS) {
		submit(one, SONDE_FD_POLL, stream->ends[draw(2)], done);
	} else {
		submit(one, draw(3) ? SONDE_FD_READ : SONDE_FD_READ_ALL, stream->ends[0],
		       read_done);
	}
	/* Only where nothing is under way at the other end, which is closed by hand. */
	if (draw(300) == 0 && !is_in_flight(&stream->write) && !is_in_flight(&stream->polls[0]) &&
	    !is_in_flight(&stream->polls[1])) {
		stream->closing = true;
		submit(&stream->close, SONDE_FD_CLOSE, stream->ends[0], closed);
	}
}

static void cancel_rest(struct stream *stream)
{
	for (int i = 0; i < N_READS; i++)
		sonde_fd_cancel(&stream->reads[i].io);
	for (int i = 0; i < N_POLLS; i++)
		sonde_fd_cancel(&stream->polls[i].io);
	sonde_fd_cancel(&stream->write.io);
}

/* What was written and not read must still be there. */
static void check_rest(struct stream *stream)
{
	static uint8_t rest[65536];

	close(stream->ends[1]);
	fcntl(stream->ends[0], F_SETFL, O_NONBLOCK);
	for (ssize_t n; (n = read(stream->ends[0], rest, sizeof(rest))) > 0;) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(rest[i], byte_at(stream->n_read + (uint64_t)i));
		stream->n_read += (uint64_t)n;
	}
	close(stream->ends[0]);
	assert_true(stream->n_read == stream->n_written);
}

static void for_each(void (*fn)(struct one *one, struct stream *stream))
{
	for (int s = 0; s < N_STREAMS; s++) {
		struct stream *stream = &streams[s];
		for (int i = 0; i < N_READS; i++)
			fn(&stream->reads[i], stream);
		for (int i = 0; i < N_POLLS; i++)
			fn(&stream->polls[i], stream);
		fn(&stream->write, stream);
		fn(&stream->close, stream);
	}
}

static void make(struct one *one, struct stream *stream)
{
	one->stream = stream;
	one->bytes = malloc(LEN_MAX);
	assert_non_null(one->bytes);
}

static void unmake(struct one *one, struct stream *stream)
{
	(void)stream;
	assert_int_equal(one->n_done, one->n_expected);
	free(one->bytes);
}

static void run(uint32_t engine, uint32_t lost_steps, bool no_nowait)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = engine,
					      .depth = 8 };
	const char *asked = getenv("SONDE_TEST_SEED");

	state64 = asked ? strtoull(asked, NULL, 0) : 20261125;
	memset(streams, 0, sizeof(streams));
	memset(n_ends, 0, sizeof(n_ends));
	assert_int_equal(sonde_loop_create(&options, &loop, NULL), 0);
	fds_of(loop)->steps &= ~lost_steps;
	fds_of(loop)->hints.no_nowait = fds_of(loop)->hints.no_nosignal = no_nowait;
	for_each(make);
	for (int i = 0; i < N_STREAMS; i++)
		open_stream(&streams[i]);
	for (int i = 0; i < STEPS; i++) {
		step_of(&streams[draw(N_STREAMS)]);
		if (draw(8) == 0)
			sonde_loop_turn(loop);
	}
	for (int i = 0; i < N_STREAMS; i++)
		cancel_rest(&streams[i]);
	sonde_loop_run(loop);
	for (int i = 0; i < N_STREAMS; i++)
		check_rest(&streams[i]);
	for_each(unmake);
	sonde_loop_destroy(loop);
	/* Each way to end was met. */
	assert_true(n_ends[0] > 100 && n_ends[1] > 100 && n_ends[2] > 10);
}

static void poller_loses_and_doubles_nothing(void **state)
{
	(void)state;
	run(SONDE_ENGINE_EPOLL, 0, false);
}

static void poller_of_an_old_kernel_loses_and_doubles_nothing(void **state)
{
	(void)state;
	run(SONDE_ENGINE_THREADS, 0, true);
}

static void whatever_there_is_loses_and_doubles_nothing(void **state)
{
	(void)state;
	run(SONDE_ENGINE_AUTO, 0, false);
}

static void ring_that_only_polls_loses_and_doubles_nothing(void **state)
{
	(void)state;
	run(SONDE_ENGINE_AUTO, ~(1u << FD_POLL), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poller_loses_and_doubles_nothing),
		cmocka_unit_test(poller_of_an_old_kernel_loses_and_doubles_nothing),
		cmocka_unit_test(whatever_there_is_loses_and_doubles_nothing),
		cmocka_unit_test(ring_that_only_polls_loses_and_doubles_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Cases of reading, writing, polling and closing. */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORD 8 /* an eventfd moves so many bytes, or none */
#define BIG (1u << 20)

static const char word[WORD] = { 1 };

static void put(struct bench *b, const void *bytes, size_t len)
{
	if (write(b->out, bytes, len) != (ssize_t)len)
		WANT(b, "bytes written by the other side", 0, 1);
}

static void close_end(int *fd)
{
	close(*fd);
	*fd = -1;
}

static void write_word(struct sonde_task *task, struct bench *b)
{
	settle(task);
	put(b, word, WORD);
}

static void close_out(struct sonde_task *task, struct bench *b)
{
	settle(task);
	close_end(&b->out);
}

static void cancel_it(struct sonde_task *task, struct bench *b)
{
	settle(task);
	WANT(b, "asked", sonde_fd_cancel(&b->io), 1);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void read_what_is_there(struct bench *b)
{
	char got[64] = "";

	put(b, word, WORD);
	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, NULL), WORD);
	WANT(b, "bytes", memcmp(got, word, WORD), 0);
	WANT(b, "moved", b->io.moved, WORD);
	WANT(b, "behind", got[WORD], 0);
}

static void read_waits(struct bench *b)
{
	char got[64] = "";

	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, write_word), WORD);
	WANT(b, "bytes", memcmp(got, word, WORD), 0);
}

static void read_less_than_there_is(struct bench *b)
{
	char got[4] = "";

	put(b, "abcdef", 6);
	ask(b, SONDE_FD_READ, b->in, got, 3);
	WANT(b, "result", perform(b, NULL), 3);
	WANT(b, "bytes", memcmp(got, "abc", 4), 0);
	ask(b, SONDE_FD_READ_ALL, b->in, got, 3);
	WANT(b, "result", perform(b, NULL), 3);
	WANT(b, "bytes", memcmp(got, "def", 4), 0);
}

static void write_bytewise(struct sonde_task *task, struct bench *b)
{
	for (int i = 0; i < 50; i++) {
		char byte = (char)i;
		settle(task);
		put(b, &byte, 1);
	}
}

static void read_all_of_many(struct bench *b)
{
	char got[50];

	ask(b, SONDE_FD_READ_ALL, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, write_bytewise), 50);
	for (int i = 0; i < 50; i++)
		WANT(b, "byte", got[i], i);
}

static void read_all_past_the_end(struct bench *b)
{
	char got[64];

	put(b, "abc", 3);
	ask(b, SONDE_FD_READ_ALL, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, close_out), SONDE_E_TRUNCATED);
	WANT(b, "moved", b->io.moved, 3);
	WANT(b, "bytes", memcmp(got, "abc", 3), 0);
}

static void read_at_the_end(struct bench *b)
{
	char got[8];

	close_end(&b->out);
	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, NULL), 0);
}

static void the_end_comes_while_waiting(struct bench *b)
{
	char got[8];

	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, close_out), 0);
}

static void bytes_before_the_end(struct bench *b)
{
	char got[8];

	put(b, "xy", 2);
	close_end(&b->out);
	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, NULL), 2);
	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, NULL), 0);
}

/* Closing with SO_LINGER 0 sends RST. Source: socket(7), tcp(7). */
static void reset(struct sonde_task *task, struct bench *b)
{
	struct linger linger = { 1, 0 };

	if (task)
		settle(task);
	setsockopt(b->out, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_end(&b->out);
}

static void reset_while_reading(struct bench *b)
{
	char got[8];

	ask(b, SONDE_FD_READ_ALL, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, reset), SONDE_E_GONE);
	WANT(b, "errno", b->io.os_code, ECONNRESET);
}

static void reset_before_reading(struct bench *b)
{
	char got[8];

	reset(NULL, b);
	ask(b, SONDE_FD_READ, b->in, got, sizeof(got));
	WANT(b, "result", perform(b, NULL), SONDE_E_GONE);
	WANT(b, "errno", b->io.os_code, ECONNRESET);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void write_what_fits(struct bench *b)
{
	char got[WORD] = "";

	ask(b, SONDE_FD_WRITE, b->out, (void *)word, WORD);
	WANT(b, "result", perform(b, NULL), WORD);
	WANT(b, "arrived", read(b->in, got, WORD), WORD);
	WANT(b, "bytes", memcmp(got, word, WORD), 0);
}

static char pattern(unsigned i)
{
	return (char)(i * 131 + i / 4099);
}

/* Reads a little at a time; other things run between. */
static void read_slowly(struct sonde_task *task, struct bench *b)
{
	char chunk[8192];
	unsigned at = 0, n_wrong = 0;

	fcntl(b->in, F_SETFL, fcntl(b->in, F_GETFL) | O_NONBLOCK);
	while (at < BIG) {
		size_t left = BIG - at;
		ssize_t n = read(b->in, chunk, left < sizeof(chunk) ? left : sizeof(chunk));
		for (ssize_t i = 0; i < n; i++)
			n_wrong += chunk[i] != pattern(at++);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n < 0)
			sonde_task_sleep(task, 20000);
		else
			sonde_task_yield(task);
	}
	WANT(b, "bytes that arrived", at, BIG);
	WANT(b, "wrong bytes", n_wrong, 0);
}

static void write_all_to_a_slow_reader(struct bench *b)
{
	char *big = malloc(BIG);

	for (unsigned i = 0; i < BIG; i++)
		big[i] = pattern(i);
	ask(b, SONDE_FD_WRITE_ALL, b->out, big, BIG);
	WANT(b, "result", perform(b, read_slowly), BIG);
	WANT(b, "moved", b->io.moved, BIG);
	free(big);
}

static void write_some_of_much(struct bench *b)
{
	char *big = calloc(1, 16 * BIG);

	ask(b, SONDE_FD_WRITE, b->out, big, 16 * BIG);
	int32_t r = perform(b, NULL);
	WANT(b, "in part", r > 0 && (unsigned)r < 16 * BIG, 1);
	WANT(b, "moved", b->io.moved, r);
	free(big);
}

static void write_to_nobody(struct bench *b)
{
	close_end(&b->in);
	ask(b, SONDE_FD_WRITE_ALL, b->out, (void *)word, WORD);
	int32_t r = perform(b, NULL);
	if (b->kind->can & RESETS && r == WORD) /* the first one finds out, the second is told */
		r = perform(b, NULL);
	WANT(b, "result", r, SONDE_E_GONE);
	WANT(b, "errno", b->io.os_code == EPIPE || b->io.os_code == ECONNRESET, 1);
}

static void close_in(struct sonde_task *task, struct bench *b)
{
	settle(task);
	close_end(&b->in);
}

static void the_reader_leaves_while_writing(struct bench *b)
{
	char *big = calloc(1, 16 * BIG);

	ask(b, SONDE_FD_WRITE_ALL, b->out, big, 16 * BIG);
	WANT(b, "result", perform(b, close_in), SONDE_E_GONE);
	WANT(b, "some moved", b->io.moved > 0 && b->io.moved < 16 * BIG, 1);
	free(big);
}

/* ---- ends that were asked for -------------------------------------------------------------- */

static void nothing_was_lost(struct bench *b)
{
	char got[WORD] = "";

	put(b, word, WORD);
	ask(b, SONDE_FD_READ, b->in, got, WORD);
	WANT(b, "result afterwards", perform(b, NULL), WORD);
	WANT(b, "bytes afterwards", memcmp(got, word, WORD), 0);
}

static void cancel_a_read(struct bench *b)
{
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	WANT(b, "result", perform(b, cancel_it), SONDE_E_CANCELLED);
	WANT(b, "moved", b->io.moved, 0);
	nothing_was_lost(b);
}

static void cancel_a_read_with_bytes(struct bench *b)
{
	char got[WORD] = "";

	put(b, "abc", 3);
	ask(b, SONDE_FD_READ_ALL, b->in, got, WORD);
	WANT(b, "result", perform(b, cancel_it), SONDE_E_CANCELLED);
	WANT(b, "moved", b->io.moved, 3);
	WANT(b, "bytes", memcmp(got, "abc", 3), 0);
	nothing_was_lost(b);
}

static void cancel_a_write(struct bench *b)
{
	char *big = calloc(1, 16 * BIG);

	ask(b, SONDE_FD_WRITE_ALL, b->out, big, 16 * BIG);
	WANT(b, "result", perform(b, cancel_it), SONDE_E_CANCELLED);
	WANT(b, "some moved", b->io.moved > 0 && b->io.moved < 16 * BIG, 1);
	free(big);
}

/* The descriptor was ready in the same moment: one of both wins, and no byte is lost. */
static void write_and_cancel(struct sonde_task *task, struct bench *b)
{
	settle(task);
	put(b, word, WORD);
	sonde_fd_cancel(&b->io);
}

static void cancel_races_with_bytes(struct bench *b)
{
	char got[WORD] = "", rest[WORD] = "";

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	int32_t r = perform(b, write_and_cancel);
	if (r == WORD) {
		WANT(b, "bytes", memcmp(got, word, WORD), 0);
		return;
	}
	WANT(b, "result", r, SONDE_E_CANCELLED);
	WANT(b, "bytes that stayed", read(b->in, rest, WORD), WORD);
}

static void a_deadline_passes(struct bench *b)
{
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	b->io.deadline_ns = sonde_now_ns() + 2000000;
	WANT(b, "result", perform(b, NULL), SONDE_E_TIMED_OUT);
	ask(b, SONDE_FD_READ, b->in, got, WORD);
	b->io.deadline_ns = 1;
	WANT(b, "result of one long past", perform(b, NULL), SONDE_E_TIMED_OUT);
	nothing_was_lost(b);
}

static void a_deadline_that_is_kept(struct bench *b)
{
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	b->io.deadline_ns = sonde_now_ns() + UINT64_C(60000000000);
	WANT(b, "result", perform(b, write_word), WORD);
	WANT(b, "ran to the end", sonde_loop_run(b->loop), 0); /* no timer holds it up */
}

/* ---- several on one descriptor ------------------------------------------------------------- */

static void count(struct sonde_fd_io *io)
{
	*(int *)io->user += 1;
}

/* Two more, behind the one under test. */
static void two_more_readers(struct sonde_task *task, struct bench *b)
{
	static char got[2][WORD];
	static struct sonde_fd_io more[2];
	static int n_done;

	n_done = 0;
	for (int i = 0; i < 2; i++) {
		more[i] = (struct sonde_fd_io){ .fd = b->in,
						.op = SONDE_FD_READ_ALL,
						.buf = got[i],
						.len = WORD,
						.done = count,
						.user = &n_done };
		WANT(b, "submitted", sonde_fd_submit(b->loop, &more[i]), 0);
	}
	for (uint64_t i = 1; i <= 3; i++) {
		settle(task);
		while (n_done + (b->io.state == SONDE_IO_IDLE) < (int)i - 1)
			sonde_task_yield(task); /* a terminal hands on when it likes */
		WANT(b, "done so far", n_done + (b->io.state == SONDE_IO_IDLE), i - 1);
		put(b, &i, WORD);
	}
	while (n_done < 2)
		sonde_task_yield(task);
	WANT(b, "second", got[0][0], 2);
	WANT(b, "third", got[1][0], 3);
}

static void readers_take_turns(struct bench *b)
{
	char got[WORD] = "";

	ask(b, SONDE_FD_READ_ALL, b->in, got, WORD);
	WANT(b, "result", perform(b, two_more_readers), WORD);
	WANT(b, "first", got[0], 1);
}

/* What two write is not mixed: the second waits for the whole of the first. */
static void another_writer(struct sonde_task *task, struct bench *b)
{
	char tail[WORD], got[WORD] = "";
	struct sonde_fd_io io = { .fd = b->out,
				  .op = SONDE_FD_WRITE_ALL,
				  .buf = tail,
				  .len = WORD,
				  .done = count,
				  .user = &b->step };

	memset(tail, 'T', WORD);
	WANT(b, "submitted", sonde_fd_submit(b->loop, &io), 0);
	read_slowly(task, b);
	while (!b->step)
		sonde_task_yield(task);
	WANT(b, "bytes behind", read(b->in, got, WORD), WORD);
	WANT(b, "byte behind", got[0], 'T');
}

static void writers_take_turns(struct bench *b)
{
	char *big = malloc(BIG);

	for (unsigned i = 0; i < BIG; i++)
		big[i] = pattern(i);
	ask(b, SONDE_FD_WRITE_ALL, b->out, big, BIG);
	WANT(b, "result", perform(b, another_writer), BIG);
	free(big);
}

/* While b->io reads from in, in is written to as well. */
static void write_on_the_same(struct sonde_task *task, struct bench *b)
{
	char *big = calloc(1, 16 * BIG), *arrived = malloc(16 * BIG);
	struct sonde_fd_io write = { .fd = b->in,
				     .op = SONDE_FD_WRITE_ALL,
				     .buf = big,
				     .len = 16 * BIG,
				     .done = count,
				     .user = &b->step };

	settle(task);
	WANT(b, "submitted", sonde_fd_submit(b->loop, &write), 0);
	settle(task);
	WANT(b, "write waits", b->step, 0);
	WANT(b, "read by the other side",
	     sonde_fd_read_all(task, b->loop, b->out, arrived, 16 * BIG), 16 * BIG);
	while (!b->step)
		sonde_task_yield(task);
	WANT(b, "written", write.result, 16 * BIG);
	put(b, word, WORD);
	free(big);
	free(arrived);
}

static void read_and_write_at_once(struct bench *b)
{
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	WANT(b, "result", perform(b, write_on_the_same), WORD);
}

/* ---- polling --------------------------------------------------------------------------------- */

static void poll_for(struct bench *b, int fd, uint32_t events)
{
	ask(b, SONDE_FD_POLL, fd, NULL, 0);
	b->io.events = events;
}

static void poll_until_readable(struct bench *b)
{
	char got[WORD];

	poll_for(b, b->in, SONDE_FD_READABLE);
	WANT(b, "result", perform(b, write_word), SONDE_FD_READABLE);
	poll_for(b, b->in, SONDE_FD_READABLE);
	WANT(b, "result when ready", perform(b, NULL), SONDE_FD_READABLE);
	WANT(b, "bytes still there", read(b->in, got, WORD), WORD);
	poll_for(b, b->in, SONDE_FD_READABLE);
	WANT(b, "result of a cancel", perform(b, cancel_it), SONDE_E_CANCELLED);
}

static void poll_until_writable(struct bench *b)
{
	poll_for(b, b->out, SONDE_FD_WRITABLE);
	WANT(b, "result", perform(b, NULL), SONDE_FD_WRITABLE);
}

static void poll_sees_the_end(struct bench *b)
{
	poll_for(b, b->in, SONDE_FD_READABLE);
	int32_t r = perform(b, close_out);
	WANT(b, "hang-up or readable", r > 0 && r & (SONDE_FD_HANGUP | SONDE_FD_READABLE), 1);
}

/* A poll does not wait behind a read, nor take its bytes. */
static void poll_beside_a_read(struct bench *b)
{
	char got[WORD] = "";
	int n_done = 0;
	struct sonde_fd_io read = { .fd = b->in,
				    .op = SONDE_FD_READ,
				    .buf = got,
				    .len = WORD,
				    .done = count,
				    .user = &n_done };

	WANT(b, "submitted", sonde_fd_submit(b->loop, &read), 0);
	poll_for(b, b->in, SONDE_FD_READABLE);
	WANT(b, "poll", perform(b, write_word), SONDE_FD_READABLE);
	sonde_loop_run(b->loop);
	WANT(b, "read", read.result, WORD);
	WANT(b, "callbacks", n_done, 1);
}

/* ---- closing --------------------------------------------------------------------------------- */

static void close_it(struct sonde_task *task, struct bench *b)
{
	int fd = b->in, other = dup(b->in);

	settle(task);
	WANT(b, "close", sonde_fd_close(task, b->loop, fd), 0);
	WANT(b, "the read is over", b->io.state, SONDE_IO_IDLE);
	WANT(b, "closed", fcntl(fd, F_GETFD), -1);
	b->in = other;
	if (b->kind->can & ONE)
		b->out = other;
}

static void close_while_waiting(struct bench *b)
{
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	WANT(b, "result", perform(b, close_it), SONDE_E_CANCELLED);
	nothing_was_lost(b);
}

static void close_with_nobody_waiting(struct bench *b)
{
	int fd = dup(b->in);

	ask(b, SONDE_FD_CLOSE, fd, NULL, 0);
	WANT(b, "result", perform(b, NULL), 0);
	WANT(b, "closed", fcntl(fd, F_GETFD), -1);
	ask(b, SONDE_FD_CLOSE, fd, NULL, 0);
	WANT(b, "result of another", perform(b, NULL), SONDE_E_BAD_ARG);
	WANT(b, "errno", b->io.os_code, EBADF);
}

static void what_is_not_open(struct bench *b)
{
	static const uint32_t ops[] = { SONDE_FD_READ,      SONDE_FD_READ_ALL, SONDE_FD_WRITE,
					SONDE_FD_WRITE_ALL, SONDE_FD_ACCEPT,   SONDE_FD_CONNECT,
					SONDE_FD_POLL };
	char byte = 0;
	int fd = dup(b->in);

	close(fd);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		ask(b, ops[i], fd, &byte, 1);
		b->io.events = SONDE_FD_READABLE;
		WANT(b, "result", perform(b, NULL), SONDE_E_BAD_ARG);
		WANT(b, "errno", b->io.os_code, EBADF);
	}
}

/* The number is reused while nothing waits: what was known of it must not matter. */
static void a_number_used_again(struct bench *b)
{
	int ends[2], fd = b->in;
	char got[WORD];

	ask(b, SONDE_FD_READ, b->in, got, WORD);
	WANT(b, "result", perform(b, cancel_it), SONDE_E_CANCELLED);
	if (pipe(ends))
		return;
	int kept = dup(fd);
	dup2(ends[0], fd);
	ask(b, SONDE_FD_READ_ALL, fd, got, 2);
	WANT(b, "written", write(ends[1], "pq", 2), 2);
	WANT(b, "result of the other", perform(b, NULL), 2);
	ask(b, SONDE_FD_READ_ALL, fd, got, 2);
	b->io.deadline_ns = sonde_now_ns() + 1000000;
	WANT(b, "result of none", perform(b, write_word), SONDE_E_TIMED_OUT);
	dup2(kept, fd);
	close(kept);
	close(ends[0]);
	close(ends[1]);
	ask(b, SONDE_FD_READ, fd, got, WORD);
	WANT(b, "result of the first", perform(b, NULL), WORD);
}

const struct descriptor_case move_cases[] = {
	{ "read what is there", 0, 0, read_what_is_there },
	{ "read waits for bytes", 0, 0, read_waits },
	{ "read less than there is", STREAM, 0, read_less_than_there_is },
	{ "read all of many small writes", STREAM, 0, read_all_of_many },
	{ "read all past the end", ENDS, 0, read_all_past_the_end },
	{ "read at the end", ENDS, 0, read_at_the_end },
	{ "the end comes while waiting", ENDS, 0, the_end_comes_while_waiting },
	{ "bytes before the end", ENDS, 0, bytes_before_the_end },
	{ "reset while reading", RESETS, 0, reset_while_reading },
	{ "reset before reading", RESETS, 0, reset_before_reading },
	{ "write what fits", 0, 0, write_what_fits },
	{ "write all to a slow reader", STREAM, 0, write_all_to_a_slow_reader },
	{ "write some of much", STREAM, 0, write_some_of_much },
	{ "write to nobody", ENDS, 0, write_to_nobody },
	{ "the reader leaves while writing", ENDS, 0, the_reader_leaves_while_writing },
	{ "cancel a read", 0, 0, cancel_a_read },
	{ "cancel a read that has bytes", STREAM, 0, cancel_a_read_with_bytes },
	{ "cancel a write", STREAM, 0, cancel_a_write },
	{ "cancel races with bytes", 0, 0, cancel_races_with_bytes },
	{ "a deadline passes", 0, 0, a_deadline_passes },
	{ "a deadline that is kept", 0, 0, a_deadline_that_is_kept },
	{ "readers take turns", 0, 0, readers_take_turns },
	{ "writers take turns", STREAM, 0, writers_take_turns },
	{ "read and write at once", BOTH_WAYS, ONE, read_and_write_at_once },
	{ "poll until readable", 0, 0, poll_until_readable },
	{ "poll until writable", 0, 0, poll_until_writable },
	{ "poll sees the end", ENDS, 0, poll_sees_the_end },
	{ "poll beside a read", 0, 0, poll_beside_a_read },
	{ "close while waiting", 0, 0, close_while_waiting },
	{ "close with nobody waiting", 0, 0, close_with_nobody_waiting },
	{ "what is not open", 0, 0, what_is_not_open },
	{ "a number used again", 0, ONE, a_number_used_again },
};
const unsigned n_move_cases = sizeof(move_cases) / sizeof(move_cases[0]);

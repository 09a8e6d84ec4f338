/* SPDX-License-Identifier: MIT */
/*
 * Short moves: between the engines and the system stands this test, and lets no read or write move
 * more than a few bytes of what it was asked for. What comes of a batch must be the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <sonde/io.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef SONDE_HAVE_URING
#include <liburing.h>
#endif

#include "fake.h"
#include "wrap_moves.h"

#define SIZE (1u << 20)

/* ---- between library and system ------------------------------------------------------------- */

static atomic_uint cuts, interruptions, dice = 1;
static bool cutting;

static uint32_t throw(void)
{
	uint32_t value = atomic_fetch_add(&dice, 0x9e3779b9u);

	value = (value ^ value >> 15) * 0x2c1b3c6du;
	return value ^ value >> 12;
}

/* Often a few bytes, often half, sometimes all. */
static size_t cut(size_t len)
{
	uint32_t how = throw();
	size_t some = how % 4 == 0 ? len : how % 4 == 1 ? len / 2 : how / 4 % 32;

	if (!cutting || len < 2)
		return len;
	some = some == 0 ? 1 : some > len ? len : some;
	atomic_fetch_add(&cuts, some < len);
	return some;
}

static bool interrupts(void)
{
	if (!cutting || throw() % 8)
		return false;
	atomic_fetch_add(&interruptions, 1);
	errno = EINTR;
	return true;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	return interrupts() ? -1 : __real_pread64(fd, buf, cut(len), off);
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off)
{
	return interrupts() ? -1 : __real_pwrite64(fd, buf, cut(len), off);
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	struct iovec first = { iov[0].iov_base, cut(iov[0].iov_len) };

	return cutting ? __real_preadv64v2(fd, &first, 1, off, flags)
		       : __real_preadv64v2(fd, iov, n, off, flags);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	struct iovec first = { iov[0].iov_base, cut(iov[0].iov_len) };

	return cutting ? __real_pwritev64v2(fd, &first, 1, off, flags)
		       : __real_pwritev64v2(fd, iov, n, off, flags);
}

#ifdef SONDE_HAVE_URING
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned n, struct __kernel_timespec *ts,
					    sigset_t *mask);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned n, struct __kernel_timespec *ts,
					    sigset_t *mask);

/* Shorten what is prepared and not yet given to the kernel. */
static void cut_ring(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;

	for (unsigned at = sq->sqe_head; at != sq->sqe_tail; at++) {
		struct io_uring_sqe *sqe = &sq->sqes[at & *sq->kring_mask];
		if (sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE ||
		    sqe->opcode == IORING_OP_READ_FIXED || sqe->opcode == IORING_OP_WRITE_FIXED)
			sqe->len = (uint32_t)cut(sqe->len);
	}
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	cut_ring(ring);
	return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned n, struct __kernel_timespec *ts,
					    sigset_t *mask)
{
	cut_ring(ring);
	return __real_io_uring_submit_and_wait_timeout(ring, cqe, n, ts, mask);
}
#endif

/* ---- a file as a space ----------------------------------------------------------------------------- */

struct file {
	int fd;
	uint64_t told; /* bytes the connector says there are */
};

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct file *file = conn;
	struct sonde_extent e = { .len = file->told,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = file->fd };

	(void)err;
	return fn(user, &e);
}

static struct sonde_space *open_file(struct sonde_loop *loop, struct file *file)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = file_extents };
	struct sonde_space *space = NULL;
	struct sonde_error err = { 0 };

	if (space_from_connector(loop, &ops, file, &space, &err) < 0)
		fail_msg("%s", err.text);
	return space;
}

static uint8_t byte_of(uint64_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static int make_file(uint64_t size)
{
	int fd = memfd_create("sonde-short", 0);
	uint8_t *bytes = malloc(size);

	assert_true(fd >= 0 && bytes);
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = byte_of(i);
	assert_int_equal(write(fd, bytes, size), size);
	free(bytes);
	return fd;
}

typedef void engine_test(struct sonde_loop *loop);

/* The three that call the system; the others copy from maps. */
static void on_engines(engine_test *test)
{
	static const uint32_t engines[] = { SONDE_ENGINE_SYNC, SONDE_ENGINE_THREADS,
					    SONDE_ENGINE_URING };

	for (int i = 0; i < 3; i++) {
		struct sonde_loop_options options = { .size = sizeof(options),
						      .engine = engines[i],
						      .depth = 16 };
		struct sonde_loop *loop = NULL;
		struct sonde_error err = { 0 };
		if (sonde_loop_create(&options, &loop, &err) < 0) {
			assert_int_equal(engines[i], SONDE_ENGINE_URING);
			print_message("skipped: %s\n", err.text);
			continue;
		}
		atomic_store(&cuts, 0);
		cutting = true;
		test(loop);
		cutting = false;
		if (atomic_load(&cuts) == 0)
			fail_msg("%s: no move was cut: this test stands in the wrong place",
				 sonde_loop_engine(loop, NULL));
		sonde_loop_destroy(loop);
	}
}

/* ---- reads ------------------------------------------------------------------------------------------- */

static void read_batches(struct sonde_loop *loop)
{
	enum { N = 200, LONGEST = 70000 };
	struct file file = { make_file(SIZE), SIZE };
	struct sonde_space *space = open_file(loop, &file);
	static struct sonde_xfer x[N];
	uint8_t *buf = malloc((size_t)N * LONGEST);

	assert_non_null(buf);
	for (int round = 0; round < 10; round++) {
		memset(buf, 0xee, (size_t)N * LONGEST);
		for (uint32_t i = 0; i < N; i++) {
			uint32_t len = 1 + throw() % (i % 20 ? 300 : LONGEST);
			x[i] = (struct sonde_xfer){ .addr = throw() % (SIZE - len),
						    .buf = buf + (size_t)i * LONGEST,
						    .len = len };
			if (i % 3 == 0 && i) /* near another, to be merged with it */
				x[i].addr = (x[i - 1].addr + 100) % (SIZE - len);
		}
		assert_int_equal(sonde_space_read_all(space, x, N), 0);
		for (uint32_t i = 0; i < N; i++) {
			const uint8_t *bytes = x[i].buf;
			assert_int_equal(x[i].done, x[i].len);
			for (uint32_t k = 0; k < x[i].len; k++) {
				if (bytes[k] != byte_of(x[i].addr + k))
					fail_msg("piece %u, byte %u of %u: got 0x%02x, want 0x%02x",
						 i, k, x[i].len, bytes[k], byte_of(x[i].addr + k));
			}
		}
	}
	free(buf);
	sonde_space_close(space);
	close(file.fd);
}

static void short_reads_are_retried(void **state)
{
	(void)state;
	on_engines(read_batches);
}

/* Short in the middle is not the end, and the end is told at its byte. */
static void read_past_the_end(struct sonde_loop *loop)
{
	enum { END = 100003 };
	struct file file = { make_file(END), SIZE };
	struct sonde_space *space = open_file(loop, &file);
	static uint8_t buf[3][50000];
	struct sonde_xfer x[3] = { { .addr = END - 40000, .buf = buf[0], .len = 50000 },
				   { .addr = END - 1, .buf = buf[1], .len = 2 },
				   { .addr = END + 10, .buf = buf[2], .len = 7 } };

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(sonde_space_read(space, x, 3), 0);
	for (int i = 0; i < 3; i++) {
		uint32_t there = i == 0 ? 40000 : i == 1 ? 1 : 0;
		assert_int_equal(x[i].err, SONDE_E_TRUNCATED);
		assert_int_equal(x[i].err_off, there);
		assert_int_equal(x[i].done, there);
		for (uint32_t k = 0; k < x[i].len; k++)
			assert_int_equal(buf[i][k], k < there ? byte_of(x[i].addr + k) : 0);
	}
	sonde_space_close(space);
	close(file.fd);
}

static void a_short_read_is_not_taken_for_the_end(void **state)
{
	(void)state;
	on_engines(read_past_the_end);
}

/* ---- writes ------------------------------------------------------------------------------------------- */

static void write_batches(struct sonde_loop *loop)
{
	enum { N = 64, STEP = SIZE / N };
	struct file file = { make_file(SIZE), SIZE };
	struct sonde_space *space = open_file(loop, &file);
	static struct sonde_xfer x[N];
	uint8_t *bytes = malloc(SIZE), *model = malloc(SIZE);

	assert_true(bytes && model);
	for (uint64_t i = 0; i < SIZE; i++)
		model[i] = byte_of(i);
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < N; i++) {
			uint32_t len = 1 + throw() % (STEP - 1), off = throw() % (STEP - len);
			x[i] = (struct sonde_xfer){ .addr = i * STEP + off,
						    .buf = bytes + i * STEP,
						    .len = len };
			for (uint32_t k = 0; k < len; k++) {
				bytes[i * STEP + k] = (uint8_t)(throw() >> 3);
				model[i * STEP + off + k] = bytes[i * STEP + k];
			}
		}
		assert_int_equal(sonde_space_write_all(space, x, N), 0);
	}
	cutting = false;
	assert_int_equal(pread(file.fd, bytes, SIZE, 0), SIZE);
	assert_memory_equal(bytes, model, SIZE);
	free(bytes);
	free(model);
	sonde_space_close(space);
	close(file.fd);
}

static void short_writes_are_retried(void **state)
{
	(void)state;
	on_engines(write_batches);
}

static void an_interrupted_move_is_tried_again(void **state)
{
	(void)state;
	assert_true(atomic_load(&interruptions) >
		    0); /* the tests above met some, and all was well */
}

/* ---- without our help ------------------------------------------------------------------------------------ */

/* Files of /proc that are made while they are read come a page or so at a time, whatever was asked. */
static void read_made_file(struct sonde_loop *loop)
{
	enum { LEN = 1 << 18 };
	struct file file = { open("/proc/kallsyms", O_RDONLY), LEN };
	uint8_t *want = calloc(1, LEN), *got = malloc(LEN);
	ssize_t r = 1, used = 0, calls = 0;

	atomic_fetch_add(&cuts, 1); /* the kernel does it */
	cutting = false;
	assert_true(want && got);
	for (; r > 0 && used < LEN && file.fd >= 0; calls++) {
		r = read(file.fd, want + used, (size_t)(LEN - used));
		used += r > 0 ? r : 0;
	}
	if (used < LEN || calls < 3) {
		print_message("skipped: /proc/kallsyms is not there, short, or comes whole\n");
	} else {
		struct sonde_space *space = open_file(loop, &file);
		assert_int_equal(sonde_space_get(space, 0, got, LEN), 0);
		assert_memory_equal(got, want, LEN);
		sonde_space_close(space);
	}
	free(want);
	free(got);
	if (file.fd >= 0)
		close(file.fd);
}

static void a_file_that_comes_in_small_parts_is_read_whole(void **state)
{
	(void)state;
	on_engines(read_made_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_reads_are_retried),
		cmocka_unit_test(a_short_read_is_not_taken_for_the_end),
		cmocka_unit_test(short_writes_are_retried),
		cmocka_unit_test(an_interrupted_move_is_tried_again),
		cmocka_unit_test(a_file_that_comes_in_small_parts_is_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

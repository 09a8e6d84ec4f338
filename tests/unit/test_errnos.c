/* SPDX-License-Identifier: MIT */
/*
 * Every errno that open(2), read(2) and write(2) name, and a few that file systems answer beside: put in by a
 * fault layer before a file on each engine, and by this test between engine and system. Each is a code with a
 * name, costs its own bytes and nothing else of the batch, and is the same on either way.
 */
#include <errno.h>
#include <fcntl.h>
#include <sonde/io.h>
#include <sonde/target.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake.h"
#include "space/space.h"
#include "wrap_moves.h"

#define SIZE UINT64_C(0x8000)
#define BAD_AT UINT64_C(0x2ff8) /* bytes that fail, over the border of a page */
#define BAD_LEN UINT64_C(16)

static const struct {
	const char *name;
	int number;
	int32_t read, write;
} errnos[] = {
	{ "EPERM", EPERM, SONDE_E_NO_ACCESS, SONDE_E_READ_ONLY },
	{ "EBADF", EBADF, SONDE_E_NO_ACCESS, SONDE_E_READ_ONLY },
	{ "EROFS", EROFS, SONDE_E_NO_ACCESS, SONDE_E_READ_ONLY },
	{ "ENODEV", ENODEV, SONDE_E_GONE, SONDE_E_GONE },
	{ "ENXIO", ENXIO, SONDE_E_GONE, SONDE_E_GONE },
	{ "EAGAIN", EAGAIN, SONDE_E_IO, SONDE_E_IO },
	{ "EFAULT", EFAULT, SONDE_E_IO, SONDE_E_IO },
	{ "EINVAL", EINVAL, SONDE_E_IO, SONDE_E_IO },
	{ "EIO", EIO, SONDE_E_IO, SONDE_E_IO },
	{ "EISDIR", EISDIR, SONDE_E_IO, SONDE_E_IO },
	{ "EOVERFLOW", EOVERFLOW, SONDE_E_IO, SONDE_E_IO },
	{ "EDESTADDRREQ", EDESTADDRREQ, SONDE_E_IO, SONDE_E_IO },
	{ "EDQUOT", EDQUOT, SONDE_E_IO, SONDE_E_IO },
	{ "EFBIG", EFBIG, SONDE_E_IO, SONDE_E_IO },
	{ "ENOSPC", ENOSPC, SONDE_E_IO, SONDE_E_IO },
	{ "EPIPE", EPIPE, SONDE_E_IO, SONDE_E_IO },
	{ "ENOMEM", ENOMEM, SONDE_E_IO, SONDE_E_IO },
	{ "ESPIPE", ESPIPE, SONDE_E_IO, SONDE_E_IO },
	{ "EBUSY", EBUSY, SONDE_E_IO, SONDE_E_IO },
	{ "ETXTBSY", ETXTBSY, SONDE_E_IO, SONDE_E_IO },
	{ "EOPNOTSUPP", EOPNOTSUPP, SONDE_E_IO, SONDE_E_IO },
	{ "ETIMEDOUT", ETIMEDOUT, SONDE_E_IO, SONDE_E_IO },
	{ "ECONNRESET", ECONNRESET, SONDE_E_IO, SONDE_E_IO },
	{ "ESTALE", ESTALE, SONDE_E_IO, SONDE_E_IO },
	{ "EREMOTEIO", EREMOTEIO, SONDE_E_IO, SONDE_E_IO },
	{ "EUCLEAN", EUCLEAN, SONDE_E_IO, SONDE_E_IO },
};
enum { N_ERRNOS = sizeof(errnos) / sizeof(errnos[0]) };

/* ---- between engine and system -------------------------------------------------------------------- */

static int put_in; /* errno of what touches the bad bytes; 0: none */

static bool fails(size_t len, off_t off)
{
	uint64_t first = (uint64_t)off;

	errno = put_in;
	return put_in && first < BAD_AT + BAD_LEN && first + len > BAD_AT;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t off)
{
	return fails(len, off) ? -1 : __real_pread64(fd, buf, len, off);
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t off)
{
	return fails(len, off) ? -1 : __real_pwrite64(fd, buf, len, off);
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return fails(iov->iov_len, off) ? -1 : __real_preadv64v2(fd, iov, n, off, flags);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return fails(iov->iov_len, off) ? -1 : __real_pwritev64v2(fd, iov, n, off, flags);
}

/* ---- a file as a target ------------------------------------------------------------------------------ */

static char path[] = "/tmp/sonde-errnos-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	for (uint64_t i = 0; i < SIZE; i++) {
		uint8_t byte = fake_byte(i);
		if (__real_pwrite64(fd, &byte, 1, (off_t)i) != 1)
			return -1;
	}
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static struct sonde_target *open_file(struct sonde_loop *loop, const char *layer)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_target *target = NULL;
	struct sonde_error err;
	char name[160];

	snprintf(name, sizeof(name), "flat:%s%s", path, layer);
	if (sonde_target_open(loop, name, &options, &target, &err) < 0)
		fail_msg("%s", err.text);
	return target;
}

/* ---- batches ------------------------------------------------------------------------------------------- */

/* Neighbours of the bad bytes, those that reach into them from either side, and all of them. */
static const struct {
	uint64_t addr;
	uint32_t len;
} pieces[] = {
	{ 0x100, 64 },     { BAD_AT - 64, 64 }, { BAD_AT + BAD_LEN, 64 },
	{ BAD_AT + 4, 4 }, { 0x5000, 3 },
};
enum { N = sizeof(pieces) / sizeof(pieces[0]), MOST = 64 };

struct asked {
	struct sonde_xfer x[N];
	uint8_t bytes[N][MOST];
	uint32_t told[N];
	bool over;
};

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct asked *asked = io->user;

	asked->told[f->piece] += f->len;
}

static void end(struct sonde_io *io)
{
	((struct asked *)io->user)->over = true;
}

/* Piece by piece what is there, which writing does not change. */
static void ask(struct sonde_space *space, struct asked *asked, uint32_t op)
{
	struct sonde_io io = {
		.xfers = asked->x, .n = N, .op = op, .done = end, .fragment = tell, .user = asked
	};

	memset(asked, 0, sizeof(*asked));
	for (uint32_t i = 0; i < N; i++) {
		asked->x[i] = (struct sonde_xfer){ .addr = pieces[i].addr,
						   .buf = asked->bytes[i],
						   .len = pieces[i].len };
		for (uint32_t k = 0; k < pieces[i].len; k++)
			asked->bytes[i][k] =
				op == SONDE_IO_READ ? 0xee : fake_byte(pieces[i].addr + k);
	}
	assert_int_equal(sonde_io_submit(space, &io), 0);
	while (!asked->over)
		sonde_loop_wait(space->loop, UINT64_MAX);
	assert_int_equal(io.result, N - 1);
}

static void check(const struct asked *asked, uint32_t op, const char *name, int32_t want)
{
	for (uint32_t i = 0; i < N; i++) {
		const struct sonde_xfer *x = &asked->x[i];
		int32_t err = i == 3 ? want : 0;
		if (x->err != err || x->done != (err ? 0 : x->len))
			fail_msg("%s, piece %u: got %s, %u bytes, want %s", name, i,
				 sonde_error_name(x->err), x->done, sonde_error_name(err));
		assert_int_equal(asked->told[i], x->len);
		for (uint32_t k = 0; op == SONDE_IO_READ && k < x->len; k++)
			assert_int_equal(asked->bytes[i][k], err ? 0 : fake_byte(x->addr + k));
	}
	assert_string_not_equal(sonde_error_name(want), "UNKNOWN");
	assert_true(strlen(sonde_strerror(want)) > 5);
}

static void by_layer(struct sonde_loop *loop, size_t i, uint32_t op)
{
	struct asked asked;
	char layer[80];

	snprintf(layer, sizeof(layer), "|fault,errno=%s,at=0x%llx+%llu,op=both", errnos[i].name,
		 (unsigned long long)BAD_AT, (unsigned long long)BAD_LEN);
	struct sonde_target *target = open_file(loop, layer);
	ask(sonde_target_memory(target), &asked, op);
	check(&asked, op, errnos[i].name, op == SONDE_IO_READ ? errnos[i].read : errnos[i].write);
	sonde_target_close(target);
}

static void each_is_named_and_costs_its_own_bytes_on_every_engine(void **state)
{
	(void)state;
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_EPOLL; engine++) {
		struct sonde_loop_options options = { .size = sizeof(options), .engine = engine };
		struct sonde_loop *loop;
		struct sonde_error err;
		if (sonde_loop_create(&options, &loop, &err) < 0) {
			print_message("skipped: %s\n", err.text);
			continue;
		}
		for (size_t i = 0; i < N_ERRNOS; i++) {
			by_layer(loop, i, SONDE_IO_READ);
			by_layer(loop, i, SONDE_IO_WRITE);
		}
		sonde_loop_destroy(loop);
	}
}

/* Also where a move failed that was merged of several pieces. */
static void the_system_and_the_layer_say_the_same(void **state)
{
	static const uint32_t engines[] = { SONDE_ENGINE_SYNC, SONDE_ENGINE_THREADS };

	(void)state;
	for (size_t e = 0; e < 2; e++) {
		struct sonde_loop *loop = loop_new(engines[e], 0);
		struct sonde_target *target = open_file(loop, "");
		for (size_t i = 0; i < N_ERRNOS; i++) {
			for (uint32_t op = SONDE_IO_READ; op <= SONDE_IO_WRITE; op++) {
				struct asked asked;
				put_in = errnos[i].number;
				ask(sonde_target_memory(target), &asked, op);
				put_in = 0;
				check(&asked, op, errnos[i].name,
				      op == SONDE_IO_READ ? errnos[i].read : errnos[i].write);
			}
		}
		sonde_target_close(target);
		sonde_loop_destroy(loop);
	}
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* open(2) */
static const struct {
	const char *name;
	int number;
	int code;
} of_open[] = {
	{ "EACCES", EACCES, SONDE_E_NO_ACCESS },
	{ "EBADF", EBADF, SONDE_E_BAD_ARG },
	{ "EBUSY", EBUSY, SONDE_E_BUSY },
	{ "EDQUOT", EDQUOT, SONDE_E_QUOTA },
	{ "EEXIST", EEXIST, SONDE_E_EXISTS },
	{ "EFAULT", EFAULT, SONDE_E_NOT_MAPPED },
	{ "EFBIG", EFBIG, SONDE_E_TOO_LARGE },
	{ "EINTR", EINTR, SONDE_E_IO },
	{ "EINVAL", EINVAL, SONDE_E_BAD_ARG },
	{ "EISDIR", EISDIR, SONDE_E_IS_DIRECTORY },
	{ "ELOOP", ELOOP, SONDE_E_LOOP },
	{ "EMFILE", EMFILE, SONDE_E_EXHAUSTED },
	{ "ENAMETOOLONG", ENAMETOOLONG, SONDE_E_NAME_TOO_LONG },
	{ "ENFILE", ENFILE, SONDE_E_EXHAUSTED },
	{ "ENODEV", ENODEV, SONDE_E_NOT_FOUND },
	{ "ENOENT", ENOENT, SONDE_E_NOT_FOUND },
	{ "ENOMEM", ENOMEM, SONDE_E_NO_MEMORY },
	{ "ENOSPC", ENOSPC, SONDE_E_NO_SPACE },
	{ "ENOTDIR", ENOTDIR, SONDE_E_NOT_DIRECTORY },
	{ "ENXIO", ENXIO, SONDE_E_NOT_FOUND },
	{ "EOPNOTSUPP", EOPNOTSUPP, SONDE_E_UNSUPPORTED },
	{ "EOVERFLOW", EOVERFLOW, SONDE_E_IO },
	{ "EPERM", EPERM, SONDE_E_NO_ACCESS },
	{ "EROFS", EROFS, SONDE_E_READ_ONLY },
	{ "ETXTBSY", ETXTBSY, SONDE_E_BUSY },
};

static void a_target_that_cannot_be_opened_says_why(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(of_open) / sizeof(of_open[0]); i++) {
		struct sonde_target *target = NULL;
		struct sonde_error err = { 0 };
		char name[160];
		snprintf(name, sizeof(name), "flat:%s|fault,open=%s", path, of_open[i].name);
		int r = sonde_target_open(loop, name, NULL, &target, &err);
		if (r != of_open[i].code || err.code != r || err.os_code != of_open[i].number ||
		    !strstr(err.text, strerror(of_open[i].number)))
			fail_msg("%s: got %d, '%s'", of_open[i].name, r, err.text);
		assert_null(target);
		sonde_target_close(open_file(loop, ""));
	}
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_named_and_costs_its_own_bytes_on_every_engine),
		cmocka_unit_test(the_system_and_the_layer_say_the_same),
		cmocka_unit_test(a_target_that_cannot_be_opened_says_why),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}

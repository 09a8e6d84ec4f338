/* SPDX-License-Identifier: MIT */
/*
 * Spaces whose bytes lie in files, on every engine: files that are short, that shrink, fail or are none; large
 * batches, and cancelling what is under way.
 */
#include <fcntl.h>
#include <sonde/io.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
#include "space/space.h"
#include "spaces.h"
#include "synth/page_tables.h"

struct file {
	int fd;
	uint64_t told; /* bytes the connector says there are */
	uint32_t flags;
};

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct file *file = conn;
	struct sonde_extent e = {
		.len = file->told, .kind = SONDE_EXTENT_FILE, .flags = file->flags, .fd = file->fd
	};

	(void)err;
	return fn(user, &e);
}

/* A memory file of size bytes, byte i holding i / 16. */
static int file_of(uint64_t size)
{
	int fd = memfd_create("sonde-test", 0);
	uint8_t *bytes = malloc(size);

	assert_true(fd >= 0 && bytes);
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = fake_byte(i);
	assert_int_equal(write(fd, bytes, size), size);
	free(bytes);
	return fd;
}

static struct sonde_loop *engine_loop(uint32_t engine, uint32_t depth)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = engine,
					      .depth = depth };
	struct sonde_loop *loop = NULL;
	struct sonde_error err;

	if (sonde_loop_create(&options, &loop, &err) < 0 && engine != SONDE_ENGINE_URING)
		fail_msg("%s", err.text);
	return loop;
}

typedef void engine_test(struct sonde_loop *loop);

static void on_every_engine(engine_test *test, uint32_t depth)
{
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_THREADS; engine++) {
		struct sonde_loop *loop = engine_loop(engine, depth);
		if (!loop) {
			print_message("io_uring refused here: skipped\n");
			continue;
		}
		test(loop);
		sonde_loop_destroy(loop);
	}
}

static void short_file(struct sonde_loop *loop)
{
	struct file file = { file_of(6000), 8192, SONDE_REGION_READ };
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	uint8_t buf[3][64];
	struct sonde_xfer x[3] = { piece(5990, buf[0], 20), piece(0, buf[1], 64),
				   piece(8100, buf[2], 64) };

	assert_int_equal(sonde_space_read(space, x, 3), 1);
	assert_int_equal(x[0].done, 10);
	assert_int_equal(x[0].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[0].err_off, 10);
	is_zero(buf[0] + 10, 10);
	assert_int_equal(buf[0][9], fake_byte(5999));
	assert_int_equal(x[1].err, 0);
	assert_int_equal(x[2].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[2].err_off, 0);
	sonde_space_close(space);
	close(file.fd);
}

static void a_file_shorter_than_told_is_truncated(void **state)
{
	(void)state;
	on_every_engine(short_file, 0);
}

/* The file shrinks while it is mapped: its pages are gone, the rest still comes, nobody dies. */
static void shrinking_file(struct sonde_loop *loop)
{
	struct file file = { file_of(16384), 16384, SONDE_REGION_READ };
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	static uint8_t whole[16384], buf[4][64];
	struct sonde_xfer all = piece(0, whole, sizeof(whole));

	assert_int_equal(sonde_space_read(space, &all, 1), 1);
	assert_int_equal(ftruncate(file.fd, 4096), 0);
	struct sonde_xfer x[4] = { piece(8192, buf[0], 64), piece(100, buf[1], 64),
				   piece(4090, buf[2], 16), piece(200, buf[3], 64) };
	assert_int_equal(sonde_space_read(space, x, 4), 2);
	assert_int_equal(x[0].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[0].err_off, 0);
	assert_int_equal(x[1].err, 0);
	assert_int_equal(x[2].done, 6);
	assert_int_equal(x[2].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[2].err_off, 6);
	assert_int_equal(x[3].err, 0);
	assert_int_equal(buf[3][0], fake_byte(200));
	is_zero(buf[0], 64);
	is_zero(buf[2] + 6, 10);

	struct watch watch = { .io = { .xfers = x, .n = 4, .fragment = count_fragment } };
	watch_submit(&watch, space);
	sonde_loop_run(loop);
	assert_int_equal(watch.io.result, 2);
	assert_true(watch.covered == 208);
	assert_int_equal(x[2].err_off, 6);
	all.done = 0;
	assert_int_equal(sonde_space_read(space, &all, 1), 0);
	assert_int_equal(all.done, 4096);
	assert_int_equal(all.err_off, 4096);
	sonde_space_trim(space);
	sonde_space_close(space);
	close(file.fd);
}

static void a_file_that_shrinks_costs_only_its_pages(void **state)
{
	(void)state;
	on_every_engine(shrinking_file, 0);
}

/* Told longer than it is, so not mapped as a whole, and then it shrinks too. */
static int two_file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct file *file = conn;
	struct sonde_extent a = { .len = 8192, .kind = SONDE_EXTENT_FILE, .fd = file->fd };
	struct sonde_extent b = {
		.addr = 65536, .len = 65536, .kind = SONDE_EXTENT_FILE, .off = 4096, .fd = file->fd
	};
	int r = fn(user, &a);

	(void)err;
	return r ? r : fn(user, &b);
}

static void partly_mapped_file(struct sonde_loop *loop)
{
	struct file file = { file_of(16384), 0, 0 };
	struct sonde_space *space = open_extents_of(loop, &file, two_file_extents);
	uint8_t buf[3][32];
	struct sonde_xfer x[3] = { piece(4096, buf[0], 32), piece(0, buf[1], 32),
				   piece(65536, buf[2], 32) };

	assert_int_equal(sonde_space_read(space, x, 3), 3);
	assert_int_equal(buf[2][0], fake_byte(4096));
	assert_int_equal(ftruncate(file.fd, 4096), 0);
	assert_int_equal(sonde_space_read(space, x, 3), 1);
	assert_int_equal(x[0].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[2].err, SONDE_E_TRUNCATED);
	assert_int_equal(x[1].err, 0);
	sonde_space_close(space);
	close(file.fd);
}

static void a_partly_mapped_file_may_shrink_as_well(void **state)
{
	(void)state;
	on_every_engine(partly_mapped_file, 0);
}

/* Memory of this process through /proc: a hole in the middle is an error of its pages only. */
static void file_with_unreadable_middle(struct sonde_loop *loop)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct file file = { open("/proc/self/mem", O_RDONLY), UINT64_C(1) << 47, 0 };
	static uint8_t buf[3 * 65536];
	struct sonde_xfer x = piece((uint64_t)(uintptr_t)p, buf, (uint32_t)(3 * page));

	assert_true(file.fd >= 0 && p != MAP_FAILED && page <= 65536);
	memset(p, 7, 3 * page);
	munmap(p + page, page);
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	assert_int_equal(sonde_space_read(space, &x, 1), 0);
	assert_int_equal(x.done, 2 * page);
	assert_int_equal(x.err, SONDE_E_IO);
	assert_int_equal(x.err_off, page);
	assert_int_equal(buf[page - 1], 7);
	assert_int_equal(buf[2 * page], 7);
	is_zero(buf + page, page);
	sonde_space_close(space);
	close(file.fd);
	munmap(p, page);
	munmap(p + 2 * page, page);
}

static void an_unreadable_page_hides_nothing_behind_it(void **state)
{
	(void)state;
	on_every_engine(file_with_unreadable_middle, 0);
}

static void directory_for_file(struct sonde_loop *loop)
{
	struct file file = { open("/", O_RDONLY | O_DIRECTORY), 16384, SONDE_REGION_READ };
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	uint8_t buf[64] = { 1 };
	struct sonde_xfer x = piece(4090, buf, 64);

	assert_int_equal(sonde_space_read(space, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_IO);
	assert_int_equal(x.err_off, 0);
	assert_int_equal(x.done, 0);
	is_zero(buf, 64);
	sonde_space_close(space);
	close(file.fd);
}

/* No offsets and no bytes, ever: one engine would fail, another wait. Refused when it is told. */
static void pipe_for_file(struct sonde_loop *loop)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = file_extents };
	struct sonde_space *space = NULL;
	struct sonde_error err = { 0 };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	struct file file = { fds[0], 16384, SONDE_REGION_READ };
	assert_int_equal(space_from_connector(loop, &ops, &file, &space, &err), SONDE_E_BAD_ARG);
	assert_non_null(strstr(err.text, "offset"));
	file.fd = -1;
	assert_int_equal(space_from_connector(loop, &ops, &file, &space, &err), SONDE_E_BAD_ARG);
	assert_null(space);
	close(fds[0]);
	close(fds[1]);
}

static void a_descriptor_that_cannot_be_read_is_an_error(void **state)
{
	(void)state;
	on_every_engine(directory_for_file, 0);
	on_every_engine(pipe_for_file, 0);
}

static void writes_to(struct sonde_loop *loop)
{
	int fd = file_of(8192);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct file files[] = {
		{ fd, 8192, SONDE_REGION_READ | SONDE_REGION_WRITE },
		{ fd, 8192, SONDE_REGION_READ },
		/* Flags say yes, the descriptor says no. */
		{ open(path, O_RDONLY), 8192, SONDE_REGION_READ | SONDE_REGION_WRITE },
	};
	for (int i = 0; i < 3; i++) {
		struct sonde_space *space = open_extents_of(loop, &files[i], file_extents);
		uint8_t back[16];
		struct sonde_xfer x[2] = { piece(4088, "0123456789abcdef", 16),
					   piece(8190, "xyz!", 4) };
		struct sonde_xfer check = piece(4088, back, 16);
		assert_int_equal(sonde_space_write(space, x, 2), i == 0);
		assert_int_equal(x[0].err, i ? SONDE_E_READ_ONLY : 0);
		assert_int_equal(x[0].done, i ? 0 : 16);
		assert_int_equal(x[1].done, i ? 0 : 2);
		assert_int_equal(x[1].err, i ? SONDE_E_READ_ONLY : SONDE_E_NOT_MAPPED);
		assert_int_equal(sonde_space_read(space, &check, 1), 1);
		assert_memory_equal(back, "0123456789abcdef", 16);
		sonde_space_close(space);
	}
	close(fd);
	close(files[2].fd);
}

static void writing_needs_region_and_descriptor(void **state)
{
	(void)state;
	on_every_engine(writes_to, 0);
}

static void huge_batch(struct sonde_loop *loop)
{
	enum { SIZE = 1 << 20 };
	/* One operation at a time through another thread costs two switches each. */
	const char *engine = sonde_loop_engine(loop, NULL);
	uint32_t n = loop->depth == 1 && strcmp(engine, "threads") == 0 ? 10000 : 100000;
	struct file file = { file_of(SIZE), SIZE + 4096, SONDE_REGION_READ };
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	struct sonde_xfer *x = calloc(n, sizeof(*x));
	uint8_t *buf = calloc(n, 8);

	for (uint32_t i = 0; i < n; i++)
		x[i] = piece((uint64_t)i * 7919 % (SIZE - 8), buf + 8 * i, 8);
	x[n / 2].addr = SIZE + 100;
	assert_int_equal(sonde_space_read(space, x, n), n - 1);
	for (uint32_t i = 0; i < n; i++) {
		int bad = i == n / 2;
		assert_int_equal(x[i].err, bad ? SONDE_E_TRUNCATED : 0);
		assert_int_equal(buf[8 * i], bad ? 0 : fake_byte(x[i].addr));
	}
	free(x);
	free(buf);
	sonde_space_close(space);
	close(file.fd);
}

static void a_huge_batch_passes_a_narrow_engine(void **state)
{
	(void)state;
	on_every_engine(huge_batch, 1);
	on_every_engine(huge_batch, 128);
}

/* Two spaces share one operation; the first in line gives up without using it. */
static void cancelled_waiter(struct sonde_loop *loop)
{
	struct file file = { file_of(8192), 16384, SONDE_REGION_READ };
	struct sonde_space *a = open_extents_of(loop, &file, file_extents);
	struct sonde_space *b = open_extents_of(loop, &file, file_extents);
	struct sonde_space *c = open_extents_of(loop, &file, file_extents);
	uint8_t buf[4][16];
	struct sonde_xfer x[4] = { piece(0, buf[0], 16), piece(16, buf[1], 16),
				   piece(32, buf[2], 16), piece(48, buf[3], 16) };
	struct watch w[3] = { { .io = { .xfers = x, .n = 2 } },
			      { .io = { .xfers = x + 2, .n = 1 } },
			      { .io = { .xfers = x + 3, .n = 1 } } };

	watch_submit(&w[0], a);
	watch_submit(&w[1], b);
	watch_submit(&w[2], c);
	sonde_io_cancel(&w[1].io);
	sonde_loop_run(loop);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w[i].done, 1);
	assert_int_equal(w[2].io.result, 1);
	assert_int_equal(buf[3][0], 3);
	sonde_space_close(a);
	sonde_space_close(b);
	sonde_space_close(c);
	close(file.fd);
}

static void spaces_share_a_single_operation(void **state)
{
	(void)state;
	on_every_engine(cancelled_waiter, 1);
}

static void file_deadline(struct sonde_loop *loop)
{
	enum { N = 3000 };
	struct file file = { file_of(1 << 16), 1 << 17, SONDE_REGION_READ };
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	struct sonde_xfer *x = calloc(N, sizeof(*x));
	uint8_t *buf = malloc(N * 8);
	struct watch watch = { .io = { .xfers = x, .n = N, .fragment = count_fragment } };

	memset(buf, 0xee, N * 8);
	for (uint32_t i = 0; i < N; i++)
		x[i] = piece(i * 16, buf + 8 * i, 8);
	watch_submit(&watch, space);
	sonde_loop_turn(loop);
	sonde_io_cancel(&watch.io);
	sonde_loop_run(loop);
	assert_int_equal(watch.done, 1);
	assert_true(watch.covered == N * 8);
	for (uint32_t i = 0; i < N; i++) {
		if (x[i].err)
			is_zero(buf + 8 * i, 8);
		else
			assert_int_equal(buf[8 * i], fake_byte(i * 16));
	}
	assert_true(watch.io.result == N || watch.io.result == SONDE_E_CANCELLED);
	free(x);
	free(buf);
	sonde_space_close(space);
	close(file.fd);
}

static void cancelling_in_flight_loses_no_byte(void **state)
{
	(void)state;
	on_every_engine(file_deadline, 4);
}

/* ---- page tables in a file that becomes shorter ---------------------------------------------------------------- */

#define MEMORY UINT64_C(0x1000000)
#define TABLES_AT UINT64_C(0x400000)

static int memory_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = MEMORY,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ };

	(void)err;
	e.fd = *(int *)conn;
	return fn(user, &e);
}

/* Bytes behind the tables, then the tables as well. */
static void what_a_shorter_file_has_lost_costs_its_pieces(void **state)
{
	static const char text[] = "1000 4k 1000\n2000 4k 800000\n3000 4k 3000\n";
	uint8_t *mem = calloc(1, MEMORY);
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_DIRECT, 0);
	int fd = memfd_create("virtual", MFD_CLOEXEC);
	struct page_tables tables;
	struct sonde_space *space;
	uint64_t got[3];

	(void)state;
	assert_non_null(mem);
	for (uint64_t at = 0; at < MEMORY; at += 8)
		memcpy(mem + at, &at, 8);
	tables_build(&tables, mem, MEMORY, TABLES_AT, 4, text);
	assert_int_equal(pwrite(fd, mem, MEMORY, 0), MEMORY);
	struct sonde_space *phys = open_extents_of(loop, &fd, memory_extents);
	assert_int_equal(paging_space(phys, paging_map(paging_x86_64(4), tables.root), 0, &space),
			 0);
	for (int round = 0; round < 6; round++) {
		struct sonde_xfer x[3] = { { 0x1000, &got[0], 8, 0, 0, 0 },
					   { 0x2000, &got[1], 8, 0, 0, 0 },
					   { 0x3000, &got[2], 8, 0, 0, 0 } };
		if (round == 2)
			assert_int_equal(ftruncate(fd, 0x700000), 0);
		if (round == 4) {
			assert_int_equal(ftruncate(fd, 0x300000), 0);
			sonde_space_invalidate(space);
		}
		int n = sonde_space_read(space, x, 3);
		assert_int_equal(n, round < 2 ? 3 : round < 4 ? 2 : 0);
		for (int i = 0; i < 3; i++) {
			bool there = round < 2 || (round < 4 && i != 1);
			assert_int_equal(x[i].err, there ? 0 : SONDE_E_TRUNCATED);
			assert_true(got[i] == (!there ? 0 : i == 1 ? 0x800000 : x[i].addr));
		}
	}
	sonde_space_close(space);
	sonde_space_close(phys);
	close(fd);
	sonde_loop_destroy(loop);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_shorter_than_told_is_truncated),
		cmocka_unit_test(a_file_that_shrinks_costs_only_its_pages),
		cmocka_unit_test(a_partly_mapped_file_may_shrink_as_well),
		cmocka_unit_test(an_unreadable_page_hides_nothing_behind_it),
		cmocka_unit_test(a_descriptor_that_cannot_be_read_is_an_error),
		cmocka_unit_test(writing_needs_region_and_descriptor),
		cmocka_unit_test(a_huge_batch_passes_a_narrow_engine),
		cmocka_unit_test(spaces_share_a_single_operation),
		cmocka_unit_test(cancelling_in_flight_loses_no_byte),
		cmocka_unit_test(what_a_shorter_file_has_lost_costs_its_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

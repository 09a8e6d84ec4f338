/* SPDX-License-Identifier: MIT */
/*
 * Files that are read past the page cache: the bytes are the file's whatever lies unaligned, comes short or is refused,
 * and what was read that way is not in the cache afterwards.
 */
#include <fcntl.h>
#include <sonde/io.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "space/connector_space.h"
#include "space/feed.h"

#define PAGE 4096u
#define FILE_PAGES 512u
#define TAIL 700u /* bytes behind the last whole page */
#define FILE_LEN (FILE_PAGES * PAGE + TAIL)

struct world {
	struct sonde_loop *loop;
	struct sonde_space *space;
	uint32_t n_files, n_descriptors;
	int fds[2 * PAST_CACHE_MAX];
};

static _Alignas(PAGE) uint8_t room[FILE_PAGES * PAGE];

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(1 + (i * 31 + i / PAGE) % 251);
}

/* ---- a space of files on disk ---------------------------------------------------------------------- */

static uint32_t count_descriptors(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Files follow each other; the last has no whole page at its end. */
static int tell_files(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct world *w = conn;
	int r = 0;

	(void)err;
	for (uint32_t i = 0; i < w->n_files && r == 0; i++) {
		struct sonde_extent e = { .addr = (uint64_t)i * FILE_PAGES * PAGE,
					  .len = i + 1 < w->n_files ? FILE_PAGES * PAGE : FILE_LEN,
					  .kind = SONDE_EXTENT_FILE,
					  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
					  .fd = w->fds[i] };
		r = fn(user, &e);
	}
	return r;
}

static void empty_cache(const struct world *w)
{
	for (uint32_t i = 0; i < w->n_files; i++) {
		assert_int_equal(fdatasync(w->fds[i]), 0);
		assert_int_equal(posix_fadvise(w->fds[i], 0, 0, POSIX_FADV_DONTNEED), 0);
	}
}

static uint32_t count_cached(const struct world *w)
{
	uint8_t pages[FILE_PAGES + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_files; i++) {
		void *map = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, w->fds[i], 0);
		assert_ptr_not_equal(map, MAP_FAILED);
		assert_int_equal(mincore(map, FILE_LEN, pages), 0);
		munmap(map, FILE_LEN);
		for (uint32_t k = 0; k <= FILE_PAGES; k++)
			n += pages[k] & 1;
	}
	return n;
}

/* A file on disk that can be read past the cache and leaves it when asked; -1: there is none to be had here. */
static int new_file(const uint8_t *bytes)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct past_cache past = { 0 };

	if (fd < 0)
		return -1;
	assert_int_equal(pwrite(fd, bytes, FILE_LEN, 0), FILE_LEN);
	bool can = past_cache_enter(&past, fd) != PAST_CACHE_NEVER;
	past_cache_close(&past);
	if (can)
		return fd;
	close(fd);
	return -1;
}

static void open_world(struct world *w, uint32_t engine, uint32_t n_files, uint32_t past_cache)
{
	struct sonde_loop_options options = {
		.size = sizeof(options), .engine = engine, .n_threads = 2, .past_cache = past_cache
	};
	const struct sonde_connector_ops ops = { .size = sizeof(ops),
						 .close = fake_conn_close,
						 .info = fake_info,
						 .extents = tell_files };
	uint8_t *bytes = malloc(FILE_LEN);
	struct sonde_error err = { 0 };

	*w = (struct world){ .n_descriptors = count_descriptors() };
	assert_non_null(bytes);
	for (uint32_t i = 0; i < FILE_LEN; i++)
		bytes[i] = byte_at(i);
	for (; w->n_files < n_files; w->n_files++)
		w->fds[w->n_files] = new_file(bytes);
	free(bytes);
	empty_cache(w);
	if (w->fds[0] < 0 || count_cached(w) || sonde_loop_create(&options, &w->loop, &err) < 0) {
		print_message("skipped: %s\n", err.text[0] ? err.text : "no file system for it");
		skip();
	}
	assert_int_equal(space_from_connector(w->loop, &ops, w, &w->space, NULL), 0);
}

static void close_world(struct world *w)
{
	sonde_space_close(w->space);
	sonde_loop_destroy(w->loop);
	for (uint32_t i = 0; i < w->n_files; i++)
		close(w->fds[i]);
	assert_int_equal(count_descriptors(), w->n_descriptors);
}

static void on_each_engine(void (*test)(uint32_t engine))
{
	test(SONDE_ENGINE_THREADS);
	test(SONDE_ENGINE_URING);
	test(SONDE_ENGINE_AUTO);
}

/* ---- reading it ------------------------------------------------------------------------------------ */

static struct sonde_xfer xfers[FILE_PAGES];
static struct sonde_io ios[FILE_PAGES];

static void note_end(struct sonde_io *io)
{
	(void)io;
}

static void check_piece(const struct sonde_xfer *x, uint32_t done)
{
	const uint8_t *bytes = x->buf;

	assert_int_equal(x->done, done);
	for (uint32_t k = 0; k < x->len; k++)
		assert_int_equal(bytes[k],
				 k < done ? byte_at((x->addr + k) % (FILE_PAGES * PAGE)) : 0);
}

/* A request for each of xfers[0 .. n), so many at a time; all of each comes. */
static void read_each(struct world *w, uint32_t n, uint32_t at_a_time)
{
	for (uint32_t first = 0; first < n; first += at_a_time) {
		for (uint32_t i = first; i < n && i < first + at_a_time; i++) {
			ios[i] = (struct sonde_io){ .xfers = &xfers[i], .n = 1, .done = note_end };
			assert_int_equal(sonde_io_submit(w->space, &ios[i]), 0);
		}
		assert_int_equal(sonde_loop_run(w->loop), 0);
	}
	for (uint32_t i = 0; i < n; i++)
		check_piece(&xfers[i], xfers[i].len);
}

/* Every fourth page of the file, in no order, with room behind each; shift: of where each begins. */
static uint32_t far_apart(uint32_t shift)
{
	for (uint32_t i = 0; i < FILE_PAGES / 4; i++)
		xfers[i] = (struct sonde_xfer){
			.addr = (uint64_t)(i * 37 % (FILE_PAGES / 4)) * 4 * PAGE + shift,
			.buf = room + i * 2 * PAGE,
			.len = PAGE
		};
	return FILE_PAGES / 4;
}

static struct past_cache *past_of(struct world *w)
{
	return &of_space(w->space)->feed->past;
}

static void whole_pages(uint32_t engine)
{
	for (uint32_t past = 0; past < 2; past++) {
		struct world w;
		open_world(&w, engine, 1, past);
		read_each(&w, far_apart(0), 64);
		assert_int_equal(sonde_space_read(w.space, xfers, far_apart(0)), FILE_PAGES / 4);
		for (uint32_t i = 0; i < FILE_PAGES / 4; i++)
			check_piece(&xfers[i], PAGE);
		if (past)
			assert_int_equal(count_cached(&w), 0);
		else
			assert_true(count_cached(&w) >= FILE_PAGES / 4);
		close_world(&w);
	}
}

static void whole_pages_leave_the_cache_as_it_was(void **state)
{
	(void)state;
	on_each_engine(whole_pages);
}

static void neighbours(uint32_t engine)
{
	struct world w;

	open_world(&w, engine, 1, 1);
	for (uint32_t i = 0; i < FILE_PAGES; i++)
		xfers[i] = (struct sonde_xfer){ .addr = (uint64_t)i * PAGE,
						.buf = room + i * PAGE,
						.len = PAGE };
	read_each(&w, FILE_PAGES, FILE_PAGES);
	struct sonde_space_stats stats;
	sonde_space_stats(w.space, &stats);
	assert_in_range(stats.moves, 1, FILE_PAGES / 4);
	assert_int_equal(count_cached(&w), 0);
	close_world(&w);
}

static void neighbours_are_merged_past_the_cache_too(void **state)
{
	(void)state;
	on_each_engine(neighbours);
}

static void unaligned(uint32_t engine)
{
	struct world w;

	open_world(&w, engine, 1, 1);
	read_each(&w, far_apart(100), 64); /* where they begin */
	assert_true(count_cached(&w) >= FILE_PAGES / 4);
	empty_cache(&w);
	uint32_t n = far_apart(0);
	for (uint32_t i = 0; i < n; i++) /* how long they are, and where they go */
		xfers[i].len -= i % 3 == 0, xfers[i].buf = room + i * 2 * PAGE + (i % 3 == 1);
	read_each(&w, n, 64);
	assert_true(count_cached(&w) >= n / 2 && count_cached(&w) < FILE_PAGES);
	close_world(&w);
}

static void what_is_not_aligned_is_read_as_ever(void **state)
{
	(void)state;
	on_each_engine(unaligned);
}

static void at_the_end(uint32_t engine)
{
	struct world w;

	open_world(&w, engine, 1, 1);
	for (uint32_t at_once = 0; at_once < 2; at_once++) {
		for (uint32_t i = 0; i < 3; i++)
			xfers[i] =
				(struct sonde_xfer){ .addr = (uint64_t)(FILE_PAGES + i - 1) * PAGE,
						     .buf = room + i * PAGE,
						     .len = PAGE };
		memset(room, 0xee, sizeof(room));
		int r = at_once ? sonde_space_read(w.space, xfers, 3) : 0;
		for (uint32_t i = 0; i < 3 && !at_once; i++)
			r += sonde_space_read(w.space, &xfers[i], 1) == 1;
		assert_int_equal(r, 1);
		check_piece(&xfers[0], PAGE);
		assert_int_equal(xfers[1].done, TAIL);
		assert_int_equal(xfers[1].err, SONDE_E_NOT_MAPPED);
		check_piece(&xfers[2], 0);
	}
	/* The same where the file became shorter than was told. */
	assert_int_equal(ftruncate(w.fds[0], 8 * PAGE + 100), 0);
	xfers[0] = (struct sonde_xfer){ .addr = 7 * PAGE, .buf = room, .len = 4 * PAGE };
	assert_int_equal(sonde_space_read(w.space, xfers, 1), 0);
	check_piece(&xfers[0], PAGE + 100);
	assert_int_equal(xfers[0].err, SONDE_E_TRUNCATED);
	close_world(&w);
}

static void the_end_of_a_file_is_where_it_is(void **state)
{
	(void)state;
	on_each_engine(at_the_end);
}

/* The file system is taken to allow everything: it refuses, and is asked no more. */
static void refused(uint32_t engine)
{
	struct world w;

	for (uint32_t at_a_time = 1; at_a_time <= 64; at_a_time *= 64) {
		open_world(&w, engine, 1, 1);
		assert_int_equal(past_of(&w)->n, 1);
		past_of(&w)->at[0].mask = 0;
		read_each(&w, far_apart(100), at_a_time);
		assert_true(past_of(&w)->at[0].mask == UINT64_MAX);
		read_each(&w, far_apart(100), at_a_time);
		close_world(&w);
	}
	/* ... as are neighbours that went together. */
	open_world(&w, engine, 1, 1);
	past_of(&w)->at[0].mask = 0;
	for (uint32_t i = 0; i < 64; i++)
		xfers[i] = (struct sonde_xfer){ .addr = 77 + 8 * i, .buf = room + 8 * i, .len = 8 };
	read_each(&w, 64, 64);
	assert_true(past_of(&w)->at[0].mask == UINT64_MAX);
	close_world(&w);
}

static void what_the_file_system_refuses_is_read_as_ever(void **state)
{
	(void)state;
	on_each_engine(refused);
}

static void written(uint32_t engine)
{
	struct world w;

	open_world(&w, engine, 1, 1);
	memset(room, 0x5a, PAGE);
	xfers[0] = (struct sonde_xfer){ .addr = 3 * PAGE, .buf = room, .len = PAGE };
	assert_int_equal(sonde_space_write(w.space, xfers, 1), 1);
	memset(room, 0, PAGE);
	assert_int_equal(sonde_space_read(w.space, xfers, 1), 1);
	for (uint32_t i = 0; i < PAGE; i++)
		assert_int_equal(room[i], 0x5a);
	close_world(&w);
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	on_each_engine(written);
}

static void many_files(uint32_t engine)
{
	enum { MANY = PAST_CACHE_MAX + 8 };
	struct world w;

	open_world(&w, engine, MANY, 1);
	assert_int_equal(past_of(&w)->n, PAST_CACHE_MAX);
	for (uint32_t i = 0; i < MANY; i++)
		xfers[i] = (struct sonde_xfer){ .addr = ((uint64_t)i * FILE_PAGES + i) * PAGE,
						.buf = room + i * PAGE,
						.len = PAGE };
	read_each(&w, MANY, 16);
	uint32_t cached = count_cached(&w);
	assert_true(cached >= MANY - PAST_CACHE_MAX);
	assert_true(cached < MANY / 2 * FILE_PAGES);
	close_world(&w);
}

static void of_many_files_the_first_go_past_it(void **state)
{
	(void)state;
	on_each_engine(many_files);
}

static void cloned(uint32_t engine)
{
	struct world w, other = { 0 };
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = engine,
					      .past_cache = 1 };

	open_world(&w, engine, 1, 1);
	assert_int_equal(sonde_loop_create(&options, &other.loop, NULL), 0);
	assert_int_equal(sonde_space_clone(w.space, other.loop, &other.space, NULL), 0);
	read_each(&other, far_apart(0), 64);
	assert_int_equal(count_cached(&w), 0);
	sonde_space_close(other.space);
	sonde_loop_destroy(other.loop);
	read_each(&w, far_apart(0), 64);
	assert_int_equal(count_cached(&w), 0);
	close_world(&w);
}

static void a_clone_goes_past_it_by_itself(void **state)
{
	(void)state;
	on_each_engine(cloned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_pages_leave_the_cache_as_it_was),
		cmocka_unit_test(neighbours_are_merged_past_the_cache_too),
		cmocka_unit_test(what_is_not_aligned_is_read_as_ever),
		cmocka_unit_test(the_end_of_a_file_is_where_it_is),
		cmocka_unit_test(what_the_file_system_refuses_is_read_as_ever),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(of_many_files_the_first_go_past_it),
		cmocka_unit_test(a_clone_goes_past_it_by_itself),
	};
	return cmocka_run_group_tests_name("past_cache", tests, NULL, NULL);
}

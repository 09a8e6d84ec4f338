/* SPDX-License-Identifier: MIT */
/* The auto engine's choice: files that are not in memory are sent for, those that are, are copied. */
#include <fcntl.h>
#include <sonde/io.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"

#define SIZE (UINT64_C(8) << 20)
#define PAGES (SIZE / 4096)

struct world {
	struct sonde_loop *loop;
	struct sonde_space *space;
	int fd;
};

static uint8_t byte_of(uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 12));
}

static int tell(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct world *w = conn;
	struct sonde_extent e = {
		.len = SIZE, .kind = SONDE_EXTENT_FILE, .flags = SONDE_REGION_READ, .fd = w->fd
	};

	(void)err;
	return fn(user, &e);
}

static void fill(int fd)
{
	uint8_t *bytes = malloc(SIZE);

	assert_non_null(bytes);
	for (uint64_t i = 0; i < SIZE; i++)
		bytes[i] = byte_of(i);
	assert_int_equal(pwrite(fd, bytes, SIZE, 0), SIZE);
	assert_int_equal(fsync(fd), 0);
	free(bytes);
}

/* Beside the test program, where a disk is likely behind the file. */
static void world_open(struct world *w, bool cold)
{
	struct sonde_connector_ops ops = {
		.size = sizeof(ops), .close = fake_conn_close, .info = fake_info, .extents = tell
	};
	char path[] = "sonde-auto-XXXXXX";

	w->fd = mkstemp(path);
	assert_true(w->fd >= 0);
	unlink(path);
	fill(w->fd);
	if (cold)
		assert_int_equal(posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	w->loop = loop_new(SONDE_ENGINE_AUTO, 0);
	assert_int_equal(space_from_connector(w->loop, &ops, w, &w->space, NULL), 0);
}

static void world_close(struct world *w)
{
	sonde_space_close(w->space);
	sonde_loop_destroy(w->loop);
	close(w->fd);
}

/* Can a page of this file leave memory at all? Not where the folder lives in memory. */
static bool is_cold(const struct world *w)
{
	unsigned char there[PAGES];
	void *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, w->fd, 0);
	unsigned n = 0;

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, SIZE, there), 0);
	munmap(map, SIZE);
	for (size_t i = 0; i < PAGES; i++)
		n += there[i] & 1;
	return n < PAGES / 4;
}

static bool copies(const struct world *w)
{
	char how[128];

	assert_true(sonde_space_how(w->space, how, sizeof(how)) > 0);
	return strncmp(how, "copied from maps", 16) == 0;
}

/* Every page once, in an order that no read-ahead guesses. */
static void read_pages(struct world *w, uint64_t from, uint64_t n)
{
	enum { BATCH = 64 };
	struct sonde_xfer xfers[BATCH];
	uint8_t bytes[BATCH][16];

	for (uint64_t i = 0; i < n; i += BATCH) {
		for (uint64_t k = 0; k < BATCH; k++) {
			uint64_t page = (from + i + k) * 1009 % PAGES;
			xfers[k] = (struct sonde_xfer){ .addr = page * 4096 + 100,
							.buf = bytes[k],
							.len = 16 };
		}
		assert_int_equal(sonde_space_read(w->space, xfers, BATCH), BATCH);
		for (uint64_t k = 0; k < BATCH; k++)
			assert_int_equal(bytes[k][15], byte_of(xfers[k].addr + 15));
	}
}

static void a_file_in_memory_is_copied(void **state)
{
	struct sonde_space_stats stats;
	struct world w;

	(void)state;
	world_open(&w, false);
	assert_true(copies(&w));
	read_pages(&w, 0, PAGES);
	sonde_space_stats(w.space, &stats);
	assert_int_equal(stats.moves, 0);
	world_close(&w);
}

static void a_cold_file_is_sent_for_until_it_is_in_memory(void **state)
{
	struct sonde_space_stats stats;
	struct world w;

	(void)state;
	world_open(&w, true);
	if (!is_cold(&w)) {
		print_message("its pages do not leave memory here: nothing to choose\n");
		assert_true(copies(&w));
		world_close(&w);
		return;
	}
	assert_false(copies(&w));
	read_pages(&w, 0, PAGES);
	sonde_space_stats(w.space, &stats);
	assert_true(stats.moves > 0);
	for (int i = 0; i < 8 && !copies(&w); i++)
		read_pages(&w, 0, PAGES);
	assert_true(copies(&w));
	sonde_space_stats(w.space, &stats);
	uint64_t moves = stats.moves;
	read_pages(&w, 0, PAGES);
	sonde_space_stats(w.space, &stats);
	assert_int_equal(stats.moves, moves);
	world_close(&w);
}

struct asking {
	struct sonde_io io;
	struct world *world;
	int32_t answer;
	uint8_t byte;
};

static void ask_in_callback(struct sonde_io *io)
{
	struct asking *asking = (struct asking *)(void *)io;

	asking->answer = sonde_space_get(asking->world->space, 5000, &asking->byte, 1);
}

/* While it copies, a callback is answered; while it sends, it would have to wait and is refused. */
static void a_callback_never_waits(void **state)
{
	(void)state;
	for (int cold = 0; cold < 2; cold++) {
		struct world w;
		world_open(&w, cold != 0);
		uint8_t byte = 0;
		struct sonde_xfer x = { .addr = 77, .buf = &byte, .len = 1 };
		struct asking asking = { .io = { .xfers = &x, .n = 1, .done = ask_in_callback },
					 .world = &w };
		bool copied = copies(&w);
		assert_int_equal(sonde_io_submit(w.space, &asking.io), 0);
		assert_int_equal(sonde_loop_run(w.loop), 0);
		assert_int_equal(byte, byte_of(77));
		assert_int_equal(asking.answer, copied ? 0 : SONDE_E_BUSY);
		if (copied)
			assert_int_equal(asking.byte, byte_of(5000));
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_in_memory_is_copied),
		cmocka_unit_test(a_cold_file_is_sent_for_until_it_is_in_memory),
		cmocka_unit_test(a_callback_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * A file's space through the engines: what becomes one move and what does not, what that costs, and
 * whose verdict each piece gets.
 */
#include <fcntl.h>
#include <poll.h>
#include <sonde/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "io/loop.h"

#define FILE_LEN UINT64_C(0x100000)

struct world {
	struct sonde_loop *loop;
	struct sonde_space *space;
	uint64_t len; /* told; the file may have less */
	int fd;
};

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(1 + i * 31 % 251);
}

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct world *w = conn;
	struct sonde_extent e = { .len = w->len,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = w->fd };

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
	uint8_t *bytes = malloc(FILE_LEN);
	struct sonde_error err;

	assert_non_null(bytes);
	for (uint64_t i = 0; i < FILE_LEN; i++)
		bytes[i] = byte_at(i);
	*w = (struct world){ .len = FILE_LEN, .fd = new_file() };
	assert_int_equal(pwrite(w->fd, bytes, FILE_LEN, 0), FILE_LEN);
	free(bytes);
	if (sonde_loop_create(options, &w->loop, &err) < 0) {
		print_message("skipped: %s\n", err.text);
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

static void end(struct sonde_io *io)
{
	*(bool *)io->user = true;
}

/* ---- foreign loops ------------------------------------------------------------------------------ */

/* They turn it when its descriptor says so, and never else. */
static void a_foreign_loop_hears_of_every_last_move(void **state)
{
	enum { MOST = 40 };
	static uint8_t bytes[MOST];
	struct sonde_loop_options options = options_of(SONDE_ENGINE_THREADS, 0, UINT32_MAX);
	struct world w;

	(void)state;
	open_world(&w, &options);
	struct pollfd fd = { .fd = sonde_loop_fd(w.loop), .events = POLLIN };
	for (uint32_t n = 1; n <= MOST; n++) {
		struct sonde_xfer x[MOST];
		bool over = false;
		struct sonde_io io = { .xfers = x, .n = n, .done = end, .user = &over };
		for (uint32_t i = 0; i < n; i++)
			x[i] = (struct sonde_xfer){ .addr = i * 4096, .buf = &bytes[i], .len = 1 };
		assert_int_equal(sonde_io_submit(w.space, &io), 0);
		while (!over) {
			assert_int_equal(poll(&fd, 1, 10000), 1);
			sonde_loop_turn(w.loop);
		}
		assert_int_equal(io.result, n);
		assert_int_equal(bytes[n - 1], byte_at((n - 1) * 4096));
	}
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_foreign_loop_hears_of_every_last_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

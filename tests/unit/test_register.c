/* SPDX-License-Identifier: MIT */
/* Memory that a loop is told of: requests into it, across its border and beside it, and what is refused. */
#include <sonde/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"

#define SIZE UINT64_C(0x40000)
#define ROOM (16 * 4096u)

static int tell(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = SIZE,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = *(int *)conn };

	(void)err;
	return fn(user, &e);
}

static int make_file(void)
{
	int fd = memfd_create("register", 0);

	for (uint64_t i = 0; i < SIZE; i += 16) {
		uint8_t bytes[16];
		memset(bytes, fake_byte(i), sizeof(bytes));
		assert_int_equal(pwrite(fd, bytes, 16, (off_t)i), 16);
	}
	return fd;
}

static void read_and_check(struct sonde_space *space, uint64_t addr, uint8_t *buf, uint32_t len)
{
	struct sonde_xfer x = { .addr = addr, .buf = buf, .len = len };

	memset(buf, 0xee, len);
	assert_int_equal(sonde_space_read(space, &x, 1), 1);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(buf[i], fake_byte(addr + i));
}

static void on_engine(uint32_t engine)
{
	struct sonde_connector_ops ops = {
		.size = sizeof(ops), .close = fake_conn_close, .info = fake_info, .extents = tell
	};
	struct sonde_loop *loop = loop_new(engine, 8);
	struct sonde_space *space;
	int fd = make_file();
	uint8_t *room =
		mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(room, MAP_FAILED);
	assert_int_equal(space_from_connector(loop, &ops, &fd, &space, NULL), 0);
	int r = sonde_loop_register(loop, room + 4096, 4 * 4096);
	assert_true(r == 0 || r == SONDE_E_UNSUPPORTED || r == SONDE_E_LIMIT);
	read_and_check(space, 0x1234, room + 4096, 100);           /* at its begin  */
	read_and_check(space, 0x2345, room + 5 * 4096 - 100, 100); /* at its end    */
	read_and_check(space, 0x3456, room + 5 * 4096 - 50, 100);  /* over its end  */
	read_and_check(space, 0x4567, room + 4096 - 50, 100);      /* over its begin */
	read_and_check(space, 0x5678, room + 8 * 4096, 100);       /* beside it     */
	read_and_check(space, 0x6789, room + 4096, 3 * 4096);      /* most of it    */

	struct sonde_xfer x = { .addr = 0x8000, .buf = room + 4096, .len = 4096 };
	memset(room + 4096, 0x5a, 4096);
	assert_int_equal(sonde_space_write(space, &x, 1), 1);
	uint8_t byte = 0;
	assert_int_equal(pread(fd, &byte, 1, 0x8fff), 1);
	assert_int_equal(byte, 0x5a);

	sonde_loop_unregister(loop, room + 4096);
	sonde_loop_unregister(loop, room + 4096); /* no longer known */
	read_and_check(space, 0x1234, room + 4096, 100);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
	close(fd);
	munmap(room, ROOM);
}

static void registered_memory_changes_no_answer(void **state)
{
	(void)state;
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_THREADS; engine++) {
		struct sonde_loop_options options = { .size = sizeof(options), .engine = engine };
		struct sonde_loop *loop;
		if (sonde_loop_create(&options, &loop, NULL) < 0) {
			assert_int_equal(engine, SONDE_ENGINE_URING); /* refused here */
			continue;
		}
		sonde_loop_destroy(loop);
		on_engine(engine);
	}
}

static void what_cannot_be_registered_is_refused_by_name(void **state)
{
	static uint8_t bytes[32][64];
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_URING };
	struct sonde_loop *sync = loop_new(SONDE_ENGINE_SYNC, 0), *ring;
	int r = 0;

	(void)state;
	assert_int_equal(sonde_loop_register(sync, bytes, sizeof(bytes)), SONDE_E_UNSUPPORTED);
	sonde_loop_unregister(sync, bytes);
	sonde_loop_destroy(sync);
	if (sonde_loop_create(&options, &ring, NULL) < 0)
		return;
	assert_int_equal(sonde_loop_register(ring, NULL, 5), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_loop_register(ring, bytes, 0), SONDE_E_BAD_ARG);
	if (sonde_loop_register(ring, bytes[0], 64) == 0) {
		assert_int_equal(sonde_loop_register(ring, bytes[0], 64), SONDE_E_BAD_ARG);
		for (int i = 1; i < 32 && r == 0; i++)
			r = sonde_loop_register(ring, bytes[i], 64);
		assert_int_equal(r, SONDE_E_LIMIT);
		sonde_loop_unregister(ring, bytes[3]);
		assert_int_equal(sonde_loop_register(ring, bytes[31], 64), 0);
	}
	sonde_loop_destroy(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registered_memory_changes_no_answer),
		cmocka_unit_test(what_cannot_be_registered_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

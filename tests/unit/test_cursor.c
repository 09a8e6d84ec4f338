/* SPDX-License-Identifier: MIT */
/*
 * The cursor, against a model that knows one byte at a time: reads, writes and seeks at holes and ends;
 * and the FILE on it, given to the C library's own functions, in plain code and in a task.
 */
#include <errno.h>
#include <sonde/cursor.h>
#include <sonde/cursor_file.h>
#include <sonde/task.h>
#include <stdbool.h>

#include "fake.h"

#define SIZE 12288u

static int setup(void **state)
{
	*state = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

static int teardown(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* ---- semantics by hand ------------------------------------------------------------------------ */

static const struct fake_range holes[] = { { 100, 50, SONDE_E_NOT_SAVED },
					   { 300, 10, SONDE_E_IO } };

static void reading_stops_in_front_of_a_hole_and_says_why_behind(void **state)
{
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = holes, .n_bad = 2 };
		uint8_t buf[500];
		fake_open(&fake, *state, 400, way);
		struct sonde_cursor c = { .space = fake.space, .size = 400 };
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 100);
		assert_int_equal(buf[99], fake_byte(99));
		assert_int_equal(c.pos, 100);
		buf[0] = 7;
		assert_int_equal(sonde_cursor_read(&c, buf, 8), SONDE_E_NOT_SAVED);
		assert_int_equal(buf[0], 0);
		assert_int_equal(c.pos, 100);
		c.pos = 150;
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 150);
		assert_int_equal(sonde_cursor_read(&c, buf, 1), SONDE_E_IO);
		assert_int_equal(sonde_cursor_seek(&c, 10, SONDE_SEEK_CUR), 0);
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 90);
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 0);
		assert_int_equal(c.pos, 400);
		c.pos = 5000;
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 0);
		assert_int_equal(sonde_cursor_read(&c, buf, 0), 0);
		assert_int_equal(c.pos, 5000);
		fake_close(&fake);
	}
}

static void holes_are_zeros_where_that_is_wished_and_errors_are_not(void **state)
{
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = holes, .n_bad = 2 };
		uint8_t buf[500];
		fake_open(&fake, *state, 400, way);
		struct sonde_cursor c = { .space = fake.space,
					  .size = 400,
					  .flags = SONDE_CURSOR_ZEROS };
		memset(buf, 7, sizeof(buf));
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 300);
		for (uint32_t i = 0; i < 300; i++)
			assert_int_equal(buf[i], i >= 100 && i < 150 ? 0 : fake_byte(i));
		assert_int_equal(sonde_cursor_read(&c, buf, 8), SONDE_E_IO);
		c.pos = 310;
		assert_int_equal(sonde_cursor_read_all(&c, buf, 90), 0);
		/* The size says where it ends; behind what is there are zeros up to it. */
		c.size = 1000;
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 500);
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 100);
		assert_int_equal(sonde_cursor_read(&c, buf, 500), 0);
		/* They cannot be written. */
		c.pos = 120;
		assert_int_equal(sonde_cursor_write(&c, buf, 8), SONDE_E_NOT_SAVED);
		fake_close(&fake);
	}
}

static void all_means_all_or_an_error_and_no_step(void **state)
{
	struct fake fake = { .bad = holes, .n_bad = 2 };
	uint8_t buf[500] = { 0 };

	fake_open(&fake, *state, 400, SONDE_WAY_TRANSFER);
	struct sonde_cursor c = { .space = fake.space, .size = 400, .pos = 10 };
	assert_int_equal(sonde_cursor_read_all(&c, buf, 90), 0);
	assert_int_equal(c.pos, 100);
	c.pos = 10;
	assert_int_equal(sonde_cursor_read_all(&c, buf, 91), SONDE_E_NOT_SAVED);
	assert_int_equal(sonde_cursor_write_all(&c, buf, 91), SONDE_E_NOT_SAVED);
	assert_int_equal(c.pos, 10);
	c.pos = 390;
	assert_int_equal(sonde_cursor_read_all(&c, buf, 11), SONDE_E_TRUNCATED);
	assert_int_equal(sonde_cursor_write_all(&c, buf, 11), SONDE_E_TRUNCATED);
	assert_int_equal(c.pos, 390);
	assert_int_equal(sonde_cursor_read_all(&c, buf, 0), 0);
	assert_int_equal(sonde_cursor_write_all(&c, "0123456789", 10), 0);
	assert_memory_equal(fake.bytes + 390, "0123456789", 10);
	fake_close(&fake);
}

static void writing_ends_where_there_is_nothing(void **state)
{
	struct fake fake = { .bad = holes, .n_bad = 2 };
	uint8_t buf[64];

	memset(buf, 0xab, sizeof(buf));
	fake_open(&fake, *state, 400, SONDE_WAY_EXTENTS);
	struct sonde_cursor c = { .space = fake.space, .size = 400, .pos = 90 };
	assert_int_equal(sonde_cursor_write(&c, buf, 64), 10);
	assert_int_equal(sonde_cursor_write(&c, buf, 64), SONDE_E_NOT_SAVED);
	assert_int_equal(c.pos, 100);
	assert_int_equal(fake.bytes[99], 0xab);
	assert_int_equal(fake.bytes[89], fake_byte(89));
	c.pos = 380;
	assert_int_equal(sonde_cursor_write(&c, buf, 64), 20);
	assert_int_equal(sonde_cursor_write(&c, buf, 64), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_cursor_write(&c, buf, 0), 0);
	fake_close(&fake);
}

/* ---- seeking ------------------------------------------------------------------------------------- */

static int two_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct sonde_region low = { .addr = 0x1000, .len = 0x1000, .name = "" };
	struct sonde_region high = { .addr = *(uint64_t *)((struct fake *)conn)->user,
				     .len = 0x1000,
				     .name = "" };
	int r = fn(user, &low);

	return r ? r : fn(user, &high);
}

static void seeking_keeps_to_the_positions_there_are(void **state)
{
	struct fake fake = { 0 };
	uint64_t high = 0x10000, end = 0;
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .transfer = fake_transfer,
					   .regions = two_regions };

	fake_open(&fake, *state, 400, SONDE_WAY_TRANSFER);
	struct sonde_cursor c = { .space = fake.space };
	/* This connector cannot tell its regions. */
	assert_int_equal(sonde_cursor_seek(&c, 0, SONDE_SEEK_END), SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_cursor_init(&c, fake.space, 0), 0);
	assert_int_equal(c.size, 0);
	sonde_space_close(fake.space);
	fake.user = &high;
	assert_int_equal(space_from_connector(*state, &ops, &fake, &fake.space, NULL), 0);
	assert_int_equal(sonde_cursor_init(&c, fake.space, SONDE_CURSOR_ZEROS), 0);
	assert_int_equal(c.size, 0x11000);
	assert_int_equal(c.flags, SONDE_CURSOR_ZEROS);
	assert_int_equal(sonde_cursor_seek(&c, -1, SONDE_SEEK_END), 0);
	assert_int_equal(c.pos, 0x10fff);
	assert_int_equal(sonde_cursor_seek(&c, 5, SONDE_SEEK_END), 0);
	assert_int_equal(c.pos, 0x11005);
	assert_int_equal(sonde_cursor_seek(&c, -0x11006, SONDE_SEEK_CUR), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_cursor_seek(&c, -1, SONDE_SEEK_SET), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_cursor_seek(&c, INT64_MIN, SONDE_SEEK_CUR), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_cursor_seek(&c, 0, 3), SONDE_E_BAD_ARG);
	assert_int_equal(c.pos, 0x11005);
	assert_int_equal(sonde_cursor_seek(&c, -0x11005, SONDE_SEEK_CUR), 0);
	assert_int_equal(c.pos, 0);
	c.pos = UINT64_MAX;
	assert_int_equal(sonde_cursor_seek(&c, 1, SONDE_SEEK_CUR), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_cursor_seek(&c, INT64_MIN, SONDE_SEEK_CUR), 0);
	assert_true(c.pos == INT64_MAX);
	/* Regions up to the last address, seen from a base and from none. */
	high = UINT64_MAX - 0xfff;
	c = (struct sonde_cursor){ .space = fake.space, .base = 0x800 };
	assert_int_equal(sonde_cursor_end(&c, &end), 0);
	assert_true(end == UINT64_MAX - 0x7ff);
	c.base = 0;
	assert_int_equal(sonde_cursor_end(&c, &end), 0);
	assert_true(end == UINT64_MAX);
	c.base = high + 0x1000 - 1;
	c.size = 77; /* more than there is room for */
	assert_int_equal(sonde_cursor_end(&c, &end), 0);
	assert_true(end == 1);
	fake_close(&fake);
}

static int top_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .addr = UINT64_MAX - 15,
				  .len = 16,
				  .kind = SONDE_EXTENT_MEMORY,
				  .flags = SONDE_REGION_READ,
				  .ptr = conn };

	(void)err;
	return fn(user, &e);
}

static void nothing_goes_on_at_zero(void **state)
{
	char memory[17] = "0123456789abcdef", buf[64];
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = top_extents };
	struct sonde_space *space = NULL;

	assert_int_equal(space_from_connector(*state, &ops, memory, &space, NULL), 0);
	struct sonde_cursor c = { .space = space, .base = UINT64_MAX - 3 };
	assert_int_equal(sonde_cursor_read(&c, buf, 64), 4);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(sonde_cursor_read(&c, buf, 64), 0);
	assert_int_equal(sonde_cursor_write(&c, buf, 1), SONDE_E_NOT_MAPPED);
	c = (struct sonde_cursor){ .space = space, .pos = UINT64_MAX - 3 };
	assert_int_equal(sonde_cursor_read(&c, buf, 64), 3);
	assert_true(c.pos == UINT64_MAX);
	assert_int_equal(sonde_cursor_read(&c, buf, 64), 0);
	sonde_space_close(space);
}

/* ---- against the model --------------------------------------------------------------------------------- */

static int32_t model_err(const struct fake *fake, const struct sonde_cursor *c, uint64_t pos)
{
	uint32_t len = 1;
	int32_t err = fake_at(fake, c->base + pos, 1, &len);

	return c->flags && err != SONDE_E_IO ? 0 : err;
}

/* What a read of len bytes does, one at a time. */
static int64_t model_read(const struct fake *fake, struct sonde_cursor *c, uint8_t *buf, size_t len)
{
	uint64_t end = c->size;
	int64_t n = 0;

	for (; (size_t)n < len && c->pos < end; n++, c->pos++) {
		uint32_t one = 1;
		int32_t err = model_err(fake, c, c->pos);
		if (err)
			return n ? n : err;
		buf[n] = fake_at(fake, c->base + c->pos, 1, &one) ? 0
								  : fake->bytes[c->base + c->pos];
	}
	return n;
}

static void a_cursor_is_what_a_reader_of_single_bytes_sees(void **state)
{
	enum { ROUNDS = 150, STEPS = 60, N_BAD = 12 };
	uint32_t seed = 4;

	for (int round = 0; round < ROUNDS; round++) {
		struct fake_range bad[N_BAD];
		struct fake fake = { .bad = bad, .n_bad = random_next(&seed) % (N_BAD + 1) };
		for (size_t i = 0; i < N_BAD; i++)
			bad[i] = (struct fake_range){ i * 1000 + random_next(&seed) % 500,
						      1 + random_next(&seed) % 500,
						      i % 3 ? SONDE_E_NOT_SAVED : SONDE_E_IO };
		fake_open(&fake, *state, SIZE, 1u << random_next(&seed) % 3);
		struct sonde_cursor c = { .space = fake.space,
					  .base = random_next(&seed) % 5000,
					  .size = 1 + random_next(&seed) % SIZE,
					  .flags = random_next(&seed) % 2 };
		struct sonde_cursor want = c;
		for (int step = 0; step < STEPS; step++) {
			static uint8_t got[SIZE], bytes[SIZE];
			size_t len = random_next(&seed) % (step % 3 ? 100 : 3000);
			int64_t off = (int64_t)(random_next(&seed) % SIZE) - 3000;
			int64_t n = model_read(&fake, &want, bytes, len);
			assert_int_equal(sonde_cursor_read(&c, got, len), n);
			assert_true(c.pos == want.pos);
			if (n > 0)
				assert_memory_equal(got, bytes, n);
			if (random_next(&seed) % 3)
				continue;
			if (sonde_cursor_seek(&c, off, SONDE_SEEK_CUR) == 0)
				want.pos += (uint64_t)off;
			assert_true(c.pos == want.pos);
		}
		fake_close(&fake);
	}
}

/* What was read before the end was asked for counts; after it the cursor stands still. */
static int read_on(struct sonde_task *self, void *arg)
{
	struct sonde_cursor c = { .space = ((struct fake *)arg)->space,
				  .size = 8192,
				  .flags = SONDE_CURSOR_ZEROS };
	uint8_t buf[200];

	assert_int_equal(sonde_cursor_read(&c, buf, 200), 200);
	sonde_task_cancel(self);
	assert_int_equal(sonde_cursor_read(&c, buf, 200), SONDE_E_CANCELLED);
	assert_int_equal(sonde_cursor_write(&c, buf, 200), SONDE_E_CANCELLED);
	assert_int_equal(sonde_cursor_read_all(&c, buf, 200), SONDE_E_CANCELLED);
	assert_int_equal(c.pos, 200);
	return 0;
}

static void a_task_whose_end_was_asked_for_does_not_move_it(void **state)
{
	struct fake fake = { .bad = holes, .n_bad = 1 };
	struct sonde_task *task;

	fake_open(&fake, *state, 8192, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_task_spawn(*state, read_on, &fake, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	fake_close(&fake);
}

/* ---- a FILE ------------------------------------------------------------------------------------------------ */

static void the_c_library_reads_and_writes_a_space(void **state)
{
	struct fake fake = { 0 };
	char line[64];
	int n = 0, seen = 0;

	fake_open(&fake, *state, 8192, SONDE_WAY_TRANSFER);
	struct sonde_cursor c = { .space = fake.space, .base = 100, .size = 8000 };
	FILE *file = sonde_cursor_file(&c, "r+");
	assert_non_null(file);
	for (int i = 0; i < 300; i++)
		assert_true(fprintf(file, "line %d\n", i) > 0);
	assert_int_equal(fflush(file), 0);
	assert_memory_equal(fake.bytes + 100, "line 0\nline 1\n", 14);
	rewind(file);
	while (seen < 300 && fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "line %d", &n), 1);
		assert_int_equal(n, seen++);
	}
	assert_int_equal(seen, 300);
	assert_int_equal(fseek(file, 7, SEEK_SET), 0);
	assert_int_equal(fscanf(file, "line %d", &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(ftell(file), 13);
	assert_int_equal(fseek(file, -8, SEEK_END), 0);
	assert_int_equal(fread(line, 1, sizeof(line), file), 8);
	assert_true(feof(file));
	assert_int_equal(ftell(file), 8000);
	assert_int_equal(fseek(file, -1, SEEK_SET), -1);
	assert_int_equal(fclose(file), 0);
	/* The space and the cursor are still the caller's. */
	assert_int_equal(sonde_cursor_seek(&c, 0, SONDE_SEEK_SET), 0);
	assert_int_equal(sonde_cursor_read(&c, line, 6), 6);
	assert_null(sonde_cursor_file(&c, "x?"));
	fake_close(&fake);
}

static void a_hole_is_an_error_of_the_stream(void **state)
{
	static const struct fake_range bad[] = { { 5000, 1000, SONDE_E_NOT_MAPPED } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	static uint8_t buf[8192];

	fake_open(&fake, *state, 8192, SONDE_WAY_EXTENTS);
	struct sonde_cursor c = { .space = fake.space, .size = 8192 };
	FILE *file = sonde_cursor_file(&c, "r+");
	assert_int_equal(fread(buf, 1, 8192, file), 5000);
	assert_int_equal(buf[4999], fake_byte(4999));
	assert_true(ferror(file));
	assert_int_equal(errno, EFAULT);
	clearerr(file);
	assert_int_equal(fseek(file, 6000, SEEK_SET), 0);
	assert_int_equal(fread(buf, 1, 8192, file), 2192);
	assert_true(feof(file));
	/* A write over it says so, and what came before it is written. */
	assert_int_equal(fseek(file, 4990, SEEK_SET), 0);
	assert_int_equal(setvbuf(file, NULL, _IONBF, 0), 0);
	assert_int_equal(fwrite("0123456789abcdef", 1, 16, file), 10);
	assert_true(ferror(file));
	assert_int_equal(errno, EFAULT);
	assert_memory_equal(fake.bytes + 4990, "0123456789", 10);
	fclose(file);
	/* Holes that are zeros are none. */
	c = (struct sonde_cursor){ .space = fake.space, .size = 8192, .flags = SONDE_CURSOR_ZEROS };
	file = sonde_cursor_file(&c, "r");
	assert_int_equal(fread(buf, 1, 8192, file), 8192);
	assert_int_equal(buf[5999], 0);
	assert_int_equal(buf[6000], fake_byte(6000));
	fclose(file);
	fake_close(&fake);
}

/* Two tasks with a stream each take turns, since each is parked in its reads. */
struct reader {
	struct fake *fake;
	uint64_t base;
	int lines, *turn, me, turns;
};

static int read_lines(struct sonde_task *self, void *arg)
{
	struct reader *reader = arg;
	struct sonde_cursor c = { .space = reader->fake->space,
				  .base = reader->base,
				  .size = 2000 };
	FILE *file = sonde_cursor_file(&c, "r");
	char line[32], buffer[64];

	(void)self;
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	while (fgets(line, sizeof(line), file)) {
		reader->lines += line[0] == 'a' + reader->me;
		reader->turns += *reader->turn != reader->me;
		*reader->turn = reader->me;
	}
	return fclose(file);
}

static void tasks_are_parked_in_their_streams(void **state)
{
	struct fake fake = { 0 };
	struct sonde_task *tasks[2];
	struct reader readers[2];
	int turn = -1;

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 200; k++)
			memcpy(fake.bytes + i * 2000 + k * 10, i ? "b........\n" : "a........\n",
			       10);
		readers[i] = (struct reader){ &fake, (uint64_t)i * 2000, 0, &turn, i, 0 };
		assert_int_equal(sonde_task_spawn(*state, read_lines, &readers[i], &tasks[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sonde_task_join(NULL, tasks[i]), 0);
		assert_int_equal(readers[i].lines, 200);
		assert_true(readers[i].turns > 10);
	}
	fake_close(&fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading_stops_in_front_of_a_hole_and_says_why_behind),
		TEST(holes_are_zeros_where_that_is_wished_and_errors_are_not),
		TEST(all_means_all_or_an_error_and_no_step),
		TEST(writing_ends_where_there_is_nothing),
		TEST(seeking_keeps_to_the_positions_there_are),
		TEST(nothing_goes_on_at_zero),
		TEST(a_cursor_is_what_a_reader_of_single_bytes_sees),
		TEST(a_task_whose_end_was_asked_for_does_not_move_it),
		TEST(the_c_library_reads_and_writes_a_space),
		TEST(a_hole_is_an_error_of_the_stream),
		TEST(tasks_are_parked_in_their_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

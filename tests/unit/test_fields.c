/* SPDX-License-Identifier: MIT */
/*
 * Structure reads: made-up tables over made-up memory with holes, compared with a model that looks at
 * one byte at a time; tables that lie; how many trips it takes; and memory that runs out.
 */
#include <sonde/fields.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <stdbool.h>

#include "base/mem.h"
#include "fake.h"

#define SIZE 16384u

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

/* The library's allocations can be made to fail from the n-th on, or above a size. */
static size_t refuse_above = SIZE_MAX, n_resized;
void *__real_mem_resize(void *p, size_t n, size_t size);
void *__wrap_mem_resize(void *p, size_t n, size_t size);

void *__wrap_mem_resize(void *p, size_t n, size_t size)
{
	n_resized++;
	return n * size > refuse_above ? NULL : __real_mem_resize(p, n, size);
}

/* ---- by hand ----------------------------------------------------------------------------------- */

struct point {
	int32_t x;
	uint64_t y;
	char name[8];
	uint8_t raw[6];
	int16_t small;
};

static const struct sonde_field point_table[] = {
	SONDE_FIELD(struct point, name, 40, 8, SONDE_FIELD_TEXT, 0),
	SONDE_FIELD(struct point, x, 0, 2, SONDE_FIELD_SIGNED, SONDE_BIG),
	SONDE_FIELD(struct point, y, 16, 3, SONDE_FIELD_UNSIGNED, SONDE_LITTLE),
	SONDE_FIELD(struct point, raw, 8, 4, SONDE_FIELD_BYTES, 0),
	SONDE_FIELD(struct point, small, 0, 0, SONDE_FIELD_SIGNED, SONDE_LITTLE),
};
static const struct sonde_fields points = { point_table, 5, sizeof(struct point) };

static void put_point(uint8_t *at)
{
	memcpy(at, "\xff\xfe", 2);
	memcpy(at + 8, "\x01\x02\x03\x04", 4);
	memcpy(at + 16, "\x05\x06\x07", 3);
	memcpy(at + 40, "abcdefgh", 8);
}

static void fields_are_converted_as_the_table_says(void **state)
{
	struct fake fake = { 0 };
	struct point point;
	uint64_t missing = 0;

	memset(&point, 0x77, sizeof(point));
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	put_point(fake.bytes + 100);
	assert_int_equal(sonde_struct_read(fake.space, &points, 100, &point, &missing), 0);
	assert_int_equal(point.x, -2);
	assert_true(point.y == 0x070605);
	assert_string_equal(point.name, "abcdefg"); /* cut to the room and terminated */
	assert_memory_equal(point.raw, "\x01\x02\x03\x04\0\0", 6);
	/* This target has none: zero, said to be missing, and no error. */
	assert_int_equal(point.small, 0);
	assert_int_equal(missing, 1u << 4);
	assert_int_equal(fake.pieces, 1);
	fake_close(&fake);
}

static void a_hole_fails_only_the_fields_it_touches(void **state)
{
	static const struct fake_range bad[] = { { 117, 1, SONDE_E_PAGED_OUT } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	struct point point[3];
	struct sonde_struct s[3];

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	for (int i = 0; i < 3; i++) {
		put_point(fake.bytes + 100 + i * 1000);
		s[i] = (struct sonde_struct){ .addr = 100 + (uint64_t)i * 1000, .host = &point[i] };
	}
	memset(point, 0x77, sizeof(point));
	assert_int_equal(sonde_structs_read(fake.space, &points, s, 3), 2);
	assert_int_equal(s[0].err, SONDE_E_PAGED_OUT);
	assert_int_equal(s[0].err_field, 2);
	assert_int_equal(s[0].missing, 1u << 2 | 1u << 4);
	assert_true(point[0].y == 0);
	assert_int_equal(point[0].x, -2);
	assert_string_equal(point[0].name, "abcdefg");
	assert_int_equal(s[1].err, 0);
	assert_int_equal(s[1].err_field, 5);
	assert_true(point[2].y == 0x070605);
	/* One trip for all, and one more for the fields that were not sure. */
	assert_int_equal(fake.calls, 2);
	fake_close(&fake);
}

static void a_thousand_structures_are_one_trip(void **state)
{
	enum { N = 1000 };
	static struct point point[N];
	static struct sonde_struct s[N];
	struct fake fake = { 0 };

	fake_open(&fake, *state, N * 64, SONDE_WAY_TRANSFER);
	for (int i = 0; i < N; i++) {
		put_point(fake.bytes + i * 64);
		fake.bytes[i * 64 + 16] = (uint8_t)i;
	}
	assert_int_equal(sonde_structs_array(s, N, 0, 64, point, sizeof(point[0])), N);
	assert_int_equal(sonde_structs_read(fake.space, &points, s, N), N);
	assert_int_equal(fake.calls, 1);
	for (int i = 0; i < N; i++)
		assert_true(point[i].y == (0x070600 | (uint8_t)i));
	fake_close(&fake);
}

static void few_fields_need_no_memory(void **state)
{
	struct fake fake = { 0 };
	struct point point;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	n_resized = 0;
	assert_int_equal(sonde_struct_read(fake.space, &points, 100, &point, NULL), 0);
	assert_int_equal(n_resized, 0);
	fake_close(&fake);
}

static void less_memory_makes_more_trips(void **state)
{
	enum { N = 256 };
	static struct point point[N];
	static struct sonde_struct s[N];
	struct fake fake = { 0 };

	fake_open(&fake, *state, N * 64, SONDE_WAY_TRANSFER);
	for (int i = 0; i < N; i++)
		put_point(fake.bytes + i * 64);
	sonde_structs_array(s, N, 0, 64, point, sizeof(point[0]));
	refuse_above = 10000;
	assert_int_equal(sonde_structs_read(fake.space, &points, s, N), N);
	assert_in_range(fake.calls, 2, N);
	assert_int_equal(point[N - 1].x, -2);
	refuse_above = 0;
	fake.calls = 0;
	assert_int_equal(sonde_structs_read(fake.space, &points, s, N), SONDE_E_NO_MEMORY);
	refuse_above = SIZE_MAX;
	assert_int_equal(fake.calls, 0);
	assert_int_equal(s[N - 1].err, SONDE_E_NO_MEMORY);
	assert_int_equal(s[N - 1].missing, 31);
	assert_int_equal(point[N - 1].x, 0);
	fake_close(&fake);
}

static void an_array_ends_with_the_address_space(void **state)
{
	struct sonde_struct s[4] = { { .addr = 1 }, { .addr = 1 }, { .addr = 1 }, { .addr = 1 } };
	struct point point[4];

	(void)state;
	assert_int_equal(sonde_structs_array(s, 4, UINT64_MAX - 99, 50, point, sizeof(*point)), 2);
	assert_true(s[1].addr == UINT64_MAX - 49);
	assert_ptr_equal(s[1].host, &point[1]);
	assert_true(s[2].addr == 1);
	assert_int_equal(sonde_structs_array(s, 0, 5, 5, point, 1), 0);
	assert_int_equal(sonde_structs_array(s, 1, UINT64_MAX, UINT64_MAX, point, 1), 1);
}

/* The first page exists, and no field of a structure at the top may be taken from it. */
static void what_lies_behind_the_last_address_is_not_at_zero(void **state)
{
	struct fake fake = { 0 };
	struct point point;
	uint64_t missing;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	put_point(fake.bytes);
	for (uint64_t back = 1; back < 60; back++) {
		memset(&point, 0x77, sizeof(point));
		assert_int_equal(sonde_struct_read(fake.space, &points, 0 - back, &point, &missing),
				 SONDE_E_NOT_MAPPED);
	}
	fake_close(&fake);
}

struct cancelled {
	struct fake *fake;
	struct point point[20];
	struct sonde_struct s[20];
};

static int read_after_cancel(struct sonde_task *self, void *arg)
{
	struct cancelled *job = arg;

	sonde_task_cancel(self);
	return sonde_structs_read(job->fake->space, &points, job->s, 20);
}

static void a_task_whose_end_was_asked_for_reads_none(void **state)
{
	struct fake fake = { 0 };
	struct cancelled job = { .fake = &fake };
	struct sonde_task *task;

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	memset(job.point, 0x77, sizeof(job.point));
	sonde_structs_array(job.s, 20, 0, 64, job.point, sizeof(job.point[0]));
	assert_int_equal(sonde_task_spawn(*state, read_after_cancel, &job, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(fake.calls, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(job.s[i].err, SONDE_E_CANCELLED);
		assert_int_equal(job.s[i].missing, 31);
		assert_int_equal(job.point[i].x, 0);
	}
	fake_close(&fake);
}

/* ---- tables that lie ----------------------------------------------------------------------------- */

static void a_table_out_of_its_bounds_reads_nothing(void **state)
{
	static const struct sonde_field bad[] = {
		{ 0, 9, 0, 8, SONDE_FIELD_UNSIGNED, 0 },  /* too wide          */
		{ 0, 8, 0, 4, SONDE_FIELD_UNSIGNED, 0 },  /* would lose bytes  */
		{ 0, 2, 0, 3, SONDE_FIELD_SIGNED, 0 },    /* no host integer   */
		{ 0, 4, 0, 4, SONDE_FIELD_UNSIGNED, 2 },  /* no order          */
		{ 0, 4, 0, 4, 4, 0 },                     /* no kind           */
		{ 0, 4, 0, 0, SONDE_FIELD_TEXT, 0 },      /* no room           */
		{ 0, 4, 30, 4, SONDE_FIELD_UNSIGNED, 0 }, /* behind the host's */
		{ 0, 4, UINT32_MAX, 4, SONDE_FIELD_UNSIGNED, 0 },
		{ 0, 4, 4, UINT32_MAX, SONDE_FIELD_BYTES, 0 },
		{ 0, 9, 0, 8, SONDE_FIELD_BYTES, 0 },
		{ UINT32_MAX, 4, 0, 4, SONDE_FIELD_UNSIGNED, 0 },
		{ INT32_MAX, 1, 0, 4, SONDE_FIELD_UNSIGNED, 0 },
		{ 1, INT32_MAX, 0, 4, SONDE_FIELD_TEXT, 0 },
		{ 0, UINT32_MAX, 0, 4, SONDE_FIELD_TEXT, 0 },
	};
	struct fake fake = { 0 };
	uint8_t host[32];
	struct sonde_struct s = { .host = host, .err = 77 };
	struct sonde_field many[65] = { { 0 } };

	memset(host, 0x77, sizeof(host));
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sonde_fields fields = { &bad[i], 1, 32 };
		assert_int_equal(sonde_structs_read(fake.space, &fields, &s, 1), SONDE_E_BAD_ARG);
	}
	for (int i = 0; i < 65; i++)
		many[i] = (struct sonde_field){ (uint32_t)i, 1, 0, 1, SONDE_FIELD_UNSIGNED, 0 };
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ many, 65, 32 }, &s, 1),
		SONDE_E_BAD_ARG);
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ many, 0, 32 }, &s, 1),
		SONDE_E_BAD_ARG);
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ NULL, 1, 32 }, &s, 1),
		SONDE_E_BAD_ARG);
	s.host = NULL;
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ many, 64, 32 }, &s, 1),
		SONDE_E_BAD_ARG);
	assert_int_equal(s.err, 77);
	for (size_t i = 0; i < sizeof(host); i++)
		assert_int_equal(host[i], 0x77);
	s.host = host;
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ many, 64, 32 }, &s, 0), 0);
	assert_int_equal(fake.calls, 0);
	assert_int_equal(
		sonde_structs_read(fake.space, &(struct sonde_fields){ many, 64, 32 }, &s, 1), 1);
	assert_int_equal(s.missing, 0);
	fake_close(&fake);
}

/* ---- against a model ------------------------------------------------------------------------------- */

enum { HOST = 256, MOST = 20 }; /* no field is wider than 12 bytes there */

static struct sonde_field make_field(uint32_t *seed)
{
	static const uint32_t sizes[] = { 1, 2, 4, 8 };
	struct sonde_field f = { .off = random_next(seed) % (random_next(seed) % 4 ? 600 : 6000),
				 .kind = random_next(seed) % 4,
				 .order = random_next(seed) % 2 };

	f.host_size = f.kind <= SONDE_FIELD_SIGNED ? sizes[random_next(seed) % 4]
						   : 1 + random_next(seed) % 12;
	f.size = random_next(seed) % (f.host_size + 1);
	if (f.kind == SONDE_FIELD_TEXT)
		f.size = random_next(seed) % 64;
	return f;
}

/* The fields' places on the host's side do not overlap: each takes the next free bytes. */
static void make_table(struct sonde_field *table, uint32_t n, uint32_t *seed)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < n; i++) {
		table[i] = make_field(seed);
		table[i].host_off = used;
		used += table[i].host_size;
	}
}

static void model_put(const struct sonde_field *f, uint8_t *to, const uint8_t *bytes)
{
	uint64_t value = 0;

	if (f->kind >= SONDE_FIELD_BYTES) {
		for (uint32_t i = 0; i < f->size && i < f->host_size; i++) {
			if (f->kind == SONDE_FIELD_TEXT && (!bytes[i] || i == f->host_size - 1))
				break;
			to[i] = bytes[i];
		}
		return;
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t from = f->order == SONDE_BIG ? f->size - 1 - i : i;
		uint32_t top = f->order == SONDE_BIG ? 0 : f->size - 1;
		uint8_t fill = f->kind == SONDE_FIELD_SIGNED && bytes[top] & 0x80 ? 0xff : 0;
		value |= (uint64_t)(i < f->size ? bytes[from] : fill) << 8 * i;
	}
	if (f->host_size == 8)
		memcpy(to, &value, 8);
	else if (f->host_size == 4)
		memcpy(to, &(uint32_t){ (uint32_t)value }, 4);
	else if (f->host_size == 2)
		memcpy(to, &(uint16_t){ (uint16_t)value }, 2);
	else
		*to = (uint8_t)value;
}

/* The outcome of one field, by its single bytes. */
static int32_t model_field(const struct fake *fake, const struct sonde_field *f, uint64_t addr,
			   uint8_t *host)
{
	uint8_t bytes[64];

	for (uint32_t i = 0; i < f->size; i++) {
		uint64_t at = addr + f->off + i;
		uint32_t len = 1;
		int32_t err = at < addr ? SONDE_E_NOT_MAPPED : fake_at(fake, at, 1, &len);
		if (err)
			return err;
		bytes[i] = fake->bytes[at];
	}
	model_put(f, host + f->host_off, bytes);
	return 0;
}

static void model_read(const struct fake *fake, const struct sonde_fields *fields,
		       struct sonde_struct *want, uint8_t *host)
{
	uint32_t lowest = UINT32_MAX;

	want->missing = 0;
	want->err = 0;
	want->err_field = fields->n;
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct sonde_field *f = &fields->at[i];
		memset(host + f->host_off, 0, f->host_size);
		int32_t err = f->size ? model_field(fake, f, want->addr, host) : 0;
		if (err || !f->size)
			want->missing |= UINT64_C(1) << i;
		if (err && f->off < lowest) {
			lowest = f->off;
			want->err = err;
			want->err_field = i;
		}
	}
}

static void structures_are_what_a_reader_of_single_bytes_sees(void **state)
{
	enum { ROUNDS = 2000, N_BAD = 5, N = 12 };
	uint32_t seed = 7;

	for (int round = 0; round < ROUNDS; round++) {
		struct fake_range bad[N_BAD];
		struct fake fake = { .bad = bad, .n_bad = random_next(&seed) % (N_BAD + 1) };
		struct sonde_field table[MOST];
		struct sonde_fields fields = { table, 1 + random_next(&seed) % MOST, HOST };
		uint8_t got[N][HOST], want_bytes[N][HOST];
		struct sonde_struct s[N], want[N];
		size_t n = 1 + random_next(&seed) % N;
		int full = 0;

		for (size_t i = 0; i < N_BAD; i++)
			bad[i] = (struct fake_range){ random_next(&seed) % SIZE,
						      1 + random_next(&seed) % 900,
						      SONDE_E_NOT_SAVED };
		make_table(table, fields.n, &seed);
		fake_open(&fake, *state, SIZE, 1u << random_next(&seed) % 3);
		for (uint32_t i = 0; i < SIZE; i++)
			fake.bytes[i] = (uint8_t)random_next(&seed);
		memset(got, 0x77, sizeof(got));
		memset(want_bytes, 0x77, sizeof(want_bytes));
		for (size_t k = 0; k < n; k++) {
			uint64_t addr = random_next(&seed) % SIZE;
			if (random_next(&seed) % 16 == 0)
				addr = 0 - addr;
			s[k] = want[k] = (struct sonde_struct){ .addr = addr, .host = got[k] };
			model_read(&fake, &fields, &want[k], want_bytes[k]);
			full += want[k].err == 0;
		}
		assert_int_equal(sonde_structs_read(fake.space, &fields, s, n), full);
		for (size_t k = 0; k < n; k++) {
			assert_true(s[k].missing == want[k].missing);
			assert_int_equal(s[k].err, want[k].err);
			assert_int_equal(s[k].err_field, want[k].err_field);
			assert_memory_equal(got[k], want_bytes[k], HOST);
		}
		assert_true(fake.calls <= 2);
		fake_close(&fake);
	}
}

/* Whatever a table says, nothing outside the host's structure is written. */
static void no_table_writes_outside_its_structure(void **state)
{
	struct fake fake = { 0 };
	uint32_t seed = 99, taken = 0;

	fake_open(&fake, *state, SIZE, SONDE_WAY_EXTENTS);
	for (int round = 0; round < 200000; round++) {
		struct sonde_field f;
		uint8_t host[96];
		memset(host, 0x77, sizeof(host));
		uint32_t *words = (uint32_t *)(void *)&f;
		for (size_t i = 0; i < sizeof(f) / 4; i++) {
			uint32_t range = 1u << random_next(&seed) % 24;
			words[i] = random_next(&seed) % 50 ? random_next(&seed) % range % 64
							   : 0 - random_next(&seed) % 5;
		}
		f.kind %= 4;
		f.order %= 2;
		struct sonde_fields fields = { &f, 1, 32 };
		struct sonde_struct s = { .addr = random_next(&seed) % SIZE, .host = host + 32 };
		taken += sonde_structs_read(fake.space, &fields, &s, 1) >= 0;
		for (size_t i = 0; i < sizeof(host); i++) {
			if (i < 32 || i >= 64)
				assert_int_equal(host[i], 0x77);
		}
	}
	assert_in_range(taken, 1000, 199000);
	fake_close(&fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fields_are_converted_as_the_table_says),
		TEST(a_hole_fails_only_the_fields_it_touches),
		TEST(a_thousand_structures_are_one_trip),
		TEST(few_fields_need_no_memory),
		TEST(less_memory_makes_more_trips),
		cmocka_unit_test(an_array_ends_with_the_address_space),
		TEST(what_lies_behind_the_last_address_is_not_at_zero),
		TEST(a_task_whose_end_was_asked_for_reads_none),
		TEST(a_table_out_of_its_bounds_reads_nothing),
		TEST(structures_are_what_a_reader_of_single_bytes_sees),
		TEST(no_table_writes_outside_its_structure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What probes write into a guest and read from it, on a ring of the test's own: calls as they were noted, those that were overwritten
 * counted, those that are being written waited for, and nothing that a guest may write there believed. That the code does what
 * it is to is for a guest to tell: tests/live/test_trace.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/probes.h"

#include "synth/array_space.h"

#include <string.h>

#define RING_PA 0x2000u
#define FUNCTION UINT64_C(0xffffffff81234560)

static uint8_t bytes[PROBE_RING_LEN];
static struct array_space array = { RING_PA, PROBE_RING_LEN, bytes };
static struct probes_state state;
static struct probes_reader reader;
static struct sonde_loop *loop;

static void put(uint8_t *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint8_t *record_of(uint32_t number)
{
	return bytes + PROBE_HEAD_LEN + (size_t)((number - 1) % PROBE_RECORDS) * PROBE_RECORD_LEN;
}

/* As the code in the guest writes it: code.c has what lies where. */
static void note(uint32_t number, uint64_t clock, const char *text)
{
	uint8_t *at = record_of(number);

	put(at, number, 4);
	put(at + 4, 3, 4);
	for (uint64_t i = 0; i < PROBE_ARGUMENTS; i++)
		put(at + 8 + 8 * i, number * 10 + i, 8);
	put(at + 56, FUNCTION + PROBE_CALL_MAX, 8);
	put(at + 64, UINT64_C(0xffff888000001000), 8);
	put(at + 72, clock, 8);
	put(at + 80, text ? strlen(text) + 1 : (uint64_t)-14, 4);
	if (text)
		strcpy((char *)at + 88, text);
	put(bytes, number, 4);
}

static int set_up(void **unused)
{
	(void)unused;
	memset(bytes, 0, sizeof(bytes));
	state = (struct probes_state){ .arch = &probe_x86_64, .n = 1, .ring_pa = RING_PA };
	state.calls[0].function = FUNCTION;
	state.calls[0].returns_to = FUNCTION + PROBE_CALL_MAX;
	memset(&reader, 0, sizeof(reader));
	reader.state = &state;
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	return array_space_open(&array, loop, &reader.memory);
}

static int tear_down(void **unused)
{
	(void)unused;
	sonde_space_close(reader.memory);
	sonde_loop_destroy(loop);
	return 0;
}

static void expect(uint32_t number)
{
	struct probes_call call;

	assert_int_equal(probes_next(&reader, &call), 1);
	assert_int_equal(call.event.registers.general[5], number * 10);     /* rdi */
	assert_int_equal(call.event.registers.general[9], number * 10 + 5); /* r9 */
	assert_int_equal(call.event.addr, FUNCTION);
	assert_int_equal(call.event.registers.pc, FUNCTION);
	assert_int_equal(call.event.cpu, 3);
	assert_int_equal(call.event.task, UINT64_C(0xffff888000001000));
}

static void expect_none(void)
{
	struct probes_call call;

	assert_int_equal(probes_next(&reader, &call), 0);
}

static void calls_come_once_and_in_order(void **unused)
{
	(void)unused;
	expect_none();
	note(1, 0, NULL);
	note(2, 0, NULL);
	expect(1);
	expect(2);
	expect_none();
	for (uint32_t i = 3; i < 3 + PROBE_RECORDS; i++)
		note(i, 0, NULL);
	for (uint32_t i = 3; i < 3 + PROBE_RECORDS; i++)
		expect(i);
	expect_none();
	assert_int_equal(reader.n_lost, 0);
}

static void what_was_overwritten_is_counted(void **unused)
{
	(void)unused;
	for (uint32_t i = 1; i <= PROBE_RECORDS + 5; i++)
		note(i, 0, NULL);
	for (uint32_t i = 6; i <= PROBE_RECORDS + 5; i++)
		expect(i);
	expect_none();
	assert_int_equal(reader.n_lost, 5);
	/* A guest that lies: the count runs back, or far ahead. */
	put(bytes, 2, 4);
	expect_none();
	put(bytes, 0x7fffffff, 4);
	expect_none();
	assert_true(reader.n_lost > 5);
}

static void a_record_that_is_being_written_is_waited_for(void **unused)
{
	(void)unused;
	note(1, 0, NULL);
	note(2, 0, NULL);
	put(record_of(1), 0, 4);
	expect_none();
	expect_none();
	put(record_of(1), 1, 4);
	expect(1);
	expect(2);
}

static void a_text_is_no_longer_than_its_room(void **unused)
{
	static const struct {
		int32_t noted, told;
	} cases[] = { { 6, 6 },
		      { PROBE_TEXT_MAX, PROBE_TEXT_MAX },
		      { PROBE_TEXT_MAX + 1, 0 },
		      { INT32_MAX, 0 },
		      { -14, -14 },
		      { 0, 0 } };
	struct probes_call call;

	(void)unused;
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		note(i + 1, 0, "/file");
		put(record_of(i + 1) + 80, (uint32_t)cases[i].noted, 4);
		assert_int_equal(probes_next(&reader, &call), 1);
		assert_int_equal(call.text_len, cases[i].told);
		assert_string_equal(call.text, "/file");
	}
}

static void a_call_that_no_probe_made_is_an_error(void **unused)
{
	struct probes_call call;

	(void)unused;
	note(1, 0, NULL);
	put(record_of(1) + 56, FUNCTION, 8);
	note(2, 0, NULL);
	assert_int_equal(probes_next(&reader, &call), SONDE_E_CORRUPT);
	expect(2);
}

/* Whatever the guest's clock says, times rise, and none lies ahead. */
static void times_rise(void **unused)
{
	static const uint64_t clocks[] = { 5000000, 5000100, 4000000, UINT64_MAX, 0, 5002000 };
	uint64_t last = 0;
	struct probes_call call;

	(void)unused;
	for (uint32_t khz = 0; khz < 2; khz++) {
		state.khz = khz * 1000000; /* 1 GHz: a tick is a nanosecond */
		for (uint32_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
			note(reader.next + 1, clocks[i], NULL);
			assert_int_equal(probes_next(&reader, &call), 1);
			assert_true(call.event.time_ns >= last &&
				    call.event.time_ns <= sonde_now_ns());
			last = call.event.time_ns;
		}
	}
}

static void room_is_where_a_function_begins_with_nothing(void **unused)
{
	static const uint8_t plain[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55 },
			     endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
			     none[] = { 0x55, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
			     called[] = { 0xe8, 1, 2, 3, 4, 0x55 };

	(void)unused;
	assert_int_equal(probe_x86_64.room(plain, sizeof(plain)), 0);
	assert_int_equal(probe_x86_64.room(endbr, sizeof(endbr)), 4);
	assert_int_equal(probe_x86_64.room(none, sizeof(none)), -1);
	assert_int_equal(probe_x86_64.room(called, sizeof(called)), -1);
	assert_int_equal(probe_x86_64.room(plain, 4), -1);
	assert_int_equal(probe_x86_64.room(endbr, sizeof(endbr) - 1), -1);
}

static void a_call_reaches_two_gigabytes(void **unused)
{
	static const uint8_t back[PROBE_CALL_MAX] = { 0xe8, 0xfb, 0xff, 0xff, 0xff };
	uint8_t call[PROBE_CALL_MAX];

	(void)unused;
	assert_true(probe_x86_64.call(FUNCTION, FUNCTION, call));
	assert_memory_equal(call, back, sizeof(back));
	assert_true(probe_x86_64.call(FUNCTION, FUNCTION + 5 + INT32_MAX, call));
	assert_false(probe_x86_64.call(FUNCTION, FUNCTION + 6 + INT32_MAX, call));
	assert_true(probe_x86_64.call(FUNCTION, FUNCTION + 5 - (UINT64_C(1) << 31), call));
	assert_false(probe_x86_64.call(FUNCTION, FUNCTION + 4 - (UINT64_C(1) << 31), call));
}

static void the_code_fits_with_texts_and_without(void **unused)
{
	struct probe_places places = { .code = FUNCTION,
				       .ring = UINT64_C(0xffff888000002000),
				       .copy_text = FUNCTION + 0x1000 };
	uint8_t code[PROBE_CODE_MAX], doors[PROBE_DOORS];

	(void)unused;
	size_t with = probe_x86_64.code(&places, code, doors);
	assert_in_range(with, 1, sizeof(code));
	for (size_t i = 0; i < PROBE_DOORS; i++) {
		assert_int_equal(code[doors[i]], 0x6a); /* push */
		assert_int_equal((int8_t)code[doors[i] + 1], i < PROBE_ARGUMENTS ? (int)i : -1);
		assert_int_equal(doors[i] + 4 + code[doors[i] + 3],
				 doors[PROBE_DOORS - 1] + 4); /* jmp */
	}
	assert_int_equal(code[with - 1], 0xc3); /* ret */
	places.copy_text = 0;
	size_t without = probe_x86_64.code(&places, code, doors);
	assert_true(without < with);
	assert_int_equal(code[without - 1], 0xc3);
}

/* ---- aarch64 ------------------------------------------------------------------------------------------- */

#define ARM64_CODE UINT64_C(0xffffa5467ffaff78)

static uint32_t word_at(const uint8_t *code, size_t at)
{
	return sonde_le32(code + at);
}

/* Where the b or bl at leads to, from the start of the code. */
static int64_t branch_target(const uint8_t *code, size_t at)
{
	return (int64_t)at + (int32_t)(word_at(code, at) << 6) / 64 * 4;
}

static int arm64_room(const uint32_t *words, size_t n)
{
	uint8_t head[16];

	for (size_t i = 0; i < n; i++)
		put(head + 4 * i, words[i], 4);
	return probe_arm64.room(head, 4 * n);
}

static void on_arm64_room_is_behind_the_way_back(void **unused)
{
	enum { N = 3 };
	static const uint32_t plain[N] = { 0xaa1e03e9, 0xd503201f, 0xd503233f },
			      bti[N] = { 0xd503245f, 0xaa1e03e9, 0xd503201f },
			      none[N] = { 0xd503233f, 0xaa1e03e9, 0xd503201f },
			      early[N] = { 0xd503201f, 0xd503201f, 0xd503233f },
			      called[N] = { 0xaa1e03e9, 0x94000001, 0xd503233f };

	(void)unused;
	assert_int_equal(arm64_room(plain, N), 4);
	assert_int_equal(arm64_room(bti, N), 8);
	assert_int_equal(arm64_room(none, N), -1);
	assert_int_equal(arm64_room(early, N), -1);
	assert_int_equal(arm64_room(called, N), -1);
	assert_int_equal(arm64_room(plain, 1), -1);
	assert_int_equal(arm64_room(bti, 2), -1);
}

static void on_arm64_a_call_reaches_128_megabytes(void **unused)
{
	const uint64_t far = UINT64_C(1) << 27;
	uint8_t call[PROBE_CALL_MAX];

	(void)unused;
	assert_true(probe_arm64.call(FUNCTION, FUNCTION + 8, call));
	assert_int_equal(word_at(call, 0), 0x94000002);
	assert_true(probe_arm64.call(FUNCTION, FUNCTION - far, call));
	assert_int_equal(word_at(call, 0), 0x96000000);
	assert_false(probe_arm64.call(FUNCTION, FUNCTION - far - 4, call));
	assert_true(probe_arm64.call(FUNCTION, FUNCTION + far - 4, call));
	assert_false(probe_arm64.call(FUNCTION, FUNCTION + far, call));
}

static void check_arm64_doors(const uint8_t *code, const uint8_t *doors)
{
	const int64_t behind = doors[PROBE_DOORS - 1] + 4;

	for (uint32_t i = 0; i < PROBE_ARGUMENTS; i++) {
		assert_int_equal(word_at(code, doors[i]), 0x5280000b | i << 5); /* mov w11, i */
		assert_int_equal(branch_target(code, doors[i] + 4u), behind);
	}
	assert_int_equal(word_at(code, doors[PROBE_ARGUMENTS]), 0x1280000b); /* mov w11, -1 */
}

/* 312 bytes is what kernel_init() of Debian's kernels has. */
static void on_arm64_the_code_fits_with_texts_and_without(void **unused)
{
	struct probe_places places = { .code = ARM64_CODE,
				       .ring = UINT64_C(0xffff25a3c8651000),
				       .copy_text = ARM64_CODE - 0x8f6868,
				       .cpu_number = 16 };
	uint8_t code[PROBE_CODE_MAX], doors[PROBE_DOORS];
	size_t n_calls = 0;

	(void)unused;
	size_t with = probe_arm64.code(&places, code, doors);
	assert_in_range(with, 1, 312);
	check_arm64_doors(code, doors);
	for (size_t at = 0; at < with; at += 4) {
		if (word_at(code, at) >> 26 != 0x25)
			continue;
		assert_int_equal(branch_target(code, at), -0x8f6868);
		n_calls++;
	}
	assert_int_equal(n_calls, 1);
	assert_int_equal(word_at(code, with - 4), 0xd65f0140); /* ret x10 */
	places.copy_text = 0;
	size_t without = probe_arm64.code(&places, code, doors);
	assert_true(without < with);
	check_arm64_doors(code, doors);
	assert_int_equal(word_at(code, without - 4), 0xd65f0140);
}

static void a_ring_is_known_by_its_head(void **unused)
{
	static uint8_t ring[PROBE_RING_LEN];

	(void)unused;
	memset(ring, 0xff, sizeof(ring));
	assert_false(probe_ring_is_there(ring));
	probe_ring_begin(ring);
	assert_true(probe_ring_is_there(ring));
	assert_int_equal(sonde_le32(ring), 0);
	assert_int_equal(ring[PROBE_BUSY_AT], 0);
	assert_int_equal(ring[sizeof(ring) - 1], 0);
}

#define WITH_RING(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RING(calls_come_once_and_in_order),
		WITH_RING(what_was_overwritten_is_counted),
		WITH_RING(a_record_that_is_being_written_is_waited_for),
		WITH_RING(a_text_is_no_longer_than_its_room),
		WITH_RING(a_call_that_no_probe_made_is_an_error),
		WITH_RING(times_rise),
		cmocka_unit_test(room_is_where_a_function_begins_with_nothing),
		cmocka_unit_test(a_call_reaches_two_gigabytes),
		cmocka_unit_test(the_code_fits_with_texts_and_without),
		cmocka_unit_test(a_ring_is_known_by_its_head),
		cmocka_unit_test(on_arm64_room_is_behind_the_way_back),
		cmocka_unit_test(on_arm64_a_call_reaches_128_megabytes),
		cmocka_unit_test(on_arm64_the_code_fits_with_texts_and_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

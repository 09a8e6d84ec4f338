/* SPDX-License-Identifier: MIT */
/*
 * The parts of the libvirt connector over a libvirt of our own making: a table of calls that answer
 * from a guest of 4 MiB whose byte at address a is pattern(a), or lie.
 */
#include "../../connectors/libvirt/command.h"
#include "../../connectors/libvirt/near.h"
#include "../../connectors/libvirt/peek.h"
#include "plug/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t pattern(uint64_t addr)
{
	return (uint8_t)(addr * 7 + (addr >> 12));
}

/* ---- a libvirt ---- */

static struct {
	struct sonde_host host;
	struct hypervisor hv;
	struct machine *machine;
	struct peek peek;
	unsigned calls;
	size_t longest;
	uint64_t refused; /* calls that hold this address fail */
	int same;
	virError error;
	const char *answer, *asked;
} world;

static int fake_peek(virDomainPtr dom, unsigned long long start, size_t size, void *buf,
		     unsigned flags)
{
	(void)dom;
	assert_int_equal(flags, VIR_MEMORY_PHYSICAL);
	world.calls++;
	world.longest = size > world.longest ? size : world.longest;
	if (world.refused >= start && world.refused - start < size)
		return -1;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buf)[i] = pattern(start + i);
	return 0;
}

static virErrorPtr fake_error(void)
{
	return &world.error;
}

static int fake_command(virDomainPtr dom, const char *command, char **ret, unsigned flags)
{
	(void)dom;
	(void)flags;
	assert_non_null(strstr(command, world.asked));
	if (!world.answer)
		return -1;
	*ret = strdup(world.answer);
	return 0;
}

static int is_same(void *user)
{
	(void)user;
	return world.same;
}

static int setup(void **state)
{
	static const char view[] = "AS \"memory\", root: system\n"
				   " 0000000000000000-00000000001fffff (prio 0, ram): pc.ram\n"
				   " 0000000000300000-00000000003fffff (prio 0, ram): pc.ram\n";

	(void)state;
	memset(&world, 0, sizeof(world));
	host_init(&world.host);
	world.hv.host = &world.host;
	world.hv.api.virDomainMemoryPeek = fake_peek;
	world.hv.api.virDomainQemuMonitorCommand = fake_command;
	world.hv.api.virGetLastError = fake_error;
	strcpy(world.hv.uri, "qemu:///fake");
	world.same = 1;
	world.refused = UINT64_MAX;
	world.error.code = VIR_ERR_OPERATION_INVALID;
	world.machine = malloc(sizeof(*world.machine));
	machine_init(world.machine, &world.host, "libvirt", 0);
	assert_int_equal(memory_map_parse(&world.machine->map, view), 0);
	return peek_init(&world.peek, &world.hv, is_same, NULL);
}

static int teardown(void **state)
{
	(void)state;
	peek_finish(&world.peek);
	machine_finish(world.machine);
	free(world.machine);
	return 0;
}

/* ---- memory ---- */

static void move(struct sonde_xfer *xfers, uint32_t n, uint32_t op)
{
	struct sonde_io io = { .xfers = xfers, .n = n, .op = op };

	for (uint32_t i = 0; i < n; i++)
		memory_map_cut(&world.machine->map, world.machine->host, &io, i, peek_add,
			       &world.peek);
	peek_flush(&world.peek);
}

static void expect_piece(const struct sonde_xfer *x, uint32_t done, int32_t err, uint32_t err_off)
{
	assert_int_equal(x->done, done);
	assert_int_equal(x->err, err);
	if (err)
		assert_int_equal(x->err_off, err_off);
	for (uint32_t i = 0; i < (err ? err_off : x->len); i++)
		assert_int_equal(((uint8_t *)x->buf)[i], pattern(x->addr + i));
}

static void pieces_within_a_mib_are_one_call_in_any_order(void **state)
{
	static uint8_t bytes[4][64];
	struct sonde_xfer xfers[] = {
		{ .addr = 0xfff00, .buf = bytes[0], .len = 64 },
		{ .addr = 0x10, .buf = bytes[1], .len = 64 },
		{ .addr = 0x20, .buf = bytes[2], .len = 64 }, /* overlaps */
		{ .addr = 0x8000, .buf = bytes[3], .len = 1 },
	};

	(void)state;
	move(xfers, 4, SONDE_IO_READ);
	for (int i = 0; i < 4; i++)
		expect_piece(&xfers[i], xfers[i].len, 0, 0);
	assert_int_equal(world.calls, 1);
}

static void a_call_is_never_longer_than_a_mib_and_never_crosses_a_hole(void **state)
{
	uint32_t len = 0x400000 + 0x1000;
	uint8_t *bytes = malloc(len);
	struct sonde_xfer x = { .addr = 0, .buf = bytes, .len = len };

	(void)state;
	memset(bytes, 0xee, len);
	move(&x, 1, SONDE_IO_READ);
	expect_piece(&x, 0x300000, SONDE_E_NOT_MAPPED, 0x200000);
	for (uint32_t i = 0x200000; i < len; i++) {
		int mapped = i >= 0x300000 && i < 0x400000;
		assert_int_equal(bytes[i], mapped ? pattern(i) : 0);
	}
	assert_int_equal(world.calls, 3);
	assert_int_equal(world.longest, PEEK_MAX);
	free(bytes);
}

static void more_pieces_than_wait_at_once_are_all_told(void **state)
{
	enum { N = 3 * PEEK_BATCH + 1 };
	static uint8_t bytes[N][16];
	static struct sonde_xfer xfers[N];

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		xfers[i] = (struct sonde_xfer){ .addr = (i * 2654435761u) % 0x1fffe0,
						.buf = bytes[i],
						.len = 16 };
	move(xfers, N, SONDE_IO_READ);
	for (int i = 0; i < N; i++)
		expect_piece(&xfers[i], 16, 0, 0);
	assert_in_range(world.calls, 4, 12);
}

static void a_call_that_fails_fails_its_pieces_alone(void **state)
{
	static uint8_t bytes[2][16];
	struct sonde_xfer xfers[] = { { .addr = 0x1000, .buf = bytes[0], .len = 16 },
				      { .addr = 0x300000, .buf = bytes[1], .len = 16 } };

	(void)state;
	world.refused = 0x1008;
	memset(bytes, 0xee, sizeof(bytes));
	move(xfers, 2, SONDE_IO_READ);
	expect_piece(&xfers[0], 0, SONDE_E_GONE, 0);
	assert_int_equal(bytes[0][7], 0);
	expect_piece(&xfers[1], 16, 0, 0);
}

static void bytes_of_another_run_of_the_domain_are_not_believed(void **state)
{
	uint8_t bytes[16];
	struct sonde_xfer x = { .addr = 0x1000, .buf = bytes, .len = 16 };

	(void)state;
	world.same = 0;
	move(&x, 1, SONDE_IO_READ);
	expect_piece(&x, 0, SONDE_E_GONE, 0);
	assert_int_equal(bytes[0], 0);
}

static void the_end_of_addresses_is_a_hole_and_writing_is_refused(void **state)
{
	uint8_t bytes[32] = { 1 };
	struct sonde_xfer wraps = { .addr = UINT64_MAX - 3, .buf = bytes, .len = 32 };
	struct sonde_xfer written = { .addr = 0x1000, .buf = bytes, .len = 16 };

	(void)state;
	move(&wraps, 1, SONDE_IO_READ);
	expect_piece(&wraps, 0, SONDE_E_NOT_MAPPED, 0);
	move(&written, 1, SONDE_IO_WRITE);
	assert_int_equal(written.err, SONDE_E_READ_ONLY);
	assert_int_equal(world.calls, 0);
}

/* ---- the monitor ---- */

static const struct {
	const char *answer; /* NULL: libvirt refuses */
	int line, ask;
} answers[] = {
	{ "{\"return\": \"text\", \"id\": \"x\"}", 0, 0 },
	{ "{\"return\": {}}", 0, 0 },
	{ "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}", SONDE_E_UNSUPPORTED,
	  SONDE_E_UNSUPPORTED },
	{ "{\"error\": 7}", SONDE_E_UNSUPPORTED, SONDE_E_UNSUPPORTED },
	{ "{}", SONDE_E_UNSUPPORTED, SONDE_E_UNSUPPORTED },
	{ "[]", SONDE_E_UNSUPPORTED, SONDE_E_UNSUPPORTED },
	{ "", SONDE_E_BAD_FORMAT, SONDE_E_BAD_FORMAT },
	{ "{\"return\": \"te", SONDE_E_BAD_FORMAT, SONDE_E_BAD_FORMAT },
	{ NULL, SONDE_E_GONE, SONDE_E_GONE },
};

static void answers_of_the_monitor_are_taken_apart_or_refused(void **state)
{
	struct command command = { .hv = &world.hv };
	struct monitor monitor = command_monitor(&command);

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct sonde_error err = { 0 };
		char *text = NULL;
		json_t *value = NULL;
		world.answer = answers[i].answer;
		world.asked = "\"command-line\":\"info x\",\"cpu-index\":3";
		assert_int_equal(monitor.line(monitor.at, "info x", 3, &text, &err),
				 answers[i].line);
		assert_int_equal(text != NULL, answers[i].line == 0);
		free(text);
		world.asked = "{\"execute\":\"query-x\"}";
		assert_int_equal(monitor.ask(monitor.at, "query-x", &value, &err), answers[i].ask);
		assert_int_equal(value != NULL, answers[i].ask == 0);
		assert_int_equal(err.text[0] != '\0', answers[i].ask != 0);
		json_decref(value);
	}
}

/* ---- names ---- */

static void distances_are_those_of_typing_errors(void **state)
{
	static const struct {
		const char *a, *b;
		size_t want;
	} cases[] = {
		{ "", "", 0 },
		{ "web", "", 3 },
		{ "", "web", 3 },
		{ "web", "WEB", 0 },
		{ "web", "we", 1 },
		{ "web", "wxb", 1 },
		{ "web", "wbe", 1 },
		{ "web-1", "web-2", 1 },
		{ "kitten", "sitting", 3 },
		{ "database", "databse", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(near_distance(cases[i].a, cases[i].b), cases[i].want);
}

static void long_names_are_compared_as_far_as_is_said(void **state)
{
	char a[400], b[400];

	(void)state;
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(near_distance(a, b), NEAR_NAME_MAX);
}

static void near_names_come_before_all_names(void **state)
{
	struct near near;

	(void)state;
	near_init(&near, "databse");
	assert_string_equal(near_text(&near), "there is none");
	near_add(&near, "web");
	assert_string_equal(near_text(&near), "there are 'web'");
	near_add(&near, "database");
	near_add(&near, "databse-old");
	assert_string_equal(near_text(&near), "did you mean 'database', 'databse-old'?");
	for (int i = 0; i < 100; i++)
		near_add(&near, "database");
	assert_true(strlen(near_text(&near)) < sizeof(near.text));
}

/* ---- places ---- */

static void only_addresses_without_a_host_are_of_this_machine(void **state)
{
	static const struct {
		const char *uri;
		int local;
	} cases[] = {
		{ "qemu:///system", 1 },
		{ "qemu:///session", 1 },
		{ "qemu+unix:///system?socket=/run/x", 1 },
		{ "qemu+unix:///session?socket=/run/a+ssh://b", 1 },
		{ "qemu+ssh://host/system", 0 },
		{ "qemu+ssh:///system", 0 },
		{ "qemu://host/system", 0 },
		{ "qemu+tcp://127.0.0.1/system", 0 },
		{ "nonsense", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(world.hv.uri, sizeof(world.hv.uri), "%s", cases[i].uri);
		assert_int_equal(hypervisor_is_local(&world.hv), cases[i].local);
	}
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_WORLD(pieces_within_a_mib_are_one_call_in_any_order),
		IN_WORLD(a_call_is_never_longer_than_a_mib_and_never_crosses_a_hole),
		IN_WORLD(more_pieces_than_wait_at_once_are_all_told),
		IN_WORLD(a_call_that_fails_fails_its_pieces_alone),
		IN_WORLD(bytes_of_another_run_of_the_domain_are_not_believed),
		IN_WORLD(the_end_of_addresses_is_a_hole_and_writing_is_refused),
		IN_WORLD(answers_of_the_monitor_are_taken_apart_or_refused),
		cmocka_unit_test(distances_are_those_of_typing_errors),
		cmocka_unit_test(long_names_are_compared_as_far_as_is_said),
		cmocka_unit_test(near_names_come_before_all_names),
		IN_WORLD(only_addresses_without_a_host_are_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

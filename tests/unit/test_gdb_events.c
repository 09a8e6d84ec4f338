/* SPDX-License-Identifier: MIT */
/*
 * Events of the gdb connector against a stub of the test's (synth/gdb_stub.h) that has a machine with two
 * processors, or that lies: each call comes once, with its processor and registers, whatever is told beside it.
 */
#include "synth/gdb_stub.h"

#include <sonde/sonde.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In the order in which the stub's machine answers them; description is filled by set_up. */
static const char *const registers[STUB_REGISTERS] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags",
};
static char description[4096];

enum { RDI = 5, SOON_MS = 60, LATE_MS = 60000 }; /* rdi is the sixth that the description names */

#define OPEN UINT64_C(0xffffffff81000000)
#define CLOSE UINT64_C(0xffffffff81000100)

/* The threads of the stub are 1 and 0xa; the third call is of what nobody asked for. */
static const struct stub_call calls[] = {
	{ 1, OPEN }, { 0xa, OPEN }, { 1, OPEN + 0x40 }, { 1, CLOSE }, { 0xa, OPEN },
};
enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

struct world {
	struct gdb_stub stub;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;
};

static struct world *w;

static void describe(void)
{
	size_t n = (size_t)snprintf(description, sizeof(description),
				    "<target><architecture>i386:x86-64</architecture>");

	for (unsigned i = 0; i < STUB_REGISTERS; i++)
		n += (size_t)snprintf(description + n, sizeof(description) - n,
				      "<reg name=\"%s\" bitsize=\"64\"/>", registers[i]);
	snprintf(description + n, sizeof(description) - n, "</target>");
}

static int set_up(void **state)
{
	(void)state;
	describe();
	w = calloc(1, sizeof(*w));
	if (!w)
		return -1;
	w->stub.qemu = w->stub.no_ack = 1;
	w->stub.packet_size = 0x1000;
	w->stub.description = description;
	w->stub.calls = calls;
	w->stub.n_calls = N_CALLS;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(w);
	return 0;
}

static void open_world(const char *options)
{
	char name[256];

	assert_int_equal(gdb_stub_start(&w->stub), 0);
	assert_int_equal(sonde_loop_create(NULL, &w->loop, &w->err), 0);
	snprintf(name, sizeof(name), "%s,ram=0+0x10000%s", w->stub.target, options);
	if (sonde_target_open(w->loop, name, NULL, &w->target, &w->err) < 0)
		fail_msg("%s: %s", options, w->err.text);
}

static void close_world(void)
{
	sonde_target_close(w->target);
	sonde_loop_destroy(w->loop);
	gdb_stub_stop(&w->stub);
	assert_int_equal(w->stub.n_unsound, 0);
	assert_int_equal(w->stub.n_breakpoints, 0);
}

static int set(uint64_t addr)
{
	return sonde_breakpoint_set(w->target, &(struct sonde_breakpoint){ .addr = addr }, &w->err);
}

static int clear(uint64_t addr)
{
	return sonde_breakpoint_remove(w->target, &(struct sonde_breakpoint){ .addr = addr },
				       &w->err);
}

static int wait_ms(uint64_t what, unsigned ms, struct sonde_event *ret)
{
	return sonde_event_wait(w->target, what, sonde_now_ns() + ms * UINT64_C(1000000), ret,
				sizeof(*ret));
}

static void expect_call(unsigned cpu, uint64_t pc)
{
	struct sonde_event event;
	int r = wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event);

	if (r < 0 || event.kind != SONDE_EVENT_BREAK || event.cpu != cpu || event.addr != pc)
		fail_msg("got %s: kind %u, cpu %u, 0x%llx; want cpu %u, 0x%llx",
			 sonde_error_name(r), event.kind, event.cpu, (unsigned long long)event.addr,
			 cpu, (unsigned long long)pc);
	assert_int_equal(event.registers.pc, pc);
	assert_int_equal(event.registers.general[5], 0x1000 * RDI + (cpu ? 0xa : 1));
	assert_int_equal(event.signal, 5);
	assert_true(event.time_ns != 0);
}

static void expect_silence(void)
{
	struct sonde_event event = { .kind = 99 };

	assert_int_equal(wait_ms(SONDE_EVENT_NEXT, SOON_MS, &event), SONDE_E_TIMED_OUT);
	assert_int_equal(event.kind, 0);
}

static void each_call_comes_once_and_in_order(void **state)
{
	(void)state;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(set(CLOSE), 0);
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	expect_call(1, OPEN);
	expect_call(0, CLOSE);
	expect_call(1, OPEN);
	expect_silence();
	close_world();
	assert_int_equal(w->stub.most_breakpoints, 2);
	assert_int_equal(w->stub.n_stepped, 4);
	assert_int_equal(w->stub.detached, 1);
}

static void what_is_removed_is_passed_without_a_step(void **state)
{
	(void)state;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	assert_int_equal(set(CLOSE), 0);
	assert_int_equal(clear(OPEN), 0);
	assert_int_equal(clear(OPEN), SONDE_E_NOT_FOUND);
	expect_call(0, CLOSE);
	expect_silence();
	close_world();
	assert_int_equal(w->stub.n_stepped, 1);
}

/* The target is stopped for the read, by a byte, and goes on: nothing is told of that. */
static void memory_is_read_while_nothing_happens(void **state)
{
	(void)state;
	uint8_t bytes[64];

	open_world("");
	assert_int_equal(set(OPEN + 1), 0);
	expect_silence();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sonde_space_get(sonde_target_memory(w->target), 0x1000, bytes,
						 sizeof(bytes)),
				 0);
		assert_memory_equal(bytes, w->stub.memory + 0x1000, sizeof(bytes));
		expect_silence();
	}
	close_world();
	assert_true(w->stub.n_interrupted > 0);
}

/* Whoever asks for something while it stands has the next event all the same. */
static void memory_is_read_between_events(void **state)
{
	(void)state;
	uint8_t bytes[64];

	open_world("");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	assert_int_equal(
		sonde_space_get(sonde_target_memory(w->target), 0x2000, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, w->stub.memory + 0x2000, sizeof(bytes));
	expect_call(1, OPEN);
	close_world();
	assert_int_equal(w->stub.n_interrupted, 0);
}

/* QEMU tells of a step now and then that has moved nothing: its call is not told again. */
static void a_step_that_moves_nothing_is_done_again(void **state)
{
	(void)state;
	w->stub.lame_steps = 3;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	expect_call(1, OPEN);
	expect_call(1, OPEN);
	expect_silence();
	close_world();
	assert_int_equal(w->stub.n_stepped, 3 + 3);
}

static void one_instruction_of_one_processor(void **state)
{
	(void)state;
	struct sonde_event event;

	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(wait_ms(SONDE_EVENT_STEP_OF(0), LATE_MS, &event), 0);
	assert_int_equal(event.kind, SONDE_EVENT_STEP);
	assert_int_equal(event.cpu, 0);
	assert_int_equal(wait_ms(SONDE_EVENT_STEP_OF(2), LATE_MS, &event), SONDE_E_NOT_FOUND);
	assert_int_equal(wait_ms(UINT64_MAX, LATE_MS, &event), SONDE_E_NOT_FOUND);
	expect_call(1, OPEN);
	close_world();
}

static int wait_in_task(struct sonde_task *task, void *arg)
{
	struct sonde_event event;
	(void)task;

	for (unsigned i = 0; i < 2; i++) {
		int r = sonde_event_wait(w->target, SONDE_EVENT_NEXT, 0, &event, sizeof(event));
		if (r < 0)
			return r;
		*(unsigned *)arg += event.kind == SONDE_EVENT_BREAK && event.cpu == i;
	}
	return sonde_event_wait(w->target, SONDE_EVENT_NEXT, 0, &event, sizeof(event));
}

static int end_after_some_turns(struct sonde_task *task, void *arg)
{
	int r = sonde_task_sleep(task, SOON_MS * UINT64_C(1000000));

	sonde_task_cancel(arg);
	return r;
}

/* The last wait has no end but that its task is to end. */
static void a_task_waits_and_is_cancelled(void **state)
{
	(void)state;
	struct sonde_task *waiter, *other;
	unsigned n = 0;

	w->stub.n_calls = 2;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(sonde_task_spawn(w->loop, wait_in_task, &n, &waiter), 0);
	assert_int_equal(sonde_task_spawn(w->loop, end_after_some_turns, waiter, &other), 0);
	assert_int_equal(sonde_task_join(NULL, other), 0);
	assert_int_equal(sonde_task_join(NULL, waiter), SONDE_E_CANCELLED);
	assert_int_equal(n, 2);
	expect_silence();
	close_world();
}

/* An older caller's struct is shorter, a newer one's longer. */
static void events_of_other_sizes_are_cut_or_padded(void **state)
{
	(void)state;
	struct {
		struct sonde_event event;
		uint64_t more[4];
	} large = { .more = { 1, 2, 3, 4 } };
	uint64_t small[3] = { 0, 0, 77 };

	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(sonde_event_wait(w->target, SONDE_EVENT_NEXT, 0, (void *)small, 16), 0);
	assert_int_equal(small[1], OPEN);
	assert_int_equal(small[2], 77);
	assert_int_equal(
		sonde_event_wait(w->target, SONDE_EVENT_NEXT, 0, &large.event, sizeof(large)), 0);
	assert_int_equal(large.event.addr, OPEN);
	assert_int_equal(large.more[0] | large.more[3], 0);
	close_world();
}

/* The registers that the stub would tell are those of the thread chosen before. */
static void a_processor_that_cannot_be_chosen_has_no_event(void **state)
{
	(void)state;
	struct sonde_event event;

	w->stub.choose = "E22";
	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event), SONDE_E_UNSUPPORTED);
	close_world();
}

/* Each line is told when the target is to run; what must come of it, and that the calls behind it come all the same. */
static void stubs_that_lie_cost_one_event(void **state)
{
	static const struct {
		const char *stop;
		int want; /* < 0: of the wait; else enum sonde_event_kind; 0: nothing comes of it */
	} lies[] = {
		{ "T05thread:77;", SONDE_E_CORRUPT },
		{ "T05thread:ffffffffffffffff;", SONDE_E_CORRUPT },
		{ "T05thread:;", SONDE_E_CORRUPT },
		{ "T05thread:-1;", SONDE_E_CORRUPT },
		{ "T05thread:p1.;", SONDE_E_CORRUPT },
		{ "T05thread:1x;", SONDE_E_CORRUPT },
		{ "T05", SONDE_E_CORRUPT },
		{ "S05", SONDE_E_CORRUPT }, /* of two processors */
		{ "T05thread", SONDE_E_CORRUPT },
		{ "T05;;;;:;:::;", SONDE_E_CORRUPT },
		{ "T06thread:01;", SONDE_EVENT_STOP },
		{ "T02thread:01;", SONDE_EVENT_STOP },
		{ "T05watch:zz;thread:01;", SONDE_EVENT_BREAK },
		{ "T05thread:0a;watch:ffff888000001000;", SONDE_EVENT_WATCH },
		{ "T05rwatch:10;thread:01", SONDE_EVENT_WATCH },
		{ "T05awatch:10;thread:01;swbreak:;", SONDE_EVENT_WATCH },
		{ "W00", SONDE_E_GONE },
		{ "X09", SONDE_E_GONE },
		{ "hang up", SONDE_E_GONE },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct sonde_event event;
		tear_down(state), set_up(state);
		w->stub.stops = &lies[i].stop;
		w->stub.n_stops = 1;
		open_world("");
		assert_int_equal(set(OPEN), 0);
		int r = wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event);
		if (r < 0 ? r != lies[i].want : (int)event.kind != lies[i].want)
			fail_msg("'%s': got %s, kind %u; want %d", lies[i].stop,
				 sonde_error_name(r), event.kind, lies[i].want);
		if (lies[i].want == SONDE_E_GONE)
			assert_int_equal(wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event), SONDE_E_GONE);
		else if (lies[i].want != SONDE_EVENT_BREAK)
			expect_call(0, OPEN);
		if (lies[i].want == SONDE_E_GONE)
			w->stub.n_breakpoints = 0; /* it took them with it */
		close_world();
	}
}

/* Stops that nothing led to: nobody counts them twice, and nobody waits for them. */
static void a_flood_of_stops_is_one_stop(void **state)
{
	(void)state;
	w->stub.flood = 2000;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	close_world();
}

static void a_target_that_somebody_stopped_stays_so(void **state)
{
	(void)state;
	static const char *const stops[] = { "T02thread:01;" };
	struct sonde_event event;

	w->stub.stops = stops;
	w->stub.n_stops = 1;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	assert_int_equal(wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event), 0);
	assert_int_equal(event.kind, SONDE_EVENT_STOP);
	assert_int_equal(event.signal, 2);
	close_world();
	assert_int_equal(w->stub.detached, 0);
	assert_int_equal(w->stub.running, 0);
}

static void resumed_it_comes_to_the_next_one(void **state)
{
	(void)state;
	open_world("");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	assert_int_equal(sonde_target_resume(w->target, &w->err), 0);
	expect_call(1, OPEN);
	close_world();
}

/* With stop=brief it ran already when the breakpoint was set. */
static void a_target_that_runs_comes_to_a_breakpoint(void **state)
{
	(void)state;
	open_world(",stop=brief");
	assert_int_equal(set(OPEN), 0);
	expect_call(0, OPEN);
	expect_call(1, OPEN);
	close_world();
}

static void refuses(const char *words, int got, int want)
{
	if (got != want || !strstr(w->err.text, words))
		fail_msg("got %d '%s', want %d '%s'", got, w->err.text, want, words);
}

static void what_a_stub_cannot_is_told(void **state)
{
	struct sonde_breakpoint odd = { .addr = OPEN, .kind = SONDE_BREAK_WRITE };

	open_world("");
	refuses("kind 2 with 0 bytes", sonde_breakpoint_set(w->target, &odd, &w->err),
		SONDE_E_BAD_ARG);
	odd = (struct sonde_breakpoint){ .addr = OPEN, .kind = 5, .len = 1 };
	refuses("kind 5", sonde_breakpoint_set(w->target, &odd, &w->err), SONDE_E_BAD_ARG);
	close_world();

	tear_down(state), set_up(state);
	w->stub.no_breakpoints = "E22";
	open_world("");
	refuses("does not set it (Z0,ffffffff81000000,1: 'E22')", set(OPEN), SONDE_E_UNSUPPORTED);
	close_world();

	tear_down(state), set_up(state);
	w->stub.no_steps = 1;
	open_world("");
	refuses("vCont;s", set(OPEN), SONDE_E_UNSUPPORTED);
	close_world();

	tear_down(state), set_up(state);
	w->stub.description = NULL;
	open_world("");
	refuses("describe its registers", set(OPEN), SONDE_E_UNSUPPORTED);
	close_world();
}

static void there_is_a_limit_to_breakpoints(void **state)
{
	(void)state;
	int r = 0;

	open_world("");
	for (uint64_t i = 0; i < 256 && r == 0; i++)
		r = set(OPEN + 16 * i);
	assert_int_equal(r, 0);
	refuses("256 breakpoints", set(CLOSE + 1), SONDE_E_LIMIT);
	close_world();
}

/* A connector that has no such slots. */
static void other_targets_tell_no_events(void **state)
{
	(void)state;
	struct sonde_event event;
	struct sonde_space *events;

	assert_int_equal(sonde_loop_create(NULL, &w->loop, &w->err), 0);
	assert_int_equal(sonde_target_open(w->loop, "ram:4096", NULL, &w->target, &w->err), 0);
	refuses("ram: tells no events", set(OPEN), SONDE_E_UNSUPPORTED);
	refuses("ram: tells no events", clear(OPEN), SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_target_events(w->target, &events, &w->err), SONDE_E_UNSUPPORTED);
	assert_int_equal(wait_ms(SONDE_EVENT_NEXT, LATE_MS, &event), SONDE_E_UNSUPPORTED);
	sonde_target_close(w->target);
	sonde_loop_destroy(w->loop);
}

#define WITH_STUB(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STUB(each_call_comes_once_and_in_order),
		WITH_STUB(what_is_removed_is_passed_without_a_step),
		WITH_STUB(memory_is_read_while_nothing_happens),
		WITH_STUB(memory_is_read_between_events),
		WITH_STUB(a_step_that_moves_nothing_is_done_again),
		WITH_STUB(one_instruction_of_one_processor),
		WITH_STUB(a_task_waits_and_is_cancelled),
		WITH_STUB(events_of_other_sizes_are_cut_or_padded),
		WITH_STUB(stubs_that_lie_cost_one_event),
		WITH_STUB(a_flood_of_stops_is_one_stop),
		WITH_STUB(a_target_that_somebody_stopped_stays_so),
		WITH_STUB(resumed_it_comes_to_the_next_one),
		WITH_STUB(a_target_that_runs_comes_to_a_breakpoint),
		WITH_STUB(a_processor_that_cannot_be_chosen_has_no_event),
		WITH_STUB(what_a_stub_cannot_is_told),
		WITH_STUB(there_is_a_limit_to_breakpoints),
		WITH_STUB(other_targets_tell_no_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

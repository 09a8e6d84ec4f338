/* SPDX-License-Identifier: MIT */
/*
 * The gdb connector against a stub of the test's (synth/gdb_stub.h) that is QEMU, gdbserver or kgdb, or broken in one way: what is
 * read must be the stub's memory, what fails must say so, and nothing may hang.
 */
#include "synth/gdb_stub.h"

#include <sonde/sonde.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gdb_xml.h"

/* ---- against a stub --------------------------------------------------------------------------------------- */

struct world {
	struct gdb_stub stub;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
};

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	w = calloc(1, sizeof(*w));
	return w ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(w);
	return 0;
}

/* options: ",timeout=100". */
static int try_open(const char *options, struct sonde_error *err)
{
	struct sonde_target_options how = { .size = sizeof(how), .write = 1 };
	char name[256];

	assert_int_equal(gdb_stub_start(&w->stub), 0);
	assert_int_equal(sonde_loop_create(NULL, &w->loop, err), 0);
	snprintf(name, sizeof(name), "%s%s", w->stub.target, options);
	int r = sonde_target_open(w->loop, name, &how, &w->target, err);
	if (r == 0)
		w->space = sonde_target_memory(w->target);
	return r;
}

static void open_world(const char *options)
{
	struct sonde_error err = { 0 };

	if (try_open(options, &err) < 0)
		fail_msg("%s: %s", options, err.text);
}

static void close_world(void)
{
	sonde_target_close(w->target);
	sonde_loop_destroy(w->loop);
	gdb_stub_stop(&w->stub);
}

static void refuses_to_open(const char *options, int want, const char *words)
{
	struct sonde_error err = { 0 };
	int r = try_open(options, &err);

	if (r != want || !strstr(err.text, words))
		fail_msg("%s: got %d '%s', want %d '%s'", options, r, err.text, want, words);
	sonde_loop_destroy(w->loop);
	gdb_stub_stop(&w->stub);
}

static int get(uint64_t addr, void *buf, size_t len)
{
	return sonde_space_get(w->space, addr, buf, len);
}

/* All of memory in one piece: each byte there came, and the hole hid nothing. */
static void expect_all(void)
{
	static uint8_t bytes[STUB_SIZE];
	struct sonde_xfer x = { .buf = bytes, .len = STUB_SIZE };

	memset(bytes, 0xee, sizeof(bytes));
	sonde_space_read(w->space, &x, 1);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, STUB_HOLE);
	assert_int_equal(x.done, STUB_SIZE - STUB_HOLE_LEN);
	for (size_t i = 0; i < STUB_SIZE; i++) {
		uint8_t want = i / STUB_HOLE_LEN == 3 ? 0 : w->stub.memory[i];
		if (bytes[i] != want)
			fail_msg("byte 0x%zx: got %02x, want %02x", i, bytes[i], want);
	}
}

static void every_kind_of_stub_gives_and_takes_all_bytes(void **state)
{
	(void)state;
	static const unsigned sizes[] = { 0, 0x90, 0x1000, 0x47ff, 0xfffff };

	for (unsigned kind = 0; kind < 32; kind++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint8_t bytes[300];
			tear_down(state), set_up(state);
			w->stub.no_ack = kind & 1;
			w->stub.binary_read = kind >> 1 & 1;
			w->stub.binary_write = kind >> 2 & 1;
			w->stub.runs = kind >> 3 & 1;
			w->stub.slowly = kind >> 4 & (i == 1); /* which takes its time */
			w->stub.packet_size = sizes[i];
			open_world("");
			expect_all();
			for (int k = 0; k < 300; k++)
				bytes[k] = (uint8_t)(k * 7);
			assert_int_equal(sonde_space_put(w->space, 0x4f80, bytes, 300), 0);
			assert_int_equal(sonde_space_put(w->space, 0x2f80, bytes, 300),
					 SONDE_E_NOT_MAPPED);
			assert_memory_equal(w->stub.memory + 0x4f80, bytes, 300);
			assert_memory_equal(w->stub.memory + 0x2f80, bytes, 0x80);
			expect_all();
			close_world();
			if (sizes[i] && w->stub.longest > sizes[i] / 2)
				fail_msg("asked for %u bytes of packets of %u", w->stub.longest,
					 sizes[i]);
			assert_int_equal(w->stub.n_bad, 0);
			assert_int_equal(w->stub.n_unsound, 0);
			assert_true(w->stub.detached);
			assert_true(w->stub.running);
		}
	}
}

/* What a packet holds of a page is asked for once; what lies apart is not bridged. */
static void neighbours_share_a_packet(void **state)
{
	(void)state;
	uint64_t values[64];
	struct sonde_xfer x[64];

	w->stub.packet_size = 0x1000;
	w->stub.no_ack = 1;
	open_world("");
	for (int i = 0; i < 64; i++) /* 32 of a page, backwards, and 32 of another, touching */
		x[i] = (struct sonde_xfer){ .addr = i < 32 ? (uint64_t)0x1000 + (31 - i) * 64
							   : (uint64_t)0x5000 + (i - 32) * 8,
					    .buf = &values[i],
					    .len = 8 };
	assert_int_equal(sonde_space_read(w->space, x, 64), 64);
	for (int i = 0; i < 64; i++)
		assert_memory_equal(&values[i], w->stub.memory + x[i].addr, 8);
	close_world();
	assert_int_equal(w->stub.n_memory, 2);
}

static void packets_are_on_their_way_together_where_the_stub_agrees(void **state)
{
	(void)state;
	static const struct {
		int no_ack, qemu;
		const char *options;
		int together;
	} cases[] = {
		{ 0, 0, "", 0 }, { 1, 0, "", 1 }, { 0, 1, ",ram=0+64k", 1 }, { 1, 0, ",depth=1", 0 }
	};

	for (size_t i = 0; i < 4; i++) {
		tear_down(state), set_up(state);
		w->stub.no_ack = cases[i].no_ack;
		w->stub.qemu = cases[i].qemu;
		w->stub.packet_size = 0x200;
		open_world(cases[i].options);
		expect_all();
		close_world();
		if ((w->stub.most_together > 4) != cases[i].together || w->stub.most_together < 1)
			fail_msg("case %zu: %u together", i, w->stub.most_together);
	}
}

static void one_missing_page_is_found_by_halving(void **state)
{
	(void)state;
	w->stub.packet_size = 0x4000; /* two pages an answer */
	open_world("");
	expect_all();
	close_world();
	/* 2-3 is refused, and 3 again: 8 pairs and 2 more. */
	assert_int_equal(w->stub.n_memory, 10);
	assert_int_equal(w->stub.n_hole, 2);
}

/* ---- faults ----------------------------------------------------------------------------------------------- */

static void faults_that_pass_are_not_seen(void **state)
{
	(void)state;
	static const enum stub_fault faults[] = { STUB_REFUSES_CHECKSUM, STUB_DAMAGES,
						  STUB_CUTS_OFF, STUB_SAYS_LITTLE };

	for (int kind = 0; kind < 3; kind++) { /* acknowledging, not, and QEMU */
		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
			if (kind && faults[i] == STUB_REFUSES_CHECKSUM)
				continue; /* nothing is refused where nothing is acknowledged */
			tear_down(state), set_up(state);
			w->stub.no_ack = kind == 1;
			w->stub.qemu = kind == 2;
			w->stub.packet_size = 0x400;
			w->stub.fault = faults[i];
			w->stub.from = 3;
			w->stub.times = 2;
			open_world(kind == 2 ? ",ram=0+64k" : "");
			expect_all();
			expect_all();
			close_world();
			assert_true(w->stub.detached);
		}
	}
}

static void lies_fail_their_own_bytes_and_no_others(void **state)
{
	(void)state;
	static const enum stub_fault faults[] = { STUB_SAYS_TOO_MUCH, STUB_SAYS_NO_HEX,
						  STUB_SAYS_ODD, STUB_SAYS_NOTHING };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		uint8_t bytes[0x800];
		struct sonde_xfer x = { .addr = 0x4000, .buf = bytes, .len = sizeof(bytes) };
		tear_down(state), set_up(state);
		w->stub.packet_size = 0x400; /* 512 bytes a packet */
		w->stub.fault = faults[i];
		w->stub.from = 1;
		w->stub.times = 1;
		open_world("");
		sonde_space_read(w->space, &x, 1);
		assert_int_equal(x.err,
				 faults[i] == STUB_SAYS_NOTHING ? SONDE_E_UNSUPPORTED : SONDE_E_IO);
		assert_int_equal(x.err_off, 0x200);
		assert_int_equal(x.done, 0x600);
		memset(w->stub.memory + 0x4200, 0, 0x200);
		assert_memory_equal(bytes, w->stub.memory + 0x4000, sizeof(bytes));
		close_world();
	}
}

static void a_link_that_breaks_fails_all_that_was_asked(void **state)
{
	(void)state;
	static const struct {
		enum stub_fault fault;
		int32_t want;
	} cases[] = { { STUB_HANGS_UP, SONDE_E_GONE },
		      { STUB_STALLS, SONDE_E_TIMED_OUT },
		      { STUB_DRIPS, SONDE_E_TIMED_OUT },
		      { STUB_DAMAGES, SONDE_E_IO },
		      { STUB_REFUSES_CHECKSUM, SONDE_E_IO } };

	for (int no_ack = 0; no_ack < 2; no_ack++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) - (size_t)no_ack; i++) {
			static uint8_t bytes[STUB_SIZE];
			struct sonde_xfer x[2] = {
				{ .addr = 0x4000, .buf = bytes, .len = 0x4000 },
				{ .addr = 0x8000, .buf = bytes + 0x8000, .len = 0x4000 },
			};
			struct sonde_cpu cpu;
			tear_down(state), set_up(state);
			w->stub.no_ack = no_ack;
			w->stub.packet_size = 0x400;
			w->stub.fault = cases[i].fault;
			w->stub.from = 5;
			open_world(cases[i].want == SONDE_E_TIMED_OUT ? ",timeout=400" : "");
			sonde_space_read(w->space, x, 2);
			if (x[0].err != cases[i].want || x[1].err != cases[i].want)
				fail_msg("case %zu: %d and %d", i, x[0].err, x[1].err);
			assert_in_range(x[0].done, 0, 5 * 0x200);
			assert_int_equal(bytes[0x3fff], 0);
			/* Nothing that comes later waits for anything. */
			assert_int_equal(get(0x4000, bytes, 8), cases[i].want);
			assert_int_not_equal(sonde_target_cpu(w->target, 0, &cpu), 0);
			close_world();
		}
	}
}

static void finished(struct sonde_io *io)
{
	*(int *)io->user += 1;
}

/* The stub is slower than one request wants to wait, and the link outlives it. */
static void a_request_may_end_before_its_answer(void **state)
{
	(void)state;
	uint8_t bytes[0x100] = { 0 };
	struct sonde_xfer x = { .addr = 0x5000, .buf = bytes, .len = sizeof(bytes) };
	int n_done = 0;
	struct sonde_io io = { .xfers = &x, .n = 1, .done = finished, .user = &n_done };

	w->stub.fault = STUB_STALLS;
	w->stub.times = 1;
	open_world(",timeout=60000");
	io.deadline_ns = sonde_now_ns() + 50000000;
	assert_int_equal(sonde_io_submit(w->space, &io), 0);
	while (!n_done)
		sonde_loop_wait(w->loop, UINT64_MAX);
	assert_int_equal(io.result, SONDE_E_TIMED_OUT);
	assert_int_equal(x.err, SONDE_E_TIMED_OUT);

	io.deadline_ns = 0;
	assert_int_equal(sonde_io_submit(w->space, &io), 0);
	assert_int_equal(sonde_io_cancel(&io), 1);
	while (n_done < 2)
		sonde_loop_wait(w->loop, UINT64_MAX);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
	/* The stub is cut off before the target is closed, which would wait for its answer. */
	shutdown(w->stub.client, SHUT_RDWR);
	close_world();
}

/* What it waits for ends where all addresses do; the other one says when both are on their way. */
static void a_request_for_the_last_bytes_can_be_cancelled(void **state)
{
	(void)state;
	uint8_t bytes[2][0x100];
	struct sonde_xfer x[2] = {
		{ .addr = UINT64_MAX - 0xff, .buf = bytes[0], .len = 0x100 },
		{ .addr = 0x5000, .buf = bytes[1], .len = 0x100 },
	};
	int n_done = 0;
	struct sonde_io ios[2] = {
		{ .xfers = &x[0], .n = 1, .done = finished, .user = &n_done },
		{ .xfers = &x[1], .n = 1, .done = finished, .user = &n_done },
	};

	w->stub.no_ack = 1;
	w->stub.fault = STUB_STALLS;
	open_world(",timeout=20000");
	ios[1].deadline_ns = sonde_now_ns() + 50000000;
	assert_int_equal(sonde_io_submit(w->space, &ios[0]), 0);
	assert_int_equal(sonde_io_submit(w->space, &ios[1]), 0);
	while (!n_done)
		sonde_loop_wait(w->loop, UINT64_MAX);
	assert_int_equal(sonde_io_cancel(&ios[0]), 1);
	while (n_done < 2)
		sonde_loop_wait(w->loop, UINT64_MAX);
	assert_int_equal(x[0].err, SONDE_E_CANCELLED);
	/* The link had not to break for it. */
	shutdown(w->stub.client, SHUT_RDWR);
	assert_int_equal(get(0x4000, bytes[0], 8), SONDE_E_GONE);
	close_world();
}

static void more_requests_than_there_is_room_for_all_come_home(void **state)
{
	(void)state;
	enum { N = 1000 };
	static struct sonde_io ios[N];
	static struct sonde_xfer x[N];
	static uint64_t values[N];
	int n_done = 0;

	w->stub.no_ack = 1;
	open_world("");
	for (int i = 0; i < N; i++) {
		x[i] = (struct sonde_xfer){ .addr = 0x4000 + (uint64_t)i * 40,
					    .buf = &values[i],
					    .len = 8 };
		ios[i] = (struct sonde_io){
			.xfers = &x[i], .n = 1, .done = finished, .user = &n_done
		};
		assert_int_equal(sonde_io_submit(w->space, &ios[i]), 0);
	}
	while (n_done < N)
		sonde_loop_wait(w->loop, UINT64_MAX);
	for (int i = 0; i < N; i++)
		assert_memory_equal(&values[i], w->stub.memory + x[i].addr, 8);
	close_world();
}

/* ---- QEMU ---------------------------------------------------------------------------------------------------- */

#define MTREE                                                                                      \
	"FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"                 \
	"  0000000000000000-0000000000001fff (prio 0, ram): ram\n"                                 \
	"  0000000000004000-0000000000007fff (prio 0, ram): ram @0000000000004000\n"               \
	"  0000000000008000-0000000000008fff (prio 0, i/o): clock\n"                               \
	"  000000000000f000-000000000000ffff (prio 0, rom): bios\n"
#define RIP                                                                                        \
	"RIP=0000000000000010 RFL=00000246\nGDT=     fffffe0000001000 0000007f\nIDT=     "         \
	"fffffe0000000000 00000fff\n"

static void only_memory_is_asked_for(void **state)
{
	(void)state;
	uint8_t bytes[0x100];

	w->stub.qemu = 1;
	w->stub.packet_size = 0x1000;
	w->stub.monitor_mtree = MTREE;
	open_world("");
	assert_true(w->stub.physical);
	assert_int_equal(get(0x1f80, bytes, 0x80), 0);
	assert_int_equal(get(0xf000, bytes, 0x100), 0);
	assert_int_equal(get(0x2000, bytes, 0x100), SONDE_E_NOT_MAPPED);
	assert_int_equal(get(0x8000, bytes, 0x100), SONDE_E_NOT_MAPPED);
	assert_int_equal(get(UINT64_MAX - 3, bytes, 0x100), SONDE_E_NOT_MAPPED);
	close_world();
	assert_int_equal(w->stub.n_memory, 2);
	assert_false(w->stub.physical);
	assert_int_equal(w->stub.n_unsound, 0);
}

static void memory_that_is_not_known_is_refused_with_the_remedy(void **state)
{
	w->stub.qemu = 1;
	refuses_to_open("", SONDE_E_UNSUPPORTED, "say ram=ADDR+LEN;...");
	assert_true(w->stub.detached);
	assert_false(w->stub.physical);
	tear_down(state), set_up(state);
	w->stub.qemu = 1;
	w->stub.memory_map =
		"<memory-map><memory type='ram' start='0' length='0x1000'/></memory-map>";
	uint8_t byte;
	open_world("");
	assert_int_equal(get(0xfff, &byte, 1), 0);
	assert_int_equal(get(0x1000, &byte, 1), SONDE_E_NOT_MAPPED);
	close_world();
}

static void processors_are_read_by_the_description_and_the_monitor(void **state)
{
	(void)state;
	struct sonde_cpu cpu = { 0 };
	struct sonde_target_info info;

	w->stub.qemu = 1;
	w->stub.description = QEMU_TARGET;
	w->stub.included = "<feature name='x'>" REG("cr0", "") REG("cr2", "") REG("cr3", "")
		REG("cr4", "") "</feature>";
	w->stub.registers = "3300058000000000"
			    "0000000000000000"
			    "0020000000000000"
			    "f006000000000000";
	w->stub.monitor_mtree = MTREE;
	w->stub.monitor_registers = RIP;
	open_world("");
	sonde_target_info(w->target, &info);
	assert_int_equal(info.arch, SONDE_ARCH_X86_64);
	assert_int_equal(info.n_cpus, 2);
	assert_true(info.flags & SONDE_TARGET_PHYSICAL);
	assert_int_equal(sonde_target_cpu(w->target, 1, &cpu), 0);
	assert_int_equal(cpu.valid, SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
	assert_int_equal(cpu.cr[0], 0x80050033);
	assert_int_equal(cpu.cr[3], 0x2000);
	assert_int_equal(cpu.cr[4], 0x6f0);
	assert_true(cpu.idt_base == UINT64_C(0xfffffe0000000000));
	assert_int_equal(sonde_target_cpu(w->target, 2, &cpu), SONDE_E_NOT_FOUND);
	close_world();
}

/* As QEMU describes them: behind what "g" answers, by names that lack the level, and with strangers between. */
#define ARM_REG(name) "<reg name='" name "' bitsize='64' group='cp_regs'/>"
#define ARM_TARGET                                                                                 \
	XML("<architecture>aarch64</architecture><xi:include href='system-registers.xml'/>" REG(   \
		"x0", ""))
#define ARM_SYSTEM                                                                                 \
	"<feature name='org.qemu.gdb.arm.sys.regs'><reg name='SCTLR' bitsize='64' "                \
	"regnum='70'/>" ARM_REG("TTBR0_EL1") ARM_REG("DBGBVR") ARM_REG("TTBR1_EL1")                \
		ARM_REG("TCR_EL1") ARM_REG("MAIR_EL1") ARM_REG("VBAR") "</feature>"

static const char *const arm_apart[] = {
	"1dd9f43400000000", "0070004200000000", "0000000000000000", "00f0584100000200",
	"103550b574005000", "ffff440004000000", "0008a12d36dcffff",
};

static void open_arm_as(const char *target, const char *registers, const char *const *apart)
{
	w->stub.qemu = 1;
	w->stub.description = target;
	w->stub.included = ARM_SYSTEM;
	w->stub.registers = registers;
	w->stub.apart = apart;
	w->stub.first_apart = 70;
	w->stub.n_apart = sizeof(arm_apart) / sizeof(arm_apart[0]);
	w->stub.monitor_mtree = MTREE;
	open_world("");
}

static void open_arm(const char *const *apart)
{
	open_arm_as(ARM_TARGET, "0500000000000000", apart);
}

static void system_registers_of_aarch64_are_asked_for_one_by_one(void **state)
{
	(void)state;
	struct sonde_cpu cpu = { 0 };

	open_arm(arm_apart);
	assert_int_equal(sonde_target_cpu(w->target, 1, &cpu), 0);
	close_world();
	assert_int_equal(cpu.arch, SONDE_ARCH_AARCH64);
	assert_int_equal(cpu.valid, SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
	assert_int_equal(cpu.general[0], 5);
	assert_true(cpu.cr[SONDE_CR_SCTLR_EL1] == 0x34f4d91d);
	assert_true(cpu.cr[SONDE_CR_TTBR0_EL1] == 0x42007000);
	assert_true(cpu.cr[SONDE_CR_TTBR1_EL1] == UINT64_C(0x000200004158f000));
	assert_true(cpu.cr[SONDE_CR_TCR_EL1] == UINT64_C(0x00500074b5503510));
	assert_true(cpu.cr[SONDE_CR_MAIR_EL1] == UINT64_C(0x000000040044ffff));
	assert_true(cpu.idt_base == UINT64_C(0xffffdc362da10800));
	assert_int_equal(w->stub.n_apart_asked, 6); /* and no stranger */
}

/* The note behind cpu is of the same moment, and costs no packet; the next one is asked for anew, and so is another's. */
static void the_note_of_upper_registers_goes_with_what_was_told(void **state)
{
	enum { ALL = 31 };
	static const char want[] = "x16=10 x17=11 x18=12 x19=13 ";
	static const struct {
		const char *note;
		unsigned n_asked;
	} steps[] = { { "SONDE_REGISTERS:1", 6 },
		      { "SONDE_REGISTERS:1", 12 },
		      { "SONDE_REGISTERS:0", 18 } };
	char target[4096], registers[16 * ALL + 1], text[512];
	struct sonde_cpu cpu = { 0 };
	size_t at = 0;

	(void)state;
	at += (size_t)sprintf(target,
			      "<?xml version='1.0'?><target><architecture>aarch64</architecture>"
			      "<xi:include href='system-registers.xml'/>");
	for (int i = 0; i < ALL; i++) {
		at += (size_t)sprintf(target + at, "<reg name='x%d' bitsize='64'/>", i);
		sprintf(registers + 16 * i, "%02x00000000000000", i);
	}
	sprintf(target + at, "</target>");
	open_arm_as(target, registers, arm_apart);
	assert_int_equal(sonde_target_cpu(w->target, 1, &cpu), 0);
	assert_int_equal(w->stub.n_apart_asked, 6);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int64_t len = sonde_target_note(w->target, steps[i].note, text, sizeof(text));
		assert_true(len > (int64_t)sizeof(want));
		assert_memory_equal(text, want, sizeof(want) - 1);
		assert_int_equal(w->stub.n_apart_asked, steps[i].n_asked);
	}
	assert_int_equal(sonde_target_note(w->target, "SONDE_REGISTERS:9", NULL, 0),
			 SONDE_E_NOT_FOUND);
	close_world();
}

/* One that is refused, cut, too long, no hex, not known or nothing: the others come, and their group is not whole. */
static void a_system_register_that_does_not_come_costs_its_group(void **state)
{
	static const char *const lies[] = {
		NULL, "00f05841", "00f058410000020000", "00f05841zz000200", "xxxxxxxxxxxxxxxx", ""
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const char *apart[sizeof(arm_apart) / sizeof(arm_apart[0])];
		struct sonde_cpu cpu = { 0 };
		tear_down(state), set_up(state);
		memcpy(apart, arm_apart, sizeof(apart));
		apart[3] = lies[i];
		open_arm(apart);
		assert_int_equal(sonde_target_cpu(w->target, 0, &cpu), 0);
		close_world();
		assert_int_equal(cpu.valid, SONDE_CPU_TABLES);
		assert_true(cpu.cr[SONDE_CR_TTBR1_EL1] == 0);
		assert_true(cpu.cr[SONDE_CR_TTBR0_EL1] == 0x42007000);
	}
}

static void system_registers_of_riscv64_are_known_by_their_names(void **state)
{
	(void)state;
	static const char *const apart[] = {
		"2000000002000000", "4012a880ffffffff", NULL,
		"d45ba780ffffffff", "0500000000000080", "0000000000000000",
		"028b0800001000a0"
	};
	struct sonde_cpu cpu = { 0 };

	w->stub.qemu = 1;
	w->stub.description =
		XML("<architecture>riscv:rv64</architecture><xi:include href='riscv-csr.xml'/>" REG(
			"zero", ""));
	w->stub.included = "<feature name='org.gnu.gdb.riscv.csr'>" REG("sstatus", " regnum='322'")
		REG("stvec", "") REG("scounteren", "") REG("sepc", "") REG("scause", "")
			REG("stval", "") REG("satp", "") "</feature>";
	w->stub.registers = "0000000000000000";
	w->stub.apart = apart;
	w->stub.first_apart = 322;
	w->stub.n_apart = 7;
	w->stub.monitor_mtree = MTREE;
	open_world("");
	assert_int_equal(sonde_target_cpu(w->target, 0, &cpu), 0);
	close_world();
	assert_int_equal(cpu.valid, SONDE_CPU_CONTROL | SONDE_CPU_TABLES);
	assert_true(cpu.cr[SONDE_CR_SATP] == UINT64_C(0xa000100000088b02));
	assert_true(cpu.cr[SONDE_CR_SSTATUS] == UINT64_C(0x0000000200000020));
	assert_true(cpu.cr[SONDE_CR_SCAUSE] == UINT64_C(0x8000000000000005));
	assert_true(cpu.cr[SONDE_CR_SEPC] == UINT64_C(0xffffffff80a75bd4));
	assert_true(cpu.idt_base == UINT64_C(0xffffffff80a81240));
}

/* A client that was there before has asked for that. */
static void threads_may_be_named_with_their_process(void **state)
{
	static const struct {
		const char *threads;
		uint32_t n; /* a stub has one thread at least */
	} cases[] = {
		{ "mp01.01,p01.0a,p2.1", 3 },
		{ "mp01.01,2,p01.", 2 },
		{ "mp01", 1 },
		{ "mp.1", 1 },
		{ "mp1.", 1 },
		{ "mp1:1", 1 },
		{ "mp", 1 },
		{ "m", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_target_info info;
		tear_down(state), set_up(state);
		w->stub.description = XML(REG("x0", ""));
		w->stub.threads = cases[i].threads;
		open_world("");
		sonde_target_info(w->target, &info);
		close_world();
		if (info.n_cpus != cases[i].n)
			fail_msg("'%s': %u", cases[i].threads, info.n_cpus);
	}
}

static void a_broken_description_costs_the_registers_only(void **state)
{
	(void)state;
	struct sonde_cpu cpu;
	struct sonde_target_info info;

	w->stub.description = "<target><reg name='a'></target>";
	open_world("");
	sonde_target_info(w->target, &info);
	assert_int_equal(info.n_cpus, 0);
	assert_int_equal(sonde_target_cpu(w->target, 0, &cpu), SONDE_E_UNSUPPORTED);
	expect_all();
	close_world();
}

/* ---- whether it runs ------------------------------------------------------------------------------------------- */

static void a_target_goes_on_when_it_is_closed(void **state)
{
	(void)state;
	static const struct {
		const char *options, *detach;
		int detached, running;
		unsigned continued;
	} cases[] = { { "", NULL, 1, 1, 0 },
		      { "", "", 1, 1, 1 }, /* D is not known */
		      { "", "E01", 1, 1, 1 },
		      { ",leave=stopped", NULL, 0, 0, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tear_down(state), set_up(state);
		w->stub.detach = cases[i].detach;
		open_world(cases[i].options);
		expect_all();
		close_world();
		if (w->stub.detached != cases[i].detached || w->stub.running != cases[i].running ||
		    w->stub.n_continued != cases[i].continued)
			fail_msg("case %zu: detached %d, running %d, continued %u", i,
				 w->stub.detached, w->stub.running, w->stub.n_continued);
	}
}

static void it_stops_for_as_long_as_it_is_asked(void **state)
{
	(void)state;
	struct sonde_error err;

	open_world(",stop=brief");
	for (int i = 0; i < 3; i++) {
		usleep(60000); /* longer than it lingers */
		expect_all();
	}
	assert_int_equal(sonde_target_pause(w->target, &err), 0);
	unsigned n = w->stub.n_continued;
	usleep(60000);
	assert_int_equal(w->stub.n_continued, n);
	assert_int_equal(sonde_target_resume(w->target, &err), 0);
	usleep(60000);
	expect_all();
	close_world();
	assert_in_range(w->stub.n_continued, 4, 8);
	assert_in_range(w->stub.n_interrupted, w->stub.n_continued - 1, w->stub.n_continued);
	assert_int_equal(w->stub.n_unsound, 0);
	assert_true(w->stub.running);
}

static void it_never_stops_where_the_stub_can_do_that(void **state)
{
	struct sonde_error err;

	w->stub.nonstop = 1;
	w->stub.no_ack = 1;
	open_world(",stop=off");
	expect_all();
	assert_int_equal(sonde_target_pause(w->target, &err), SONDE_E_UNSUPPORTED);
	close_world();
	assert_int_equal(w->stub.n_interrupted, 0);
	tear_down(state), set_up(state);
	refuses_to_open(",stop=off", SONDE_E_UNSUPPORTED, "use stop=brief");
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void what_is_no_stub_is_refused_in_time(void **state)
{
	w->stub.mute = 1;
	refuses_to_open(",timeout=100", SONDE_E_TIMED_OUT, "serves one debugger at a time");
	tear_down(state), set_up(state);
	w->stub.mute = 1;
	w->stub.greeting = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	refuses_to_open(",timeout=100", SONDE_E_TIMED_OUT, "no answer");
	tear_down(state), set_up(state);
	w->stub.greeting = "$W00#b7";
	refuses_to_open("", SONDE_E_GONE, "the target has ended");
}

static void arguments_are_checked_before_anybody_is_disturbed(void **state)
{
	static const struct {
		const char *options, *words;
	} cases[] = { { ",stop=maybe", "on|brief|off" },
		      { ",leave=0", "running|stopped" },
		      { ",memory=real", "auto|physical|virtual" },
		      { ",timeout=0", "must be 1 .." },
		      { ",depth=65", "must be 1 .. 64" },
		      { ",ram=1", "is not ADDR+LEN" },
		      { ",timeout=x", "timeout" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tear_down(state), set_up(state);
		refuses_to_open(cases[i].options, SONDE_E_BAD_ARG, cases[i].words);
	}
}

static void expect_refused(const char *name, int want, const char *words)
{
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err = { 0 };

	assert_int_equal(sonde_loop_create(NULL, &loop, &err), 0);
	int r = sonde_target_open(loop, name, NULL, &target, &err);
	if (r != want || !strstr(err.text, words))
		fail_msg("%s: got %d '%s', want %d '%s'", name, r, err.text, want, words);
	sonde_loop_destroy(loop);
}

static void addresses_that_cannot_be_reached_say_why(void **state)
{
	(void)state;
	expect_refused("gdb:", SONDE_E_BAD_ARG, "which stub?");
	expect_refused("gdb:nowhere", SONDE_E_BAD_ARG, "write gdb:HOST:PORT");
	expect_refused("gdb:host:99x", SONDE_E_BAD_ARG, "write gdb:HOST:PORT");
	expect_refused("gdb:127.0.0.1:65537", SONDE_E_BAD_ARG, "write gdb:HOST:PORT");
	expect_refused("gdb:127.0.0.1:1", SONDE_E_GONE, "nobody listens there");
	expect_refused("gdb:[::1]:1", SONDE_E_GONE, "nobody listens there");
	expect_refused("gdb:unix:/nowhere/at/all", SONDE_E_NOT_FOUND, "No such file");
	expect_refused("gdb:qemu:no-such-guest-anywhere", SONDE_E_NOT_FOUND,
		       "no-such-guest-anywhere");
}

static int count(void *user, const struct sonde_region *region)
{
	*(uint64_t *)user = *(uint64_t *)user * 1000 + region->len / 4096;
	return 0;
}

static void mappings_of_a_process_come_from_its_machine(void **state)
{
	(void)state;
	struct sonde_target_info info;
	uint64_t lens = 0;

	w->stub.maps = "1000-3000 r--p 00000000 08:01 7 /bin/a\nnonsense\n4000-9000 rw-p 00000000 "
		       "00:00 0\n";
	w->stub.packet_size = 0x90;
	open_world("");
	sonde_target_info(w->target, &info);
	assert_int_equal(info.flags,
			 SONDE_TARGET_LIVE | SONDE_TARGET_PROCESS | SONDE_TARGET_WRITABLE);
	assert_int_equal(sonde_space_regions(w->space, count, &lens), 0);
	assert_int_equal(lens, 2005);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_STUB(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		WITH_STUB(every_kind_of_stub_gives_and_takes_all_bytes),
		WITH_STUB(neighbours_share_a_packet),
		WITH_STUB(packets_are_on_their_way_together_where_the_stub_agrees),
		WITH_STUB(one_missing_page_is_found_by_halving),
		WITH_STUB(faults_that_pass_are_not_seen),
		WITH_STUB(lies_fail_their_own_bytes_and_no_others),
		WITH_STUB(a_link_that_breaks_fails_all_that_was_asked),
		WITH_STUB(a_request_may_end_before_its_answer),
		WITH_STUB(a_request_for_the_last_bytes_can_be_cancelled),
		WITH_STUB(more_requests_than_there_is_room_for_all_come_home),
		WITH_STUB(only_memory_is_asked_for),
		WITH_STUB(memory_that_is_not_known_is_refused_with_the_remedy),
		WITH_STUB(processors_are_read_by_the_description_and_the_monitor),
		WITH_STUB(system_registers_of_aarch64_are_asked_for_one_by_one),
		WITH_STUB(the_note_of_upper_registers_goes_with_what_was_told),
		WITH_STUB(a_system_register_that_does_not_come_costs_its_group),
		WITH_STUB(system_registers_of_riscv64_are_known_by_their_names),
		WITH_STUB(threads_may_be_named_with_their_process),
		WITH_STUB(a_broken_description_costs_the_registers_only),
		WITH_STUB(a_target_goes_on_when_it_is_closed),
		WITH_STUB(it_stops_for_as_long_as_it_is_asked),
		WITH_STUB(it_never_stops_where_the_stub_can_do_that),
		WITH_STUB(what_is_no_stub_is_refused_in_time),
		WITH_STUB(arguments_are_checked_before_anybody_is_disturbed),
		WITH_STUB(addresses_that_cannot_be_reached_say_why),
		WITH_STUB(mappings_of_a_process_come_from_its_machine),
	};

	alarm(100); /* whatever hangs is found */
	return cmocka_run_group_tests_name("gdb", tests, NULL, NULL);
}

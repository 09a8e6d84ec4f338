/* SPDX-License-Identifier: MIT */
/*
 * ELF cores, whole and broken: what the parser believes, and through the connector what is
 * read where. Every image is built here from a table.
 */
#include "../../connectors/elfcore/elf_core.h"
#include "../../connectors/elfcore/elf_process.h"
#include "synth/elf.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { X86_64 = 62, AARCH64 = 183, RISCV = 243, I386 = 3, PPC64 = 21 };

static int parse(struct elf_core *core, const uint8_t *bytes, size_t size, const char **why)
{
	struct synth_image image = { bytes, size };

	*why = "";
	return elf_core_read(core, synth_image_read, &image, size, why);
}

/* ---- the parser ---- */

static void segments_of_both_classes_and_byte_orders(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x200, 0x11000, 0x1000, 0x100, 0x200, 6, 0 },
		{ SYNTH_LOAD, 0x300, 0x12000, 0x9000, 0x80, 0x80, 5, 0 },
	};

	for (int kind = 0; kind < 4; kind++) {
		uint8_t bytes[0x400];
		struct elf_core core;
		const char *why;
		synth_elf(bytes, sizeof(bytes),
			  &(struct synth_elf){ .is_32 = kind & 1,
					       .is_big = kind >> 1,
					       .machine = PPC64,
					       .segments = segments,
					       .n_segments = 2 });
		assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
		assert_int_equal(core.word, kind & 1 ? 4 : 8);
		assert_int_equal(core.machine, PPC64);
		assert_false(core.by_vaddr);
		assert_int_equal(core.n_segments, 2);
		assert_int_equal(core.segments[0].paddr, 0x1000);
		assert_int_equal(core.segments[0].vaddr, 0x11000);
		assert_int_equal(core.segments[0].off, 0x200);
		assert_int_equal(core.segments[0].filesz, 0x100);
		assert_int_equal(core.segments[0].memsz, 0x200);
		assert_int_equal(core.segments[0].flags, 6);
		assert_int_equal(core.segments[1].paddr, 0x9000);
		elf_core_finish(&core);
	}
}

static void headers_may_lie_anywhere_and_be_wider(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x380, 0, 0x1000, 0x10, 0x10, 6, 0 },
		{ SYNTH_LOAD, 0x390, 0, 0x2000, 0x10, 0x10, 6, 0 },
	};
	uint8_t bytes[0x400];
	struct elf_core core;
	const char *why;

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64,
				       .phoff = 192,
				       .phentsize = 80,
				       .segments = segments,
				       .n_segments = 2 });
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(core.n_segments, 2);
	assert_int_equal(core.segments[1].off, 0x390);
	elf_core_finish(&core);
}

static void a_count_above_65534_stands_in_section_zero(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x380, 0, 0x1000, 0x10, 0x10, 6, 0 },
	};
	uint8_t bytes[0x400];
	struct elf_core core;
	const char *why;

	for (int is_32 = 0; is_32 < 2; is_32++) {
		synth_elf(bytes, sizeof(bytes),
			  &(struct synth_elf){ .is_32 = is_32,
					       .machine = X86_64,
					       .phnum_in_section = 1,
					       .shoff = 0x100,
					       .segments = segments,
					       .n_segments = 1 });
		assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
		assert_int_equal(core.n_segments, 1);
		elf_core_finish(&core);
	}
	/* Section 0 is not there. */
	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64,
				       .phnum_in_section = 1,
				       .shoff = UINT64_MAX - 8,
				       .segments = segments,
				       .n_segments = 1 });
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), SONDE_E_TRUNCATED);
	elf_core_finish(&core);
}

static void millions_of_headers_are_bounded(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x380, 0, 0x1000, 0x10, 0x10, 6, 0 },
	};
	uint8_t bytes[0x400];
	struct elf_core core;
	const char *why;
	struct synth_elf spec = { .machine = X86_64,
				  .phnum_in_section = 1,
				  .shoff = 0x100,
				  .segments = segments,
				  .n_segments = 1 };

	spec.phnum = ELF_SEGMENTS_MAX + 1;
	synth_elf(bytes, sizeof(bytes), &spec);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), SONDE_E_LIMIT);
	elf_core_finish(&core);
	/* Within the bound, but not in the file: what is there counts, the rest is known to be cut.
	 */
	spec.phnum = ELF_SEGMENTS_MAX;
	synth_elf(bytes, sizeof(bytes), &spec);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(core.n_segments, 1);
	assert_int_equal(core.n_cut, ELF_SEGMENTS_MAX - (sizeof(bytes) - 64) / 56);
	elf_core_finish(&core);
}

static void a_segment_that_wraps_is_refused_alone(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x380, 0, UINT64_MAX - 15, 0x10, 0x11, 6, 0 },
		{ SYNTH_LOAD, 0x380, 0, UINT64_MAX - 15, 0x10, 0x10, 6, 0 },
		{ SYNTH_LOAD, 0x380, UINT64_MAX, 0x5000, 0x10, 0x10, 6, 0 },
		{ SYNTH_LOAD, 0x390, 0, 1, UINT64_MAX, 0, 6, 0 },
		{ SYNTH_LOAD, 0x390, 0, 2, UINT64_MAX, 0, 6, 0 },
	};
	uint8_t bytes[0x400];
	struct elf_core core;
	const char *why;

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 5 });
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(core.n_segments, 3);
	assert_int_equal(core.n_refused, 2);
	assert_int_equal(core.segments[0].memsz, 0x10);
	assert_int_equal(core.segments[1].paddr, 0x5000);
	assert_int_equal(core.segments[2].paddr, 1);
	elf_core_finish(&core);
}

static const struct {
	const char *what;
	struct synth_elf spec;
	int at, byte; /* one byte to break; at < 0 none */
	int want;
	const char *why;
} broken[] = {
	{ "magic", { .n_segments = 1 }, 1, 'X', SONDE_E_BAD_FORMAT, "not an ELF file" },
	{ "class", { .n_segments = 1 }, 4, 3, SONDE_E_BAD_FORMAT, "ELF class" },
	{ "order", { .n_segments = 1 }, 5, 0, SONDE_E_BAD_FORMAT, "byte order" },
	{ "version", { .n_segments = 1 }, 6, 9, SONDE_E_BAD_FORMAT, "ELF version" },
	{ "program", { .type = 2, .n_segments = 1 }, -1, 0, SONDE_E_BAD_FORMAT, "no core" },
	{ "no headers", { .n_segments = 0 }, -1, 0, SONDE_E_BAD_FORMAT, "no program headers" },
	{ "narrow",
	  { .phentsize = 55, .n_segments = 1 },
	  -1,
	  0,
	  SONDE_E_BAD_FORMAT,
	  "no size they could have" },
	{ "sparse",
	  { .phentsize = 1025, .n_segments = 1 },
	  -1,
	  0,
	  SONDE_E_BAD_FORMAT,
	  "no size they could have" },
	{ "far",
	  { .phoff = UINT64_MAX - 99, .n_segments = 1 },
	  -1,
	  0,
	  SONDE_E_TRUNCATED,
	  "ends before" },
	{ "at end",
	  { .phoff = 0x400 - 55, .n_segments = 1 },
	  -1,
	  0,
	  SONDE_E_TRUNCATED,
	  "first program" },
};

static void broken_headers_are_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct synth_segment segment = {
		SYNTH_LOAD, 0x380, 0, 0x1000, 0x10, 0x10, 6, 0
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		uint8_t bytes[0x400];
		struct synth_elf spec = broken[i].spec;
		struct elf_core core;
		const char *why;
		spec.segments = &segment;
		synth_elf(bytes, sizeof(bytes), &spec);
		if (broken[i].at >= 0)
			bytes[broken[i].at] = (uint8_t)broken[i].byte;
		int r = parse(&core, bytes, sizeof(bytes), &why);
		if (r != broken[i].want || !strstr(why, broken[i].why))
			fail_msg("%s: got %d '%s', want %d '%s'", broken[i].what, r, why,
				 broken[i].want, broken[i].why);
		elf_core_finish(&core);
	}
}

/* ---- notes and processors ---- */

/* A QEMU-like core: one note segment at 0x200, RAM at physical 0 from 0x800 on. */
static const struct synth_segment machine_segments[] = {
	{ SYNTH_NOTE, 0x200, 0, 0, 0x600, 0, 0, 0 },
	{ SYNTH_LOAD, 0x800, 0, 0, 0x100, 0x100, 6, 0 },
};

static void put64(uint8_t *at, uint64_t value)
{
	synth_put(at, 0, 8, value);
}

/* Offsets: qemu 7.2 target/i386/arch_dump.c, struct QEMUCPUState. */
static void make_qemu_state(uint8_t *state, uint32_t size)
{
	memset(state, 0, 440);
	synth_put(state, 0, 4, 1);
	synth_put(state + 4, 0, 4, size);
	for (int i = 0; i < 16; i++)
		put64(state + 8 + 8 * i, 0x1000 + (uint64_t)i);
	put64(state + 136, 0xffffffff81000000);
	put64(state + 144, 0x246);
	put64(state + 152 + 4 * 24 + 16, 0xffff888000000000); /* gs  */
	put64(state + 152 + 8 * 24 + 16, 0xfffffe0000001000); /* gdt */
	put64(state + 152 + 9 * 24 + 16, 0xfffffe0000000000); /* idt */
	put64(state + 392, 0x80050033);
	put64(state + 392 + 24, 0x1ff48000);
	put64(state + 432, 0xffff888012340000);
}

static size_t build_machine(uint8_t *bytes, size_t size, uint16_t machine, uint32_t state_size)
{
	uint8_t state[440], prstatus[336] = { 0 };

	synth_elf(bytes, size,
		  &(struct synth_elf){
			  .machine = machine, .segments = machine_segments, .n_segments = 2 });
	put64(prstatus + 112 + 8 * 10, 0xaaaa); /* rax of user_regs_struct */
	put64(prstatus + 112 + 8 * 16, 0xbbbb); /* rip                     */
	put64(prstatus + 112 + 8 * 22, 0xcccc); /* gs_base                 */
	make_qemu_state(state, state_size);
	size_t at = synth_note(bytes, 0x200, 0, "CORE", 1, prstatus, sizeof(prstatus));
	if (state_size)
		at = synth_note(bytes, at, 0, "QEMU", 0, state,
				state_size < 440 ? state_size : 440);
	return synth_note(bytes, at, 0, "VMCOREINFO", 0, "OSRELEASE=6.1\n", 14);
}

static void a_processor_comes_from_the_note_of_qemu(void **state)
{
	(void)state;
	uint8_t bytes[0x900];
	struct elf_core core;
	const char *why;
	struct sonde_cpu cpu = { 0 };

	build_machine(bytes, sizeof(bytes), X86_64, 440);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_false(core.by_vaddr); /* RAM at physical 0 alone, but a machine by its notes */
	assert_int_equal(elf_core_cpu_count(&core), 1);
	assert_int_equal(elf_core_cpu(&core, 0, &cpu), 0);
	assert_int_equal(cpu.arch, SONDE_ARCH_X86_64);
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES |
					    SONDE_CPU_GS | SONDE_CPU_KERNEL_GS);
	assert_int_equal(cpu.pc, 0xffffffff81000000);
	assert_int_equal(cpu.sp, 0x1006);
	assert_int_equal(cpu.general[15], 0x100f);
	assert_int_equal(cpu.cr[0], 0x80050033);
	assert_int_equal(cpu.cr[3], 0x1ff48000);
	assert_int_equal(cpu.gs_base, 0xffff888000000000);
	assert_int_equal(cpu.gdt_base, 0xfffffe0000001000);
	assert_int_equal(cpu.idt_base, 0xfffffe0000000000);
	assert_int_equal(cpu.kernel_gs_base, 0xffff888012340000);
	assert_int_equal(elf_core_cpu(&core, 1, &cpu), SONDE_E_NOT_FOUND);
	elf_core_finish(&core);
}

static void an_older_note_of_qemu_has_no_kernel_gs(void **state)
{
	(void)state;
	uint8_t bytes[0x900];
	struct elf_core core;
	const char *why;
	struct sonde_cpu cpu = { 0 };

	build_machine(bytes, sizeof(bytes), I386, 432);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(elf_core_cpu(&core, 0, &cpu), 0);
	assert_int_equal(cpu.arch, SONDE_ARCH_I386);
	assert_int_equal(cpu.valid & SONDE_CPU_KERNEL_GS, 0);
	assert_int_equal(cpu.cr[3], 0x1ff48000);
	elf_core_finish(&core);
}

/* Notes of other kinds lie between those of the processors, and in front of them. */
static void processors_are_found_by_number_among_many_notes(void **state)
{
	enum { N = 500, SIZE = N * (3 * 20 + 2 * 400) };
	static const char *const others[] = { "A", "CORE", "PRSTATUS" };
	uint8_t *bytes = calloc(1, SIZE), prstatus[336] = { 0 };
	struct elf_core core = { .word = 8, .machine = X86_64 };
	struct sonde_cpu cpu = { 0 };
	size_t at = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		put64(prstatus + 112 + 8 * 16, 0x1000 + i); /* rip */
		for (uint32_t k = 0; k < i % 4; k++)
			at = synth_note(bytes, at, 0, others[k], 1 + (k == 1), prstatus, 4);
		at = synth_note(bytes, at, 0, "CORE", 1, prstatus, sizeof(prstatus));
	}
	assert_int_equal(elf_notes_add(&core, bytes, at), 0);
	assert_int_equal(elf_core_cpu_count(&core), N);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(elf_core_cpu(&core, i, &cpu), 0);
		assert_int_equal(cpu.pc, 0x1000 + i);
	}
	assert_int_equal(elf_core_cpu(&core, N, &cpu), SONDE_E_NOT_FOUND);
	elf_core_finish(&core);
	free(bytes);
}

static void without_it_prstatus_gives_the_general_registers(void **state)
{
	(void)state;
	uint8_t bytes[0x900];
	struct elf_core core;
	const char *why;
	struct sonde_cpu cpu = { 0 };

	build_machine(bytes, sizeof(bytes), X86_64, 0);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_int_equal(elf_core_cpu_count(&core), 1);
	assert_int_equal(elf_core_cpu(&core, 0, &cpu), 0);
	assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_GS);
	assert_int_equal(cpu.general[0], 0xaaaa);
	assert_int_equal(cpu.pc, 0xbbbb);
	assert_int_equal(cpu.gs_base, 0xcccc);
	elf_core_finish(&core);
}

/* pr_reg: 34 words of user_pt_regs, 32 of user_regs_struct; each holds its own number and 0x500. */
static size_t build_prstatus(uint8_t *bytes, size_t size, uint16_t machine, uint32_t n_words)
{
	uint8_t prstatus[392] = { 0 };

	synth_elf(bytes, size,
		  &(struct synth_elf){
			  .machine = machine, .segments = machine_segments, .n_segments = 2 });
	for (uint32_t i = 0; i < n_words; i++)
		put64(prstatus + 112 + 8 * i, 0x500 + i);
	return synth_note(bytes, 0x200, 0, "CORE", 1, prstatus, 112 + 8 * n_words);
}

static void aarch64_and_riscv64_have_other_registers(void **state)
{
	static const struct {
		uint16_t machine;
		uint32_t words;
		uint64_t pc, sp, flags, x0, last;
		uint32_t n_upper;
	} cases[] = {
		{ AARCH64, 34, 0x520, 0x51f, 0x521, 0x500, 0x51e, 15 },
		{ RISCV, 32, 0x500, 0x502, 0, 0, 0x51f, 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[0x900];
		struct elf_core core;
		const char *why;
		struct sonde_cpu cpu = { 0 };
		struct full_cpu full = { 0 };
		build_prstatus(bytes, sizeof(bytes), cases[i].machine, cases[i].words);
		assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
		assert_int_equal(elf_core_cpu_count(&core), 1);
		assert_int_equal(elf_core_cpu(&core, 0, &cpu), 0);
		assert_int_equal(cpu.valid, SONDE_CPU_GENERAL);
		assert_int_equal(cpu.pc, cases[i].pc);
		assert_int_equal(cpu.sp, cases[i].sp);
		assert_int_equal(cpu.flags, cases[i].flags);
		assert_int_equal(cpu.general[0], cases[i].x0);
		assert_int_equal(cpu.general[15], 0x50f);
		assert_int_equal(elf_core_full_cpu(&core, 0, &full), 0);
		assert_memory_equal(&full.cpu, &cpu, sizeof(cpu));
		assert_int_equal(full.n_upper, cases[i].n_upper);
		assert_int_equal(full.upper[0], 0x510);
		assert_int_equal(full.upper[full.n_upper - 1], cases[i].last);
		elf_core_finish(&core);
		build_prstatus(bytes, sizeof(bytes), cases[i].machine, cases[i].words - 1);
		assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
		assert_int_equal(elf_core_cpu_count(&core), 0);
		assert_int_equal(elf_core_cpu(&core, 0, &cpu), SONDE_E_NOT_FOUND);
		elf_core_finish(&core);
	}
}

static void notes_with_lying_lengths_end_the_list(void **state)
{
	(void)state;
	static const uint32_t lies[] = { 0x400,      0x601,      0x7fffffff,
					 0x80000000, 0xfffffffc, 0xffffffff };
	uint8_t bytes[0x900];
	struct elf_core core;
	const char *why;

	for (size_t field = 0; field < 2; field++) {
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			size_t end = build_machine(bytes, sizeof(bytes), X86_64, 440);
			size_t last = synth_note(bytes, end, 0, "LIAR", 7, "xxxx", 4);
			synth_put(bytes + end + 4 * field, 0, 4, lies[i]);
			synth_note(bytes, last, 0, "AFTER", 7, "yyyy", 4);
			assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
			assert_non_null(elf_note_find(&core, "VMCOREINFO", -1, 0));
			const struct elf_note *liar = elf_note_find(&core, "LIAR", -1, 0);
			if (liar) /* believed only as far as the segment goes */
				assert_true(liar->desc + liar->len <=
					    core.note_bytes + core.n_note_bytes);
			elf_core_finish(&core);
		}
	}
}

static void a_broken_note_segment_does_not_swallow_the_next(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_NOTE, 0x200, 0, 0, 0x19, 0, 0, 0 },
		{ SYNTH_NOTE, 0x300, 0, 0, 0x100, 0, 0, 0 },
		{ SYNTH_LOAD, 0x400, 0, 0x1000, 0x10, 0x10, 6, 0 },
	};
	uint8_t bytes[0x440];
	struct elf_core core;
	const char *why;

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 3 });
	synth_note(bytes, 0x200, 0, "A", 1, "0123456789abcdef", 16); /* its segment ends before */
	synth_note(bytes, 0x300, 0, "VMCOREINFO", 0, "X=1\n", 4);
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_null(elf_note_find(&core, "A", -1, 0));
	const struct elf_note *note = elf_note_find(&core, "VMCOREINFO", -1, 0);
	assert_non_null(note);
	assert_int_equal(note->len, 4);
	assert_memory_equal(note->desc, "X=1\n", 4);
	elf_core_finish(&core);
}

/* Each cut gets memory of exactly its size, so a sanitizer sees one byte too far. */
static void a_core_cut_at_any_offset_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	uint8_t whole[0x900];
	int n_read = 0;

	build_machine(whole, sizeof(whole), X86_64, 440);
	for (size_t cut = 0; cut <= sizeof(whole); cut++) {
		uint8_t *bytes = malloc(cut ? cut : 1);
		struct elf_core core;
		const char *why;
		memcpy(bytes, whole, cut);
		int r = parse(&core, bytes, cut, &why);
		if (cut < 16)
			assert_int_equal(r, SONDE_E_BAD_FORMAT);
		else if (cut < 64 + 2 * 56) /* the load is the second header */
			assert_int_equal(r, SONDE_E_TRUNCATED);
		else
			assert_int_equal(r, 0);
		if (r < 0)
			assert_true(strlen(why) > 10);
		n_read += r == 0;
		for (size_t i = 0; i < core.n_notes; i++)
			assert_true(core.notes[i].desc + core.notes[i].len <=
				    core.note_bytes + core.n_note_bytes);
		elf_core_finish(&core);
		free(bytes);
	}
	assert_int_equal(n_read, (int)sizeof(whole) + 1 - (64 + 2 * 56));
}

static void a_core_of_a_process_is_addressed_by_vaddr(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x200, 0x400000, 0, 0x10, 0x1000, 5, 0 },
		{ SYNTH_LOAD, 0x210, UINT64_C(0x7fff00000000), 0, 0x10, 0x10, 6, 0 },
	};
	uint8_t bytes[0x220];
	struct elf_core core;
	const char *why;

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 2 });
	assert_int_equal(parse(&core, bytes, sizeof(bytes), &why), 0);
	assert_true(core.by_vaddr);
	assert_int_equal(elf_segment_addr(&core, &core.segments[1]), UINT64_C(0x7fff00000000));
	elf_core_finish(&core);
}

/* ---- what a core says of its process ---- */

/* A core of two segments: a stack, and the first page of a file; and notes of a process of 32 or 64 bits. */
struct process_core {
	uint8_t bytes[0x1000];
	struct elf_core core;
	struct note_lines lines;
	size_t files; /* where the note of files has its bytes */
};

static void put_process_notes(struct process_core *p, uint32_t word)
{
	uint8_t info[136] = { 0 }, status[336] = { 0 }, files[128] = { 0 }, aux[32] = { 0 };
	int w = (int)word, wide = word == 8;
	size_t at = 0x200, last = 2 * word + 6 * word;

	info[1] = 'S';
	synth_put(info + (wide ? 16 : 8), 0, wide ? 4 : 2, 1000); /* uid, gid */
	synth_put(info + (wide ? 20 : 10), 0, wide ? 4 : 2, 100);
	synth_put(info + (wide ? 24 : 12), 0, 4, 42); /* pid, ppid */
	synth_put(info + (wide ? 28 : 16), 0, 4, 1);
	strcpy((char *)info + (wide ? 40 : 28), "synth");
	strcpy((char *)info + (wide ? 56 : 44), "synth -v ");
	synth_put(status + 12, 0, 2, 11);
	synth_put(status + (wide ? 32 : 24), 0, 4, 43);
	synth_put(status + (wide ? 112 + 8 * 16 : 72 + 4 * 12), 0, w, 0x400010); /* rip, eip */
	synth_put(status + (wide ? 112 + 8 * 19 : 72 + 4 * 15), 0, w, 0x7fff0010);
	synth_put(files, 0, w, 2);
	synth_put(files + word, 0, w, 0x1000);
	synth_put(files + 2 * word, 0, w, 0x401000); /* not saved, behind the one that is */
	synth_put(files + 3 * word, 0, w, 0x402000);
	synth_put(files + 4 * word, 0, w, 1);
	synth_put(files + 5 * word, 0, w, 0x400000);
	synth_put(files + 6 * word, 0, w, 0x401000);
	memcpy(files + last, "/bin/a\nb\0/bin/synth", 20);
	synth_put(aux, 0, w, 9); /* AT_ENTRY */
	synth_put(aux + word, 0, w, 0x400010);
	at = synth_note(p->bytes, at, 0, "CORE", 3, info, wide ? 136 : 124);
	at = synth_note(p->bytes, at, 0, "CORE", 1, status, wide ? 336 : 144);
	p->files = at + 20;
	at = synth_note(p->bytes, at, 0, "CORE", 0x46494c45, files, (uint32_t)last + 20);
	synth_note(p->bytes, at, 0, "CORE", 6, aux, 4 * word);
}

static void make_process_core(struct process_core *p, uint32_t word)
{
	const struct synth_segment segments[] = {
		{ SYNTH_NOTE, 0x200, 0, 0, 0x400, 0x400, 0, 1 },
		{ SYNTH_LOAD, 0x800, 0x7fff0000, 0, 0x100, 0x1000, 6, 0 },
		{ SYNTH_LOAD, 0x900, 0x400000, 0, 0x100, 0x1000, 5, 0 },
	};

	*p = (struct process_core){ 0 };
	synth_elf(p->bytes, sizeof(p->bytes),
		  &(struct synth_elf){ .is_32 = word == 4,
				       .machine = word == 4 ? I386 : X86_64,
				       .segments = segments,
				       .n_segments = 3 });
	put_process_notes(p, word);
}

static const char *tell(struct process_core *p)
{
	const char *why;

	assert_int_equal(parse(&p->core, p->bytes, sizeof(p->bytes), &why), 0);
	assert_true(p->core.by_vaddr);
	assert_int_equal(elf_process_note(&p->core, &p->lines), 0);
	return p->lines.text;
}

static void forget(struct process_core *p)
{
	note_lines_finish(&p->lines);
	elf_core_finish(&p->core);
}

static void the_notes_of_a_process_say_what_it_was(void **state)
{
	(void)state;
	for (uint32_t word = 4; word <= 8; word += 4) {
		struct process_core p;
		make_process_core(&p, word);
		const char *text = tell(&p), *thread = strstr(text, "thread 43 ");
		const char *wanted[] = {
			"os linux\nprocess pid=42 ppid=1 uid=1000 gid=100 state=S\nname synth\n",
			"\nargs synth\\000-v\\000\n",
			"\nexe /bin/synth\n",
			"\nmap 00400000-00401000 r-xp 00000000 00:00 0 /bin/synth\n"
			"map 00401000-00402000 ---p 00001000 00:00 0 /bin/a\\012b\n"
			"map 7fff0000-7fff1000 rw-p 00000000 00:00 0 [stack]\n",
		};
		for (size_t i = 0; i < 4; i++) {
			if (!strstr(text, wanted[i]) && !(i == 3 && word == 4))
				fail_msg("no '%s' in:\n%s", wanted[i], text);
		}
		assert_non_null(thread);
		assert_non_null(strstr(thread, word == 8 ? " rip=400010 " : " eip=400010 "));
		forget(&p);
	}
}

/* Every byte of the note of files, and its length, may be anything. */
static void files_that_lie_are_left_out(void **state)
{
	static const uint8_t values[] = { 0x00, 0x7f, 0x80, 0xff };

	(void)state;
	for (size_t at = 0; at < 84; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			struct process_core p;
			make_process_core(&p, 8);
			p.bytes[p.files + at] = values[v];
			const char *text = tell(&p);
			assert_non_null(strstr(text, "\nmap 7fff0000-7fff1000 rw-p "));
			assert_int_equal(text[p.lines.len - 1], '\n');
			if (at == 83 && values[v]) /* a path that does not end in the note */
				assert_null(strstr(text, "/bin/synth"));
			forget(&p);
		}
	}
}

/* ---- through the connector ---- */

struct opened {
	char path[64];
	struct sonde_loop *loop;
	struct sonde_target *target;
};

static int open_image(struct opened *o, const uint8_t *bytes, size_t size, struct sonde_error *err)
{
	strcpy(o->path, "/tmp/sonde-elfcore-XXXXXX");
	int fd = mkstemp(o->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
	assert_int_equal(sonde_loop_create(NULL, &o->loop, err), 0);
	return sonde_target_open(o->loop, o->path, NULL, &o->target, err);
}

static void close_image(struct opened *o)
{
	sonde_target_close(o->target);
	sonde_loop_destroy(o->loop);
	unlink(o->path);
}

static void bytes_beat_their_lack_and_each_lack_has_its_code(void **state)
{
	(void)state;
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x300, 0, 0x1000, 0x40, 0x100, 6, 0 },  /* 0xc0 never saved        */
		{ SYNTH_LOAD, 0x340, 0, 0x1020, 0x40, 0x40, 6, 0 },   /* overlaps: first wins    */
		{ SYNTH_LOAD, 0x380, 0, 0x3000, 0x100, 0x100, 6, 0 }, /* only 0x40 in the file  */
		{ SYNTH_LOAD, 0x10000, 0, 0x5000, 0x40, 0x40, 6, 0 }, /* nothing in the file    */
	};
	uint8_t bytes[0x3c0], buf[0x100];
	struct opened o = { 0 };
	struct sonde_error err = { 0 };
	struct sonde_target_info info;

	synth_elf(bytes, sizeof(bytes),
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 4 });
	if (open_image(&o, bytes, sizeof(bytes), &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(o.target, &info);
	assert_string_equal(info.connector, "elfcore");
	assert_string_equal(info.detail, "ELF64 core, 0 CPUs, 4 segments, cut off");
	assert_int_equal(info.flags, SONDE_TARGET_PHYSICAL);

	struct sonde_xfer x = { .addr = 0x1000, .buf = buf, .len = 0x100 };
	assert_int_equal(sonde_space_read(sonde_target_memory(o.target), &x, 1), 0);
	assert_int_equal(x.done, 0x60);
	assert_int_equal(x.err, SONDE_E_NOT_SAVED);
	assert_int_equal(x.err_off, 0x60);
	assert_int_equal(buf[0x3f], 0x3f / 16);              /* the first segment to its end */
	assert_int_equal(buf[0x40], (0x40 - 0x20) / 16 + 1); /* then the second           */
	assert_int_equal(buf[0x60], 0);

	memset(buf, 0xee, sizeof(buf));
	x = (struct sonde_xfer){ .addr = 0x3000, .buf = buf, .len = 0x100 };
	assert_int_equal(sonde_space_read(sonde_target_memory(o.target), &x, 1), 0);
	assert_int_equal(x.done, 0x40);
	assert_int_equal(x.err, SONDE_E_TRUNCATED);
	assert_int_equal(buf[0], 2);
	assert_int_equal(buf[0xff], 0);

	x = (struct sonde_xfer){ .addr = 0x5000, .buf = buf, .len = 1 };
	assert_int_equal(sonde_space_read(sonde_target_memory(o.target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_TRUNCATED);
	x.addr = 0x9000;
	assert_int_equal(sonde_space_read(sonde_target_memory(o.target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	close_image(&o);
}

static void notes_and_processors_come_through_the_target(void **state)
{
	(void)state;
	uint8_t bytes[0x900];
	struct opened o = { 0 };
	struct sonde_error err = { 0 };
	struct sonde_target_info info;
	struct sonde_cpu cpu;
	char text[8];

	build_machine(bytes, sizeof(bytes), X86_64, 440);
	if (open_image(&o, bytes, sizeof(bytes), &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(o.target, &info);
	assert_string_equal(info.detail, "ELF64 core, QEMU, 1 CPU, 1 segment");
	assert_int_equal(info.n_cpus, 1);
	assert_int_equal(sonde_target_cpu(o.target, 0, &cpu), 0);
	assert_int_equal(cpu.cr[3], 0x1ff48000);
	assert_int_equal(sonde_target_cpu(o.target, 1, &cpu), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_target_note(o.target, "VMCOREINFO", text, sizeof(text)), 14);
	assert_memory_equal(text, "OSRELEAS", 8);
	assert_int_equal(sonde_target_note(o.target, "OTHER", text, sizeof(text)),
			 SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_target_pause(o.target, &err), SONDE_E_UNSUPPORTED);
	close_image(&o);
}

static void a_cut_header_is_refused_by_name(void **state)
{
	(void)state;
	uint8_t bytes[0x900];
	struct opened o = { 0 };
	struct sonde_error err = { 0 };

	build_machine(bytes, sizeof(bytes), X86_64, 440);
	assert_int_equal(open_image(&o, bytes, 70, &err), SONDE_E_TRUNCATED);
	assert_non_null(strstr(err.text, "elfcore: '/tmp/sonde-elfcore-"));
	assert_non_null(strstr(err.text, "ends inside its first program header"));
	close_image(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_of_both_classes_and_byte_orders),
		cmocka_unit_test(headers_may_lie_anywhere_and_be_wider),
		cmocka_unit_test(a_count_above_65534_stands_in_section_zero),
		cmocka_unit_test(millions_of_headers_are_bounded),
		cmocka_unit_test(a_segment_that_wraps_is_refused_alone),
		cmocka_unit_test(broken_headers_are_refused_with_the_reason),
		cmocka_unit_test(a_processor_comes_from_the_note_of_qemu),
		cmocka_unit_test(an_older_note_of_qemu_has_no_kernel_gs),
		cmocka_unit_test(processors_are_found_by_number_among_many_notes),
		cmocka_unit_test(without_it_prstatus_gives_the_general_registers),
		cmocka_unit_test(aarch64_and_riscv64_have_other_registers),
		cmocka_unit_test(notes_with_lying_lengths_end_the_list),
		cmocka_unit_test(a_broken_note_segment_does_not_swallow_the_next),
		cmocka_unit_test(a_core_cut_at_any_offset_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_core_of_a_process_is_addressed_by_vaddr),
		cmocka_unit_test(the_notes_of_a_process_say_what_it_was),
		cmocka_unit_test(files_that_lie_are_left_out),
		cmocka_unit_test(bytes_beat_their_lack_and_each_lack_has_its_code),
		cmocka_unit_test(notes_and_processors_come_through_the_target),
		cmocka_unit_test(a_cut_header_is_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

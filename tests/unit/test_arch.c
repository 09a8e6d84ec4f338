/* SPDX-License-Identifier: MIT */
/* Where a kernel is mapped, by what vmcoreinfo of each architecture and its processors say; with values that real kernels gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../synth/array_space.h"
#include "linux/arch.h"
#include "linux/image.h"

#define HEAD "OSRELEASE=6.1.0\n"
#define ARM64(pagesize, t1sz)                                                                      \
	HEAD "PAGESIZE=" pagesize "\nSYMBOL(swapper_pg_dir)=ffffa6da63d8f000\n"                    \
	     "SYMBOL(_stext)=ffffa6da62a10000\nNUMBER(VA_BITS)=48\n"                               \
	     "NUMBER(kimage_voffset)=0xffffa6da22800000\n" t1sz
#define RISCV64(bits)                                                                              \
	HEAD "SYMBOL(swapper_pg_dir)=ffffffff81dcb000\nSYMBOL(_stext)=ffffffff80002000\n"          \
	     "NUMBER(VA_BITS)=" bits "\nNUMBER(va_kernel_pa_offset)=0xfffffffeffe00000\n"
#define X86_64(swapper, more)                                                                      \
	HEAD "NUMBER(phys_base)=-16777216\nSYMBOL(swapper_pg_dir)=" swapper "\n" more

struct expected {
	const char *format; /* name of the page tables */
	uint64_t root, slide;
};

struct scene {
	const char *name, *text;
	const struct linux_arch *arch;
	int outcome; /* as of places_of_info */
	struct expected places[LINUX_PLACES_MAX];
};

#define ARM64_PLACE(format)                                                                        \
	{                                                                                          \
		"aarch64, " format, 0x4158f000, UINT64_C(0xffffa6da22800000)                       \
	}
#define RISCV64_PLACE(format)                                                                      \
	{                                                                                          \
		"riscv64, " format, 0x81fcb000, UINT64_C(0xfffffffeffe00000)                       \
	}
#define X86_64_PLACE(format)                                                                       \
	{                                                                                          \
		"x86_64, " format, 0x1000000, UINT64_C(0xffffffff81000000)                         \
	}

static const struct scene scenes[] = {
	{ "aarch64, 4 KiB",
	  ARM64("4096", "NUMBER(TCR_EL1_T1SZ)=0x10\n"),
	  &linux_arm64,
	  2,
	  { ARM64_PLACE("4 KiB, 48 bits"), ARM64_PLACE("4 KiB, 48 bits, 52-bit addresses") } },
	{ "aarch64, 16 KiB and 52 bits: one format only",
	  ARM64("16384", "NUMBER(TCR_EL1_T1SZ)=0xc\n"),
	  &linux_arm64,
	  1,
	  { ARM64_PLACE("16 KiB, 52 bits") } },
	{ "aarch64, 64 KiB, by VA_BITS",
	  ARM64("65536", ""),
	  &linux_arm64,
	  2,
	  { ARM64_PLACE("64 KiB, 48 bits"), ARM64_PLACE("64 KiB, 48 bits, 52-bit addresses") } },
	{ "aarch64 with pages that none has",
	  ARM64("8192", "NUMBER(TCR_EL1_T1SZ)=0x10\n"),
	  &linux_arm64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "aarch64 with addresses of no bits",
	  ARM64("4096", "NUMBER(TCR_EL1_T1SZ)=0x40\n"),
	  &linux_arm64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "aarch64 with addresses of more bits than there are",
	  ARM64("4096", "NUMBER(TCR_EL1_T1SZ)=-1\n"),
	  &linux_arm64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "riscv64, three levels", RISCV64("39"), &linux_riscv64, 1, { RISCV64_PLACE("Sv39") } },
	{ "riscv64, five levels", RISCV64("57"), &linux_riscv64, 1, { RISCV64_PLACE("Sv57") } },
	{ "riscv64 with tables that none has",
	  RISCV64("4294967335"), /* 2^32 + 39 */
	  &linux_riscv64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "x86-64",
	  X86_64("ffffffff82000000", ""),
	  &linux_x86_64,
	  1,
	  { X86_64_PLACE("4 levels") } },
	{ "x86-64, five levels",
	  X86_64("ffffffff82000000", "NUMBER(pgtable_l5_enabled)=1\n"),
	  &linux_x86_64,
	  1,
	  { X86_64_PLACE("5 levels") } },
	{ "x86-64 with tables outside of the image",
	  X86_64("ffff888000000000", ""),
	  &linux_x86_64,
	  SONDE_E_CORRUPT,
	  { { 0 } } },
	{ "what is of x86-64 is not of aarch64",
	  X86_64("ffffffff82000000", ""),
	  &linux_arm64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "what is of aarch64 is not of riscv64",
	  ARM64("4096", ""),
	  &linux_riscv64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
	{ "what is of riscv64 is not of x86-64",
	  RISCV64("48"),
	  &linux_x86_64,
	  SONDE_E_UNSUPPORTED,
	  { { 0 } } },
};

static void check_place(const struct scene *scene, const struct linux_place *got,
			const struct expected *want)
{
	if (strcmp(got->paging->name, want->format) != 0 || got->root != want->root ||
	    got->slide != want->slide)
		fail_msg("%s: '%s' at %#llx, slide %#llx", scene->name, got->paging->name,
			 (unsigned long long)got->root, (unsigned long long)got->slide);
}

static void vmcoreinfo_tells_where_the_kernel_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		const struct scene *scene = &scenes[i];
		struct linux_place places[LINUX_PLACES_MAX];
		struct sonde_error err = { 0 };
		struct vmcoreinfo info;
		assert_int_equal(vmcoreinfo_parse(scene->text, strlen(scene->text), &info, NULL),
				 0);
		int n = scene->arch->places_of_info(&info, places, &err);
		if (n != scene->outcome || (n < 0 && !err.text[0]))
			fail_msg("%s: %d, not %d (%s)", scene->name, n, scene->outcome, err.text);
		for (int k = 0; k < n; k++)
			check_place(scene, &places[k], &scene->places[k]);
	}
}

/* ---- by a processor ---------------------------------------------------------------------------------- */

#define TCR UINT64_C(0x00500074b5503510) /* 4 KiB, 48 bits, as 6.1 sets it */
#define TTBR1 UINT64_C(0x000200004158f000)
#define VBAR UINT64_C(0xffffdc362da10800)
#define SATP UINT64_C(0xa000100000088b02)
#define STVEC UINT64_C(0xffffffff80a81240)
#define ALL (SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES)
#define ARM64_CPU(on, ttbr1, tcr)                                                                  \
	{                                                                                          \
		[SONDE_CR_SCTLR_EL1] = on, [SONDE_CR_TTBR1_EL1] = ttbr1, [SONDE_CR_TCR_EL1] = tcr  \
	}
#define EL1H 0x5
#define HALF UINT64_C(0xffff800000000000) /* behind the map of all RAM, of 48 bits */

static const struct {
	const char *name;
	const struct linux_arch *arch;
	uint32_t valid;
	uint64_t cr[5], vectors, flags;
	uint32_t n;
	const char *format;
	uint64_t roots[LINUX_PLACES_MAX], text;
} processors[] = {
	{ "aarch64 in the kernel",
	  &linux_arm64,
	  ALL,
	  ARM64_CPU(1, TTBR1, TCR),
	  VBAR,
	  EL1H,
	  1,
	  "aarch64, 4 KiB, 48 bits",
	  { 0x4158f000 },
	  VBAR },
	{ "aarch64 in user code, whose tables may be others",
	  &linux_arm64,
	  ALL,
	  ARM64_CPU(1, TTBR1, TCR),
	  VBAR,
	  0,
	  2,
	  "aarch64, 4 KiB, 48 bits",
	  { 0x4158f000, 0x41591000 },
	  VBAR },
	{ "aarch64, 16 KiB, 47 bits",
	  &linux_arm64,
	  ALL,
	  ARM64_CPU(1, TTBR1, UINT64_C(1) << 30 | 17 << 16),
	  VBAR,
	  EL1H,
	  1,
	  "aarch64, 16 KiB, 47 bits",
	  { 0x4158f000 },
	  VBAR },
	{ "aarch64, 4 KiB, 52 bits: some of the root is elsewhere",
	  &linux_arm64,
	  ALL,
	  ARM64_CPU(1, TTBR1 | 1 << 2, UINT64_C(1) << 59 | UINT64_C(2) << 30 | 12 << 16),
	  VBAR,
	  EL1H,
	  1,
	  "aarch64, 4 KiB, 52 bits",
	  { UINT64_C(0x100004158f000) },
	  VBAR },
	{ "aarch64, 64 KiB, 52 bits",
	  &linux_arm64,
	  ALL,
	  ARM64_CPU(1, TTBR1, UINT64_C(6) << 32 | UINT64_C(3) << 30 | 12 << 16),
	  VBAR,
	  EL1H,
	  1,
	  "aarch64, 64 KiB, 52 bits",
	  { 0x4158f000 },
	  VBAR },
	{ "aarch64 without paging", &linux_arm64, ALL, ARM64_CPU(0, TTBR1, TCR), VBAR, EL1H, 0 },
	{ "aarch64 without an upper half", &linux_arm64, ALL, ARM64_CPU(1, TTBR1, TCR | 1 << 23),
	  VBAR, EL1H, 0 },
	{ "aarch64, addresses of 64 bits", &linux_arm64, ALL,
	  ARM64_CPU(1, TTBR1, UINT64_C(2) << 30), VBAR, EL1H, 0 },
	{ "aarch64, pages of no size", &linux_arm64, ALL, ARM64_CPU(1, TTBR1, 16 << 16), VBAR, EL1H,
	  0 },
	{ "aarch64 without vectors", &linux_arm64, ALL, ARM64_CPU(1, TTBR1, TCR), 0, EL1H, 0 },
	{ "aarch64 that tells general registers only", &linux_arm64, SONDE_CPU_GENERAL,
	  ARM64_CPU(1, TTBR1, TCR), VBAR, EL1H, 0 },
	{ "riscv64, five levels",
	  &linux_riscv64,
	  ALL,
	  { SATP },
	  STVEC | 1,
	  0,
	  1,
	  "riscv64, Sv57",
	  { 0x88b02000 },
	  STVEC },
	{ "riscv64, three levels, a root of 56 bits",
	  &linux_riscv64,
	  ALL,
	  { UINT64_C(0x80000fffffffffff) },
	  STVEC,
	  0,
	  1,
	  "riscv64, Sv39",
	  { UINT64_C(0xfffffffffff000) },
	  STVEC },
	{ "riscv64 without paging", &linux_riscv64, ALL, { 0x88b02 }, STVEC, 0, 0 },
	{ "riscv64 with tables that none has",
	  &linux_riscv64,
	  ALL,
	  { UINT64_C(0xf) << 60 },
	  STVEC,
	  0,
	  0 },
	{ "riscv64 without vectors", &linux_riscv64, ALL, { SATP }, 1, 0, 0 },
	{ "riscv64 that tells vectors only",
	  &linux_riscv64,
	  SONDE_CPU_TABLES,
	  { SATP },
	  STVEC,
	  0,
	  0 },
};

static void a_processor_tells_where_the_kernel_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(processors) / sizeof(processors[0]); i++) {
		struct sonde_cpu cpu = { .valid = processors[i].valid,
					 .idt_base = processors[i].vectors,
					 .flags = processors[i].flags };
		struct linux_place places[LINUX_PLACES_MAX] = { 0 };
		memcpy(cpu.cr, processors[i].cr, sizeof(cpu.cr));
		uint32_t n = processors[i].arch->places_of_cpu(&cpu, places);
		if (n != processors[i].n)
			fail_msg("%s: %u places", processors[i].name, n);
		for (uint32_t k = 0; k < n; k++) {
			/* The way in is mapped a second time, above the map of all RAM. */
			assert_int_equal(places[k].above, k ? HALF : 0);
			if (strcmp(places[k].paging->name, processors[i].format) != 0 ||
			    places[k].root != processors[i].roots[k] ||
			    places[k].text != processors[i].text || places[k].slide)
				fail_msg("%s: '%s' at %#llx, text %#llx", processors[i].name,
					 places[k].paging->name, (unsigned long long)places[k].root,
					 (unsigned long long)places[k].text);
		}
	}
}

static void a_processor_without_paging_runs_no_kernel(void **state)
{
	(void)state;
	static const struct {
		const struct linux_arch *arch;
		uint32_t valid;
		uint64_t cr0, flags;
		bool may_run;
	} cases[] = {
		{ &linux_arm64, ALL, 0x34f4d91d, EL1H, true },
		{ &linux_arm64, ALL, 0x00c50838, EL1H, false },
		/* Those of EL1 say nothing of a kernel at EL2 and its programs, as 6.1 left them there. */
		{ &linux_arm64, ALL, 0x30500800, 0x404000c9, true },
		{ &linux_arm64, ALL, 0x30500800, 0, true },
		{ &linux_arm64, ALL, 0x30500800, 0x4000000d, false },
		{ &linux_arm64, SONDE_CPU_GENERAL, 0, EL1H, true },
		{ &linux_riscv64, SONDE_CPU_CONTROL, SATP, 0, true },
		{ &linux_riscv64, SONDE_CPU_CONTROL, 0, 0, false },
		{ &linux_riscv64, SONDE_CPU_GENERAL, 0, 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_cpu cpu = { .valid = cases[i].valid,
					 .flags = cases[i].flags,
					 .cr = { cases[i].cr0 } };
		if (cases[i].arch->may_run_kernel(NULL, &cpu) != cases[i].may_run)
			fail_msg("case %zu", i);
	}
}

static void the_image_is_looked_for_behind_its_text(void **state)
{
	struct linux_os lx = { 0 };
	uint64_t first, last;

	(void)state;
	assert_int_equal(
		vmcoreinfo_parse(ARM64("4096", ""), sizeof(ARM64("4096", "")), &lx.info, NULL), 0);
	linux_arm64.image_range(&lx, &first, &last);
	assert_int_equal(first, UINT64_C(0xffffa6da62a10000));
	assert_int_equal(last - first, (UINT64_C(512) << 20) - 1);
	assert_int_equal(linux_image_start(&lx), UINT64_C(0xffffa6da62a00000));
}

static void the_image_may_be_at_the_end_of_memory(void **state)
{
	static const char text[] = HEAD "SYMBOL(_stext)=fffffffffffff000\n";
	struct linux_os lx = { 0 };
	uint64_t first, last;

	(void)state;
	assert_int_equal(vmcoreinfo_parse(text, sizeof(text), &lx.info, NULL), 0);
	linux_riscv64.image_range(&lx, &first, &last);
	assert_int_equal(first, UINT64_C(0xfffffffffffff000));
	assert_int_equal(last, UINT64_MAX);
}

#define PA UINT64_C(0x40200000)
#define VALID (UINT64_C(1) << 0)
#define PAGE_TYPE (UINT64_C(1) << 1) /* of a page; of a block it is 0 */
#define AF (UINT64_C(1) << 10)
#define NG (UINT64_C(1) << 11)
#define PROT_NONE (UINT64_C(1) << 58)

struct closed {
	const char *name, *release;
	uint32_t level;
	uint64_t entry;
	int32_t err;
};

/* linux v6.1 and v6.12 arch/arm64/include/asm/pgtable-prot.h (PAGE_NONE), pgtable.h (pmd_mkinvalid, swap entries). */
static const struct closed closed[] = {
	{ "6.1, a page", "6.1.0", 0, PA | PROT_NONE | NG | AF | PAGE_TYPE, 0 },
	{ "6.1, a block", "6.1.0", 1, PA | PROT_NONE | NG | AF, 0 },
	{ "6.1, a block that moves: bits of its offset", "6.1.0", 1, PA | NG | 27 << 3,
	  SONDE_E_PAGED_OUT },
	{ "6.12, a page", "6.12.9", 0, PA | NG | AF | PAGE_TYPE, 0 },
	{ "6.12, a block", "6.12.9", 1, PA | NG | AF, 0 },
	{ "6.12, a block that moves: bits of its offset", "6.12.9", 1, PA | PROT_NONE | 27 << 6,
	  SONDE_E_PAGED_OUT },
};

static void aarch64_marks_closed_pages_as_its_release_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		const struct closed *c = &closed[i];
		struct linux_os lx = { .paging = paging_arm64(12, 48, false) };
		lx.kernel.release = c->release;
		linux_arm64.settle(&lx);
		struct paging_entry e = paging_decode(lx.paging, c->level, c->entry);
		if (e.err != c->err || (!e.err && (e.pa != PA || e.flags & SONDE_PAGE_READ)))
			fail_msg("%s: %d, at %#llx, flags %#x", c->name, e.err,
				 (unsigned long long)e.pa, e.flags);
		/* What the processor finds is a page as ever. */
		e = paging_decode(lx.paging, c->level, c->entry | VALID);
		assert_int_equal(e.err, 0);
	}
}

static void each_architecture_is_found_by_its_number(void **state)
{
	(void)state;
	assert_ptr_equal(linux_arch_of(SONDE_ARCH_X86_64), &linux_x86_64);
	assert_ptr_equal(linux_arch_of(SONDE_ARCH_AARCH64), &linux_arm64);
	assert_ptr_equal(linux_arch_of(SONDE_ARCH_RISCV64), &linux_riscv64);
	assert_null(linux_arch_of(SONDE_ARCH_I386));
	assert_null(linux_arch_of(SONDE_ARCH_NONE));
}

/* A table at TOP, its second half from byte 2048 on. */
#define TOP 0x3000u
#define PG (UINT64_C(1) << 31)

static const struct {
	const char *name;
	uint32_t valid;
	uint64_t cr0, cr3, upper;
	bool may_run;
} states[] = {
	{ "a kernel's tables", SONDE_CPU_CONTROL, PG, TOP, 0x1063, true },
	{ "a process number in CR3", SONDE_CPU_CONTROL, PG, TOP | 5, 0x1063, true },
	{ "no paging: firmware", SONDE_CPU_CONTROL, 0x10, TOP, 0x1063, false },
	{ "no upper half: a loader", SONDE_CPU_CONTROL, PG, TOP, 0, false },
	{ "an upper half that is not present", SONDE_CPU_CONTROL, PG, TOP, 0x1062, false },
	{ "tables that are not there", SONDE_CPU_CONTROL, PG, 0x100000, 0, true },
	{ "registers that are not told", SONDE_CPU_GENERAL, 0x10, TOP, 0, true },
};

static void a_processor_in_firmware_runs_no_kernel(void **state)
{
	static uint8_t bytes[SONDE_PAGE_SIZE];
	struct array_space array = { .base = TOP, .len = sizeof(bytes), .bytes = bytes };
	struct sonde_loop *loop;
	struct sonde_space *phys;

	(void)state;
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	assert_int_equal(array_space_open(&array, loop, &phys), 0);
	bytes[0] = 1; /* the lower half, which firmware has too */
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct sonde_cpu cpu = { .valid = states[i].valid,
					 .cr = { states[i].cr0, 0, 0, states[i].cr3 } };
		memcpy(bytes + 4088, &states[i].upper, 8);
		if (linux_x86_64.may_run_kernel(phys, &cpu) != states[i].may_run)
			fail_msg("%s", states[i].name);
	}
	sonde_space_close(phys);
	sonde_loop_destroy(loop);
}

#define ENTRY(va, shift) ((va) >> (shift)&511)

/* A gigabyte of RAM, mapped at three addresses: by a root at TOP, and a table each behind it. */
static void the_image_is_the_first_of_what_is_mapped_twice(void **state)
{
	static const uint64_t direct = UINT64_C(0xffff000040000000),
			      image = UINT64_C(0xffffa90b80000000),
			      way_in = UINT64_C(0xfffffbffc0000000);
	static const uint64_t maps[] = { direct, image, way_in };
	static uint64_t words[4][512];
	struct array_space array = { .base = TOP, .len = sizeof(words), .bytes = (uint8_t *)words };
	struct linux_os lx = { .paging = paging_arm64(12, 48, false), .root = TOP };
	struct sonde_loop *loop;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		words[0][ENTRY(maps[i], 39)] = (TOP + 4096 * (i + 1)) | PAGE_TYPE | VALID;
		words[i + 1][ENTRY(maps[i], 30)] = UINT64_C(0x40000000) | AF | VALID;
	}
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	assert_int_equal(array_space_open(&array, loop, &lx.phys), 0);
	lx.image_text = way_in + 0x1bf7800;
	assert_int_equal(image_find_text(&lx, way_in + 0x40000000), SONDE_E_NOT_FOUND);
	assert_int_equal(image_find_text(&lx, HALF), SONDE_OK);
	assert_int_equal(lx.image_text, image + 0x1bf7800);
	lx.image_text = way_in - 1;
	assert_int_equal(image_find_text(&lx, HALF), SONDE_E_NOT_MAPPED);
	sonde_space_close(lx.phys);
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vmcoreinfo_tells_where_the_kernel_is),
		cmocka_unit_test(a_processor_tells_where_the_kernel_is),
		cmocka_unit_test(a_processor_without_paging_runs_no_kernel),
		cmocka_unit_test(the_image_is_looked_for_behind_its_text),
		cmocka_unit_test(the_image_may_be_at_the_end_of_memory),
		cmocka_unit_test(aarch64_marks_closed_pages_as_its_release_does),
		cmocka_unit_test(each_architecture_is_found_by_its_number),
		cmocka_unit_test(a_processor_in_firmware_runs_no_kernel),
		cmocka_unit_test(the_image_is_the_first_of_what_is_mapped_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

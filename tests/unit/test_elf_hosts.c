/* SPDX-License-Identifier: MIT */
/*
 * ELF cores as hosts of machines write them: VirtualBox's and Xen's, whole and broken, and flattened ones; what the parser
 * believes, and through the connector what is read where.
 */
#include "../../connectors/elfcore/elf_core.h"
#include "synth/elf.h"
#include "synth/flat.h"

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

#define X86_64 62
#define PAGE 0x1000u

static int parse(struct elf_core *core, const uint8_t *bytes, size_t size, const char **why)
{
	struct synth_image image = { bytes, size };

	*why = "";
	return elf_core_read(core, synth_image_read, &image, size, why);
}

static void put64(uint8_t *at, uint64_t value)
{
	synth_put(at, 0, 8, value);
}

/* ---- VirtualBox ------------------------------------------------------------------------------- */

#define VBOX_SIZE 0x6000u

/* DBGFCORECPU of dbgfcorefmt.h: 8768 bytes, of which the first 552 are read. */
static size_t put_vbox_cpu(uint8_t *bytes, size_t at, uint64_t mark)
{
	uint8_t cpu[8768] = { 0 };

	for (size_t i = 0; i < 18; i++) /* rax rbx rcx rdx rsi rdi r8 … r15 rip rsp rbp rflags */
		put64(cpu + 8 * i, mark + i);
	put64(cpu + 144 + 4 * 24, mark + 0x100); /* gs */
	for (size_t i = 0; i < 4; i++)           /* cr0 cr2 cr3 cr4 */
		put64(cpu + 288 + 8 * i, mark + 0x200 + i);
	put64(cpu + 384, mark + 0x300);
	put64(cpu + 400, mark + 0x400);
	put64(cpu + 488, mark + 0x500);
	put64(cpu + 536, mark + 0x600);
	return synth_note(bytes, at, 0, "VBCPU", 0xb01, cpu, sizeof(cpu));
}

/* As DBGFCoreWrite.cpp: e_ident has no version, two processors, RAM at 0. */
static void make_vbox(uint8_t *bytes, uint32_t format)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_NOTE, 0x200, 0, 0, 0x4800, 0, 0, 0 },
		{ SYNTH_LOAD, 0x5000, 0, 0, PAGE, PAGE, 6, 0 },
	};
	uint8_t core[24] = { 0 };

	synth_elf(bytes, VBOX_SIZE,
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 2 });
	bytes[6] = 0;
	synth_put(core, 0, 4, 0xc01ac0de);
	synth_put(core + 4, 0, 4, format);
	synth_put(core + 8, 0, 4, sizeof(core));
	synth_put(core + 12, 0, 4, 7 << 24 | 14);
	synth_put(core + 20, 0, 4, 2);
	size_t at = synth_note(bytes, 0x200, 0, "VBCORE", 0xb00, core, sizeof(core));
	at = put_vbox_cpu(bytes, at, 0x10000);
	put_vbox_cpu(bytes, at, 0x20000);
}

static void processors_of_virtualbox(void **state)
{
	static uint8_t bytes[VBOX_SIZE];
	struct elf_core core;
	struct sonde_cpu cpu = { 0 };
	const char *why;

	(void)state;
	make_vbox(bytes, 0x00010005);
	assert_int_equal(parse(&core, bytes, VBOX_SIZE, &why), 0);
	assert_int_equal(core.by_vaddr,
			 0); /* its only segment lies at 0, as those of processes do */
	assert_int_equal(elf_core_cpu_count(&core), 2);
	assert_int_equal(elf_core_cpu(&core, 1, &cpu), 0);
	assert_int_equal(cpu.general[0], 0x20000);
	assert_int_equal(cpu.general[3], 0x20003);
	assert_int_equal(cpu.general[6], 0x2000f); /* rsp */
	assert_int_equal(cpu.general[7], 0x20010); /* rbp */
	assert_int_equal(cpu.general[8], 0x20006);
	assert_int_equal(cpu.general[15], 0x2000d);
	assert_int_equal(cpu.pc, 0x2000e);
	assert_int_equal(cpu.sp, 0x2000f);
	assert_int_equal(cpu.flags, 0x20011);
	assert_int_equal(cpu.gs_base, 0x20100);
	assert_int_equal(cpu.cr[0], 0x20200);
	assert_int_equal(cpu.cr[2], 0x20201);
	assert_int_equal(cpu.cr[3], 0x20202);
	assert_int_equal(cpu.cr[4], 0x20203);
	assert_int_equal(cpu.gdt_base, 0x20300);
	assert_int_equal(cpu.idt_base, 0x20400);
	assert_int_equal(cpu.efer, 0x20500);
	assert_int_equal(cpu.kernel_gs_base, 0x20600);
	assert_int_equal(elf_core_cpu(&core, 2, &cpu), SONDE_E_NOT_FOUND);
	elf_core_finish(&core);
}

/* One that is cut short is none, and the one behind it is the first. */
static void a_processor_that_is_cut_short_takes_no_number(void **state)
{
	static uint8_t bytes[VBOX_SIZE];
	struct elf_core core;
	struct sonde_cpu cpu = { 0 };
	const char *why;

	(void)state;
	make_vbox(bytes, 0x00010005);
	memmove(bytes + 0x250, bytes + 0x22c, 8788); /* the second one goes */
	synth_note(bytes, 0x22c, 0, "VBCPU", 0xb01, bytes, 16);
	assert_int_equal(parse(&core, bytes, VBOX_SIZE, &why), 0);
	assert_int_equal(elf_core_cpu_count(&core), 1);
	assert_int_equal(elf_core_cpu(&core, 0, &cpu), 0);
	assert_int_equal(cpu.pc, 0x1000e);
	assert_int_equal(elf_core_cpu(&core, 1, &cpu), SONDE_E_NOT_FOUND);
	elf_core_finish(&core);
}

static void of_a_form_that_is_not_known_there_are_no_processors(void **state)
{
	static const uint32_t formats[] = { 0, 0x00010000, 0x00010003, 0x00020000, UINT32_MAX };
	static uint8_t bytes[VBOX_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct elf_core core;
		struct sonde_cpu cpu = { 0 };
		const char *why;
		make_vbox(bytes, formats[i]);
		assert_int_equal(parse(&core, bytes, VBOX_SIZE, &why), 0);
		assert_int_equal(elf_core_cpu_count(&core), 0);
		assert_int_equal(elf_core_cpu(&core, 0, &cpu), SONDE_E_NOT_FOUND);
		elf_core_finish(&core);
	}
}

/* ---- Xen ---------------------------------------------------------------------------------------- */

#define XEN_SIZE 0xa000u
#define XEN_PAGES_AT 0x5000u
#define XEN_CPUS_AT 0x800u
#define XEN_LIST_AT 0x3400u
#define N_PAGES 5u

/* A core as xc_core.c writes it: a table of sections behind the header, pages 3 4 (none) 9 2. */
static void make_xen(uint8_t *bytes, int by_machine)
{
	static const char names[] =
		"\0.shstrtab\0.note.Xen\0.xen_prstatus\0.xen_pfn\0.xen_p2m\0.xen_pages";
	static const uint64_t pages[N_PAGES] = { 3, 4, UINT64_MAX, 9, 2 };
	const struct {
		const char *name;
		uint64_t off, size;
	} sections[] = {
		{ ".shstrtab", 0x400, sizeof(names) },
		{ ".note.Xen", 0x500, 0x100 },
		{ ".xen_prstatus", XEN_CPUS_AT, 2 * 5168 },
		{ by_machine ? ".xen_p2m" : ".xen_pfn", XEN_LIST_AT,
		  N_PAGES * (by_machine ? 16 : 8) },
		{ ".xen_pages", XEN_PAGES_AT, N_PAGES * PAGE },
	};
	uint8_t head[32] = { 0 }, version[16] = { 0 };

	synth_elf(bytes, XEN_SIZE, &(struct synth_elf){ .machine = X86_64, .shoff = 64 });
	synth_put(bytes + 58, 0, 2, 64);
	synth_put(bytes + 60, 0, 2, 6);
	synth_put(bytes + 62, 0, 2, 1); /* e_shstrndx */
	memcpy(bytes + 0x400, names, sizeof(names));
	for (size_t i = 0; i < 5; i++) {
		uint8_t *section = bytes + 64 + 64 * (i + 1);
		const char *name = memmem(names, sizeof(names), sections[i].name,
					  strlen(sections[i].name) + 1);
		synth_put(section, 0, 4, (uint64_t)(name - names));
		put64(section + 24, sections[i].off);
		put64(section + 32, sections[i].size);
	}
	put64(head, 0xf00febee);
	put64(head + 8, 2);
	put64(head + 16, N_PAGES);
	put64(head + 24, PAGE);
	put64(version, 4);
	put64(version + 8, 17);
	size_t at = synth_note(bytes, 0x500, 0, "Xen", 0x2000001, head, sizeof(head));
	synth_note(bytes, at, 0, "Xen", 0x2000002, version, sizeof(version));
	for (size_t i = 0; i < N_PAGES; i++) {
		uint8_t *entry = bytes + XEN_LIST_AT + (by_machine ? 16 : 8) * i;
		put64(entry, by_machine ? i : pages[i]);
		if (by_machine)
			put64(entry + 8, pages[i]);
		memset(bytes + XEN_PAGES_AT + i * PAGE, (int)pages[i], PAGE);
	}
	for (size_t i = 0; i < 2; i++) {
		uint8_t *cpu = bytes + XEN_CPUS_AT + i * 5168;
		for (size_t k = 0; k < 25; k++) /* user_regs, in words */
			put64(cpu + 520 + 8 * k, 0x1000 * (i + 1) + k);
		for (size_t k = 0; k < 8; k++)
			put64(cpu + 4984 + 8 * k, 0x2000 * (i + 1) + k);
	}
}

static void pages_of_xen_are_where_its_list_says(void **state)
{
	static uint8_t bytes[XEN_SIZE];

	(void)state;
	for (int by_machine = 0; by_machine < 2; by_machine++) {
		struct elf_core core;
		struct sonde_cpu cpu = { 0 };
		const char *why;
		make_xen(bytes, by_machine);
		assert_int_equal(parse(&core, bytes, XEN_SIZE, &why), 0);
		assert_int_equal(core.n_segments, 3);
		assert_int_equal(core.segments[0].paddr, 3 * PAGE);
		assert_int_equal(core.segments[0].filesz, 2 * PAGE);
		assert_int_equal(core.segments[0].off, XEN_PAGES_AT);
		assert_int_equal(core.segments[1].paddr, 9 * PAGE);
		assert_int_equal(core.segments[1].off, XEN_PAGES_AT + 3 * PAGE);
		assert_int_equal(core.segments[2].paddr, 2 * PAGE);
		assert_int_equal(core.n_cut, 0);
		assert_int_equal(elf_core_cpu_count(&core), 2);
		assert_int_equal(elf_core_cpu(&core, 1, &cpu), 0);
		assert_int_equal(cpu.valid, SONDE_CPU_GENERAL | SONDE_CPU_CONTROL);
		assert_int_equal(cpu.general[0], 0x2000 + 10); /* rax */
		assert_int_equal(cpu.general[1], 0x2000 + 5);  /* rbx */
		assert_int_equal(cpu.general[6], 0x2000 + 19); /* rsp */
		assert_int_equal(cpu.general[7], 0x2000 + 4);  /* rbp */
		assert_int_equal(cpu.general[15], 0x2000 + 0); /* r15 */
		assert_int_equal(cpu.pc, 0x2000 + 16);
		assert_int_equal(cpu.flags, 0x2000 + 18);
		assert_int_equal(cpu.cr[3], 0x4000 + 3);
		assert_int_equal(elf_core_cpu(&core, 2, &cpu), SONDE_E_NOT_FOUND);
		elf_core_finish(&core);
	}
}

/* Behind the bytes of a core there are zeros: as many as a hole in a file may have, and here an end after all. */
struct hole {
	struct synth_image front;
	size_t n_reads;
};

static size_t read_hole(void *user, uint64_t off, void *buf, size_t len)
{
	struct hole *hole = user;
	size_t n = synth_image_read(&hole->front, off, buf, len);

	if (++hole->n_reads == 10000)
		return 0;
	memset((uint8_t *)buf + n, 0, len - n);
	return len;
}

static void a_list_of_pages_in_a_hole_is_not_read_to_its_end(void **state)
{
	static uint8_t bytes[XEN_SIZE];
	struct hole hole = { .front = { bytes, XEN_SIZE } };
	struct elf_core core;
	const char *why;

	(void)state;
	make_xen(bytes, 0);
	put64(bytes + 64 + 64 * 4 + 24, XEN_SIZE);
	put64(bytes + 64 + 64 * 4 + 32, UINT64_C(1) << 48);
	put64(bytes + 64 + 64 * 5 + 32, UINT64_C(1) << 60);
	assert_int_equal(elf_core_read(&core, read_hole, &hole, INT64_MAX, &why), 0);
	assert_in_range(hole.n_reads, 1, 9999);
	assert_int_equal(core.n_segments, ELF_SEGMENTS_MAX);
	assert_int_equal(core.n_cut, 0);
	elf_core_finish(&core);
}

static const struct {
	const char *what;
	int at, size; /* of what is changed: of section 5 is .xen_pages, 4 the list, 2 the notes */
	uint64_t value;
	int want;
	size_t n_segments;
	uint64_t n_cut;
} xen_lies[] = {
	{ "no pages", 64 + 64 * 5 + 32, 8, 0, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "no list", 64 + 64 * 4 + 32, 8, 0, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "no names", 62, 2, 7, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "sections beyond any file", 40, 8, UINT64_MAX - 99, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "narrow sections", 58, 2, 63, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "pages that have no size", 0x500 + 16 + 24, 8, 0, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "pages of no size they have", 0x500 + 16 + 24, 8, 4097, SONDE_E_BAD_FORMAT, 0, 0 },
	{ "a list that is longer than the pages", 64 + 64 * 4 + 32, 8, 1 << 20, 0, 3,
	  (1 << 17) - N_PAGES },
	{ "a list beyond the file", 64 + 64 * 4 + 24, 8, UINT64_MAX - 7, SONDE_E_TRUNCATED, 0, 0 },
	{ "pages beyond the file", 64 + 64 * 5 + 24, 8, UINT64_MAX - 0x2fff, 0, 1, 0 },
	{ "a page beyond 2^64", XEN_LIST_AT + 24, 8, UINT64_MAX - 1, 0, 2, 0 },
};

static void xen_lies_are_told_or_cost_what_they_touch(void **state)
{
	static uint8_t bytes[XEN_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(xen_lies) / sizeof(xen_lies[0]); i++) {
		struct elf_core core;
		const char *why;
		make_xen(bytes, 0);
		synth_put(bytes + xen_lies[i].at, 0, xen_lies[i].size, xen_lies[i].value);
		int r = parse(&core, bytes, XEN_SIZE, &why);
		if (r != xen_lies[i].want || core.n_segments != xen_lies[i].n_segments ||
		    (r == 0 && core.n_cut != xen_lies[i].n_cut) || (r < 0 && !why[0]))
			fail_msg("%s: %d '%s', %zu segments, %llu cut", xen_lies[i].what, r, why,
				 core.n_segments, (unsigned long long)core.n_cut);
		elf_core_finish(&core);
	}
}

static void a_core_of_xen_ends_anywhere_and_may_have_any_bit_flipped(void **state)
{
	static uint8_t bytes[XEN_SIZE];
	struct elf_core core;
	const char *why;

	(void)state;
	make_xen(bytes, 0);
	for (size_t size = 0; size < XEN_SIZE; size += size < 0x600 ? 1 : 61) {
		int r = parse(&core, bytes, size, &why);
		assert_true(r == 0 || (r < 0 && why[0]));
		elf_core_finish(&core);
	}
	for (size_t bit = 0; bit < 0x600 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = parse(&core, bytes, XEN_SIZE, &why);
		assert_true(r == 0 || (r < 0 && why[0]));
		elf_core_finish(&core);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* ---- through the connector -------------------------------------------------------------------- */

struct opened {
	char path[40], name[64];
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
	struct sonde_target_info info;
};

static void open_image(struct opened *opened, const char *connector, const uint8_t *bytes,
		       size_t size)
{
	struct sonde_error err;

	strcpy(opened->path, "/tmp/sonde-elf-hosts-XXXXXX");
	int fd = mkstemp(opened->path);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	snprintf(opened->name, sizeof(opened->name), "%s%s", connector, opened->path);
	assert_int_equal(sonde_loop_create(NULL, &opened->loop, NULL), 0);
	if (sonde_target_open(opened->loop, opened->name, NULL, &opened->target, &err) < 0)
		fail_msg("%s", err.text);
	opened->space = sonde_target_memory(opened->target);
	sonde_target_info(opened->target, &opened->info);
	assert_string_equal(opened->info.connector, "elfcore");
}

static void close_image(struct opened *opened)
{
	sonde_target_close(opened->target);
	sonde_loop_destroy(opened->loop);
	unlink(opened->path);
}

static void what_wrote_it_is_told(void **state)
{
	static uint8_t vbox[VBOX_SIZE], xen[XEN_SIZE];
	struct opened opened;
	uint8_t bytes[4];

	(void)state;
	make_vbox(vbox, 0x00010006);
	open_image(&opened, "", vbox, VBOX_SIZE);
	assert_string_equal(opened.info.detail, "ELF64 core, VirtualBox 7.0.14, 2 CPUs, 1 segment");
	assert_int_equal(opened.info.flags, SONDE_TARGET_PHYSICAL);
	close_image(&opened);
	make_xen(xen, 0);
	open_image(&opened, "", xen, XEN_SIZE);
	assert_string_equal(opened.info.detail, "ELF64 core, Xen 4.17, 2 CPUs, 3 segments");
	assert_int_equal(sonde_space_get(opened.space, 5 * PAGE - 2, bytes, 2), 0);
	assert_int_equal(bytes[1], 4);
	assert_int_equal(sonde_space_get(opened.space, 2 * PAGE + 7, bytes, 1), 0);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(sonde_space_get(opened.space, 5 * PAGE, bytes, 1), SONDE_E_NOT_MAPPED);
	close_image(&opened);
}

static void a_flattened_core_is_read_piece_by_piece(void **state)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0x200, 0, 0x1000, 0x300, 0x300, 6, 0 },
		{ SYNTH_LOAD, 0x500, 0, 0x9000, 0x100, 0x200, 6, 0 },
	};
	static const size_t pieces[] = { 0x600, 0x100, 0x37, 1 };
	uint8_t core[0x600], bytes[0x300];

	(void)state;
	synth_elf(core, sizeof(core),
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 2 });
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct opened opened;
		size_t size;
		uint8_t *flat = synth_flatten(core, sizeof(core), pieces[i], &size);
		open_image(&opened, "elfcore:", flat, size);
		free(flat);
		assert_string_equal(opened.info.detail,
				    "ELF64 core, flattened, 0 CPUs, 2 segments");
		assert_int_equal(sonde_space_get(opened.space, 0x1000, bytes, 0x300), 0);
		assert_memory_equal(bytes, core + 0x200, 0x300);
		assert_int_equal(sonde_space_get(opened.space, 0x9000, bytes, 0x100), 0);
		assert_memory_equal(bytes, core + 0x500, 0x100);
		assert_int_equal(sonde_space_get(opened.space, 0x9100, bytes, 1),
				 SONDE_E_NOT_SAVED);
		close_image(&opened);
	}
}

/* Pieces that are missing are holes of the file that it stands for: zeros. */
static void what_no_piece_holds_is_zeros(void **state)
{
	static const struct synth_segment segment = { SYNTH_LOAD, 0x200, 0, 0x1000,
						      0x400,      0x400, 6, 0 };
	uint8_t core[0x600], bytes[0x400];
	struct opened opened;
	size_t size;

	(void)state;
	synth_elf(core, sizeof(core),
		  &(struct synth_elf){ .machine = X86_64, .segments = &segment, .n_segments = 1 });
	uint8_t *flat = synth_flatten(core, sizeof(core), 0x100, &size);
	for (size_t at = 4096; at + 16 <= size; at += 0x110) { /* behind the head's nonsense */
		at += at == 4096 ? 600 - 0x100 : 0;
		if (flat[at + 6] == 3) /* that of 0x300 moves out of the way */
			synth_put(flat + at, 1, 8, 0x10000);
	}
	open_image(&opened, "elfcore:", flat, size);
	free(flat);
	assert_int_equal(sonde_space_get(opened.space, 0x1000, bytes, 0x400), 0);
	memset(core + 0x300, 0, 0x100);
	assert_memory_equal(bytes, core + 0x200, 0x400);
	close_image(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processors_of_virtualbox),
		cmocka_unit_test(a_processor_that_is_cut_short_takes_no_number),
		cmocka_unit_test(of_a_form_that_is_not_known_there_are_no_processors),
		cmocka_unit_test(pages_of_xen_are_where_its_list_says),
		cmocka_unit_test(a_list_of_pages_in_a_hole_is_not_read_to_its_end),
		cmocka_unit_test(xen_lies_are_told_or_cost_what_they_touch),
		cmocka_unit_test(a_core_of_xen_ends_anywhere_and_may_have_any_bit_flipped),
		cmocka_unit_test(what_wrote_it_is_told),
		cmocka_unit_test(a_flattened_core_is_read_piece_by_piece),
		cmocka_unit_test(what_no_piece_holds_is_zeros),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

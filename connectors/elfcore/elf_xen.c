/* SPDX-License-Identifier: MIT */
#include "elf_xen.h"

#include <stdlib.h>
#include <string.h>

#define SECTIONS_MAX 64u /* looked at; seven in practice */
#define LIST_CHUNK (64u << 10)

enum {
	NOTE_HEADER = 0x2000001, /* magic, processors, pages, size of a page: 64 bits each */
	HEADER_PAGE_SIZE = 24,
	HEADER_SIZE = 32,

	CPU_SIZE = 5168, /* vcpu_guest_context of x86-64 */
	CPU_REGS =
		520, /* its user_regs: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi, code, rip … */
	CPU_CR = 4984, /* its ctrlreg[8] */
	REGS_RIP = 128,
	REGS_RFLAGS = 144,
	REGS_RSP = 152,
};

/* ---- sections ----------------------------------------------------------------------------------- */

static uint64_t word(const struct elf_core *core, const void *p)
{
	return core->word == 8 ? elf_u64(core, p) : elf_u32(core, p);
}

static struct elf_stretch *wanted(struct elf_xen *xen, const char *name)
{
	const struct {
		const char *name;
		struct elf_stretch *stretch;
	} all[] = {
		{ ".note.Xen", &xen->notes },  { ".xen_prstatus", &xen->cpus },
		{ ".xen_pfn", &xen->pfn },     { ".xen_p2m", &xen->p2m },
		{ ".xen_pages", &xen->pages },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, name) == 0)
			return all[i].stretch;
	}
	return NULL;
}

struct section {
	uint32_t name; /* where it stands among the names */
	struct elf_stretch stretch;
};

static int read_section(struct section *ret, const struct elf_core *core,
			const struct elf_sections *sections, uint32_t i, elf_read_fn *read,
			void *user)
{
	const struct elf_layout *at = sections->layout;
	uint8_t head[64];
	uint64_t off;

	if (__builtin_add_overflow(sections->off, (uint64_t)i * sections->stride, &off) ||
	    sections->stride < at->sh_entry || read(user, off, head, at->sh_entry) < at->sh_entry)
		return 0;
	ret->name = elf_u32(core, head);
	ret->stretch.off = word(core, head + at->sh_offset);
	ret->stretch.len = word(core, head + at->sh_size);
	return 1;
}

int elf_xen_find(struct elf_xen *ret, const struct elf_core *core,
		 const struct elf_sections *sections, elf_read_fn *read, void *user)
{
	struct section names, section;

	*ret = (struct elf_xen){ 0 };
	if (!read_section(&names, core, sections, sections->names, read, user))
		return 0;
	for (uint32_t i = 0; i < sections->n && i < SECTIONS_MAX; i++) {
		char name[16] = "";
		uint64_t off;
		if (!read_section(&section, core, sections, i, read, user))
			break;
		if (__builtin_add_overflow(names.stretch.off, section.name, &off))
			continue;
		read(user, off, name, sizeof(name) - 1);
		struct elf_stretch *stretch = wanted(ret, name);
		if (stretch)
			*stretch = section.stretch;
	}
	return ret->pages.len && (ret->pfn.len || ret->p2m.len);
}

/* ---- pages -------------------------------------------------------------------------------------- */

/* Pages that lie behind each other in the file, and in memory as well. */
struct run {
	uint64_t page, first, n; /* number in memory, index in the file */
};

static int add_run(struct elf_core *core, const struct elf_xen *xen, const struct run *run,
		   uint64_t page_size)
{
	struct elf_segment segment = {
		.paddr = run->page * page_size,
		.filesz = run->n * page_size,
		.memsz = run->n * page_size,
		.flags = ELF_FLAG_READ | ELF_FLAG_WRITE,
	};

	if (run->n == 0)
		return 0;
	if (core->n_segments == ELF_SEGMENTS_MAX || run->page > UINT64_MAX / page_size ||
	    __builtin_add_overflow(xen->pages.off, run->first * page_size, &segment.off)) {
		core->n_refused++;
		return 0;
	}
	return elf_core_add_segment(core, &segment);
}

/* Take a chunk of the list; a run goes on from one chunk to the next. */
static int take_list(struct elf_core *core, const struct elf_xen *xen, const uint8_t *list,
		     uint64_t n, uint32_t entry, struct run *run, uint64_t page_size)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		uint64_t page = elf_u64(core, list + i * entry + entry - 8);
		uint64_t index = run->first + run->n;
		if (page != UINT64_MAX && run->n && page == run->page + run->n) {
			run->n++;
			continue;
		}
		r = add_run(core, xen, run, page_size);
		*run = (struct run){ .page = page, .first = index, .n = 1 };
		if (page == UINT64_MAX)
			*run = (struct run){ .first = index + 1 };
	}
	return r;
}

static int add_pages(struct elf_core *core, const struct elf_xen *xen, uint64_t page_size,
		     elf_read_fn *read, void *user)
{
	const struct elf_stretch *list = xen->pfn.len ? &xen->pfn : &xen->p2m;
	uint32_t entry = xen->pfn.len ? 8 : 16;
	uint64_t n = list->len / entry, n_pages = xen->pages.len / page_size, off = list->off;
	uint8_t *chunk = malloc(LIST_CHUNK);
	struct run run = { 0 };
	int r = chunk ? 0 : SONDE_E_NO_MEMORY;

	core->n_headers = n;
	core->n_cut = n > n_pages ? n - n_pages : 0;
	n = n < n_pages ? n : n_pages;
	while (r == 0 && n && core->n_segments < ELF_SEGMENTS_MAX) {
		uint64_t want = n < LIST_CHUNK / entry ? n : LIST_CHUNK / entry;
		uint64_t got =
			off < core->file_size ? read(user, off, chunk, want * entry) / entry : 0;
		r = take_list(core, xen, chunk, got, entry, &run, page_size);
		n -= got;
		off += got * entry;
		if (got < want)
			break;
	}
	if (core->n_segments < ELF_SEGMENTS_MAX)
		core->n_cut += n;
	else
		core->n_refused += n;
	free(chunk);
	return r == 0 ? add_run(core, xen, &run, page_size) : r;
}

static int add_cpus(struct elf_core *core, const struct elf_stretch *cpus, elf_read_fn *read,
		    void *user)
{
	uint64_t left = cpus->off < core->file_size ? core->file_size - cpus->off : 0;
	uint64_t len = cpus->len < left ? cpus->len : left;

	len = len < ELF_NOTE_BYTES_MAX ? len : ELF_NOTE_BYTES_MAX;
	if (len < CPU_SIZE)
		return 0;
	core->xen_cpus = malloc((size_t)len);
	if (!core->xen_cpus)
		return SONDE_E_NO_MEMORY;
	core->xen_cpus_len = read(user, cpus->off, core->xen_cpus, (size_t)len);
	return 0;
}

int elf_xen_add(struct elf_core *core, const struct elf_xen *xen, elf_read_fn *read, void *user,
		const char **ret_why)
{
	const struct elf_note *header = elf_note_find(core, "Xen", NOTE_HEADER, 0);
	uint64_t page_size = 4096;

	if (header && header->len >= HEADER_SIZE)
		page_size = elf_u64(core, header->desc + HEADER_PAGE_SIZE);
	*ret_why = "Xen's note says that its pages have a size that pages do not have";
	if (page_size < 4096 || page_size > 65536 || (page_size & (page_size - 1)))
		return SONDE_E_BAD_FORMAT;
	*ret_why = "out of memory";
	core->is_xen = 1;
	int r = add_pages(core, xen, page_size, read, user);
	return r == 0 ? add_cpus(core, &xen->cpus, read, user) : r;
}

/* ---- processors --------------------------------------------------------------------------------- */

uint32_t elf_xen_cpu_count(const struct elf_core *core)
{
	int known = core->machine == ELF_MACHINE_X86_64 && !core->big;

	return known ? (uint32_t)(core->xen_cpus_len / CPU_SIZE) : 0;
}

int elf_xen_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret)
{
	/* Of user_regs, in the order of sonde_cpu.general. */
	static const uint8_t order[16] = {
		80, 40, 88, 96, 104, 112, REGS_RSP, 32, 72, 64, 56, 48, 24, 16, 8, 0,
	};

	if (index >= elf_xen_cpu_count(core))
		return SONDE_E_NOT_FOUND;
	const uint8_t *cpu = core->xen_cpus + (size_t)index * CPU_SIZE, *regs = cpu + CPU_REGS;
	ret->valid = SONDE_CPU_GENERAL | SONDE_CPU_CONTROL;
	for (int i = 0; i < 16; i++)
		ret->general[i] = sonde_le64(regs + order[i]);
	ret->pc = sonde_le64(regs + REGS_RIP);
	ret->sp = sonde_le64(regs + REGS_RSP);
	ret->flags = sonde_le64(regs + REGS_RFLAGS);
	for (int i = 0; i < 5; i++)
		ret->cr[i] = sonde_le64(cpu + CPU_CR + 8 * i);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Headers of ELF cores. Nothing in them is believed: tables may lie anywhere or beyond
 * the end, counts may be in the millions, addresses may wrap. What can be read is kept and
 * the rest counted, because a dump that was cut off is often all there is.
 * Note that QEMU 7.2 writes e_ehsize 8 and puts the program headers at 192.
 */
#include "elf_core.h"

#include "elf_format.h"
#include "elf_vbox.h"
#include "elf_xen.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_CHUNK (64u << 10) /* bytes of program headers read at once */
#define NOTE_SEGMENTS_MAX 64
#define STRIDE_MAX 1024 /* bytes from one program header to the next; 56 or 32 in practice */

uint16_t elf_u16(const struct elf_core *core, const void *p)
{
	uint16_t v = sonde_le16(p);
	return core->big ? __builtin_bswap16(v) : v;
}

uint32_t elf_u32(const struct elf_core *core, const void *p)
{
	uint32_t v = sonde_le32(p);
	return core->big ? __builtin_bswap32(v) : v;
}

uint64_t elf_u64(const struct elf_core *core, const void *p)
{
	uint64_t v = sonde_le64(p);
	return core->big ? __builtin_bswap64(v) : v;
}

static uint64_t elf_word(const struct elf_core *core, const void *p)
{
	return core->word == 8 ? elf_u64(core, p) : elf_u32(core, p);
}

struct reader {
	struct elf_core *core;
	const struct elf_layout *layout;
	elf_read_fn *read;
	void *user;
	const char *why;
	size_t note_ends[NOTE_SEGMENTS_MAX]; /* [n_note_ends], offsets into core->note_bytes */
	size_t n_note_ends;
	struct elf_xen xen; /* its sections, where there are no program headers */
};

static int fail(struct reader *r, int code, const char *why)
{
	r->why = why;
	return code;
}

/* Make room for one more; caps stay under the bounds of elf_core.h, so nothing overflows. */
static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	size_t wanted = *cap ? *cap * 2 : 16;
	void *bigger = realloc(array, wanted * size);
	if (bigger)
		*cap = wanted;
	return bigger;
}

int elf_core_add_segment(struct elf_core *core, const struct elf_segment *segment)
{
	struct elf_segment *segments =
		grow(core->segments, core->n_segments, &core->cap_segments, sizeof(*segments));
	if (!segments)
		return SONDE_E_NO_MEMORY;
	core->segments = segments;
	segments[core->n_segments++] = *segment;
	return 0;
}

/* PT_NOTE: whatever of it lies in the file, within the bound for all notes together. */
static int add_notes(struct reader *r, uint64_t off, uint64_t len)
{
	struct elf_core *core = r->core;

	if (off >= core->file_size)
		return 0;
	if (len > core->file_size - off)
		len = core->file_size - off;
	if (len > ELF_NOTE_BYTES_MAX - core->n_note_bytes)
		len = ELF_NOTE_BYTES_MAX - core->n_note_bytes;
	if (len == 0 || r->n_note_ends == NOTE_SEGMENTS_MAX)
		return 0;
	uint8_t *bytes = realloc(core->note_bytes, core->n_note_bytes + (size_t)len);
	if (!bytes)
		return SONDE_E_NO_MEMORY;
	core->note_bytes = bytes;
	core->n_note_bytes += r->read(r->user, off, bytes + core->n_note_bytes, (size_t)len);
	r->note_ends[r->n_note_ends++] = core->n_note_bytes;
	return 0;
}

/* Each segment by itself, once the bytes lie still: a broken one must not swallow the next. */
static int parse_notes(struct reader *r)
{
	size_t start = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < r->n_note_ends; i++) {
		result = elf_notes_add(r->core, r->core->note_bytes + start,
				       r->note_ends[i] - start);
		start = r->note_ends[i];
	}
	return result;
}

static int add_header(struct reader *r, const uint8_t *ph)
{
	const struct elf_layout *at = r->layout;
	struct elf_core *core = r->core;
	uint32_t type = elf_u32(core, ph);
	struct elf_segment segment = {
		.paddr = elf_word(core, ph + at->ph_paddr),
		.vaddr = elf_word(core, ph + at->ph_vaddr),
		.off = elf_word(core, ph + at->ph_offset),
		.filesz = elf_word(core, ph + at->ph_filesz),
		.memsz = elf_word(core, ph + at->ph_memsz),
		.flags = elf_u32(core, ph + at->ph_flags),
	};

	if (type == ELF_SEGMENT_LOAD && (segment.filesz || segment.memsz))
		return elf_core_add_segment(core, &segment);
	if (type == ELF_SEGMENT_NOTE)
		return add_notes(r, segment.off, segment.filesz);
	return 0;
}

/* n headers of stride bytes each from off on, all inside the file, a chunk at a time. */
static int read_table(struct reader *r, uint64_t off, uint64_t n, uint32_t stride)
{
	uint32_t per_chunk = stride < TABLE_CHUNK ? TABLE_CHUNK / stride : 1;
	size_t chunk_size = (size_t)per_chunk * stride;
	uint8_t *chunk = malloc(chunk_size);
	int result = chunk ? 0 : SONDE_E_NO_MEMORY;

	while (result == 0 && n > 0) {
		uint64_t want = n < per_chunk ? n : per_chunk;
		uint64_t got = r->read(r->user, off, chunk, (size_t)(want * stride)) / stride;
		for (uint64_t i = 0; result == 0 && i < got; i++)
			result = add_header(r, chunk + i * stride);
		n -= got;
		off += got * stride;
		if (got < want)
			break;
	}
	r->core->n_cut += n;
	free(chunk);
	return result;
}

/* PN_XNUM: more headers than e_phnum can say; section 0 says how many. */
static int count_in_section(struct reader *r, uint64_t shoff, uint64_t *ret)
{
	uint8_t info[4];
	uint64_t at;

	if (__builtin_add_overflow(shoff, r->layout->sh_info, &at) || shoff == 0 ||
	    r->read(r->user, at, info, sizeof(info)) != sizeof(info))
		return fail(r, SONDE_E_TRUNCATED,
			    "ends before section 0, which counts its program headers");
	*ret = elf_u32(r->core, info);
	return 0;
}

/* Without program headers: sections, where Xen wrote it. */
static int read_sections(struct reader *r, const uint8_t *head)
{
	const struct elf_layout *at = r->layout;
	const struct elf_sections sections = {
		.layout = at,
		.off = elf_word(r->core, head + at->shoff),
		.stride = elf_u16(r->core, head + at->shentsize),
		.n = elf_u16(r->core, head + at->shnum),
		.names = elf_u16(r->core, head + at->shstrndx),
	};

	if (!sections.n || !elf_xen_find(&r->xen, r->core, &sections, r->read, r->user))
		return fail(r, SONDE_E_BAD_FORMAT,
			    "holds no program headers, and no sections of Xen, so no memory");
	return add_notes(r, r->xen.notes.off, r->xen.notes.len);
}

static int read_headers(struct reader *r, const uint8_t *head)
{
	const struct elf_layout *at = r->layout;
	struct elf_core *core = r->core;
	uint64_t phoff = elf_word(core, head + at->phoff);
	uint32_t stride = elf_u16(core, head + at->phentsize);
	uint64_t n = elf_u16(core, head + at->phnum);
	int result = 0;

	if (n == ELF_PHNUM_IN_SECTION)
		result = count_in_section(r, elf_word(core, head + at->shoff), &n);
	if (result < 0)
		return result;
	if (n == 0)
		return read_sections(r, head);
	if (n > ELF_SEGMENTS_MAX)
		return fail(r, SONDE_E_LIMIT, "claims more than 262144 program headers");
	if (stride < at->ph_size || stride > STRIDE_MAX)
		return fail(r, SONDE_E_BAD_FORMAT,
			    "its program headers have no size they could have");
	if (phoff >= core->file_size)
		return fail(r, SONDE_E_TRUNCATED, "ends before its program headers");

	uint64_t fit = (core->file_size - phoff) / stride;
	core->n_headers = n;
	core->n_cut = n > fit ? n - fit : 0;
	result = read_table(r, phoff, n < fit ? n : fit, stride);
	if (result == 0 && core->n_cut == n)
		return fail(r, SONDE_E_TRUNCATED, "ends inside its first program header");
	return result;
}

static int read_ident(struct reader *r, const uint8_t *head, size_t len)
{
	struct elf_core *core = r->core;

	if (len < ELF_IDENT_SIZE || memcmp(head, "\177ELF", 4) != 0)
		return fail(r, SONDE_E_BAD_FORMAT, "is not an ELF file");
	if (head[ELF_IDENT_CLASS] != ELF_CLASS_32 && head[ELF_IDENT_CLASS] != ELF_CLASS_64)
		return fail(r, SONDE_E_BAD_FORMAT, "is of an unknown ELF class");
	if (head[ELF_IDENT_DATA] != ELF_DATA_LITTLE && head[ELF_IDENT_DATA] != ELF_DATA_BIG)
		return fail(r, SONDE_E_BAD_FORMAT, "is of an unknown byte order");
	if (head[ELF_IDENT_VERSION] != ELF_VERSION_CURRENT &&
	    head[ELF_IDENT_VERSION] != ELF_VERSION_NONE)
		return fail(r, SONDE_E_BAD_FORMAT, "is of an unknown ELF version");

	core->big = head[ELF_IDENT_DATA] == ELF_DATA_BIG;
	r->layout = head[ELF_IDENT_CLASS] == ELF_CLASS_64 ? &elf_layout_64 : &elf_layout_32;
	core->word = r->layout->word;
	if (len < r->layout->head_size)
		return fail(r, SONDE_E_TRUNCATED, "ends inside its ELF header");
	if (elf_u16(core, head + ELF_TYPE_AT) != ELF_TYPE_CORE)
		return fail(r, SONDE_E_BAD_FORMAT, "is an ELF file, but no core");
	core->machine = elf_u16(core, head + ELF_MACHINE_AT);
	return 0;
}

/*
 * Cores of processes leave every p_paddr 0. A machine with a single segment at physical 0 does
 * too: then a note that only machines have decides.
 */
static int is_process(const struct elf_core *core)
{
	for (size_t i = 0; i < core->n_segments; i++) {
		if (core->segments[i].paddr != 0)
			return 0;
	}
	return core->n_segments > 0 && !core->is_xen && !elf_vbox_version(core) &&
	       !elf_note_find(core, "QEMU", -1, 0) && !elf_note_find(core, "VMCOREINFO", -1, 0);
}

static int wraps(const struct elf_core *core, const struct elf_segment *s)
{
	uint64_t span = s->filesz > s->memsz ? s->filesz : s->memsz;

	return span - 1 > UINT64_MAX - elf_segment_addr(core, s);
}

/* Only now is it known which address of a segment counts. */
static void refuse_wrapping(struct elf_core *core)
{
	size_t kept = 0;

	for (size_t i = 0; i < core->n_segments; i++) {
		if (wraps(core, &core->segments[i]))
			core->n_refused++;
		else
			core->segments[kept++] = core->segments[i];
	}
	core->n_segments = kept;
}

int elf_core_read(struct elf_core *ret, elf_read_fn *read, void *user, uint64_t file_size,
		  const char **ret_why)
{
	struct reader r = { .core = ret, .read = read, .user = user, .why = "out of memory" };
	uint8_t head[64];

	memset(ret, 0, sizeof(*ret));
	ret->file_size = file_size;
	int result = read_ident(&r, head, read(user, 0, head, sizeof(head)));
	if (result == 0)
		result = read_headers(&r, head);
	if (result == 0)
		result = parse_notes(&r);
	if (result == 0 && r.xen.pages.len)
		result = elf_xen_add(ret, &r.xen, read, user, &r.why);
	if (result == 0) {
		ret->by_vaddr = is_process(ret);
		refuse_wrapping(ret);
	}
	if (result == 0 && ret->n_segments == 0)
		result = fail(&r, ret->n_cut ? SONDE_E_TRUNCATED : SONDE_E_BAD_FORMAT,
			      "holds no segment of memory that can be read");
	if (result < 0) {
		*ret_why = r.why;
		return result;
	}
	return 0;
}

void elf_core_finish(struct elf_core *core)
{
	free(core->segments);
	free(core->note_bytes);
	free(core->notes);
	free(core->xen_cpus);
	memset(core, 0, sizeof(*core));
}

uint32_t elf_core_arch(const struct elf_core *core)
{
	return elf_machine_arch(core->machine, core->word);
}

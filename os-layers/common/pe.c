/* SPDX-License-Identifier: MIT */
#include "common/pe.h"

#include <sonde/error.h>
#include <sonde/space.h>
#include <sonde/types.h>
#include <string.h>

enum {
	DOS_LFANEW = 0x3c,
	FILE_HEADER = 4, /* behind "PE\0\0" */
	FILE_N_SECTIONS = FILE_HEADER + 2,
	FILE_OPTIONAL_SIZE = FILE_HEADER + 16,
	OPTIONAL = FILE_HEADER + 20,
	OPTIONAL_SIZE_OF_IMAGE = OPTIONAL + 56,
	OPTIONAL_32 = 0x10b,
	OPTIONAL_64 = 0x20b,
	DIRECTORIES_32 = 96, /* in the optional header: the export directory is the first */
	DIRECTORIES_64 = 112,
	SECTION_BYTES = 40,
	EXPORT_BYTES = 40,
};

#define SECTION_EXEC UINT32_C(0x20000000)
#define SECTION_READ UINT32_C(0x40000000)
#define SECTION_WRITE UINT32_C(0x80000000)

static int fits(size_t off, size_t size, size_t len)
{
	return off <= len && size <= len - off;
}

static void take_section(const uint8_t *from, struct pe_section *ret)
{
	uint32_t flags = sonde_le32(from + 36);

	memcpy(ret->name, from, PE_SECTION_NAME);
	ret->size = sonde_le32(from + 8);
	ret->off = sonde_le32(from + 12);
	ret->flags = (flags & SECTION_READ ? SONDE_REGION_READ : 0) |
		     (flags & SECTION_WRITE ? SONDE_REGION_WRITE : 0) |
		     (flags & SECTION_EXEC ? SONDE_REGION_EXEC : 0);
}

static int take_sections(const uint8_t *table, uint32_t n, struct pe *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		struct pe_section *section = &ret->sections[i];
		take_section(table + (size_t)i * SECTION_BYTES, section);
		if (!fits(section->off, section->size, ret->size))
			return SONDE_E_CORRUPT;
	}
	ret->n_sections = n;
	return 1;
}

static int take_headers(const uint8_t *pe, size_t len, struct pe *ret)
{
	uint32_t n = sonde_le16(pe + FILE_N_SECTIONS),
		 optional = sonde_le16(pe + FILE_OPTIONAL_SIZE);
	uint32_t magic = sonde_le16(pe + OPTIONAL);
	uint32_t directories = magic == OPTIONAL_64 ? DIRECTORIES_64 : DIRECTORIES_32;

	if ((magic != OPTIONAL_64 && magic != OPTIONAL_32) || optional < directories ||
	    n > PE_SECTIONS_MAX)
		return SONDE_E_CORRUPT;
	if (!fits(OPTIONAL + optional, (size_t)n * SECTION_BYTES, len))
		return SONDE_E_LIMIT;
	ret->is_64 = magic == OPTIONAL_64;
	ret->size = sonde_le32(pe + OPTIONAL_SIZE_OF_IMAGE);
	/* How many directories there are stands in front of them. */
	if (sonde_le32(pe + OPTIONAL + directories - 4) >= 1 && optional >= directories + 8) {
		ret->exports_off = sonde_le32(pe + OPTIONAL + directories);
		ret->exports_size = sonde_le32(pe + OPTIONAL + directories + 4);
	}
	if (ret->size == 0 || !fits(ret->exports_off, ret->exports_size, ret->size))
		return SONDE_E_CORRUPT;
	return take_sections(pe + OPTIONAL + optional, n, ret);
}

int pe_parse(const uint8_t *head, size_t len, struct pe *ret)
{
	*ret = (struct pe){ 0 };
	if (len < DOS_LFANEW + 4 || memcmp(head, "MZ", 2) != 0)
		return 0;
	uint32_t off = sonde_le32(head + DOS_LFANEW);
	if (!fits(off, OPTIONAL + DIRECTORIES_64, len))
		return SONDE_E_LIMIT;
	if (memcmp(head + off, "PE\0\0", 4) != 0)
		return 0;
	return take_headers(head + off, len - off, ret);
}

/* ---- exports ---------------------------------------------------------------------------------------- */

struct exports {
	const struct pe *pe;
	const uint8_t *bytes; /* [pe->exports_size] */
	uint32_t n_functions, n_names;
	const uint8_t *functions, *names, *ordinals; /* arrays of 4, 4 and 2 bytes */
};

/* n elements of size bytes at off of the image, if they lie in the export directory; else NULL. */
static const uint8_t *inside(const struct exports *e, uint32_t off, uint32_t n, uint32_t size)
{
	uint32_t first = e->pe->exports_off;

	if (off < first || !fits(off - first, (size_t)n * size, e->pe->exports_size))
		return NULL;
	return e->bytes + (off - first);
}

static int find_arrays(struct exports *e)
{
	if (e->pe->exports_size < EXPORT_BYTES)
		return SONDE_E_CORRUPT;
	e->n_functions = sonde_le32(e->bytes + 20);
	e->n_names = sonde_le32(e->bytes + 24);
	e->functions = inside(e, sonde_le32(e->bytes + 28), e->n_functions, 4);
	e->names = inside(e, sonde_le32(e->bytes + 32), e->n_names, 4);
	e->ordinals = inside(e, sonde_le32(e->bytes + 36), e->n_names, 2);
	return e->functions && e->names && e->ordinals ? 0 : SONDE_E_CORRUPT;
}

static int visit_name(const struct exports *e, uint32_t i, pe_export_fn *fn, void *user)
{
	uint32_t name_off = sonde_le32(e->names + 4 * (size_t)i);
	uint32_t ordinal = sonde_le16(e->ordinals + 2 * (size_t)i);
	const char *name = (const char *)inside(e, name_off, 1, 1);

	if (!name || ordinal >= e->n_functions)
		return 0;
	size_t room = e->pe->exports_size - (name_off - e->pe->exports_off),
	       len = strnlen(name, room);
	uint32_t off = sonde_le32(e->functions + 4 * (size_t)ordinal);
	/* One that points into the directory is the name of another module's. */
	if (len == room || len == 0 || off == 0 || off >= e->pe->size || inside(e, off, 1, 1))
		return 0;
	return fn(user, name, len, off);
}

int pe_exports(const struct pe *pe, const uint8_t *bytes, pe_export_fn *fn, void *user)
{
	struct exports e = { .pe = pe, .bytes = bytes };
	int r = find_arrays(&e);

	for (uint32_t i = 0; i < e.n_names && r == 0; i++)
		r = visit_name(&e, i, fn, user);
	return r;
}

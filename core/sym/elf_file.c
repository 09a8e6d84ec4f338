/* SPDX-License-Identifier: MIT */
/*
 * ELF sections, symbols and the build id over bytes that may lie: every offset is checked against
 * the file, every string against its table.
 *
 * Source: System V ABI, gABI 4.1 chapter 4; build id: linux v6.1 lib/buildid.c.
 */
#include "sym/elf_file.h"

#include <sonde/types.h>
#include <string.h>

#define NOTE_BUILD_ID 3u /* NT_GNU_BUILD_ID */

/* An unsigned field of size bytes in the file's byte order. */
static uint64_t field(const struct elf_file *elf, const uint8_t *p, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)p[i] << 8 * (elf->big_endian ? size - 1 - i : i);
	return value;
}

/*
 * The same field of the 32-bit and the 64-bit form of a structure; word: it is as wide as an
 * address.
 */
struct place {
	uint8_t off32, off64, word, size;
};

static uint64_t get(const struct elf_file *elf, const uint8_t *record, struct place place)
{
	unsigned off = elf->is_64 ? place.off64 : place.off32;
	unsigned size = place.word ? (elf->is_64 ? 8 : 4) : place.size;

	return field(elf, record + off, size);
}

/* Elf32_Ehdr, Elf64_Ehdr */
static const struct place eh_shoff = { 32, 40, 1, 0 }, eh_shentsize = { 46, 58, 0, 2 },
			  eh_shnum = { 48, 60, 0, 2 }, eh_shstrndx = { 50, 62, 0, 2 };
/* Elf32_Shdr, Elf64_Shdr */
static const struct place sh_name = { 0, 0, 0, 4 }, sh_type = { 4, 4, 0, 4 },
			  sh_flags = { 8, 8, 1, 0 }, sh_addr = { 12, 16, 1, 0 },
			  sh_offset = { 16, 24, 1, 0 }, sh_size = { 20, 32, 1, 0 },
			  sh_link = { 24, 40, 0, 4 }, sh_entsize = { 36, 56, 1, 0 };
/* Elf32_Sym, Elf64_Sym */
static const struct place st_name = { 0, 0, 0, 4 }, st_value = { 4, 8, 1, 0 },
			  st_info = { 12, 4, 0, 1 }, st_shndx = { 14, 6, 0, 2 };

static size_t symbol_size(const struct elf_file *elf)
{
	return elf->is_64 ? 24 : 16;
}

static int check_ident(const uint8_t *bytes, size_t len, struct elf_file *elf,
		       struct sonde_error *err)
{
	if (len < 64 || memcmp(bytes, "\177ELF", 4) != 0)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT, "not an ELF file");
	/* e_ident: 4 is the class (1, 2), 5 the byte order (1 little, 2 big) */
	if ((bytes[4] != 1 && bytes[4] != 2) || (bytes[5] != 1 && bytes[5] != 2))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "ELF header: class %u and byte order %u are not known",
				       bytes[4], bytes[5]);
	*elf = (struct elf_file){
		.bytes = bytes, .len = len, .is_64 = bytes[4] == 2, .big_endian = bytes[5] == 2
	};
	return 0;
}

static const uint8_t *header_at(const struct elf_file *elf, uint32_t index)
{
	return elf->bytes + elf->sections_off + (uint64_t)index * elf->section_size;
}

int elf_file_open(const uint8_t *bytes, size_t len, struct elf_file *ret, struct sonde_error *err)
{
	struct elf_file elf = { 0 };
	int r = check_ident(bytes, len, &elf, err);

	if (r < 0)
		return r;
	elf.sections_off = get(&elf, bytes, eh_shoff);
	elf.section_size = (uint32_t)get(&elf, bytes, eh_shentsize);
	uint64_t n = get(&elf, bytes, eh_shnum);
	elf.names = (uint32_t)get(&elf, bytes, eh_shstrndx);
	if (!elf.sections_off)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT, "ELF header: no sections");
	if (elf.section_size < (elf.is_64 ? 64u : 40u) || elf.sections_off > len ||
	    elf.section_size > len - elf.sections_off)
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "ELF header: sections at %llu of %zu bytes, %u bytes each",
				       (unsigned long long)elf.sections_off, len, elf.section_size);
	/* With 0xff00 sections or more, the first header holds what the fields cannot. */
	const uint8_t *first = header_at(&elf, 0);
	if (!n)
		n = get(&elf, first, sh_size);
	if (elf.names == ELF_SHN_XINDEX)
		elf.names = (uint32_t)get(&elf, first, sh_link);
	if (n > (len - elf.sections_off) / elf.section_size)
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "ELF header: %llu sections at %llu run past the end (%zu "
				       "bytes)",
				       (unsigned long long)n, (unsigned long long)elf.sections_off,
				       len);
	elf.n_sections = (uint32_t)n;
	*ret = elf;
	return 0;
}

/* A string of a table; "" when it does not end inside. */
static const char *string_at(const struct elf_section *table, uint64_t off)
{
	if (!table->bytes || off >= table->size ||
	    !memchr(table->bytes + off, 0, table->size - off))
		return "";
	return (const char *)table->bytes + off;
}

static void read_header(const struct elf_file *elf, uint32_t index, struct elf_section *ret)
{
	const uint8_t *h = header_at(elf, index);
	uint64_t off = get(elf, h, sh_offset);

	*ret = (struct elf_section){
		.name = "",
		.addr = get(elf, h, sh_addr),
		.size = get(elf, h, sh_size),
		.flags = get(elf, h, sh_flags),
		.entry_size = get(elf, h, sh_entsize),
		.type = (uint32_t)get(elf, h, sh_type),
		.link = (uint32_t)get(elf, h, sh_link),
	};
	if (ret->type != ELF_SHT_NOBITS && off <= elf->len && ret->size <= elf->len - off)
		ret->bytes = elf->bytes + off;
}

int elf_section_get(const struct elf_file *elf, uint32_t index, struct elf_section *ret)
{
	struct elf_section names;

	if (index >= elf->n_sections)
		return 0;
	read_header(elf, index, ret);
	if (elf->names < elf->n_sections) {
		read_header(elf, elf->names, &names);
		ret->name = string_at(&names, get(elf, header_at(elf, index), sh_name));
	}
	return 1;
}

int elf_section_find(const struct elf_file *elf, const char *name, struct elf_section *ret)
{
	for (uint32_t i = 0; elf_section_get(elf, i, ret); i++) {
		if (ret->bytes && strcmp(ret->name, name) == 0)
			return 1;
	}
	return 0;
}

uint64_t elf_symbol_count(const struct elf_file *elf, const struct elf_section *symtab)
{
	return symtab->bytes ? symtab->size / symbol_size(elf) : 0;
}

void elf_symbol_get(const struct elf_file *elf, const struct elf_section *symtab,
		    const struct elf_section *strings, uint64_t index, struct elf_symbol *ret)
{
	const uint8_t *p = symtab->bytes + index * symbol_size(elf);
	uint8_t info = (uint8_t)get(elf, p, st_info);

	*ret = (struct elf_symbol){
		.name = string_at(strings, get(elf, p, st_name)),
		.value = get(elf, p, st_value),
		.section = (uint32_t)get(elf, p, st_shndx),
		.bind = info >> 4,
		.type = info & 0xf,
	};
}

/*
 * The build id among the notes of one section: each is three words, a name and bytes, both padded
 * to 4.
 */
static uint32_t build_id_in(const struct elf_file *elf, const struct elf_section *s, uint8_t *buf,
			    uint32_t cap)
{
	uint64_t off = 0;

	while (s->size - off >= 12) {
		const uint8_t *note = s->bytes + off;
		uint64_t name_len = field(elf, note, 4), len = field(elf, note + 4, 4);
		uint64_t name_room = (name_len + 3) & ~UINT64_C(3), room = (len + 3) & ~UINT64_C(3);
		off += 12;
		if (name_room > s->size - off || len > s->size - off - name_room)
			return 0;
		if (field(elf, note + 8, 4) == NOTE_BUILD_ID && name_len == 4 &&
		    memcmp(s->bytes + off, "GNU", 4) == 0 && len <= cap) {
			memcpy(buf, s->bytes + off + name_room, len);
			return (uint32_t)len;
		}
		off += name_room;
		off += room < s->size - off ? room : s->size - off;
	}
	return 0;
}

uint32_t elf_build_id(const struct elf_file *elf, uint8_t *buf, uint32_t cap)
{
	struct elf_section s;

	for (uint32_t i = 0; elf_section_get(elf, i, &s); i++) {
		if (s.type != ELF_SHT_NOTE || !s.bytes)
			continue;
		uint32_t len = build_id_in(elf, &s, buf, cap);
		if (len)
			return len;
	}
	return 0;
}

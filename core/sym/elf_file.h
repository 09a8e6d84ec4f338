/* SPDX-License-Identifier: MIT */
/*
 * The sections of an ELF file, as far as symbols and types need them: 32 and 64 bits, both byte
 * orders, bounds-checked over bytes. It loads nothing and knows no program headers
 * (connectors/elfcore does).
 *
 * Source: System V ABI, gABI 4.1 chapter 4 (ELF header, sections, symbol table, notes).
 */
#ifndef SONDE_SYM_ELF_FILE_H
#define SONDE_SYM_ELF_FILE_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ELF_SHT_SYMTAB = 2,
	ELF_SHT_NOTE = 7,
	ELF_SHT_NOBITS = 8,
	ELF_SHF_WRITE = 1,
	ELF_SHF_ALLOC = 2,
	ELF_SHF_EXECINSTR = 4,
	ELF_SHN_UNDEF = 0,
	ELF_SHN_LORESERVE = 0xff00,
	ELF_SHN_ABS = 0xfff1,
	ELF_SHN_XINDEX = 0xffff,
	ELF_STB_LOCAL = 0,
	ELF_STB_WEAK = 2,
	ELF_STT_OBJECT = 1,
	ELF_STT_SECTION = 3,
	ELF_STT_FILE = 4,
};

struct elf_file {
	const uint8_t *bytes; /* borrowed until it goes */
	size_t len;
	uint32_t is_64, big_endian;
	uint32_t n_sections;
	uint64_t sections_off;
	uint32_t section_size; /* of one header           */
	uint32_t names;        /* index of their string table */
};

struct elf_section {
	const char *name;     /* "" when it has none that ends inside its table        */
	const uint8_t *bytes; /* NULL when it has none in the file, or lies outside it */
	uint64_t addr, size;
	uint64_t flags;
	uint64_t entry_size;
	uint32_t type, link;
};

struct elf_symbol {
	const char *name;
	uint64_t value;
	uint32_t section; /* ELF_SHN_*, or an index; 0 also for one that cannot be told */
	uint8_t bind, type;
};

/*
 * BAD_FORMAT: no ELF, or one without sections; CORRUPT: the section headers lie outside the file.
 */
int elf_file_open(const uint8_t *bytes, size_t len, struct elf_file *ret, struct sonde_error *err);
/* Returns 1, 0 past the last. */
int elf_section_get(const struct elf_file *elf, uint32_t index, struct elf_section *ret);
/* The first of that name with bytes in the file. Returns 1, 0 none. */
int elf_section_find(const struct elf_file *elf, const char *name, struct elf_section *ret);
/* Symbols of a SYMTAB section, and the index-th of them (index < count). */
uint64_t elf_symbol_count(const struct elf_file *elf, const struct elf_section *symtab);
void elf_symbol_get(const struct elf_file *elf, const struct elf_section *symtab,
		    const struct elf_section *strings, uint64_t index, struct elf_symbol *ret);
/* The GNU build id from any note section: its length, 0 for none or one above cap. */
uint32_t elf_build_id(const struct elf_file *elf, uint8_t *buf, uint32_t cap);

#endif

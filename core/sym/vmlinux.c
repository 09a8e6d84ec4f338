/* SPDX-License-Identifier: MIT */
/*
 * A vmlinux, a detached debug file, or a bare BTF file (a copy of /sys/kernel/btf/vmlinux): which
 * types and symbols it has. Mapping it is map_file.h's business.
 */
#include "sym/vmlinux.h"

#include "sym/dwarf.h"
#include "sym/elf_file.h"
#include "sym/map_file.h"
#include "sym/symbols.h"
#include "sym/types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vmlinux {
	struct map_file file;
	struct elf_file elf; /* no sections when bare_btf */
	int bare_btf;
	char *path;
};

static int failed(const char *path, struct sonde_error *err, int code)
{
	sonde_error_prefix(err, "symbols: '%s'", path);
	return code;
}

static int is_btf(const struct map_file *file)
{
	return file->len >= BTF_HEADER_SIZE && btf_total_size(file->bytes) != 0;
}

int vmlinux_open(const char *path, struct vmlinux **ret, struct sonde_error *err)
{
	struct vmlinux *v = calloc(1, sizeof(*v));

	if (!v)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "symbols: no memory");
	v->file.fd = -1;
	v->path = strdup(path);
	int r = v->path ? map_file_open(path, &v->file, err)
			: sonde_error_set(err, SONDE_E_NO_MEMORY, "no memory");
	if (r == 0) {
		v->bare_btf = is_btf(&v->file);
		if (!v->bare_btf)
			r = elf_file_open(v->file.bytes, v->file.len, &v->elf, err);
	}
	if (r < 0) {
		vmlinux_close(v);
		return failed(path, err, r);
	}
	*ret = v;
	return 0;
}

void vmlinux_close(struct vmlinux *v)
{
	if (!v)
		return;
	map_file_close(&v->file);
	free(v->path);
	free(v);
}

void vmlinux_build_id(const struct vmlinux *v, struct vmlinux_id *ret)
{
	*ret = (struct vmlinux_id){ 0 };
	ret->len = elf_build_id(&v->elf, ret->bytes, sizeof(ret->bytes));
}

static int types_from(const struct vmlinux *v, const uint8_t *bytes, size_t len,
		      struct sonde_types **ret, struct sonde_error *err)
{
	char source[600];

	snprintf(source, sizeof(source), "'%.500s': BTF", v->path);
	return types_from_btf(bytes, len, 0, source, ret, err);
}

static int find_types(const struct vmlinux *v, struct sonde_types **ret, struct sonde_error *err)
{
	struct elf_section s;
	char source[600];

	if (v->bare_btf)
		return types_from(v, v->file.bytes, v->file.len, ret, err);
	if (elf_section_find(&v->elf, ".BTF", &s))
		return types_from(v, s.bytes, s.size, ret, err);
	if (!elf_section_find(&v->elf, ".debug_info", &s))
		return sonde_error_set(err, SONDE_E_NO_TYPES,
				       "holds neither a .BTF section nor DWARF (.debug_info); "
				       "give the vmlinux of the kernel's debug package");
	snprintf(source, sizeof(source), "'%.500s': DWARF", v->path);
	return dwarf_types(v->file.fd, v->elf.is_64 ? 8 : 4, source, ret, err);
}

int vmlinux_types(const struct vmlinux *v, struct sonde_types **ret, struct sonde_error *err)
{
	int r = find_types(v, ret, err);

	return r < 0 ? failed(v->path, err, r) : 0;
}

/* --- symbols -------------------------------------------------------------------------------- */

static int find_symtab(const struct elf_file *elf, struct elf_section *ret,
		       struct elf_section *ret_strings)
{
	for (uint32_t i = 0; elf_section_get(elf, i, ret); i++) {
		if (ret->type == ELF_SHT_SYMTAB && ret->bytes &&
		    elf_section_get(elf, ret->link, ret_strings) && ret_strings->bytes)
			return 1;
	}
	return 0;
}

/* Per-CPU variables of x86-64 are linked at 0: offsets that the kernel's move does not touch. */
static int slides(const struct elf_section *section)
{
	return strncmp(section->name, ".data..percpu", 13) != 0 || section->addr != 0;
}

/* The letter that nm gives; lower case for local ones. */
static char letter(const struct elf_symbol *symbol, const struct elf_section *section)
{
	char c = 'R';

	if (symbol->bind == ELF_STB_WEAK)
		return symbol->type == ELF_STT_OBJECT ? 'V' : 'W';
	if (section->flags & ELF_SHF_EXECINSTR)
		c = 'T';
	else if (section->flags & ELF_SHF_WRITE)
		c = strncmp(section->name, ".bss", 4) == 0 ? 'B' : 'D';
	return symbol->bind == ELF_STB_LOCAL ? (char)(c | 0x20) : c;
}

static int add_symbol(const struct vmlinux *v, const struct elf_symbol *symbol, uint64_t slide,
		      struct sonde_symbols *symbols)
{
	struct elf_section section;
	uint64_t addr = symbol->value;
	char c = 'A';

	if (!symbol->name[0] || symbol->name[0] == '$' || symbol->type == ELF_STT_SECTION ||
	    symbol->type == ELF_STT_FILE)
		return 0;
	if (symbol->section != ELF_SHN_ABS) {
		if (symbol->section == ELF_SHN_UNDEF || symbol->section >= ELF_SHN_LORESERVE ||
		    !elf_section_get(&v->elf, symbol->section, &section))
			return 0;
		if (slides(&section)) {
			addr += slide;
			c = letter(symbol, &section);
		}
	}
	return symbols_add(symbols, addr, c, symbol->name, strlen(symbol->name), SYMBOLS_KERNEL);
}

int vmlinux_symbols(const struct vmlinux *v, uint64_t slide, struct sonde_symbols **ret,
		    struct sonde_error *err)
{
	struct elf_section symtab, strings;
	struct elf_symbol symbol;

	if (!find_symtab(&v->elf, &symtab, &strings))
		return failed(v->path, err,
			      sonde_error_set(err, SONDE_E_NOT_FOUND, "has no symbol table"));
	uint64_t n = elf_symbol_count(&v->elf, &symtab);
	struct sonde_symbols *symbols = symbols_create(n, n * 24);
	int r = symbols ? 0 : SONDE_E_NO_MEMORY;
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		elf_symbol_get(&v->elf, &symtab, &strings, i, &symbol);
		r = add_symbol(v, &symbol, slide, symbols);
	}
	if (r == 0)
		r = symbols_seal(symbols);
	if (r < 0) {
		symbols_destroy(symbols);
		return failed(v->path, err, sonde_error_set(err, r, "%s", sonde_strerror(r)));
	}
	*ret = symbols;
	return 0;
}

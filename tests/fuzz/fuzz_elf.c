/* SPDX-License-Identifier: MIT */
/* ELF sections, symbols, build id: any bytes as a file given by --symbols. */
#include "sym/elf_file.h"

#include <string.h>

#define MAX_SECTIONS 64u
#define MAX_SYMBOLS 256u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void symbols(const struct elf_file *elf, const struct elf_section *symtab)
{
	struct elf_section strings;
	struct elf_symbol symbol;

	if (!elf_section_get(elf, symtab->link, &strings))
		return;
	uint64_t n = elf_symbol_count(elf, symtab);
	for (uint64_t i = 0; i < n && i < MAX_SYMBOLS; i++) {
		elf_symbol_get(elf, symtab, &strings, i, &symbol);
		(void)strlen(symbol.name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct elf_file elf;
	struct elf_section s;
	struct sonde_error err;
	uint8_t id[64];
	volatile uint8_t last;

	if (elf_file_open(bytes, len, &elf, &err) < 0)
		return 0;
	for (uint32_t i = 0; i < MAX_SECTIONS && elf_section_get(&elf, i, &s); i++) {
		(void)strlen(s.name);
		if (s.bytes && s.size)
			last = s.bytes[s.size - 1];
		symbols(&elf, &s);
	}
	(void)last;
	elf_section_find(&elf, ".BTF", &s);
	elf_build_id(&elf, id, sizeof(id));
	return 0;
}

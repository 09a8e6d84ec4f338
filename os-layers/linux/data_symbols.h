/* SPDX-License-Identifier: MIT */
/*
 * Addresses of data of kernels whose kallsyms has functions only (built without KALLSYMS_ALL). They come from
 * vmcoreinfo, from the table of exported symbols, from what the data looks like (banner, BTF), and from the code that
 * works with it; of the last every candidate has to prove itself by what lies there.
 */
#ifndef SONDE_LINUX_DATA_SYMBOLS_H
#define SONDE_LINUX_DATA_SYMBOLS_H

#include <sonde/error.h>
#include <stdint.h>

struct linux_os;
struct sonde_symbols;

struct data_symbol {
	const char *name; /* in the kernel's arena */
	uint64_t addr;
	char type; /* 'R' read-only, 'D' */
};

struct data_symbols {
	struct data_symbol *items; /* [n], malloc'ed */
	uint32_t n, cap;
};

/* vmcoreinfo_data alone, which leads to vmcoreinfo; needs tables and kallsyms. As data_symbols_find. */
int data_symbols_find_vmcoreinfo(struct linux_os *lx);
/*
 * Fill lx->data_symbols where kallsyms lacks data; needs tables, vmcoreinfo and kallsyms. What is not found is left
 * out. Returns 0; SONDE_E_NO_MEMORY.
 */
int data_symbols_find(struct linux_os *lx);
/* The rest, which only types tell: modules, tk_core, saved_command_line. As data_symbols_find. */
int data_symbols_find_by_types(struct linux_os *lx);

/* Returns 1 and *ret, 0 none. */
int data_symbol_get(const struct data_symbols *symbols, const char *name, uint64_t *ret);
/* Add all of them to a table that is not sealed. Returns how many; as symbols_add. */
int data_symbols_copy(const struct data_symbols *symbols, struct sonde_symbols *to);
void data_symbols_finish(struct data_symbols *symbols);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The handle behind sonde_symbol_*: built by adding, then sealed, then only asked.
 * Names live in one blob, entries in one array; nothing is allocated per symbol.
 *
 * After seal a handle may be asked from one thread at a time (the name index is built lazily).
 */
#ifndef SONDE_SYM_SYMBOLS_H
#define SONDE_SYM_SYMBOLS_H

#include <sonde/sym.h>

#define SYMBOLS_MAX 4000000u           /* a bound against hostile counts */
#define SYMBOLS_MAX_NAMES (512u << 20) /* bytes of names                 */
#define SYMBOLS_MAX_MODULES 65535u
#define SYMBOLS_KERNEL 0u /* module index of the kernel     */

/* n_hint and names_hint (bytes): how much will come; may be 0. NULL when out of memory. */
struct sonde_symbols *symbols_create(size_t n_hint, size_t names_hint);

/*
 * Add a module's name; the index for symbols_add. Names are copied. Returns > 0, or LIMIT,
 * NO_MEMORY.
 */
int symbols_add_module(struct sonde_symbols *symbols, const char *name);

/*
 * Add one symbol; name is len bytes and copied. Not after symbols_seal.
 *
 * Returns   0; SONDE_E_LIMIT, SONDE_E_NO_MEMORY, SONDE_E_BAD_ARG (no such module).
 */
int symbols_add(struct sonde_symbols *symbols, uint64_t addr, char type, const char *name,
		size_t len, uint32_t module);

/* Sort by address; symbols of one address keep the order they came in. SONDE_E_NO_MEMORY. */
int symbols_seal(struct sonde_symbols *symbols);

void symbols_destroy(struct sonde_symbols *symbols); /* NULL is allowed */

#endif

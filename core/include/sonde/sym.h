/* SPDX-License-Identifier: MIT */
/*
 * Symbols and types of a target: names to addresses and back, layouts of structures.
 * Where they come from (BTF in the guest's memory, a vmlinux file, ...) is the
 * business of whoever made the handle; they read alike.
 */
#ifndef SONDE_SYM_H
#define SONDE_SYM_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_symbols; /* handle */
struct sonde_types;   /* handle */

struct sonde_symbol {
	uint64_t addr;      /* virtual address                                           */
	const char *name;   /* borrowed until the symbols are destroyed                  */
	const char *module; /* NULL for the kernel itself; borrowed likewise             */
	char type;          /* as nm: 't' 'T' 'd' 'D' 'b' 'r' ...; '?' not known         */
	uint64_t size;      /* bytes up to the next symbol, 0 for the last               */
};

/* By exact name. Returns 1 and *ret (the lowest address when several), 0 none. */
int sonde_symbol_find(const struct sonde_symbols *symbols, const char *name,
		      struct sonde_symbol *ret);
/* The symbol that covers addr: the highest at or below it. Returns 1, 0 none. */
int sonde_symbol_at(const struct sonde_symbols *symbols, uint64_t addr, struct sonde_symbol *ret);
/* How many, and the index-th by rising address (0-based). Returns 1, 0 past the end. */
size_t sonde_symbol_count(const struct sonde_symbols *symbols);
int sonde_symbol_get(const struct sonde_symbols *symbols, size_t index, struct sonde_symbol *ret);

/* One member, reached through any number of nested and anonymous structures. */
struct sonde_member {
	uint64_t bit_off;  /* from the start of the outer structure                  */
	uint64_t bit_size; /* of the member; 0 for a flexible array                  */
	uint32_t type;     /* its type, for sonde_type_*                             */
};

/*
 * By C name: "struct task_struct", "union x", "enum y", "pid_t"; a bare name is looked for
 * as struct, then union, typedef, enum. Returns 1 and the complete type, 0 none (or only forward-declared).
 */
int sonde_type_find(const struct sonde_types *types, const char *name, uint32_t *ret_type);
/* Size in bytes; -1 for functions, void, and what is incomplete or contradictory. */
int64_t sonde_type_size(const struct sonde_types *types, uint32_t type);
/*
 * A member by path ("mm", "se.sum_exec_runtime", "pid_links[1].next"); typedefs and qualifiers are
 * seen through, pointers are not followed. Returns 1, 0 none.
 */
int sonde_type_member(const struct sonde_types *types, uint32_t type, const char *path,
		      struct sonde_member *ret);
/* The numeric value of an enumerator, whichever enum holds it. Returns 1, 0 none. */
int sonde_type_enumerator(const struct sonde_types *types, const char *name, int64_t *ret);
/*
 * The C declaration with offsets, as `sonde type` prints it, into buf (always terminated when cap > 0).
 * Returns the length it needs without terminator, as snprintf; SONDE_E_BAD_ARG for no such type.
 */
int sonde_type_print(const struct sonde_types *types, uint32_t type, char *buf, size_t cap);

/* How a parameter's value is to be taken. */
enum sonde_value_kind {
	SONDE_VALUE_OTHER = 0, /* a structure by value, a float: not in one register of its own */
	SONDE_VALUE_SIGNED = 1,
	SONDE_VALUE_UNSIGNED = 2,
	SONDE_VALUE_BOOL = 3,
	SONDE_VALUE_ENUM = 4,
	SONDE_VALUE_POINTER = 5,
	SONDE_VALUE_TEXT = 6, /* a pointer to char */
};

struct sonde_parameter {
	const char *name;      /* "" none; lives as long as types, like points_to               */
	const char *points_to; /* POINTER: name of the structure it leads to, else ""        */
	uint64_t size;         /* bytes; 0 not told                                             */
	uint32_t kind;         /* enum sonde_value_kind                                         */
	uint32_t type;         /* for sonde_type_*                                              */
};

/*
 * A function by its exact name, of those whose prototypes the types hold: BTF has those of a kernel's own functions.
 * Returns 1 and what sonde_function_parameter takes, 0 none. Looks at all records.
 */
int sonde_function_find(const struct sonde_types *types, const char *name, uint32_t *ret_function);
/* The index-th parameter (0-based). Returns 1, 0 behind the last; "..." is none. */
int sonde_function_parameter(const struct sonde_types *types, uint32_t function, uint32_t index,
			     struct sonde_parameter *ret);
/* Where the types came from: "BTF in the guest's memory", "'vmlinux': DWARF". Lives as long as types. */
const char *sonde_types_source(const struct sonde_types *types);

#ifdef __cplusplus
}
#endif
#endif

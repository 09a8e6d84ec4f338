/* SPDX-License-Identifier: MIT */
/*
 * kallsyms: the kernel's own symbol table, compressed in its read-only data. Two ways to the
 * tables: their addresses from vmcoreinfo (kallsyms_fetch), or their shape in a copy of
 * the kernel's image (kallsyms_find, for kernels before 6.0). One decoder for both. All bytes are
 * hostile.
 *
 * Addresses come out as they are in the running kernel: the relative base (or each absolute
 * address) was relocated in memory when the kernel booted, so KASLR needs no further thought.
 *
 * Source: linux kernel/kallsyms.c, kernel/kallsyms_internal.h and scripts/kallsyms.c of v5.10,
 * v6.1, v6.4 and v6.12.
 */
#ifndef SONDE_LINUX_KALLSYMS_H
#define SONDE_LINUX_KALLSYMS_H

#include <sonde/error.h>
#include <sonde/space.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct sonde_symbols;
struct vmcoreinfo;

#define KALLSYMS_MIN_SYMBOLS 1000u
#define KALLSYMS_MAX_SYMBOLS 2000000u

/* How an entry of the address table becomes an address. */
enum kallsyms_form {
	/* Word-sized addresses: CONFIG_KALLSYMS_BASE_RELATIVE=n. */
	KALLSYMS_ABSOLUTE,
	/* 32 bits, unsigned, from relative_base. */
	KALLSYMS_RELATIVE,
	/* 32 bits, signed: >= 0 absolute, else relative_base - 1 - value (x86-64 and others:
	   CONFIG_KALLSYMS_ABSOLUTE_PERCPU). */
	KALLSYMS_PERCPU,
	/* 32 bits, signed, from the entry's own address: the newest kernels. */
	KALLSYMS_SELF_RELATIVE,
};

/* The tables, as bytes; borrowed from the buffer searched, or in the arena. */
struct kallsyms_tables {
	const uint8_t *names;       /* length-prefixed rows of token numbers */
	size_t names_len;           /* bytes at most                         */
	const uint8_t *addresses;   /* [n] of 4 or word_size bytes           */
	size_t addresses_len;       /* bytes there are; less than all when some were unreadable */
	const uint8_t *token_index; /* [256] of 2 bytes                      */
	const uint8_t *token_table;
	size_t token_table_len; /* bytes at most                         */
	uint64_t relative_base;
	uint64_t addresses_va; /* of addresses[0], for SELF_RELATIVE    */
	uint32_t n;            /* symbols                               */
	uint32_t form;         /* enum kallsyms_form                    */
	uint32_t word_size;    /* 4 or 8                                */
};

/* Where the tables are; 0 for what is not known. */
struct kallsyms_addresses {
	uint64_t num_syms, names, token_table, token_index;
	uint64_t offsets, relative_base; /* either these ...   */
	uint64_t addresses;              /* ... or this        */
};

/*
 * The addresses that vmcoreinfo has (from v6.0 on). Returns 1 when they suffice for
 * kallsyms_fetch (relative_base may be absent: it follows the offsets), else 0.
 */
int kallsyms_from_vmcoreinfo(const struct vmcoreinfo *info, struct kallsyms_addresses *ret);

/* As sonde_space_read: one trip for n pieces. */
typedef int (*kallsyms_read_fn)(void *user, struct sonde_xfer *xfers, size_t n);

/*
 * Fetch the tables from the kernel's virtual memory, in two trips (a third when names runs on
 * for longer than expected). Bytes go to the arena.
 *
 * Errors    NOT_MAPPED and others of read; CORRUPT (tables that contradict one another), LIMIT,
 *           NO_MEMORY.
 */
int kallsyms_fetch(const struct kallsyms_addresses *where, uint32_t word_size,
		   kallsyms_read_fn read, void *user, struct arena *arena,
		   struct kallsyms_tables *ret, struct sonde_error *err);

/*
 * Find the tables in a copy of the kernel's image by their shape; buf[0] is at virtual address va.
 * The tables lie in .rodata, within 3 MB of each other: buf should begin at _text and hold
 * .rodata whole; unreadable pages in it are best left zero.
 *
 * Errors    NOT_FOUND (no token table), CORRUPT (one, but what should surround it does not).
 */
int kallsyms_find(const uint8_t *buf, size_t len, uint64_t va, uint32_t word_size,
		  struct kallsyms_tables *ret, struct sonde_error *err);

/*
 * Decode into *ret, sealed.
 *
 * Returns   0 and *ret;
 *           CORRUPT with *ret holding the symbols before the bad one (at least one), or NULL
 *           when none: err names the place ("kallsyms: names: symbol 123 of 87182: ...").
 */
int kallsyms_decode(const struct kallsyms_tables *tables, struct sonde_symbols **ret,
		    struct sonde_error *err);

#endif

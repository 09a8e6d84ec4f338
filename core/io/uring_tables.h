/* SPDX-License-Identifier: MIT */
/*
 * What the kernel keeps at hand for a ring, so that an operation need not look it up: descriptors, by a slot
 * of the ring's own table, and memory, its pages held. Either may be refused; then operations name
 * descriptor and address as ever.
 */
#ifndef SONDE_IO_URING_TABLES_H
#define SONDE_IO_URING_TABLES_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URING_MEMORY_MAX 16u

struct uring_memory {
	char *base; /* NULL: free */
	size_t len; /* 0: free    */
};

struct uring_tables {
	struct io_uring *ring;
	uint64_t files_used; /* bit i: slot i is taken */
	bool has_files, has_memory;
	uint32_t n_memory;        /* entries that may be taken  */
	uint32_t last_index;      /* of the entry that was found last */
	struct uring_memory last; /* ... and that entry               */
	struct uring_memory memory[URING_MEMORY_MAX];
};

void uring_tables_open(struct uring_tables *tables, struct io_uring *ring);

/* The slot, 0..63; -1: no room, or refused. */
int32_t uring_tables_add_file(struct uring_tables *tables, int32_t fd);
void uring_tables_remove_file(struct uring_tables *tables, int32_t slot);

/* 0; SONDE_E_UNSUPPORTED (the kernel has no such table), _BAD_ARG (known already), _LIMIT (refused: too much, too many). */
int uring_tables_add_memory(struct uring_tables *tables, void *base, size_t len);
void uring_tables_remove_memory(struct uring_tables *tables, void *base);

/* Does [at, at + len) lie in it? len > 0. */
static inline bool uring_memory_has(const struct uring_memory *memory, const void *at, uint32_t len)
{
	size_t off = (size_t)((const char *)at - memory->base);

	return off <= memory->len && len <= memory->len - off;
}

/* As uring_tables_find_memory, of one that is not where the last one was. */
int32_t uring_tables_find_other(struct uring_tables *tables, const void *at, uint32_t len);

/* The index of the memory in which all of [at, at + len) lies, len > 0; -1: none. */
static inline int32_t uring_tables_find_memory(struct uring_tables *tables, const void *at,
					       uint32_t len)
{
	if (__builtin_expect(uring_memory_has(&tables->last, at, len), 1))
		return (int32_t)tables->last_index;
	return tables->n_memory ? uring_tables_find_other(tables, at, len) : -1;
}

#endif

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
	size_t len;
};

struct uring_tables {
	struct io_uring *ring;
	uint64_t files_used; /* bit i: slot i is taken */
	bool has_files, has_memory;
	uint32_t n_memory; /* entries that may be taken  */
	uint32_t last;     /* where the last one was found */
	struct uring_memory memory[URING_MEMORY_MAX];
};

void uring_tables_open(struct uring_tables *tables, struct io_uring *ring);

/* The slot, 0..63; -1: no room, or refused. */
int32_t uring_tables_add_file(struct uring_tables *tables, int32_t fd);
void uring_tables_remove_file(struct uring_tables *tables, int32_t slot);

/* 0; SONDE_E_UNSUPPORTED (the kernel has no such table), _BAD_ARG (known already), _LIMIT (refused: too much, too many). */
int uring_tables_add_memory(struct uring_tables *tables, void *base, size_t len);
void uring_tables_remove_memory(struct uring_tables *tables, void *base);

/* The index of the memory in which all of [at, at + len) lies; -1: none. */
static inline int32_t uring_tables_find_memory(struct uring_tables *tables, const void *at,
					       uint32_t len)
{
	for (uint32_t i = 0; i < tables->n_memory; i++) {
		uint32_t index = tables->last + i < tables->n_memory
					 ? tables->last + i
					 : tables->last + i - tables->n_memory;
		const struct uring_memory *memory = &tables->memory[index];
		size_t off = (size_t)((const char *)at - memory->base);
		if (memory->base && off <= memory->len && len <= memory->len - off) {
			tables->last = index;
			return (int32_t)index;
		}
	}
	return -1;
}

#endif

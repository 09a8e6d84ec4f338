/* SPDX-License-Identifier: MIT */
/* The ring's tables of descriptors and of memory. Sparse tables came with linux 5.19. */
#include "io/uring_tables.h"

#include <sonde/error.h>

#define FILES_MAX 64u

void uring_tables_open(struct uring_tables *tables, struct io_uring *ring)
{
	tables->ring = ring;
	tables->has_files = io_uring_register_files_sparse(ring, FILES_MAX) == 0;
	tables->has_memory = io_uring_register_buffers_sparse(ring, URING_MEMORY_MAX) == 0;
}

int32_t uring_tables_add_file(struct uring_tables *tables, int32_t fd)
{
	if (!tables->has_files || !~tables->files_used)
		return -1;
	int32_t slot = __builtin_ctzll(~tables->files_used);
	if (io_uring_register_files_update(tables->ring, (unsigned)slot, &fd, 1) != 1)
		return -1;
	tables->files_used |= UINT64_C(1) << slot;
	return slot;
}

void uring_tables_remove_file(struct uring_tables *tables, int32_t slot)
{
	int none = -1;

	io_uring_register_files_update(tables->ring, (unsigned)slot, &none, 1);
	tables->files_used &= ~(UINT64_C(1) << slot);
}

static int update_memory(struct uring_tables *tables, uint32_t index, void *base, size_t len)
{
	struct iovec iov = { base, len };
	__u64 tag = 0;

	return io_uring_register_buffers_update_tag(tables->ring, index, &iov, &tag, 1);
}

int uring_tables_add_memory(struct uring_tables *tables, void *base, size_t len)
{
	uint32_t index = URING_MEMORY_MAX;

	if (!tables->has_memory)
		return SONDE_E_UNSUPPORTED;
	for (uint32_t i = URING_MEMORY_MAX; i-- > 0;) {
		if (tables->memory[i].base == base)
			return SONDE_E_BAD_ARG;
		if (!tables->memory[i].base)
			index = i;
	}
	if (index == URING_MEMORY_MAX || update_memory(tables, index, base, len) != 1)
		return SONDE_E_LIMIT;
	tables->memory[index] = (struct uring_memory){ base, len };
	if (index >= tables->n_memory)
		tables->n_memory = index + 1;
	return SONDE_OK;
}

void uring_tables_remove_memory(struct uring_tables *tables, void *base)
{
	for (uint32_t i = 0; i < tables->n_memory; i++) {
		if (tables->memory[i].base != base)
			continue;
		update_memory(tables, i, NULL, 0);
		if (tables->last_index == i)
			tables->last = (struct uring_memory){ 0 };
		tables->memory[i] = (struct uring_memory){ 0 };
	}
}

int32_t uring_tables_find_other(struct uring_tables *tables, const void *at, uint32_t len)
{
	for (uint32_t i = 0; i < tables->n_memory; i++) {
		if (!uring_memory_has(&tables->memory[i], at, len))
			continue;
		tables->last_index = i;
		tables->last = tables->memory[i];
		return (int32_t)i;
	}
	return -1;
}

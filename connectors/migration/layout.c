/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABOVE_4G (UINT64_C(1) << 32)

/* A block that is RAM of the machine, in the order of its addresses. */
struct part {
	const struct ram_stream_block *block;
	uint64_t off; /* of its first byte, in all blocks */
};

/* Blocks that the machine itself makes: qemu 7.2 hw/i386/pc.c, hw/arm/virt.c, hw/riscv/virt.c (default_ram_id). */
static const struct own_block {
	const char *id, *machine;
	uint32_t arch;
} own_blocks[] = {
	{ "pc.ram", "pc", SONDE_ARCH_NONE },
	{ "mach-virt.ram", "virt", SONDE_ARCH_AARCH64 },
	{ "riscv_virt_board.ram", "virt", SONDE_ARCH_RISCV64 },
};

static const struct own_block *own_block(const char *id)
{
	for (size_t i = 0; i < sizeof(own_blocks) / sizeof(own_blocks[0]); i++) {
		if (strcmp(own_blocks[i].id, id) == 0)
			return &own_blocks[i];
	}
	return NULL;
}

/* A memory backend: "/objects/mem0", or "mem0" as libvirt has them. What belongs to a device has '/' or '.' in its name. */
static int is_backend(const char *id)
{
	return strncmp(id, "/objects/", 9) == 0 || (*id && !strpbrk(id, "/."));
}

/* node2 before node10: NUMA nodes lie in the order of their numbers, and have backends named so. */
static int by_name(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return strverscmp(x->block->id, y->block->id);
}

/* The block that the machine made, or all that are backends. Returns how many. */
static size_t choose_parts(struct part *parts, const struct ram_stream_block *blocks, size_t n)
{
	uint64_t off = 0;
	size_t n_parts = 0;

	for (size_t i = 0; i < n; off += blocks[i++].len) {
		struct part part = { &blocks[i], off };
		if (own_block(blocks[i].id)) {
			parts[0] = part;
			return 1;
		}
		if (is_backend(blocks[i].id) && blocks[i].len)
			parts[n_parts++] = part;
	}
	qsort(parts, n_parts, sizeof(*parts), by_name);
	return n_parts;
}

/* Those behind which the RAM that the CMOS knows of is complete: what follows was plugged in, where, nobody says. */
static size_t known_parts(const struct part *parts, size_t n, const struct layout_facts *facts)
{
	uint64_t known = facts->below_4g + facts->above_4g, total = 0;

	for (size_t i = 0; i < n; i++) {
		total += parts[i].block->len;
		if (total == known)
			return i + 1;
	}
	return n;
}

static uint64_t total_of(const struct part *parts, size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += parts[i].block->len;
	return total;
}

/* [from, to) of all parts together, at addr. */
static int place(struct memory_map *map, const struct part *parts, size_t n, uint64_t from,
		 uint64_t to, uint64_t addr)
{
	uint64_t begin = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; begin += parts[i++].block->len) {
		uint64_t end = begin + parts[i].block->len;
		uint64_t low = begin > from ? begin : from, high = end < to ? end : to;
		if (low >= high)
			continue;
		struct memory_range range = {
			.addr = addr + (low - from),
			.len = high - low,
			.off = parts[i].off + (low - begin),
			.flags = SONDE_REGION_READ | SONDE_REGION_RAM,
		};
		snprintf(range.name, sizeof(range.name), "%.63s", parts[i].block->id);
		r = memory_map_add(map, &range);
	}
	return r;
}

static int place_pc(struct memory_map *map, const struct layout_facts *facts,
		    const struct part *parts, size_t n)
{
	uint64_t total = total_of(parts, n);
	int told = facts->below_4g + facts->above_4g == total && facts->below_4g <= ABOVE_4G;
	uint64_t low = told ? facts->below_4g : memory_map_pc_low(facts->machine, total);
	int r = place(map, parts, n, 0, low, 0);

	return r == 0 ? place(map, parts, n, low, total, ABOVE_4G) : r;
}

/* Firmware and devices at the foot, RAM above: qemu 7.2 hw/arm/virt.c (VIRT_MEM), hw/riscv/virt.c (VIRT_DRAM). */
static int place_virt(struct memory_map *map, uint32_t arch, const struct part *parts, size_t n)
{
	uint64_t total = total_of(parts, n);

	if (arch == SONDE_ARCH_AARCH64)
		return place(map, parts, n, 0, total, UINT64_C(1) << 30);
	if (arch == SONDE_ARCH_RISCV64)
		return place(map, parts, n, 0, total, UINT64_C(1) << 31);
	return SONDE_E_UNSUPPORTED;
}

int layout_make(struct memory_map *ret, const struct layout_facts *facts,
		const struct ram_stream_block *blocks, size_t n)
{
	struct part *parts = calloc(n ? n : 1, sizeof(*parts));
	int r = SONDE_E_UNSUPPORTED;

	*ret = (struct memory_map){ 0 };
	if (!parts)
		return SONDE_E_NO_MEMORY;
	size_t n_parts = known_parts(parts, choose_parts(parts, blocks, n), facts);
	const struct own_block *own = n_parts ? own_block(parts[0].block->id) : NULL;
	const char *machine = facts->machine[0] || !own ? facts->machine : own->machine;
	if (n_parts && strncmp(machine, "pc", 2) == 0)
		r = place_pc(ret, facts, parts, n_parts);
	else if (n_parts && strncmp(machine, "virt", 4) == 0)
		r = place_virt(ret, own ? own->arch : facts->arch, parts, n_parts);
	free(parts);
	return r;
}

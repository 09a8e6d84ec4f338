/* SPDX-License-Identifier: MIT */
/*
 * Where each processor has its copies of per-CPU variables: __per_cpu_offset[processor] is added to
 * the address that the variable has in the image or that the allocator gave out (linux v6.6
 * include/asm-generic/percpu.h). Processors that are not online have handed their counts over.
 */
#include "linux/percpu.h"

#include <stdlib.h>

#define CPUS_MAX 8192u /* NR_CPUS with MAXSMP */

static uint32_t mask_bytes(const struct linux_os *lx)
{
	uint32_t type;
	int64_t size = 8;

	if (sonde_type_find(lx->os.types, "struct cpumask", &type))
		size = sonde_type_size(lx->os.types, type);
	return size > 0 && size <= CPUS_MAX / 8 ? (uint32_t)size : 0;
}

int percpu_read(struct linux_os *lx, struct percpu *ret)
{
	uint64_t mask_at, offsets_at;
	uint8_t mask[CPUS_MAX / 8] = { 0 };
	uint32_t size = mask_bytes(lx), last = 0, n = 0;

	*ret = (struct percpu){ 0 };
	if (!size || !linux_symbol(lx, "__cpu_online_mask", &mask_at) ||
	    !linux_symbol(lx, "__per_cpu_offset", &offsets_at))
		return SONDE_OK;
	int r = sonde_space_get(lx->os.kernel_memory, mask_at, mask, size);
	if (r < 0)
		return r;
	for (uint32_t cpu = 0; cpu < size * 8; cpu++)
		if (mask[cpu / 8] >> cpu % 8 & 1)
			last = cpu + 1;
	uint64_t *off = calloc(last + 1, sizeof(*off));
	if (!off)
		return SONDE_E_NO_MEMORY;
	r = last ? sonde_space_get(lx->os.kernel_memory, offsets_at, off, last * sizeof(*off)) : 0;
	if (r < 0) {
		free(off);
		return r;
	}
	for (uint32_t cpu = 0; cpu < last; cpu++)
		if (mask[cpu / 8] >> cpu % 8 & 1)
			off[n++] = sonde_le64(&off[cpu]);
	*ret = (struct percpu){ .off = off, .n = n };
	return SONDE_OK;
}

/* SPDX-License-Identifier: MIT */
/* Registers as a cell of a table, and those of a processor by their names. */
#ifndef SONDE_TOOL_REGISTERS_H
#define SONDE_TOOL_REGISTERS_H

#include "../../connectors/common/full_cpu.h"
#include "table.h"

/* A list of "rax=0x1"; null where there are none. */
void registers_cell(struct table *t, const struct sonde_register *registers, size_t n);

/* All that a target tells of a processor. Returns as sonde_target_cpu. */
int registers_read(struct sonde_target *target, uint32_t index, struct full_cpu *ret);

/* Those that are valid. Returns how many, SONDE_REGISTERS_MAX at most. */
size_t registers_of_cpu(const struct full_cpu *full,
			struct sonde_register ret[SONDE_REGISTERS_MAX]);

/* The physical address of the kernel's root table that the processor uses. Returns 1; 0: it is not told, or paging is off. */
int registers_page_table(const struct sonde_cpu *cpu, uint64_t *ret);

#endif

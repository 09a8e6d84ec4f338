/* SPDX-License-Identifier: MIT */
/* What of a space is written: its readable regions, those that touch as one. */
#ifndef SONDE_TOOL_DUMP_PLAN_H
#define SONDE_TOOL_DUMP_PLAN_H

#include <sonde/sonde.h>

struct dump_stretch {
	uint64_t addr, len; /* len > 0; addr + len - 1 does not wrap */
};

struct dump_plan {
	struct dump_stretch *at; /* [n], by rising address, not touching */
	size_t n, cap;
	uint64_t total; /* bytes                                */
	uint64_t last;  /* the highest address                  */
};

/*
 * grain: a power of two that stretches are widened to; 1: as they are.
 *
 * Returns   0; SONDE_E_NOT_FOUND (there is nothing to read), _LIMIT (more than 2^20 stretches, or 2^63 bytes),
 *           _NO_MEMORY, what the space says of its regions.
 * Owns      *ret: dump_plan_finish, also after an error.
 */
int dump_plan_make(struct dump_plan *ret, struct sonde_space *space, uint32_t grain,
		   struct sonde_error *err);
void dump_plan_finish(struct dump_plan *plan);

#endif

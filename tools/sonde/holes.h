/* SPDX-License-Identifier: MIT */
/* What could not be read of some memory: kept as ranges while it is read, and told at the end. */
#ifndef SONDE_TOOL_HOLES_H
#define SONDE_TOOL_HOLES_H

#include "cmd.h"

enum { HOLES_KEPT = 16 };

/* Zero it. */
struct holes {
	struct hole {
		uint64_t addr, len;
		int32_t err;
	} kept[HOLES_KEPT];
	uint64_t n, bytes_missing; /* of all, kept or not */
};

/* The next one, by rising address; one that goes on is one. */
void holes_note(struct holes *holes, uint64_t addr, uint64_t len, int32_t err);
/* On stderr: those of space ("physical memory"), of which len bytes were asked for. Returns the exit code that follows. */
int holes_tell(const struct holes *holes, struct ctx *ctx, const char *space, uint64_t len);

#endif

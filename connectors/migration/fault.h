/* SPDX-License-Identifier: MIT */
/* What is wrong with a file: of which structure and field, where, and what about. */
#ifndef FAULT_H
#define FAULT_H

#include <sonde/error.h>
#include <stdint.h>

struct fault {
	int code;        /* enum sonde_err; 0 nothing is wrong              */
	const char *why; /* "snapshot table: entry: name: is cut off"       */
	uint64_t at;     /* where, in the file or stream that why speaks of */
};

static inline int fault_set(struct fault *fault, int code, const char *why, uint64_t at)
{
	*fault = (struct fault){ .code = code, .why = why, .at = at };
	return code;
}

#endif

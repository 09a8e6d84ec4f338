/* SPDX-License-Identifier: MIT */
/* Reading a stretch of memory and knowing of every byte whether it came. */
#ifndef SONDE_TOOL_READER_H
#define SONDE_TOOL_READER_H

#include "cmd.h"

enum { CHUNK_MAX = 1 << 20 };

struct chunk {
	uint64_t addr;
	uint32_t len;
	uint8_t *bytes; /* [len] zero where unreadable                    */
	int8_t *err;    /* [len] 0, or enum sonde_err: its codes are small */
};

/* Room for CHUNK_MAX bytes. */
void chunk_init(struct chunk *chunk);
void chunk_finish(struct chunk *chunk);

/* Fill from len (1..CHUNK_MAX) bytes at addr. Returns 0 or an error when nothing was tried. */
int chunk_read(struct ctx *ctx, struct sonde_space *space, uint64_t addr, uint32_t len,
	       struct chunk *chunk);

/* Length of the run at off whose bytes all share err[off]. */
uint32_t chunk_run(const struct chunk *chunk, uint32_t off);

#endif

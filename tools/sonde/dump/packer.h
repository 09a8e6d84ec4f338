/* SPDX-License-Identifier: MIT */
/* Packing some bytes by themselves. One packer is one thread's. */
#ifndef SONDE_TOOL_DUMP_PACKER_H
#define SONDE_TOOL_DUMP_PACKER_H

#include <stddef.h>
#include <stdint.h>

enum packing { PACKING_NONE, PACKING_ZLIB, PACKING_LZO, PACKING_SNAPPY, PACKING_ZSTD };

struct packer;

/* NULL: out of memory. */
struct packer *packer_create(enum packing packing);
void packer_destroy(struct packer *packer); /* NULL is allowed */

/* Bytes to keep free for what len bytes become, at most. */
uint32_t packer_room(uint32_t len);

/* Returns how many bytes they became, fewer than len; 0: they do not shrink, and what is in `to` counts for nothing. */
uint32_t packer_pack(struct packer *packer, const void *from, uint32_t len, void *to);

#endif

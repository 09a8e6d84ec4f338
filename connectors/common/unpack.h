/* SPDX-License-Identifier: MIT */
/* One page or other block of memory, packed in any way. */
#ifndef UNPACK_H
#define UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "pack.h"

struct unpacker; /* of one thread */

struct unpacker *unpacker_create(void); /* NULL: out of memory */
void unpacker_destroy(struct unpacker *unpacker);

/* Fill the page of size bytes. packed: enum pack, not PACK_NONE. Returns 0; SONDE_E_CORRUPT: it does not make exactly a page. */
int unpack(struct unpacker *unpacker, uint32_t packed, const void *from, size_t len, void *page,
	   size_t size);

#endif

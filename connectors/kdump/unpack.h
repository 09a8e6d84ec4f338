/* SPDX-License-Identifier: MIT */
/* One page, packed in any of the four ways. */
#ifndef UNPACK_H
#define UNPACK_H

#include <stddef.h>
#include <stdint.h>

struct unpacker; /* of one thread */

struct unpacker *unpacker_create(void); /* NULL: out of memory */
void unpacker_destroy(struct unpacker *unpacker);

/* Fill the page of size bytes. packed: one of KDUMP_PACKED. Returns 0; SONDE_E_CORRUPT: it does not make exactly a page. */
int unpack(struct unpacker *unpacker, uint32_t packed, const void *from, size_t len, void *page,
	   size_t size);

#endif

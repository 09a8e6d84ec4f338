/* SPDX-License-Identifier: MIT */
/* What "xbzrle" sends of a page that it had sent before: which bytes are others now. */
#ifndef XBZRLE_H
#define XBZRLE_H

#include <stddef.h>
#include <stdint.h>

/* Change page, of size bytes, by a difference of len bytes. Returns 0; SONDE_E_CORRUPT, and page is half changed. */
int xbzrle_apply(const uint8_t *from, size_t len, uint8_t *page, size_t size);

#endif

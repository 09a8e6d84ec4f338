/* SPDX-License-Identifier: MIT */
/* Text of Windows, in UTF-16 with the low byte first, as UTF-8. */
#ifndef UTF16_H
#define UTF16_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that n units take at most, terminated. */
#define UTF16_ROOM(n_units) (3 * (size_t)(n_units) + 1)

/* to: [UTF16_ROOM(n_units)], terminated. Half a pair of surrogates becomes U+FFFD. Returns how many bytes, without the end. */
size_t utf16_to_utf8(const uint8_t *from, size_t n_units, char *to);

#endif

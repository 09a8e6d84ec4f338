/* SPDX-License-Identifier: MIT */
/*
 * { count of bytes that stay  count of bytes that follow  those }, each count in one byte or, its high bit set, in two,
 * the low seven bits first. Source: qemu 7.2 docs/xbzrle.txt, migration/xbzrle.c, util/cutils.c (uleb128_decode_small).
 */
#include "xbzrle.h"

#include <sonde/error.h>
#include <string.h>

/* Returns how many bytes the count takes; 0 none is there. */
static size_t take_count(const uint8_t *from, size_t len, size_t *ret)
{
	if (len > 0 && !(from[0] & 0x80)) {
		*ret = from[0];
		return 1;
	}
	if (len < 2 || (from[1] & 0x80))
		return 0;
	*ret = (from[0] & 0x7fu) | (size_t)from[1] << 7;
	return 2;
}

int xbzrle_apply(const uint8_t *from, size_t len, uint8_t *page, size_t size)
{
	size_t at = 0, to = 0;

	while (at < len) {
		size_t stay = 0, change = 0;
		size_t n = take_count(from + at, len - at, &stay);
		at += n;
		if (n == 0 || stay > size - to)
			return SONDE_E_CORRUPT;
		to += stay;
		n = take_count(from + at, len - at, &change);
		at += n;
		if (n == 0 || change > size - to || change > len - at)
			return SONDE_E_CORRUPT;
		memcpy(page + to, from + at, change);
		to += change;
		at += change;
	}
	return 0;
}

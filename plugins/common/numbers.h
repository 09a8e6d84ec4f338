/* SPDX-License-Identifier: MIT */
/* Numbers inside an argument that is a list: as host->arg_u64 reads those that stand alone. */
#ifndef PLUGINS_COMMON_NUMBERS_H
#define PLUGINS_COMMON_NUMBERS_H

#include <stdint.h>

static inline unsigned number_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

static inline unsigned number_shift(char c)
{
	switch (c) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	case 't':
	case 'T':
		return 40;
	default:
		return 0;
	}
}

/*
 * Decimal or 0x hex, one of k M G T (powers of 1024) behind it. Returns where it ends, NULL for no
 * number or one above 64 bits.
 */
static inline const char *number_read(const char *text, uint64_t *ret)
{
	unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *at = base == 16 ? text + 2 : text, *first = at;
	uint64_t value = 0;

	for (; number_digit(*at) < base; at++) {
		if (value > (UINT64_MAX - number_digit(*at)) / base)
			return 0;
		value = value * base + number_digit(*at);
	}
	unsigned shift = number_shift(*at);
	if (at == first || value > UINT64_MAX >> shift)
		return 0;
	*ret = value << shift;
	return at + (shift != 0);
}

#endif

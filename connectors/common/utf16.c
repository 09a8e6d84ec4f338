/* SPDX-License-Identifier: MIT */
#include "utf16.h"

#include <sonde/types.h>

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(lead[n] | c);
	return n;
}

/* Half a pair of surrogates is U+FFFD (Unicode 15, 3.9). */
static uint32_t next_utf16(const uint8_t *from, size_t n_units, size_t *i)
{
	uint32_t c = sonde_le16(from + 2 * (*i)++);

	if (c < 0xd800 || c > 0xdfff)
		return c;
	uint32_t low = *i < n_units ? sonde_le16(from + 2 * *i) : 0;
	if (c > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	(*i)++;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

size_t utf16_to_utf8(const uint8_t *from, size_t n_units, char *to)
{
	size_t len = 0;

	for (size_t i = 0; i < n_units;)
		len += put_utf8(to + len, next_utf16(from, n_units, &i));
	to[len] = '\0';
	return len;
}

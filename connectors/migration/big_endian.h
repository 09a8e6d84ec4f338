/* SPDX-License-Identifier: MIT */
/* Numbers of a file whose high byte comes first. */
#ifndef BIG_ENDIAN_H
#define BIG_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t be_number(const uint8_t *p, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | p[i];
	return value;
}

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)be_number(p, 2);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be_number(p, 4);
}

static inline uint64_t be64(const uint8_t *p)
{
	return be_number(p, 8);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What compilers call by themselves, eight bytes at a time. Weak: a program that has faster ones keeps them.
 */
#include "base/mem.h"

#include <stdint.h>

#define WEAK __attribute__((weak))

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

static void *copy_up(char *to, const char *from, size_t len)
{
	size_t i = 0;

	for (; len - i >= sizeof(word); i += sizeof(word))
		*(word *)(void *)(to + i) = *(const word *)(const void *)(from + i);
	for (; i < len; i++)
		to[i] = from[i];
	return to;
}

static void *copy_down(char *to, const char *from, size_t len)
{
	for (; len >= sizeof(word); len -= sizeof(word))
		*(word *)(void *)(to + len - sizeof(word)) =
			*(const word *)(const void *)(from + len - sizeof(word));
	while (len-- > 0)
		to[len] = from[len];
	return to;
}

WEAK void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	return copy_up(to, from, len);
}

WEAK void *memmove(void *to, const void *from, size_t len)
{
	return (uintptr_t)to - (uintptr_t)from >= len ? copy_up(to, from, len)
						      : copy_down(to, from, len);
}

WEAK void *memset(void *at, int byte, size_t len)
{
	char *bytes = at;
	word all = UINT64_C(0x0101010101010101) * (unsigned char)byte;
	size_t i = 0;

	for (; len - i >= sizeof(word); i += sizeof(word))
		*(word *)(void *)(bytes + i) = all;
	for (; i < len; i++)
		bytes[i] = (char)byte;
	return at;
}

WEAK int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

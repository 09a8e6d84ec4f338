/* SPDX-License-Identifier: MIT */
/*
 * Memory for the freestanding part: the one way in which it allocates. mem_libc.c takes it from the
 * C library; a program without one brings these three functions of its own. Any thread.
 *
 * Beside them the four functions that every C compiler expects to find, even freestanding.
 */
#ifndef SONDE_BASE_MEM_H
#define SONDE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *at, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
#endif

/* n objects of size bytes, zeroed, aligned for any of them. NULL: out of memory, or n * size overflows. */
void *mem_alloc(size_t n, size_t size);

/*
 * Room for n objects at p, which may move; p may be NULL. What is new holds anything. NULL: as for
 * mem_alloc, and p is still there.
 */
void *mem_resize(void *p, size_t n, size_t size);

/* NULL is allowed. */
void mem_release(void *p);

/* The first of len bytes that is byte; NULL: none is. */
static inline void *mem_find(const void *at, unsigned char byte, size_t len)
{
	const unsigned char *bytes = at;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == byte)
			return (char *)at + i;
	}
	return NULL;
}

static inline bool mem_same_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

#endif

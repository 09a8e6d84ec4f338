/* SPDX-License-Identifier: MIT */
/*
 * An arena: everything that dies together is allocated from one and freed by one
 * call. No per-object free, no locks; one thread at a time.
 */
#ifndef SONDE_BASE_ARENA_H
#define SONDE_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block;

/* All zero is an empty arena. */
struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes taken from the newest block */
};

/* size bytes, zeroed, aligned to 16. NULL when out of memory. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* n objects of size bytes; NULL also when n * size overflows. */
void *arena_array(struct arena *arena, size_t n, size_t size);
/* A terminated copy of len bytes. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Free all; the arena is empty and usable again. */
void arena_finish(struct arena *arena);

#endif

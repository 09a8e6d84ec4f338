/* SPDX-License-Identifier: MIT */
/*
 * Second descriptors of files that are read past the page cache (open(2): O_DIRECT), for loops that were asked to:
 * what is read once does not push out what is needed again, and a cold page costs no copy. Only whole
 * blocks in memory that begins like one can go that way; everything else goes the ordinary one.
 */
#ifndef SONDE_SPACE_PAST_CACHE_H
#define SONDE_SPACE_PAST_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAST_CACHE_MAX 32u    /* files; those behind are read the ordinary way */
#define PAST_CACHE_NEVER (-1) /* as the place of a file: it has no second descriptor */

struct past_file {
	int32_t of;    /* the descriptor that the connector gave              */
	int32_t fd;    /* the second one                                      */
	int32_t slot;  /* of fd in the engine's table, -1: not there          */
	uint64_t mask; /* of address, offset and length, no bit may be set    */
};

struct past_cache {
	size_t n;
	struct past_file at[PAST_CACHE_MAX];
};

/* The place of fd's second descriptor, opened if need be; its slot is -1 then. PAST_CACHE_NEVER: it can have none. */
int16_t past_cache_enter(struct past_cache *past, int32_t fd);
/* Slots are the engine's, and left to the caller. */
void past_cache_close(struct past_cache *past);

/* What reads these bytes; NULL: nothing but the ordinary descriptor. place: of past_cache_enter. */
static inline const struct past_file *past_cache_file(const struct past_cache *past, int16_t place,
						      uint64_t off, const void *buf, uint32_t len)
{
	if (place < 0)
		return NULL;
	const struct past_file *file = &past->at[place];
	return (off | len | (uintptr_t)buf) & file->mask ? NULL : file;
}

/* The file system wants more than it said: this file is read the ordinary way from now on. */
static inline void past_cache_give_up(struct past_cache *past, int16_t place)
{
	past->at[place].mask = UINT64_MAX;
}

#endif

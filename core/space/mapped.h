/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a piece lie in mapped memory, and asking for them ahead. Shared by by_extents.c (any request)
 * and by_extents_single.c (many of one piece each).
 */
#ifndef SONDE_SPACE_MAPPED_H
#define SONDE_SPACE_MAPPED_H

#include "space/connector_space.h"

/* Where the bytes of a piece are; NULL: not whole in this extent. */
static inline const char *lies_in(struct mapped m, const struct sonde_xfer *x)
{
	uint64_t in_extent = x->addr - m.addr;

	if (in_extent > m.span || x->len - 1 > m.span - in_extent)
		return NULL;
	return (const char *)(m.at + in_extent);
}

static inline struct mapped mapped(const struct extent *e)
{
	if (!e || !e->ptr)
		return (struct mapped){ 0 };
	return (struct mapped){ e->addr, e->last - e->addr, (uintptr_t)e->ptr };
}

/* The extent that a piece begins in; all 0: none that is mapped. */
struct mapped by_extents_mapped(struct connector_space *cs, uint64_t addr);

/* Where a piece lies, most likely in *m, which becomes the extent that it lies in; NULL: not whole in a mapped one. */
static inline const char *find_piece(struct connector_space *cs, struct mapped *m,
				     const struct sonde_xfer *x)
{
	const char *at = lies_in(*m, x);

	if (__builtin_expect(at != NULL, 1))
		return at;
	const struct extent *e = extents_indexed(&cs->extents, x->addr);
	*m = e ? mapped(e) : by_extents_mapped(cs, x->addr);
	return lies_in(*m, x);
}

/*
 * Bytes that are wanted soon are asked for many pieces at a time, in a loop that does little else: a
 * prefetch that misses the TLB holds up what follows it until its page is found, and only searches
 * that stand close together overlap. Of a long piece the processor guesses what follows.
 */
#define FETCH_LINES 4u /* cache lines of each */
#define LINE 64u

/* always_inline: to gcc 12 a function that only prefetches does nothing, and its calls go. */
static inline __attribute__((always_inline)) void fetch(const char *at, uint32_t len)
{
	__builtin_prefetch(at);
	for (uint32_t off = LINE; off < len && off < FETCH_LINES * LINE; off += LINE)
		__builtin_prefetch(at + off);
}

#endif

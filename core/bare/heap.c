/* SPDX-License-Identifier: MIT */
/*
 * Chunks lie one behind the other, each with its length and that of the one in front:
 *
 *   ┌──────┬─────────┬──────┬───────────────┬──────┬────┐
 *   │ head │ payload │ head │ next, prev, … │ head │ …  │ end: a head in use, of no length
 *   └──────┴─────────┴──────┴───────────────┴──────┴────┘
 *      in use             free
 */
#include "bare/heap.h"

enum { GRAIN = 16, USED = 1, HEAD = 16 };

struct heap_chunk {
	size_t before;                  /* length of the one in front; 0: this is the first */
	size_t len;                     /* with its head, of whole grains; or USED          */
	struct heap_chunk *next, *prev; /* free: in the list                                */
};

_Static_assert(offsetof(struct heap_chunk, next) == HEAD, "the payload begins behind the head");
_Static_assert(sizeof(struct heap_chunk) % GRAIN == 0, "the smallest chunk is of whole grains");

static struct heap_chunk *at_offset(struct heap_chunk *chunk, ptrdiff_t off)
{
	return (struct heap_chunk *)(void *)((char *)chunk + off);
}

static size_t length(const struct heap_chunk *chunk)
{
	return chunk->len & ~(size_t)USED;
}

static void add(struct heap *heap, struct heap_chunk *chunk)
{
	chunk->prev = NULL;
	chunk->next = heap->free;
	if (heap->free)
		heap->free->prev = chunk;
	heap->free = chunk;
}

static void drop(struct heap *heap, struct heap_chunk *chunk)
{
	*(chunk->prev ? &chunk->prev->next : &heap->free) = chunk->next;
	if (chunk->next)
		chunk->next->prev = chunk->prev;
}

/* A free chunk that ends where the next one begins. */
static void make_free(struct heap *heap, struct heap_chunk *chunk, size_t len)
{
	chunk->len = len;
	at_offset(chunk, (ptrdiff_t)len)->before = len;
	add(heap, chunk);
}

bool heap_init(struct heap *heap, void *memory, size_t len)
{
	size_t lost = -(uintptr_t)memory & (GRAIN - 1);
	struct heap_chunk *first = (struct heap_chunk *)(void *)((char *)memory + lost);

	if (len < lost + sizeof(*first) + HEAD)
		return false;
	size_t room = ((len - lost) & ~(size_t)(GRAIN - 1)) - HEAD;
	*heap = (struct heap){ .total = room };
	first->before = 0;
	at_offset(first, (ptrdiff_t)room)->len = USED;
	make_free(heap, first, room);
	return true;
}

void *heap_take(struct heap *heap, size_t len)
{
	size_t need = (len + HEAD + GRAIN - 1) & ~(size_t)(GRAIN - 1);
	struct heap_chunk *chunk = heap->free;

	if (len > heap->total)
		return NULL;
	if (need < sizeof(*chunk))
		need = sizeof(*chunk);
	while (chunk && chunk->len < need)
		chunk = chunk->next;
	if (!chunk)
		return NULL;
	drop(heap, chunk);
	if (chunk->len - need >= sizeof(*chunk)) {
		struct heap_chunk *rest = at_offset(chunk, (ptrdiff_t)need);
		rest->before = need;
		make_free(heap, rest, chunk->len - need);
		chunk->len = need;
	}
	heap->used += chunk->len;
	if (heap->used > heap->most_used)
		heap->most_used = heap->used;
	chunk->len |= USED;
	return (char *)chunk + HEAD;
}

void heap_give(struct heap *heap, void *at)
{
	struct heap_chunk *chunk = (struct heap_chunk *)(void *)((char *)at - HEAD);
	size_t len = length(chunk);
	struct heap_chunk *next = at_offset(chunk, (ptrdiff_t)len);
	struct heap_chunk *before = at_offset(chunk, -(ptrdiff_t)chunk->before);

	heap->used -= len;
	if (!(next->len & USED)) {
		drop(heap, next);
		len += next->len;
	}
	if (chunk->before && !(before->len & USED)) {
		drop(heap, before);
		len += before->len;
		chunk = before;
	}
	make_free(heap, chunk, len);
}

size_t heap_room(const void *at)
{
	const struct heap_chunk *chunk =
		(const struct heap_chunk *)(const void *)((const char *)at - HEAD);

	return length(chunk) - HEAD;
}

/* SPDX-License-Identifier: MIT */
/*
 * Arena: a list of blocks, newest first. A large request gets a block of its own
 * behind the newest one, so the room left in that one is not lost.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (64u * 1024)
#define ALIGN 16u

struct arena_block {
	struct arena_block *next;
	size_t size; /* bytes behind this header */
	_Alignas(ALIGN) unsigned char bytes[];
};

static struct arena_block *block_create(size_t size)
{
	if (size > SIZE_MAX - sizeof(struct arena_block))
		return NULL;
	struct arena_block *block = calloc(1, sizeof(*block) + size);
	if (block)
		block->size = size;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *head = arena->blocks;

	if (size > SIZE_MAX - ALIGN)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (head && size <= head->size - arena->used) {
		void *p = head->bytes + arena->used;
		arena->used += size;
		return p;
	}

	struct arena_block *block = block_create(size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE);
	if (!block)
		return NULL;
	if (head && block->size == size) {
		block->next = head->next;
		head->next = block;
		return block->bytes;
	}
	block->next = head;
	arena->blocks = block;
	arena->used = size;
	return block->bytes;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return arena_alloc(arena, total);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	char *copy = arena_alloc(arena, len + 1);
	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;

	char *text = arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return text;
}

void arena_finish(struct arena *arena)
{
	struct arena_block *block = arena->blocks;

	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	*arena = (struct arena){ 0 };
}

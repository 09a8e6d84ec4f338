/* SPDX-License-Identifier: MIT */
/* A space of memory that the program sees: every request ends in the call that submits it. */
#include <sonde/bare.h>

#include "base/copy.h"
#include "base/mem.h"
#include "base/sort.h"
#include "space/space.h"

struct memory {
	struct sonde_space space;
	struct copier copier;
	size_t n;
	struct sonde_bare_range ranges[]; /* [n] by addr, not overlapping */
};

static struct memory *of_space(struct sonde_space *space)
{
	return (struct memory *)(void *)space;
}

/* The range that holds addr, or the first above it; index n: none. */
static size_t find(const struct memory *memory, uint64_t addr)
{
	size_t low = 0, high = memory->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct sonde_bare_range *range = &memory->ranges[middle];
		if (range->addr + (range->len - 1) < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What of [addr, addr + len) lies in one range; or NULL, and *len is that of the hole. */
static const struct sonde_bare_range *stretch(const struct memory *memory, uint64_t addr,
					      uint64_t *len)
{
	size_t i = find(memory, addr);
	const struct sonde_bare_range *range = i < memory->n ? &memory->ranges[i] : NULL;

	if (range && range->addr <= addr) {
		uint64_t left = range->len - (addr - range->addr);
		*len = *len < left ? *len : left;
		return range;
	}
	if (range && range->addr - addr < *len)
		*len = range->addr - addr;
	return NULL;
}

/* Returns 0, or why these bytes were not moved. */
static int32_t move(struct memory *memory, const struct sonde_bare_range *range, uint32_t op,
		    uint64_t addr, char *buf, size_t len)
{
	if (!range)
		return SONDE_E_NOT_MAPPED;
	char *at = (char *)range->at + (addr - range->addr);
	if (op == SONDE_IO_READ)
		copy_bytes(&memory->copier, buf, at, len);
	else if (range->flags & SONDE_REGION_WRITE)
		copy_bytes(&memory->copier, at, buf, len);
	else
		return SONDE_E_READ_ONLY;
	return SONDE_OK;
}

static void move_piece(struct memory *memory, struct sonde_io *io, uint32_t i)
{
	const struct sonde_xfer *x = &io->xfers[i];

	for (uint32_t off = 0; off < x->len;) {
		uint64_t addr = x->addr + off, len = x->len - off;
		const struct sonde_bare_range *range = NULL;
		if (addr >= x->addr) /* else it wraps, and the rest is a hole */
			range = stretch(memory, addr, &len);
		int32_t err = move(memory, range, io->op, addr, (char *)x->buf + off, len);
		io_account(io, i, off, (uint32_t)len, err);
		off += (uint32_t)len;
	}
}

static void memory_submit(struct sonde_space *space, struct sonde_io *list)
{
	for (struct sonde_io *io = list, *next; io; io = next) {
		next = io_core(io)->next;
		for (uint32_t i = 0; i < io->n; i++)
			move_piece(of_space(space), io, i);
		io_finish(io);
	}
}

static int memory_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	const struct memory *memory = of_space(space);
	int r = 0;

	for (size_t i = 0; r == 0 && i < memory->n; i++) {
		const struct sonde_bare_range *range = &memory->ranges[i];
		const struct sonde_region region = { .addr = range->addr,
						     .len = range->len,
						     .flags = range->flags,
						     .name = range->name ? range->name : "" };
		r = fn(user, &region);
	}
	return r;
}

static const void *memory_borrow(struct sonde_space *space, uint64_t addr, size_t *len)
{
	uint64_t there = *len;
	const struct sonde_bare_range *range = stretch(of_space(space), addr, &there);

	if (!range)
		return NULL;
	*len = there;
	return (const char *)range->at + (addr - range->addr);
}

static void memory_destroy(struct sonde_space *space)
{
	mem_release(of_space(space));
}

static const struct space_ops memory_ops = {
	.submit = memory_submit,
	.regions = memory_regions,
	.borrow = memory_borrow,
	.destroy = memory_destroy,
};

static int by_addr(const void *a, const void *b)
{
	const struct sonde_bare_range *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool is_sound(const struct memory *memory)
{
	for (size_t i = 0; i < memory->n; i++) {
		const struct sonde_bare_range *range = &memory->ranges[i];
		if (range->len == 0 || range->len - 1 > UINT64_MAX - range->addr)
			return false;
		if (i && range->addr - range[-1].addr < range[-1].len)
			return false;
	}
	return true;
}

int sonde_bare_memory(struct sonde_loop *loop, const struct sonde_bare_range *ranges, size_t n,
		      struct sonde_space **ret)
{
	struct memory *memory = NULL;
	size_t size;

	if (!__builtin_mul_overflow(n, sizeof(*ranges), &size) &&
	    size <= SIZE_MAX - sizeof(*memory))
		memory = mem_alloc(1, sizeof(*memory) + size);
	if (!memory)
		return SONDE_E_NO_MEMORY;
	memory->n = n;
	if (n)
		memcpy(memory->ranges, ranges, size);
	sort_items(memory->ranges, n, sizeof(*ranges), by_addr);
	if (!is_sound(memory)) {
		mem_release(memory);
		return SONDE_E_BAD_ARG;
	}
	space_init(&memory->space, &memory_ops, loop, &space_always);
	*ret = &memory->space;
	return SONDE_OK;
}

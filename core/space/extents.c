/* SPDX-License-Identifier: MIT */
/*
 * Extents: told in any order, resolved once by a sweep over their ends. In the sweep a
 * heap holds what covers the current address; its top is the one told first.
 */
#include "space/extents.h"

#include <stdlib.h>
#include <string.h>

#define EXTENTS_MAX (1u << 20)
#define INDEX_FROM 16u /* extents */
#define SLICES_EACH 8u

/*
 * No file reaches beyond INT64_MAX, but a lying header may say so: bytes there are missing, and
 * no descriptor is ever asked for them.
 */
static int add_beyond_files(struct extents *extents, const struct sonde_extent *told)
{
	uint64_t in_file = told->off > INT64_MAX ? 0 : (uint64_t)INT64_MAX - told->off;
	struct sonde_extent inside = *told, beyond = *told;

	beyond.kind = SONDE_EXTENT_ABSENT;
	beyond.err = SONDE_E_TRUNCATED;
	if (in_file == 0)
		return extents_add(extents, &beyond);
	inside.len = in_file;
	beyond.addr += in_file;
	beyond.len -= in_file;
	int r = extents_add(extents, &inside);
	return r < 0 ? r : extents_add(extents, &beyond);
}

int extents_add(struct extents *extents, const struct sonde_extent *told)
{
	if (told->len == 0 || told->len - 1 > UINT64_MAX - told->addr)
		return SONDE_E_BAD_ARG;
	if (told->kind < SONDE_EXTENT_FILE || told->kind > SONDE_EXTENT_IMAGE)
		return SONDE_E_BAD_ARG;
	if ((told->kind == SONDE_EXTENT_MEMORY || told->kind == SONDE_EXTENT_IMAGE) && !told->ptr)
		return SONDE_E_BAD_ARG;
	if ((told->kind == SONDE_EXTENT_FILE || told->kind == SONDE_EXTENT_IMAGE) &&
	    (told->off > INT64_MAX || told->len > (uint64_t)INT64_MAX - told->off))
		return add_beyond_files(extents, told);
	if (extents->n == EXTENTS_MAX)
		return SONDE_E_LIMIT;
	if (extents->n == extents->cap) {
		size_t cap = extents->cap ? 2 * extents->cap : 16;
		struct extent *grown = realloc(extents->at, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		extents->at = grown;
		extents->cap = cap;
	}
	extents->at[extents->n++] = (struct extent){
		.addr = told->addr,
		.last = told->addr + (told->len - 1),
		.kind = told->kind,
		.flags = told->flags,
		.ptr = told->kind == SONDE_EXTENT_MEMORY ? told->ptr : NULL,
		.off = told->off,
		.image = told->kind == SONDE_EXTENT_IMAGE ? told->ptr : NULL,
		.fd = told->fd,
		.slot = -1,
		.past = PAST_CACHE_NEVER,
		.err = told->err < 0 ? told->err : SONDE_E_NOT_SAVED,
	};
	return SONDE_OK;
}

/* The told list, by address; order is the place in it as told. */
struct entry {
	const struct extent *extent;
	size_t order;
};

static int by_addr(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->extent->addr != y->extent->addr)
		return x->extent->addr < y->extent->addr ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

struct sweep {
	struct entry *heap; /* [n], least order on top */
	size_t n;
	struct extent *out;
	size_t n_out;
};

static void heap_push(struct sweep *sweep, struct entry entry)
{
	size_t i = sweep->n++;

	while (i && sweep->heap[(i - 1) / 2].order > entry.order) {
		sweep->heap[i] = sweep->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sweep->heap[i] = entry;
}

static void heap_pop(struct sweep *sweep)
{
	struct entry last = sweep->heap[--sweep->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= sweep->n)
			break;
		if (child + 1 < sweep->n && sweep->heap[child + 1].order < sweep->heap[child].order)
			child++;
		if (sweep->heap[child].order >= last.order)
			break;
		sweep->heap[i] = sweep->heap[child];
		i = child;
	}
	sweep->heap[i] = last;
}

/* Bytes of both live in one place and mean the same: a told-later one ended in the middle, or two abut. */
static bool is_same(const struct extent *a, const struct extent *b)
{
	if (a->kind != b->kind || a->flags != b->flags)
		return false;
	switch (a->kind) {
	case SONDE_EXTENT_FILE:
		return a->fd == b->fd && a->off - a->addr == b->off - b->addr;
	case SONDE_EXTENT_IMAGE:
		return a->image == b->image && a->off - a->addr == b->off - b->addr;
	case SONDE_EXTENT_MEMORY:
		return (uintptr_t)a->ptr - a->addr == (uintptr_t)b->ptr - b->addr;
	case SONDE_EXTENT_ABSENT:
		return a->err == b->err;
	default:
		return true;
	}
}

static void emit(struct sweep *sweep, const struct extent *from, uint64_t addr, uint64_t last)
{
	struct extent *prev = sweep->n_out ? &sweep->out[sweep->n_out - 1] : NULL;
	uint64_t skip = addr - from->addr;

	if (prev && prev->last + 1 == addr && is_same(prev, from)) {
		prev->last = last;
		return;
	}
	struct extent *out = &sweep->out[sweep->n_out++];
	*out = *from;
	out->addr = addr;
	out->last = last;
	out->off += skip;
	if (out->ptr)
		out->ptr += skip;
}

/* Everything up to before (exclusive unless to_end) that the heap covers. */
static void sweep_until(struct sweep *sweep, uint64_t *at, uint64_t before, bool to_end)
{
	while (sweep->n) {
		const struct extent *top = sweep->heap[0].extent;
		if (top->last < *at) {
			heap_pop(sweep);
			continue;
		}
		if (!to_end && *at >= before)
			return;
		uint64_t last = top->last;
		if (!to_end && last > before - 1)
			last = before - 1;
		emit(sweep, top, *at, last);
		if (last == UINT64_MAX) {
			sweep->n = 0;
			return;
		}
		*at = last + 1;
	}
}

/* Several slices an extent, so that most lead to one alone. Without an index a search takes longer, that is all. */
static void make_index(struct extents *extents)
{
	size_t n = extents->n, i = 0;

	if (n < INDEX_FROM)
		return;
	uint64_t first = extents->at[0].addr, span = extents->at[n - 1].last - first;
	while (span >> extents->shift >= SLICES_EACH * n)
		extents->shift++;
	extents->n_slices = (size_t)(span >> extents->shift) + 1;
	extents->index = malloc(extents->n_slices * sizeof(*extents->index));
	for (size_t slice = 0; extents->index && slice < extents->n_slices; slice++) {
		while (extents->at[i].last < first + ((uint64_t)slice << extents->shift))
			i++;
		extents->index[slice] = (uint32_t)i;
	}
}

int extents_seal(struct extents *extents)
{
	size_t n = extents->n;
	struct entry *entries = calloc(2 * n + 1, sizeof(*entries));
	struct extent *out = calloc(2 * n + 1, sizeof(*out));
	uint64_t at = 0;

	if (!entries || !out) {
		free(entries);
		free(out);
		return SONDE_E_NO_MEMORY;
	}
	struct sweep sweep = { .heap = entries + n, .out = out };
	for (size_t i = 0; i < n; i++)
		entries[i] = (struct entry){ &extents->at[i], i };
	qsort(entries, n, sizeof(*entries), by_addr);
	for (size_t i = 0; i < n; i++) {
		uint64_t addr = entries[i].extent->addr;
		sweep_until(&sweep, &at, addr, false);
		if (at < addr)
			at = addr;
		heap_push(&sweep, entries[i]);
	}
	sweep_until(&sweep, &at, 0, true);
	free(entries);
	free(extents->at);
	extents->at = out;
	extents->n = sweep.n_out;
	extents->cap = 2 * n + 1;
	make_index(extents);
	return SONDE_OK;
}

int extents_copy(struct extents *to, const struct extents *from)
{
	*to = (struct extents){ .at = calloc(from->n + 1, sizeof(*to->at)), .cap = from->n + 1 };
	if (!to->at)
		return SONDE_E_NO_MEMORY;
	for (; to->n < from->n; to->n++) {
		struct extent *e = &to->at[to->n];
		*e = from->at[to->n];
		e->slot = -1;
		e->past = PAST_CACHE_NEVER;
		if (e->kind == SONDE_EXTENT_FILE)
			e->ptr = NULL;
	}
	make_index(to);
	return SONDE_OK;
}

void extents_finish(struct extents *extents)
{
	free(extents->at);
	free(extents->index);
	*extents = (struct extents){ 0 };
}

/* [*low, *high) has the first extent that ends at or behind addr, unless the last one ends before it. */
static inline void narrow(const struct extents *extents, uint64_t addr, size_t *low, size_t *high)
{
	uint64_t in = addr - extents->at[0].addr;
	size_t slice = (size_t)(in >> extents->shift);

	if (addr < extents->at[0].addr || slice >= extents->n_slices)
		return;
	*low = extents->index[slice];
	if (slice + 1 < extents->n_slices)
		*high = extents->index[slice + 1] + 1u;
}

const struct extent *extents_find(const struct extents *extents, uint64_t addr, size_t *hint,
				  uint64_t *ret_gap)
{
	const struct extent *at = extents->at;
	size_t low = 0, high = extents->n;

	if (*hint < high && at[*hint].addr <= addr && addr <= at[*hint].last)
		return &at[*hint];
	const struct extent *found = extents_indexed(extents, addr);
	if (found) {
		*hint = (size_t)(found - at);
		return found;
	}
	if (extents->index)
		narrow(extents, addr, &low, &high);
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (at[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == extents->n) {
		*ret_gap = 0;
		return NULL;
	}
	*hint = low;
	if (at[low].addr <= addr)
		return &at[low];
	*ret_gap = at[low].addr - addr;
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/* Sorting a window of parts where it pays, and cutting it into operations. */
#include "space/merge.h"

#include <sonde/types.h>
#include <string.h>

#define FEW 32u /* so many are sorted without asking */
#define N_SEEN (sizeof(((struct merge_pages *)0)->seen) / sizeof(uint32_t))

static bool is_before(const struct part *a, const struct part *b)
{
	if (a->off != b->off && a->fd == b->fd && a->write == b->write)
		return a->off < b->off;
	if (a->fd != b->fd)
		return a->fd < b->fd;
	return a->write < b->write;
}

static bool is_ordered(struct part *const *parts, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (is_before(parts[i], parts[i - 1]))
			return false;
	}
	return true;
}

static void insertion_sort(struct part **parts, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct part *part = parts[i];
		size_t at = i;
		for (; at && is_before(part, parts[at - 1]); at--)
			parts[at] = parts[at - 1];
		parts[at] = part;
	}
}

static void sift(struct part **parts, size_t at, size_t n)
{
	struct part *part = parts[at];

	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && is_before(parts[child], parts[child + 1]))
			child++;
		if (!is_before(part, parts[child]))
			break;
		parts[at] = parts[child];
	}
	parts[at] = part;
}

/* Bounded in time whatever the order, in place. */
static void heap_sort(struct part **parts, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(parts, i, n);
	while (n > 1) {
		struct part *last = parts[--n];
		parts[n] = parts[0];
		parts[0] = last;
		sift(parts, 0, n);
	}
}

/* Was this page, or one beside it, seen before? Files of one batch are few, so they share the table. */
static bool meets(struct merge_pages *pages, uint64_t page)
{
	bool met = false;

	for (uint64_t near = page - 1; near != page + 2; near++)
		met |= pages->seen[near % N_SEEN] == (uint32_t)(near / N_SEEN) + 1; /* 0: nothing */
	pages->seen[page % N_SEEN] = (uint32_t)(page / N_SEEN) + 1;
	return met;
}

/* A page that shares its slot with a later one is forgotten: then a few moves too many are made. */
static bool has_neighbours(struct part *const *parts, size_t n, struct merge_pages *pages)
{
	memset(pages, 0, sizeof(*pages));
	for (size_t i = 0; i < n; i++) {
		uint64_t first = parts[i]->off / SONDE_PAGE_SIZE;
		uint64_t last = (parts[i]->off + parts[i]->len - 1) / SONDE_PAGE_SIZE;
		if (meets(pages, first) || (last != first && meets(pages, last)))
			return true;
	}
	return false;
}

void merge_order(struct part **parts, size_t n, struct merge_pages *pages)
{
	if (is_ordered(parts, n))
		return;
	if (n <= FEW)
		insertion_sort(parts, n);
	else if (has_neighbours(parts, n, pages))
		heap_sort(parts, n);
}

/* Bytes between two parts; a page they share is fetched for either of them anyway. */
static bool is_near(uint64_t end, uint64_t off, uint32_t gap)
{
	return off <= end || off - end <= gap ||
	       off / SONDE_PAGE_SIZE == (end - 1) / SONDE_PAGE_SIZE;
}

/* Does part go on where this operation, which has begun with first, ends? Writes join only without gap or overlap. */
static bool joins(const struct merged *merged, const struct part *first, const struct part *part,
		  uint32_t gap)
{
	uint64_t end = merged->off + merged->len;

	if (part->alone || part->fd != first->fd || part->write != first->write ||
	    part->len > MERGE_PART_MAX || part->off < first->off)
		return false;
	if (part->off - first->off > MERGE_SPAN_MAX - part->len)
		return false;
	return part->write ? part->off == end : is_near(end, part->off, gap);
}

struct merged merge_front(struct part *const *parts, size_t n, uint32_t gap)
{
	const struct part *first = parts[0];
	struct merged merged = { .n = 1, .off = first->off, .len = first->len };

	if (first->alone || first->len > MERGE_PART_MAX || gap == UINT32_MAX)
		return merged;
	while (merged.n < n && joins(&merged, first, parts[merged.n], gap)) {
		uint64_t end = parts[merged.n]->off - first->off + parts[merged.n]->len;
		if (end > merged.len)
			merged.len = (uint32_t)end;
		merged.n++;
	}
	return merged;
}

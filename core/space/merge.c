/* SPDX-License-Identifier: MIT */
/* Sorting a window of parts where it pays, and cutting it into operations. */
#include "space/merge.h"

#include <sonde/types.h>
#include <string.h>

#define FEW 32u /* so many are sorted without asking */

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

/* Merge the runs [at, middle) and [middle, end) of from. */
static void merge_runs(const struct merge_key *from, struct merge_key *to, size_t at, size_t middle,
		       size_t end)
{
	size_t left = at, right = middle;

	for (; at < end; at++) {
		bool take_left =
			left < middle && (right == end || from[left].off <= from[right].off);
		to[at] = take_left ? from[left++] : from[right++];
	}
}

/* Of one file and one direction, as nearly every window is: by offset alone. */
static void sort_by_offset(struct part **parts, size_t n, struct merge_room *room)
{
	struct merge_key *from = room->keys[0], *to = room->keys[1];

	for (size_t i = 0; i < n; i++)
		from[i] = (struct merge_key){ parts[i]->off, parts[i] };
	for (size_t run = 1; run < n; run *= 2) {
		for (size_t at = 0; at < n; at += 2 * run) {
			size_t middle = at + run < n ? at + run : n;
			size_t end = middle + run < n ? middle + run : n;
			merge_runs(from, to, at, middle, end);
		}
		struct merge_key *sorted = to;
		to = from;
		from = sorted;
	}
	for (size_t i = 0; i < n; i++)
		parts[i] = from[i].part;
}

/* Bring those of the file and direction of the first to the front; how many they are. */
static size_t gather_alike(struct part **parts, size_t n)
{
	size_t alike = 1;

	for (size_t i = 1; i < n; i++) {
		if (parts[i]->fd != parts[0]->fd || parts[i]->write != parts[0]->write)
			continue;
		struct part *part = parts[i];
		parts[i] = parts[alike];
		parts[alike++] = part;
	}
	return alike;
}

void merge_probe_begin(struct merge_probe *probe, struct merge_room *room, size_t n, uint32_t gap)
{
	uint32_t n_bits = 2; /* more than twice as many places as pages, or hardly less */

	while (n_bits < MERGE_WINDOW_BITS + 1 && (size_t)1 << n_bits < 4 * n)
		n_bits++;

	*probe = (struct merge_probe){ .room = room, .n_bits = n_bits, .gap = gap };
	memset(room->seen, 0, sizeof(room->seen[0]) << n_bits);
}

/* A sort costs a twentieth of an operation a part, so a few moves saved pay for it. */
static bool has_neighbours(struct part *const *parts, size_t n, struct merge_room *room,
			   uint32_t gap)
{
	struct merge_probe probe;

	merge_probe_begin(&probe, room, n, gap);
	for (size_t i = 0; i < n; i++)
		merge_probe_add(&probe, parts[i]->off, parts[i]->len);
	return probe.hits > n / 16;
}

bool merge_order(struct part **parts, size_t n, struct merge_room *room, uint32_t gap)
{
	if (n < 2)
		return false;
	if (is_ordered(parts, n))
		return true;
	if (n <= FEW) {
		insertion_sort(parts, n);
		return true;
	}
	if (!has_neighbours(parts, n, room, gap))
		return false;
	for (size_t alike; n; parts += alike, n -= alike) {
		alike = gather_alike(parts, n);
		sort_by_offset(parts, alike, room);
	}
	return true;
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

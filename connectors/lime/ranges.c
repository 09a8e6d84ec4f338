/* SPDX-License-Identifier: MIT */
#include "ranges.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

int lime_probe(const uint8_t *head, size_t len)
{
	return len >= LIME_HEAD_SIZE && memcmp(head, LIME_MAGIC, 4) == 0 &&
	       sonde_le32(head + 4) == 1;
}

static int add_range(struct lime_ranges *ranges, const struct lime_range *range)
{
	if (ranges->n == LIME_RANGES_MAX)
		return SONDE_E_LIMIT;
	if (ranges->n == ranges->cap) {
		size_t cap = ranges->cap ? ranges->cap * 2 : 16;
		struct lime_range *at = realloc(ranges->at, cap * sizeof(*at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		ranges->at = at;
		ranges->cap = cap;
	}
	ranges->at[ranges->n++] = *range;
	return 0;
}

/* A head as a range; 0 where it is none: an end before its beginning, or all 2^64 bytes. */
static int take_head(const uint8_t *head, uint64_t off, uint64_t file_size, struct lime_range *ret)
{
	uint64_t first = sonde_le64(head + 8), last = sonde_le64(head + 16);
	uint64_t left = file_size - off;

	if (!lime_probe(head, LIME_HEAD_SIZE) || last < first || last - first == UINT64_MAX)
		return 0;
	*ret = (struct lime_range){ .addr = first, .len = last - first + 1, .off = off };
	ret->have = ret->len < left ? ret->len : left;
	return 1;
}

int lime_ranges_read(struct lime_ranges *ret, lime_read_fn *read, void *user, uint64_t file_size,
		     const char **ret_why)
{
	uint64_t at = 0;

	*ret = (struct lime_ranges){ 0 };
	while (at < file_size && !ret->cut) {
		uint8_t head[LIME_HEAD_SIZE];
		struct lime_range range;
		size_t n = read(user, at, head, sizeof(head));
		if (n < sizeof(head) || !take_head(head, at + sizeof(head), file_size, &range)) {
			ret->cut = file_size - at < sizeof(head);
			ret->unread = !ret->cut && n < sizeof(head);
			ret->trailing = n == sizeof(head);
			break;
		}
		int r = add_range(ret, &range);
		if (r < 0) {
			*ret_why =
				r == SONDE_E_LIMIT ? "more ranges than are taken" : "out of memory";
			return r;
		}
		ret->cut = range.have < range.len;
		at = range.off + range.have;
	}
	*ret_why =
		"the first range has no sound head: 'EMiL', version 1, a first and a last address";
	return ret->n ? 0 : SONDE_E_BAD_FORMAT;
}

void lime_ranges_finish(struct lime_ranges *ranges)
{
	free(ranges->at);
	*ranges = (struct lime_ranges){ 0 };
}

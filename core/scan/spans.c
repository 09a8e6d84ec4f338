/* SPDX-License-Identifier: MIT */
#include "scan/spans.h"

#include <sonde/error.h>
#include <stdlib.h>

struct visit {
	struct spans *spans;
	uint64_t first, last;
	uint32_t flags;
};

static int add(struct spans *spans, uint64_t first, uint64_t last)
{
	struct span *before = spans->n ? &spans->at[spans->n - 1] : NULL;
	uint64_t room = UINT64_MAX - spans->total, more = last - first;

	spans->total = more < room ? spans->total + more + 1 : UINT64_MAX;
	if (before && before->last + 1 == first) {
		before->last = last;
		return 0;
	}
	if (spans->n == spans->cap) {
		size_t cap = spans->cap ? 2 * spans->cap : 64;
		struct span *grown = realloc(spans->at, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		spans->at = grown;
		spans->cap = cap;
	}
	spans->at[spans->n++] = (struct span){ first, last };
	return 0;
}

static int visit_region(void *user, const struct sonde_region *region)
{
	struct visit *visit = user;
	uint64_t first = region->addr, last = region->addr + (region->len - 1);

	if ((region->flags & visit->flags) != visit->flags || last < visit->first)
		return 0;
	if (first > visit->last)
		return 1;
	if (first < visit->first)
		first = visit->first;
	return add(visit->spans, first, last < visit->last ? last : visit->last);
}

int spans_init(struct spans *spans, struct sonde_space *space, uint64_t first, uint64_t last,
	       uint32_t flags)
{
	struct visit visit = { spans, first, last, flags };

	*spans = (struct spans){ 0 };
	int r = sonde_space_regions(space, visit_region, &visit);
	if (r == SONDE_E_UNSUPPORTED && last != UINT64_MAX)
		r = add(spans, first, last);
	if (spans->n)
		spans->next_addr = spans->at[0].first;
	return r < 0 ? r : 0;
}

void spans_finish(struct spans *spans)
{
	free(spans->at);
}

bool spans_take(struct spans *spans, uint64_t len, struct chunk *ret)
{
	uint64_t left = len;

	if (spans->next == spans->n)
		return false;
	*ret = (struct chunk){ .span = spans->next, .addr = spans->next_addr };
	while (left && spans->next < spans->n) {
		uint64_t rest = spans->at[spans->next].last - spans->next_addr;
		if (rest >= left) {
			spans->next_addr += left;
			left = 0;
			break;
		}
		left -= rest + 1;
		if (++spans->next < spans->n)
			spans->next_addr = spans->at[spans->next].first;
	}
	ret->len = len - left;
	return true;
}

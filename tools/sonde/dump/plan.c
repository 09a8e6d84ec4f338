/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <stdlib.h>

#define STRETCHES_MAX (1u << 20)

struct planning {
	struct dump_plan *plan;
	uint64_t grain;
};

static int add(struct dump_plan *plan, uint64_t addr, uint64_t len)
{
	if (plan->n == STRETCHES_MAX)
		return SONDE_E_LIMIT;
	if (plan->n == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : 16;
		struct dump_stretch *at = realloc(plan->at, cap * sizeof(*at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		plan->at = at;
		plan->cap = cap;
	}
	plan->at[plan->n++] = (struct dump_stretch){ addr, len };
	return 0;
}

/* Regions rise and do not overlap; widened ones may. */
static int add_region(void *user, const struct sonde_region *region)
{
	struct planning *planning = user;
	struct dump_plan *plan = planning->plan;
	uint64_t first = region->addr & ~(planning->grain - 1);
	uint64_t last = (region->addr + region->len - 1) | (planning->grain - 1);
	struct dump_stretch *before = plan->n ? &plan->at[plan->n - 1] : NULL;

	if (!(region->flags & SONDE_REGION_READ))
		return 0;
	if (before && first - before->addr <= before->len) {
		uint64_t len = last - before->addr + 1;
		before->len = len > before->len ? len : before->len;
		return 0;
	}
	return add(plan, first, last - first + 1);
}

static int sum_up(struct dump_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct dump_stretch *s = &plan->at[i];
		if (s->len == 0 || __builtin_add_overflow(plan->total, s->len, &plan->total) ||
		    plan->total > INT64_MAX)
			return SONDE_E_LIMIT;
		plan->last = s->addr + s->len - 1;
	}
	return plan->n ? 0 : SONDE_E_NOT_FOUND;
}

int dump_plan_make(struct dump_plan *ret, struct sonde_space *space, uint32_t grain,
		   struct sonde_error *err)
{
	struct planning planning = { .plan = ret, .grain = grain };

	*ret = (struct dump_plan){ 0 };
	int r = sonde_space_regions(space, add_region, &planning);
	if (r < 0)
		return sonde_error_set(err, r, "regions of the memory: %s", sonde_strerror(r));
	r = sum_up(ret);
	if (r == SONDE_E_NOT_FOUND)
		return sonde_error_set(err, r, "no region of this memory can be read");
	return r < 0 ? sonde_error_set(err, r, "regions of 2^63 bytes and more") : 0;
}

void dump_plan_finish(struct dump_plan *plan)
{
	free(plan->at);
	*plan = (struct dump_plan){ 0 };
}

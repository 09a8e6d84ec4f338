/* SPDX-License-Identifier: MIT */
#include "export.h"

#include "proto.h"

#include <sonde/error.h>
#include <stdlib.h>

enum { REGIONS_MAX = 1 << 20 };

/* Clients keep offsets in signed integers: the last page they reach ends here. */
#define REACH (UINT64_C(0x7fffffffffffffff) & ~(SONDE_PAGE_SIZE - 1))
/* The longest extent that is whole pages. */
#define EXTENT_MAX ((uint32_t)(UINT32_MAX & ~(SONDE_PAGE_SIZE - 1)))

static int add_region(void *user, const struct sonde_region *region)
{
	struct export *export = user;

	if (region->addr >= REACH || region->len > REACH - region->addr) {
		export->left_out++;
		return 0;
	}
	if (export->n_regions == REGIONS_MAX)
		return SONDE_E_LIMIT;
	if (export->n_regions == export->room) {
		size_t room = export->room ? 2 * export->room : 64;
		void *regions = realloc(export->regions, room * sizeof(*export->regions));
		if (!regions)
			return SONDE_E_NO_MEMORY;
		export->regions = regions;
		export->room = room;
	}
	export->regions[export->n_regions++] =
		(struct export_region){ region->addr, region->len, region->flags };
	return 0;
}

int export_measure(struct export *ret)
{
	int r = sonde_space_regions(ret->space, add_region, ret);

	if (r < 0)
		return r;
	if (ret->n_regions == 0)
		return SONDE_E_NOT_FOUND;
	const struct export_region *last = &ret->regions[ret->n_regions - 1];
	ret->size = (last->addr + last->len + SONDE_PAGE_SIZE - 1) & ~(SONDE_PAGE_SIZE - 1);
	return 0;
}

void export_finish(struct export *export)
{
	free(export->regions);
	export->regions = NULL;
	export->n_regions = export->room = 0;
}

const char *export_context_name(int index)
{
	static const char *const names[EXPORT_CONTEXTS] = { "base:allocation", "sonde:regions" };

	return names[index];
}

/* The first region that ends behind off. */
static size_t find_region(const struct export *export, uint64_t off)
{
	size_t from = 0, to = export->n_regions;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		const struct export_region *region = &export->regions[middle];
		if (region->addr + region->len > off)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/* What a context says of a region, NULL of a hole. */
static uint32_t flags_of(uint32_t context, const struct export_region *region)
{
	if (context == EXPORT_REGIONS)
		return region ? region->flags : 0;
	return region ? 0 : NBD_STATE_HOLE | NBD_STATE_ZERO;
}

size_t export_status(const struct export *export, uint32_t context, uint64_t off, uint64_t len,
		     struct export_extent *ret, size_t cap)
{
	size_t at = find_region(export, off), n = 0;
	uint64_t end = off + len;

	while (off < end) {
		const struct export_region *region =
			at < export->n_regions ? &export->regions[at] : NULL;
		bool inside = region && region->addr <= off;
		uint64_t until = inside ? region->addr + region->len : region ? region->addr : end;
		uint64_t step = (until < end ? until : end) - off;
		uint32_t flags = flags_of(context, inside ? region : NULL);
		bool goes_on =
			n && ret[n - 1].flags == flags && step <= EXTENT_MAX - ret[n - 1].len;

		if (!goes_on && n == cap)
			break;
		if (!goes_on)
			ret[n++] = (struct export_extent){ .flags = flags };
		if (step > EXTENT_MAX - ret[n - 1].len)
			step = EXTENT_MAX - ret[n - 1].len;
		ret[n - 1].len += (uint32_t)step;
		off += step;
		at += inside && off == until;
	}
	return n;
}

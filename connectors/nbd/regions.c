/* SPDX-License-Identifier: MIT */
#include "regions.h"

#include "api.h"
#include "link.h"

#include <stdlib.h>
#include <string.h>

/* The longest that a descriptor tells of, in whole pages. */
#define ASK_MAX (UINT64_C(0xffffffff) & ~(SONDE_PAGE_SIZE - 1))
#define FLAGS_KNOWN                                                                                \
	(SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_EXEC | SONDE_REGION_SHARED |        \
	 SONDE_REGION_RAM | SONDE_REGION_DEVICE)

struct learning {
	struct regions *regions;
	const char *context;
	uint64_t at, size; /* so far, and all of it     */
	uint64_t begun;    /* where the question began  */
	int err, is_over;
};

static int append(struct regions *regions, uint64_t addr, uint64_t len, uint32_t flags)
{
	struct sonde_region *last = regions->n ? &regions->at[regions->n - 1] : NULL;

	if (last && last->flags == flags && last->addr + last->len == addr) {
		last->len += len;
		return 0;
	}
	if (regions->n == REGIONS_MAX)
		return SONDE_E_LIMIT;
	if (regions->n == regions->room) {
		size_t room = regions->room ? 2 * regions->room : 64;
		void *at = realloc(regions->at, room * sizeof(*regions->at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		regions->at = at;
		regions->room = room;
	}
	regions->at[regions->n++] =
		(struct sonde_region){ .addr = addr, .len = len, .flags = flags, .name = "" };
	return 0;
}

/* What a descriptor says: flags of a region, 0 of none. */
static uint32_t flags_of(const struct learning *l, uint32_t state)
{
	if (strcmp(l->context, REGIONS_OF_SONDE) == 0)
		return state & FLAGS_KNOWN;
	return state & LIBNBD_STATE_HOLE ? 0 : SONDE_REGION_RAM | SONDE_REGION_READ;
}

/* Lengths and states in turn; the last may reach behind what was asked, and is cut at the export's end. */
static int told(void *user, const char *context, uint64_t off, uint32_t *entries, size_t n,
		int *error)
{
	struct learning *l = user;

	(void)error;
	if (strcmp(context, l->context) != 0 || off != l->at)
		return 0;
	for (size_t i = 0; i + 1 < n && l->at < l->size && !l->err; i += 2) {
		uint64_t left = l->size - l->at, len = entries[i] < left ? entries[i] : left;
		uint32_t flags = flags_of(l, entries[i + 1]);
		if (len && flags)
			l->err = append(l->regions, l->at, len, flags);
		l->at += len;
	}
	return 0;
}

static int is_over(void *user, int *error)
{
	struct learning *l = user;

	l->is_over = 1;
	if (*error && !l->err)
		l->err = link_code(*error);
	return 1;
}

static int ask(struct learning *l, struct nbd_handle *nbd, const struct sonde_host *host,
	       uint64_t timeout_ns)
{
	uint64_t left = l->size - l->at, by_ns = host->now_ns() + timeout_ns;
	nbd_extent_callback extent = { .callback = told, .user_data = l };
	nbd_completion_callback done = { .callback = is_over, .user_data = l };

	l->begun = l->at;
	l->is_over = 0;
	if (api.nbd_aio_block_status(nbd, left < ASK_MAX ? left : ASK_MAX, l->at, extent, done, 0) <
	    0)
		return link_code(api.nbd_get_errno());
	while (!l->is_over) {
		if (host->now_ns() >= by_ns)
			return SONDE_E_TIMED_OUT;
		if (link_pump(nbd, host, -1, by_ns) < 0 || api.nbd_aio_is_dead(nbd))
			return SONDE_E_GONE;
	}
	return l->err ? l->err : l->at == l->begun ? SONDE_E_UNSUPPORTED : 0;
}

int regions_learn(struct regions *regions, struct nbd_handle *nbd, const struct sonde_host *host,
		  uint64_t size, uint64_t timeout_ns)
{
	struct learning l = { .regions = regions, .size = size };
	int r = 0;

	if (api.nbd_can_meta_context(nbd, REGIONS_OF_SONDE) > 0)
		l.context = REGIONS_OF_SONDE;
	else if (api.nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0)
		l.context = LIBNBD_CONTEXT_BASE_ALLOCATION;
	else
		return append(regions, 0, size, SONDE_REGION_RAM | SONDE_REGION_READ);
	for (uint32_t n = 0; r == 0 && l.at < size; n++)
		r = n < REGIONS_ASKS_MAX ? ask(&l, nbd, host, timeout_ns) : SONDE_E_LIMIT;
	return r;
}

int regions_run(const struct regions *regions, uint64_t addr, uint32_t len, uint32_t *ret_len)
{
	size_t from = 0, to = regions->n;

	while (from < to) { /* the first that ends behind addr */
		size_t middle = from + (to - from) / 2;
		if (addr - regions->at[middle].addr < regions->at[middle].len ||
		    addr < regions->at[middle].addr)
			to = middle;
		else
			from = middle + 1;
	}
	const struct sonde_region *region = from < regions->n ? &regions->at[from] : NULL;
	int inside = region && region->addr <= addr;
	uint64_t left = inside   ? region->len - (addr - region->addr)
			: region ? region->addr - addr
				 : len;
	*ret_len = left < len ? (uint32_t)left : len;
	return inside;
}

void regions_finish(struct regions *regions)
{
	free(regions->at);
}

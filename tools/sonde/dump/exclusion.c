/* SPDX-License-Identifier: MIT */
#include "exclusion.h"

#include <stdlib.h>

#define AT_ONCE 16384u /* frames; no batch has more pages */

int exclusion_init(struct exclusion *exclusion, const struct dump_source *source)
{
	exclusion->source = source;
	exclusion->uses = source->frames ? malloc(AT_ONCE) : NULL;
	return source->frames && !exclusion->uses ? SONDE_E_NO_MEMORY : 0;
}

void exclusion_finish(struct exclusion *exclusion)
{
	free(exclusion->uses);
	*exclusion = (struct exclusion){ 0 };
}

/* Have the uses of a batch's pages at hand; *ret is that of its first. */
static int look(struct exclusion *exclusion, const struct batch *batch, const uint8_t **ret)
{
	const uint64_t first = batch->addr >> batch->page_shift;
	const bool is_live = exclusion->source->is_live;
	int r = 0;

	if (is_live || first < exclusion->first ||
	    first - exclusion->first + batch->n_pages > exclusion->n) {
		exclusion->first = first;
		exclusion->n = is_live ? batch->n_pages : AT_ONCE;
		r = sonde_frames_read(exclusion->source->frames, first, exclusion->uses,
				      exclusion->n);
	}
	*ret = exclusion->uses + (first - exclusion->first);
	return r;
}

static bool is_excluded(const struct exclusion *exclusion, uint8_t use)
{
	return exclusion->source->excluded >> use & 1;
}

int exclusion_mark(struct exclusion *exclusion, struct batch *batch)
{
	const uint8_t *uses;
	int r = exclusion->uses ? look(exclusion, batch, &uses) : 0;

	for (uint32_t i = 0; exclusion->uses && r == 0 && i < batch->n_pages; i++) {
		if (is_excluded(exclusion, uses[i]))
			batch->pages[i].state = PAGE_EXCLUDED;
	}
	return r;
}

int exclusion_confirm(struct exclusion *exclusion, struct batch *batch)
{
	const uint8_t *uses;

	if (!exclusion->uses || !exclusion->source->is_live)
		return 0;
	int r = look(exclusion, batch, &uses);
	for (uint32_t i = 0; r == 0 && i < batch->n_pages; i++) {
		if (!is_excluded(exclusion, uses[i]))
			batch->pages[i].state = PAGE_SAVED;
	}
	return r;
}

uint32_t exclusion_level(const struct dump_source *source)
{
	static const uint8_t levels[SONDE_FRAME_USES] = { [SONDE_FRAME_CACHE] = 2,
							  [SONDE_FRAME_CACHE_PRIVATE] = 4,
							  [SONDE_FRAME_USER] = 8,
							  [SONDE_FRAME_FREE] = 16 };
	uint32_t level = 0;

	for (unsigned use = 0; source->frames && use < SONDE_FRAME_USES; use++)
		level |= source->excluded >> use & 1 ? levels[use] : 0;
	return level;
}

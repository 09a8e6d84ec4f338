/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <sonde/error.h>

#define AHEAD_FIRST (256u << 10)
#define AHEAD_MAX (4u << 20)

int source_read(const struct source *source, uint64_t off, void *buf, size_t len)
{
	if (off > source->size || len > source->size - off)
		return SONDE_E_TRUNCATED;
	int64_t n = source->read(source->user, off, buf, len);
	if (n < 0)
		return (int)n;
	return (uint64_t)n == len ? 0 : SONDE_E_TRUNCATED;
}

void source_ahead(const struct source *source, uint64_t off, uint64_t len)
{
	uint64_t left = off < source->size ? source->size - off : 0;

	if (!source->ahead)
		return;
	for (len = len < left ? len : left; len;) {
		struct sonde_image_read read = { .off = off, .len = AHEAD_MAX };
		read.len = len < read.len ? (uint32_t)len : read.len;
		off += read.len;
		len -= read.len;
		source->ahead(source->user, &read, 1);
	}
}

void source_lot_end(struct source_lot *lot)
{
	if (lot->n)
		lot->source->ahead(lot->source->user, lot->reads, lot->n);
	lot->n = 0;
}

void source_lot_add(struct source_lot *lot, const struct source *source, uint64_t off, uint32_t len)
{
	if (!source->ahead)
		return;
	if (lot->n == SOURCE_LOT_MAX || source != lot->source)
		source_lot_end(lot);
	lot->source = source;
	lot->reads[lot->n++] = (struct sonde_image_read){ .off = off, .len = len };
}

void source_scan(struct source_scan *scan, const struct source *source, uint64_t off, size_t len)
{
	if (!source->ahead || (off < scan->end && len <= scan->end - off))
		return;
	scan->ahead = !scan->ahead              ? AHEAD_FIRST
		      : scan->ahead < AHEAD_MAX ? scan->ahead * 2
						: AHEAD_MAX;
	/* What of it is at hand already costs nothing. */
	source_ahead(source, off, len > scan->ahead ? len : scan->ahead);
	scan->end = off + (len > scan->ahead ? len : scan->ahead);
}

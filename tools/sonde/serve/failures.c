/* SPDX-License-Identifier: MIT */
#include "failures.h"

#include <stdlib.h>

static bool make_room(struct failures *failures)
{
	uint32_t room = failures->room ? 2 * failures->room : 16;
	void *at =
		room <= FAILURES_MAX ? realloc(failures->at, room * sizeof(*failures->at)) : NULL;

	if (!at)
		return false;
	failures->at = at;
	failures->room = room;
	return true;
}

void failures_add(struct failures *failures, uint32_t off, uint32_t len, int32_t err)
{
	struct stretch *last = failures->n ? &failures->at[failures->n - 1] : NULL;

	if (last && last->err == err && last->off + last->len == off) {
		last->len += len;
		return;
	}
	if (failures->n == failures->room && !make_room(failures)) {
		failures->is_lost = true;
		return;
	}
	failures->at[failures->n++] = (struct stretch){ off, len, err };
}

static int by_off(const void *a, const void *b)
{
	uint32_t x = ((const struct stretch *)a)->off, y = ((const struct stretch *)b)->off;

	return (x > y) - (x < y);
}

void failures_seal(struct failures *failures, uint32_t bytes, uint32_t done)
{
	uint32_t end = 0, failed = 0;

	if (failures->n)
		qsort(failures->at, failures->n, sizeof(*failures->at), by_off);
	for (uint32_t i = 0; i < failures->n; i++) {
		const struct stretch *at = &failures->at[i];
		if (at->off < end || at->off > bytes || at->len > bytes - at->off) {
			failures->is_lost = true;
			return;
		}
		end = at->off + at->len;
		failed += at->len;
	}
	if (failed + done != bytes)
		failures->is_lost = true;
}

struct stretch failures_stretch(const struct failures *failures, uint32_t off, uint32_t bytes,
				uint32_t *next)
{
	const struct stretch *at = *next < failures->n ? &failures->at[*next] : NULL;

	if (at && at->off == off) {
		++*next;
		return *at;
	}
	return (struct stretch){ .off = off, .len = (at ? at->off : bytes) - off };
}

void failures_finish(struct failures *failures)
{
	free(failures->at);
	*failures = (struct failures){ 0 };
}

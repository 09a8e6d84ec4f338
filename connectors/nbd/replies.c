/* SPDX-License-Identifier: MIT */
#include "replies.h"

#include <stdlib.h>

int replies_add(struct replies *replies, struct mark mark)
{
	struct mark *last = replies->n ? &replies->at[replies->n - 1] : NULL;

	if (last && mark.len && last->len && last->off + last->len == mark.off) {
		last->len += mark.len;
		return 0;
	}
	if (replies->n == replies->room) {
		uint32_t room = replies->room ? 2 * replies->room : 4;
		void *at = room <= REPLIES_MAX ? realloc(replies->at, room * sizeof(mark)) : NULL;
		if (!at)
			return -1;
		replies->at = at;
		replies->room = room;
	}
	replies->at[replies->n++] = mark;
	return 0;
}

/* An error begins in front of what came at the same place. */
static int by_off(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return x->off != y->off ? (x->off > y->off) - (x->off < y->off)
				: (x->len > y->len) - (x->len < y->len);
}

void replies_end(struct replies *replies, uint32_t len, int32_t err, replies_fn *fn, void *user)
{
	uint32_t at = 0;
	int32_t now = err;

	if (replies->n > 1)
		qsort(replies->at, replies->n, sizeof(*replies->at), by_off);
	for (uint32_t i = 0; i < replies->n; i++) {
		const struct mark *mark = &replies->at[i];
		if (mark->off > at)
			fn(user, at, mark->off - at, now);
		if (mark->off > at)
			at = mark->off;
		now = mark->len ? err : mark->err;
		if (mark->len && mark->off + mark->len > at)
			at = mark->off + mark->len;
	}
	if (len > at)
		fn(user, at, len - at, now);
	replies->n = 0;
}

void replies_finish(struct replies *replies)
{
	free(replies->at);
	*replies = (struct replies){ 0 };
}

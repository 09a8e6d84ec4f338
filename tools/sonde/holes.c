/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <inttypes.h>

void holes_note(struct holes *holes, uint64_t addr, uint64_t len, int32_t err)
{
	struct hole *last =
		holes->n > 0 && holes->n <= HOLES_KEPT ? &holes->kept[holes->n - 1] : NULL;

	holes->bytes_missing += len;
	if (last && last->err == err && last->addr + last->len == addr) {
		last->len += len;
		return;
	}
	if (holes->n < HOLES_KEPT)
		holes->kept[holes->n] = (struct hole){ addr, len, err };
	holes->n++;
}

int holes_tell(const struct holes *holes, struct ctx *ctx, const char *space, uint64_t len)
{
	for (uint64_t i = 0; i < holes->n && i < HOLES_KEPT; i++) {
		const struct hole *h = &holes->kept[i];

		complain(ctx, "%s 0x%" PRIx64 "-0x%" PRIx64 ": %s", space, h->addr,
			 h->addr + (h->len - 1), sonde_strerror(h->err));
	}
	if (holes->n > HOLES_KEPT)
		complain(ctx, "and %" PRIu64 " more such ranges", holes->n - HOLES_KEPT);
	if (holes->bytes_missing == 0)
		return 0;
	return fail(ctx, holes->bytes_missing == len ? EXIT_FAILED : EXIT_PARTIAL,
		    "%" PRIu64 " of %" PRIu64 " bytes could not be read", holes->bytes_missing,
		    len);
}

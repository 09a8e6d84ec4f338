/* SPDX-License-Identifier: MIT */
/* Pieces, and the memory they lie in. */
#include "pieces.h"

#include <stdlib.h>
#include <string.h>

struct pieces *pieces_create(const struct work *work)
{
	struct pieces *pieces = malloc(sizeof(*pieces));
	struct walk walk = walk_start(work);
	uint8_t *memory = malloc(work->len);

	if (!pieces || !memory) {
		free(pieces);
		free(memory);
		return NULL;
	}
	pieces->memory = memory;
	for (uint64_t i = 0, word = 1; i + 8 <= work->len; i += 8) {
		word = word * UINT64_C(6364136223846793005) + 1; /* Knuth, MMIX */
		memcpy(memory + i, &word, 8);
	}
	memset(pieces->values, 0, sizeof(pieces->values));
	for (uint32_t i = 0; i < PIECES; i++) {
		pieces->addrs[i] = walk_next(&walk);
		pieces->xfers[i] = (struct sonde_xfer){ .addr = pieces->addrs[i],
							.buf = &pieces->values[i],
							.len = 8 };
	}
	return pieces;
}

void pieces_destroy(struct pieces *pieces)
{
	if (!pieces)
		return;
	free(pieces->memory);
	free(pieces);
}

void pieces_show(const struct pieces *pieces, struct work *work)
{
	uint64_t n_batches = (work->n_ops + work->shape.depth - 1) / work->shape.depth;
	uint32_t first = pieces_batch(work, n_batches - 1);

	work->memory = pieces->memory;
	for (uint32_t i = 0; i < work->shape.depth; i++) {
		work->slots[i].off = pieces->addrs[first + i];
		memcpy(work->slots[i].buf, &pieces->values[first + i], 8);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * One thread's share of a scan: a chunk at a time, of a space of its own. Bytes that can be borrowed are searched
 * where they lie; the rest is read, a block on its way while the one before is searched.
 */
#ifndef SONDE_SCAN_SWEEP_H
#define SONDE_SCAN_SWEEP_H

#include <sonde/io.h>

#include "scan/spans.h"
#include "scan/stream.h"

#define BLOCK (UINT32_C(256) << 10)
#define BLOCK_PIECES 64u

/* Pieces on their way, one behind the other in bytes. */
struct block {
	struct sonde_io io;
	struct sonde_xfer xfers[BLOCK_PIECES];
	uint32_t len;
	bool failed;    /* some of it                           */
	uint8_t *bytes; /* [BLOCK] made when first needed       */
	uint8_t *bad;   /* [BLOCK] not 0: not read. 0 otherwise */
};

struct sweep {
	struct sonde_space *space;
	const struct spans *spans;
	uint64_t deadline_ns;
	struct sonde_scan_cancel *cancel;
	bool *stop; /* atomic: another thread has ended the scan; or NULL   */
	struct stream stream;
	struct block blocks[2], *filling, *flying; /* flying: NULL, or submitted      */
	uint64_t len, skipped, borrowed;           /* out: of the last chunk          */
};

void sweep_init(struct sweep *sweep, struct sonde_space *space, const struct spans *spans,
		const struct find *finds, size_t n, stream_hits_fn *hits, void *user);
void sweep_finish(struct sweep *sweep);

/*
 * Tell the stream's function of all hits that begins in the chunk.
 *
 * Returns 0; what the function returned; SONDE_E_CANCELLED, _TIMED_OUT, _NO_MEMORY, and what reading refuses.
 */
int sweep_chunk(struct sweep *sweep, const struct chunk *chunk);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a migration stream lie in its file: in one span behind a head, or in as many as the clusters of
 * a qcow2 image make.
 */
#ifndef SPANS_H
#define SPANS_H

#include "../common/source.h"

#define SPANS_MAX                                                                                  \
	(UINT64_C(1)                                                                               \
	 << 24) /* 640 MiB of them: of 1 TiB in clusters of 64 KiB, none beside its neighbour */
#define SPAN_CLUSTER_MAX (2u << 20) /* bytes that are unpacked together */

enum span_kind { SPAN_PLAIN, SPAN_ZERO, SPAN_DEFLATE, SPAN_ZSTD };

struct span {
	uint64_t at, len; /* in the stream; len > 0                   */
	uint64_t off;     /* in the file; not where it is ZERO        */
	uint32_t n_bytes; /* packed: in the file, at most; else 0     */
	uint32_t kind;    /* enum span_kind                           */
};

struct spans {
	struct source file;
	struct span *spans; /* [n], by rising at, without gaps */
	size_t n, cap;
	uint64_t len;      /* of the stream                         */
	uint8_t *cluster;  /* the packed span that was read last     */
	size_t cluster_of; /* its index; n none                    */
};

void spans_init(struct spans *ret, const struct source *file);
void spans_finish(struct spans *spans);

/* One more at the end: at is set here. A packed one: len <= SPAN_CLUSTER_MAX. Returns 0; SONDE_E_LIMIT, _NO_MEMORY. */
int spans_add(struct spans *spans, struct span span);

/*
 * Read len bytes of the stream at at.
 *
 * Returns   how many came, fewer only where the stream or its file ends; a code of the file, SONDE_E_CORRUPT (does not
 *           unpack), _NO_MEMORY.
 */
int64_t spans_read(struct spans *spans, uint64_t at, void *buf, size_t len);

/* Put where len bytes of the stream at at lie in the file into lot. */
void spans_ahead(const struct spans *spans, uint64_t at, uint64_t len, struct source_lot *lot);

/* How many bytes at at lie plain and together in the file, from *ret_off on; 0 none. */
uint64_t spans_plain(const struct spans *spans, uint64_t at, uint64_t *ret_off);

#endif

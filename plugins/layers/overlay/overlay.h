/* SPDX-License-Identifier: MIT */
/* The inside of the overlay layer: overlay.c reads and answers, writes.c writes, keep.c has the file. */
#ifndef OVERLAY_H
#define OVERLAY_H

#include <sonde/plugin.h>

#include "../common/detour.h"
#include "pages.h"

struct recfile_writer;

struct overlay {
	const struct sonde_host *host;
	void *below;
	struct overlay_pages pages;
	struct detour_pool reads, writes;
	int write;                   /* opened for writing                       */
	int holes;                   /* what is not there below may be made here */
	int other;                   /* file= may be of another target           */
	uint64_t n_merged;           /* requests that took bytes of ours         */
	uint64_t n_writes;           /* pieces                                   */
	uint64_t n_restored;         /* bytes that keep.c found                  */
	struct recfile_writer *file; /* NULL: nothing is kept                */
};

/* writes.c: pieces of a request become bytes of ours, where below has any. */
void overlay_write(struct overlay *overlay, struct sonde_io *io);
void overlay_write_landed(struct detour *d, uint32_t i, uint32_t off, uint32_t len, int32_t err);
void overlay_write_cancel(struct overlay *overlay, struct sonde_io *io, int32_t why);

/* Store bytes that are in the file already. Returns 0 or SONDE_E_NO_MEMORY; *ret_len went in. */
int32_t overlay_store(struct overlay *overlay, uint64_t addr, const uint8_t *bytes, uint32_t len,
		      uint32_t *ret_len);

enum { KEEP_IDENTITY_MAX = 1024 };

/* keep.c: begin with what the file at path holds; then, if writing, keep in it what is written. */
int keep_open(struct overlay *overlay, const char *path, struct sonde_error *err);
/* Returns 0; SONDE_E_IO: not kept. */
int32_t keep_write(struct overlay *overlay, uint64_t addr, const uint8_t *bytes, uint32_t len);
void keep_close(struct overlay *overlay);

#endif

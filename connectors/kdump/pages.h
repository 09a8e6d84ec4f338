/* SPDX-License-Identifier: MIT */
/*
 * Requests for the pages of a dump: cut at pages, each page unpacked once a batch, on all processors, and kept.
 *
 *	pieces ──cut──▶ parts ──by page──▶ wants ─┬─ kept ───────────────┐
 *	                                          └─ crew reads, unpacks ─┴─▶ copied to the parts, told
 */
#ifndef PAGES_H
#define PAGES_H

#include <sonde/plugin.h>

#include "kdump_file.h"

struct pages;

/* The parts of a dump, all of one page size, by rising pages. */
struct kdump_set {
	const struct kdump_file *files; /* [n], n > 0 */
	size_t n;
};

/* n_threads beside the caller's; keep: bytes of pages. Returns 0, SONDE_E_NO_MEMORY. */
int pages_create(struct pages **ret, const struct kdump_set *set, unsigned n_threads,
		 uint64_t keep);
void pages_destroy(struct pages *pages);

/* As transfer of plugin.h; packed pages are not written. */
void pages_transfer(struct pages *pages, const struct sonde_host *host, struct sonde_io *const *ios,
		    size_t n);

#endif

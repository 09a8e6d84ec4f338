/* SPDX-License-Identifier: MIT */
/* What is served: a space as an NBD export, and what the protocol can say of it. */
#ifndef SONDE_SERVE_EXPORT_H
#define SONDE_SERVE_EXPORT_H

#include <sonde/space.h>
#include <stdbool.h>

/* The largest payload of a request, told to whoever asks for it; and what a session holds at most. */
#define EXPORT_PAYLOAD_MAX (8u << 20)

/* Which of the two contexts a client chose; bits. */
enum export_context {
	EXPORT_ALLOCATION = 1u << 0, /* base:allocation                                 */
	EXPORT_REGIONS = 1u << 1,    /* sonde:regions: enum sonde_region_flag, 0 a hole */
};
enum { EXPORT_CONTEXTS = 2 };

struct export_region {
	uint64_t addr, len;
	uint32_t flags; /* enum sonde_region_flag */
};

struct export
{
	struct sonde_space *space;
	const char *name;        /* "" is another name of it                             */
	const char *description; /* docs/serve.md says how it begins                     */
	uint64_t size;           /* the end of the last region, whole pages              */
	bool writable;
	struct export_region *regions; /* [n_regions], by rising address, not overlapping */
	size_t n_regions, room;
	uint64_t left_out; /* regions that lie above what the protocol's clients can reach */
};

/* What stands in a descriptor of NBD_REPLY_TYPE_BLOCK_STATUS. */
struct export_extent {
	uint32_t len, flags;
};

/*
 * Ask the space for its regions, and find the size. ret's space, names and writable are the caller's.
 *
 * Returns   0; SONDE_E_UNSUPPORTED and others as sonde_space_regions; SONDE_E_NOT_FOUND: it has none;
 *           SONDE_E_LIMIT: more than 2^20; SONDE_E_NO_MEMORY.
 * Owns      what it holds: export_finish.
 */
int export_measure(struct export *ret);
void export_finish(struct export *export);

/* The name of a context, by its index. */
const char *export_context_name(int index);

/*
 * The next extents at off, cap at most, of one context: len bytes at most, which end within the export. Neighbours
 * differ in their flags, or are as long as an extent can be.
 *
 * Returns   how many, at least 1 where cap and len are not 0.
 */
size_t export_status(const struct export *export, uint32_t context, uint64_t off, uint64_t len,
		     struct export_extent *ret, size_t cap);

#endif

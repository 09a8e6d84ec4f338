/* SPDX-License-Identifier: MIT */
/*
 * The ranges of a LiME image: each is a head and then its bytes. Layout: LiME (Linux Memory Extractor), doc/README.md,
 * "lime_mem_range_header", version 1; AVML's version 1 writes the same (avml src/image.rs).
 *
 *	0   "EMiL"               32 bits, low byte first, as all
 *	4   version              32 bits: 1
 *	8   first address        64 bits
 *	16  last address         64 bits: of the last byte
 *	24  nothing              64 bits
 */
#ifndef LIME_RANGES_H
#define LIME_RANGES_H

#include <stddef.h>
#include <stdint.h>

#define LIME_MAGIC "EMiL"
#define LIME_HEAD_SIZE 32u
/* Against hostile files: each gives up to two extents. */
#define LIME_RANGES_MAX (1u << 18)

struct lime_range {
	uint64_t addr;
	uint64_t len;  /* > 0; addr + len - 1 does not wrap               */
	uint64_t off;  /* of its bytes, in the file                       */
	uint64_t have; /* of len, in the file: fewer where it was cut off */
};

struct lime_ranges {
	struct lime_range *at; /* [n], in the file's order */
	size_t n, cap;
	int cut;      /* the file ends in the midst of a range or head        */
	int trailing; /* behind the last range there is something that is none */
	int unread;   /* ... something that could not be read                  */
};

/* Up to len bytes at off into buf; returns how many came. */
typedef size_t lime_read_fn(void *user, uint64_t off, void *buf, size_t len);

/* Is this how one begins? */
int lime_probe(const uint8_t *head, size_t len);

/*
 * Read the heads of a file of file_size bytes, as far as they go.
 *
 * Returns   0; SONDE_E_BAD_FORMAT (the first head), _LIMIT, _NO_MEMORY: *ret_why says what is wrong.
 * Owns      *ret: lime_ranges_finish, also after an error.
 */
int lime_ranges_read(struct lime_ranges *ret, lime_read_fn *read, void *user, uint64_t file_size,
		     const char **ret_why);
void lime_ranges_finish(struct lime_ranges *ranges);

#endif

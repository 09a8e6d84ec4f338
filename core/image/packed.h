/* SPDX-License-Identifier: MIT */
/*
 * Images that lie packed in a file: gzip, xz, zstd, lz4, bzip2, lzop. Told by their first bytes, whatever they are called.
 *
 *	packed.c         is it packed, and by what; in which of the two ways it is read
 *	packed_map.c     where which block lies; looking through the heads of a file
 *	packed_blocks.c  the one way: blocks unpack each by itself, when they are read, by several threads, and are kept
 *	packed_whole.c   the other: what is one stream is unpacked once, into memory, within a limit
 *	packed_gzip.c …  the packings
 *
 * To add one: copy packed_zstd.c, declare it below, add it to the table in packed.c and to the corpus of fuzz_packed.
 */
#ifndef SONDE_IMAGE_PACKED_H
#define SONDE_IMAGE_PACKED_H

#include <sonde/types.h>

#include "image/image.h"
#include "image/library.h"

/* What a block unpacks to, at most: some are kept, and several threads have one each in work. */
#define PACKED_BLOCK_MAX (64u << 20)
/* Packed it may be a little larger: what cannot be packed is stored, with heads. */
#define PACKED_LEN_MAX (PACKED_BLOCK_MAX + PACKED_BLOCK_MAX / 16)
#define PACKED_HEAD_MAX 32u /* bytes by which a packing is told */

/* A stretch of the image that unpacks by itself. */
struct packed_block {
	uint64_t at;       /* where it begins in the image   */
	uint64_t off;      /* ... and in the file            */
	uint32_t size;     /* 1 .. PACKED_BLOCK_MAX          */
	uint32_t len;      /* in the file: 1 .. PACKED_LEN_MAX */
	uint32_t how;      /* the packing's own              */
	uint32_t unpadded; /* xz: of len, without what fills it up to four bytes */
};

/* All of an image, by address. */
struct packed_map {
	struct packed_block *blocks; /* [n], without gaps           */
	size_t n, cap;
	uint64_t size;              /* of the image                */
	uint32_t size_max, len_max; /* of the blocks               */
	uint64_t cut;   /* the file's last blocks are not among these: from where on; 0: all are */
	uint64_t least; /* where there are none: bytes of the image at least, if that is told     */
};

/* Where the file is looked at, from front to back. */
struct packed_walk {
	struct sonde_image *file;
	uint8_t *bytes; /* [cap]: those at off, of which there are n; cap: 4096 at least */
	uint64_t off, n_steps;
	size_t n, cap;
	int err; /* reading failed, or it leads nowhere (SONDE_E_LIMIT) */
};

/* Bytes on their way through a decoder. */
struct packed_flow {
	const uint8_t *from;
	size_t n_from;
	uint8_t *to;
	size_t n_to;
	int is_last; /* nothing comes behind from */
};

struct packing {
	const char *name; /* "gzip"                                   */
	const char *tool; /* that unpacks it: "gzip"                  */
	struct library *library;
	int (*is)(const uint8_t *head, size_t len);
	/* Find the blocks. Returns 0; 1: it is not in blocks, or they are too large; SONDE_E_TRUNCATED: in blocks, none of them whole; an error. */
	int (*map)(struct packed_walk *walk, struct packed_map *ret);
	/* A decoder, of one thread at a time. NULL: out of memory. */
	void *(*create)(void);
	void (*destroy)(void *decoder); /* NULL is allowed */
	/* Where map finds blocks. from: all of the block. Returns 0; SONDE_E_CORRUPT, _LIMIT, _NO_MEMORY; 1: it is sound and of another size. */
	int (*unpack)(void *decoder, const struct packed_block *block, const uint8_t *from,
		      uint8_t *to);
	/* Begin anew, at the front of a file. Returns 0, SONDE_E_NO_MEMORY. */
	int (*begin)(void *decoder);
	/* Take of from, make of to; both move on. Returns 0; 1: no more is to come of what came; SONDE_E_CORRUPT. */
	int (*step)(void *decoder, struct packed_flow *flow);
};

/* Is there another stream behind one that has ended? It begins with that byte; what does not is passed over, as the tools do. */
static inline int packed_flow_goes_on(struct packed_flow *flow, uint8_t first)
{
	if (flow->n_from && flow->from[0] != first) {
		flow->from += flow->n_from;
		flow->n_from = 0;
	}
	return flow->n_from != 0;
}

/* What a frame to be skipped takes, of its first 8 bytes; 0: it is none (RFC 8878 3.1.2, lz4_Frame_format.md). */
static inline uint64_t packed_skippable(const uint8_t *head)
{
	return (sonde_le32(head) & ~0xfu) == 0x184d2a50 ? 8 + (uint64_t)sonde_le32(head + 4) : 0;
}

extern const struct packing packing_bzip2, packing_gzip, packing_lz4, packing_lzop, packing_xz,
	packing_zstd;

/* len bytes at off, 1 .. walk->cap, until the next call; NULL: the file ends before, or walk->err. */
const uint8_t *packed_walk_at(struct packed_walk *walk, uint64_t off, uint32_t len);
/* Returns 0, SONDE_E_NO_MEMORY. */
int packed_walk_init(struct packed_walk *ret, struct sonde_image *file);
void packed_walk_finish(struct packed_walk *walk);

/* Put a block behind the others. Returns 0; 1: it is too large to be one; SONDE_E_NO_MEMORY; SONDE_E_LIMIT: too many. */
int packed_map_add(struct packed_map *map, uint64_t off, uint64_t len, uint64_t size, uint32_t how);
void packed_map_finish(struct packed_map *map);

/* Read file by its blocks. Takes file and *map, also on failure. Returns 0, SONDE_E_NO_MEMORY. */
int packed_blocks_open(const struct packing *packing, struct sonde_image *file,
		       struct packed_map *map, struct sonde_image **ret);

/*
 * Unpack all of file into memory, limit bytes at most. What comes before it turns out to be damaged is kept, and the
 * image's failure says so. Returns 0; SONDE_E_LIMIT (err is not filled), _CORRUPT, _NO_MEMORY, what reading failed with.
 */
int packed_whole_open(const struct packing *packing, struct sonde_image *file, uint64_t limit,
		      struct sonde_image **ret, struct sonde_error *err);

/* An empty image in memory, with a descriptor to write it by; its size is to be set. how: as in sonde_image_figures. */
int image_memory_create(const char *name, const char *how, struct sonde_image **ret,
			struct sonde_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/* Bytes, packed in each of the ways that images are, by the libraries that define them. */
#ifndef SYNTH_PACKED_H
#define SYNTH_PACKED_H

#include <stddef.h>
#include <stdint.h>

enum synth_packing {
	SYNTH_GZIP,        /* one member                                        */
	SYNTH_BGZF,        /* members of 0xff00 bytes, and an empty one         */
	SYNTH_XZ,          /* one block                                         */
	SYNTH_XZ_BLOCKS,   /* several, in two streams                           */
	SYNTH_ZSTD,        /* one frame that does not tell its size             */
	SYNTH_ZSTD_FRAMES, /* several that do, and one to be skipped            */
	SYNTH_ZSTD_TABLE,  /* several that do not, and the seekable format's table */
	SYNTH_LZ4,         /* blocks of 64 KiB, with sums                       */
	SYNTH_LZ4_SIZED,   /* ... in two frames that tell their size            */
	SYNTH_LZ4_LINKED,
	SYNTH_BZIP2, /* one stream                                       */
	SYNTH_LZOP,  /* in two parts, with sums of both kinds           */
	SYNTH_PACKINGS
};

extern const char *const synth_packing_names[SYNTH_PACKINGS]; /* "bgzf" */

/* Returns the file, malloc'ed. Blocks of block bytes where that is free; exits where it cannot be made. */
uint8_t *synth_pack(enum synth_packing packing, const uint8_t *bytes, size_t len, size_t block,
		    size_t *ret_len);

#endif

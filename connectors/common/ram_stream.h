/* SPDX-License-Identifier: MIT */
/*
 * The RAM in a migration stream of QEMU, as "migrate" writes it to a file or socket, read from its beginning. Blocks of RAM
 * first, then their pages in any order, a page perhaps more than once: the last one counts. What stands behind the
 * RAM (devices) is not looked at. Nothing is believed: each number is checked before it is used.
 *
 * Source: qemu 7.2 migration/savevm.h, migration/savevm.c (sections, commands), migration/ram.c (RAM_SAVE_FLAG_*,
 * load_xbzrle, ram_load_precopy), migration/vmstate.c (subsections); qemu 9.0 migration/options.c (mapped-ram).
 */
#ifndef RAM_STREAM_H
#define RAM_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define RAM_STREAM_BLOCKS_MAX 1024
#define RAM_STREAM_PAGE_MAX 65536u /* bytes; the smallest has 1024 */

struct ram_stream_block {
	char id[256]; /* as QEMU names it: "pc.ram", "0000:00:01.0/vga.vram", "/objects/mem" */
	uint64_t len; /* bytes, a multiple of the page                                        */
};

enum ram_stream_kind {
	RAM_STREAM_PLAIN,
	RAM_STREAM_FILL,
	RAM_STREAM_ZLIB,   /* capability "compress"                                           */
	RAM_STREAM_XBZRLE, /* capability "xbzrle": what differs from the page as it was before */
};

struct ram_stream_page {
	size_t block;         /* index into blocks                                  */
	uint64_t off;         /* in its block; off + len <= its len                 */
	uint32_t len;         /* bytes: the page of the stream                      */
	uint32_t kind;        /* enum ram_stream_kind                               */
	uint32_t fill;        /* FILL: each byte of it, 0..255                      */
	uint32_t n_bytes;     /* 0 where it is FILL, len where it is PLAIN          */
	uint64_t at;          /* where in the stream bytes stand                    */
	const uint8_t *bytes; /* [n_bytes], for the call only; NULL where it is FILL */
};

/* Where the bytes come from and where they go. A result below 0 of begin or page ends the reading and is handed back. */
struct ram_stream_ends {
	size_t (*read)(void *user, void *buf,
		       size_t len); /* 1..len bytes into buf; 0: there are no more */
	int (*begin)(void *user, const struct ram_stream_block *blocks,
		     size_t n); /* once, before pages  */
	int (*page)(void *user, const struct ram_stream_page *page);
	void *user;
	int packed; /* not 0: page takes ZLIB and XBZRLE; else they are refused */
};

/* How the reading ended, and what was seen on the way. */
struct ram_stream_end {
	const char *why;   /* it failed; NULL: it did not, or an end returned it          */
	char about[256];   /* what why is about: a section, a capability; "" nothing      */
	uint64_t at;       /* in the stream: behind the RAM, or where what failed stands  */
	char machine[64];  /* "pc-q35-7.2"; "" not told                                   */
	uint32_t page_len; /* bytes                                                       */
};

/* Is this how one begins? */
int ram_stream_probe(const uint8_t *head, size_t len);

/*
 * Read up to the end of the RAM. blocks stay until this returns.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _TRUNCATED (it ends before the RAM does), _UNSUPPORTED (packed, or split over
 *           several channels), _LIMIT, _NO_MEMORY, and why in *ret; what an end returned.
 */
int ram_stream_read(const struct ram_stream_ends *ends, struct ram_stream_end *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The RAM in a migration stream of QEMU, as "migrate" writes it to a file or socket, read from its beginning. Blocks of RAM
 * first, then their pages in any order, a page perhaps more than once: the last one counts. What stands behind the
 * RAM (devices) is not looked at. Nothing is believed: each number is checked before it is used.
 *
 * Source: qemu 7.2 migration/savevm.h, migration/savevm.c (sections), migration/ram.c (RAM_SAVE_FLAG_*),
 * migration/vmstate.c (subsections).
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

struct ram_stream_page {
	size_t block;         /* index into blocks                                 */
	uint64_t off;         /* in its block; off + len <= its len                */
	uint32_t len;         /* bytes: the page of the stream                     */
	uint32_t fill;        /* where bytes is NULL: each byte of it, 0..255      */
	uint64_t at;          /* where in the stream bytes stand                   */
	const uint8_t *bytes; /* [len], for the call only; NULL: all bytes are fill */
};

/* Where the bytes come from and where they go. A result below 0 of begin or page ends the reading and is handed back. */
struct ram_stream_ends {
	size_t (*read)(void *user, void *buf,
		       size_t len); /* 1..len bytes into buf; 0: there are no more */
	int (*begin)(void *user, const struct ram_stream_block *blocks,
		     size_t n); /* once, before pages  */
	int (*page)(void *user, const struct ram_stream_page *page);
	void *user;
};

/*
 * Read up to the end of the RAM. blocks stay until this returns.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _TRUNCATED (it ends before the RAM does), _UNSUPPORTED (compressed or split over
 *           several channels), _LIMIT, _NO_MEMORY, and why in *ret_why; what an end returned (*ret_why is NULL then).
 */
int ram_stream_read(const struct ram_stream_ends *ends, const char **ret_why);

#endif

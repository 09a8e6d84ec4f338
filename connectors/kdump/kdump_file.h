/* SPDX-License-Identifier: MIT */
/*
 * One kdump-compressed file: its heads, where each page lies. It reads through a source, so that a fuzzer needs no file. What has
 * been opened is read by any thread.
 */
#ifndef KDUMP_FILE_H
#define KDUMP_FILE_H

#include "../elfcore/elf_core.h"
#include "../common/source.h"
#include "bitmap.h"

/* Against hostile heads: 16 TiB of pages of 4 KiB, 512 MiB of bitmap; and what notes may take. */
#define KDUMP_PAGES_MAX (UINT64_C(1) << 32)
#define KDUMP_NOTES_MAX (16u << 20)
/* As many pages are counted when a dump is opened, in 256 KiB of its bitmap: 8 GiB of those of 4 KiB. Of more, none until somebody asks. */
#define KDUMP_COUNTED_MAX (UINT64_C(1) << 21)

struct kdump_file {
	struct source source;
	int big;            /* the file is big-endian             */
	uint32_t word;      /* 4 or 8: bytes of the machine's word */
	uint32_t version;   /* of the head: 1 … 6                 */
	uint32_t status;    /* KDUMP_*, of the head               */
	uint32_t page_size; /* a power of two                     */
	uint32_t page_shift;
	uint32_t arch;    /* enum sonde_arch                 */
	char machine[66]; /* of uname, printable             */
	char release[66];
	uint64_t seconds;    /* of Unix time; 0 not told        */
	uint64_t n_pages;    /* physical pages are [0, n_pages) */
	uint64_t first, end; /* those of this part              */
	uint32_t level;      /* dump_level: what was left out   */
	int split;           /* this is a part of a dump        */

	struct bitmap *memory; /* a bit a page: there is memory; n_pages of them */
	struct bitmap *saved;  /* ... and it is in the dump (in some part)       */
	uint64_t descs_at;     /* in the source */

	int counted;      /* what follows is known          */
	uint64_t n_saved; /* pages in this part             */
	uint64_t n_all;   /* ... in all parts               */
	int cut;          /* the file ends before its pages */

	char *info; /* VMCOREINFO: [info_len], NULL none */
	size_t info_len;
	struct elf_core notes; /* nothing but its notes is used */
};

/* Where the bytes of a page are. */
struct kdump_page {
	uint64_t off;    /* in the source              */
	uint32_t len;    /* > 0                        */
	uint32_t packed; /* one of KDUMP_PACKED, 0 none */
};

/*
 * Read the heads.
 *
 * Returns   0: the heads are sound, and the file has room for bitmaps; SONDE_E_BAD_FORMAT, _TRUNCATED, _LIMIT, _IO, _NO_MEMORY: *ret_why
 *           says what is wrong.
 * Owns      *ret: kdump_file_finish, also after an error.
 */
int kdump_file_open(struct kdump_file *ret, const struct source *source, const char **ret_why);
void kdump_file_finish(struct kdump_file *file);

/* Have what is behind counted known, which reads all of the bitmap. Returns 0; an error of reading. */
int kdump_file_count(struct kdump_file *file);
/* Is there memory, saved or not? 1, 0; an error of reading. */
int kdump_file_has(const struct kdump_file *file, uint64_t page);
/*
 * 0: it is in this dump, *ret_index is its descriptor; SONDE_E_NOT_MAPPED, _NOT_SAVED, an error of reading; 1: it was left out as
 * all zeros.
 */
int kdump_file_find(const struct kdump_file *file, uint64_t page, uint64_t *ret_index);
/* Take a descriptor of KDUMP_DESC_SIZE bytes apart: 0; SONDE_E_CORRUPT, _TRUNCATED (beyond the end), _UNSUPPORTED (packed
 * in a way that is not known). */
int kdump_file_desc(const struct kdump_file *file, const uint8_t *desc, struct kdump_page *ret);

#endif

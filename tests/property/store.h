/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a base are, what they should be, and who has to do with them at the moment. All stores begin
 * a case with the same bytes: none is zero, so that what could not be read looks different, and
 * page tables lie among them.
 */
#ifndef TESTS_PROPERTY_STORE_H
#define TESTS_PROPERTY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE UINT64_C(0x1000)
#define STORE_FIRST UINT64_C(0x20000) /* bytes of its first file ...               */
#define STORE_SECOND UINT64_C(0x4000) /* ... and of the second, which lies behind  */
#define STORE_BIG UINT64_C(0x400000)  /* a store of one large file                 */
#define TABLES_AT UINT64_C(0x2000)    /* page tables, in all of them               */
#define TABLES_END UINT64_C(0x10000)  /* nothing of a case but walks lies here     */

/* Virtual addresses that the tables map. */
#define VA_PAGES UINT64_C(0x7f0000000000) /* VA_N_PAGES of 4 KiB, some missing          */
#define VA_N_PAGES 48u
#define VA_LARGE UINT64_C(0x7f0000200000) /* 2 MiB at 0                                 */
#define VA_HUGE UINT64_C(0x7f0040000000)  /* 1 GiB at 0                                 */
#define VA_ODD UINT64_C(0x7f0080000000)   /* tables that lie outside, or are no tables  */
#define VA_HIGH (UINT64_MAX - 0x3fff)     /* the last four pages of all; with 4 levels   */

enum mark {
	MARK_READ = 1,    /* requests in flight read it             */
	MARK_WRITE = 2,   /* one in flight writes it                */
	MARK_TABLE = 128, /* a walk has read it: it stays as it is  */
};

enum { STORE_MARKED = 48 };

struct store_range {
	uint64_t off, len;
};

struct store {
	uint64_t size;
	uint8_t *bytes; /* [size] the connector's own; NULL: they are in files            */
	uint8_t *model; /* [size] what they should be                                     */
	uint8_t *mark;  /* [size] enum mark                                               */
	uint64_t dirty,
		dirty_end; /* what this case has written lies in there                       */
	uint64_t tables, tables_end; /* those marked as such lie in there                         */
	struct store_range marked[STORE_MARKED]; /* [n_marked] the others, or more               */
	unsigned n_marked;
	int fd[2];
	uint64_t file_len; /* of the first file, as made                                     */
	uint64_t now_len;  /* of the first file                                              */
	uint64_t was_len;  /* ... at the last barrier: what lies between may or may not come */
};

/* in_files: bytes in two descriptors instead of memory; on_disk: in a real file system where there is one. */
bool store_open(struct store *store, uint64_t size, bool in_files, bool on_disk, uint64_t file_len);
void store_close(struct store *store);

/* Where the tables begin; levels 4 or 5. */
uint64_t store_root(unsigned levels);

/* Until everything has ended; or, as a table, until the end of the case. */
void store_mark(struct store *store, uint64_t off, uint32_t len, uint8_t mark);
void store_mark_table(struct store *store, uint64_t off, uint32_t len);
/* Is any of these bytes marked with one of these? */
bool store_is_marked(const struct store *store, uint64_t off, uint32_t len, uint8_t mark);
/* Everything has ended: nobody reads or writes. */
void store_settle(struct store *store);

/* These bytes are written from now on. */
void store_written(struct store *store, uint64_t off, uint32_t len);
/* What is there, now that nobody writes. */
void store_peek(const struct store *store, uint64_t off, uint8_t *to, uint32_t len);

bool store_cut(struct store *store, uint64_t len);

/*
 * The end of a case: is all there that should be, around what was written? Then everything is as at the
 * start. *ret_off: the first byte that is wrong.
 */
bool store_verify(struct store *store, uint64_t *ret_off);
bool store_restore(struct store *store);

#endif

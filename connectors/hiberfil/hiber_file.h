/* SPDX-License-Identifier: MIT */
/*
 * A hibernation file of Windows: its header, and which page of memory lies in which packed set. The sets are indexed, not
 * unpacked: layouts.c has the headers, sets.c those of Windows 8 and later, tables.c those of Windows 7, processor.c the registers.
 *
 * Sources: PO_MEMORY_IMAGE and KPROCESSOR_STATE by Microsoft's public symbols (Vergilius Project); Sylve, Marziale, Richard, "Modern
 * Windows hibernation file analysis", 2016; Volatility 3 framework/layers/hib.py; LeechCore device_hibr.c; of Windows 7 Hibr2Bin
 * (Comae), Volatility 2.6 plugins/addrspaces/hibernate.py and libhibr's documentation.
 */
#ifndef HIBER_FILE_H
#define HIBER_FILE_H

#include <sonde/target.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/source.h"

#define HIBER_PAGE 4096u
#define HIBER_SET_PAGES 16u /* a set has that many at most */
#define HIBER_SET_MAX (HIBER_SET_PAGES * HIBER_PAGE)
/* Packed: what cannot be made smaller is stored. */
#define HIBER_PACKED_MAX HIBER_SET_MAX
/* Against hostile files: 1 TiB in whole sets, 256 GiB in runs of four pages; 16 bytes each. */
#define HIBER_SETS_MAX (1u << 24)
#define HIBER_RUNS_MAX (1u << 24)

/* Pages that were packed together. */
struct hiber_set {
	uint64_t off;    /* of what is packed, in the file                               */
	uint32_t len;    /* > 0, up to HIBER_PACKED_MAX                                  */
	uint16_t packed; /* enum pack; PACK_NONE: len is n pages                         */
	uint8_t n;       /* pages, 1 to HIBER_SET_PAGES                                  */
	uint8_t cut;     /* not all of it is in the file                                 */
};

/* Pages of memory that follow each other, in a set too. */
struct hiber_run {
	uint64_t page; /* its number in memory; up to 2^52, so bytes do not wrap */
	uint32_t set;
	uint16_t first; /* of its pages, in the set; first + n is up to the set's */
	uint16_t n;     /* > 0                                                    */
};

struct hiber_layout;

struct hiber_file {
	const struct source *source;
	struct source_scan scan; /* as it is indexed */
	const struct hiber_layout *layout;
	char signature[5];      /* terminated                                          */
	uint64_t time;          /* FILETIME of when it was written                     */
	struct hiber_set *sets; /* [n_sets]                                          */
	struct hiber_run *runs; /* [n_runs], by page; none overlaps another          */
	size_t n_sets, cap_sets, n_runs, cap_runs;
	uint64_t n_pages;     /* that are in the sets                                  */
	uint64_t n_missing;   /* that the header tells of, and no sound set holds      */
	uint64_t n_twice;     /* that were told before: the first counts               */
	int cut;              /* the file ends within the sets                         */
	struct sonde_cpu cpu; /* valid 0: it is not told                             */
	char why[192];        /* after an error                                      */
};

/* Is this how one begins? Whether Windows left anything in it is another question. */
int hiber_probe(const uint8_t *head, size_t len);

/*
 * Read the header and index the sets.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _UNSUPPORTED (of a Windows that is not known), _NOT_SAVED (nothing in it: it was resumed from),
 *           _CORRUPT, _TRUNCATED, _LIMIT, _IO, _NO_MEMORY: ret->why says what is wrong.
 * Owns      *ret: hiber_file_finish, also after an error. source is kept.
 */
int hiber_file_read(struct hiber_file *ret, const struct source *source);
void hiber_file_finish(struct hiber_file *file);

/* Index of the first run that ends behind a page; n_runs none. */
size_t hiber_file_find(const struct hiber_file *file, uint64_t page);
/* "8 or 8.1", "10 or later"; of how many bits. */
const char *hiber_windows(const struct hiber_file *file);
uint32_t hiber_bits(const struct hiber_file *file);
/* "hibernated", "resumed" (by its signature), "resuming". */
const char *hiber_state(const struct hiber_file *file);

#endif

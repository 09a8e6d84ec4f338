/* SPDX-License-Identifier: MIT */
/*
 * A kernel crash dump of Windows: its header, and where in the file which memory is. Of a triage dump that is virtual
 * memory, of all others physical. It reads through a callback, so that a fuzzer needs no file.
 */
#ifndef CRASH_FILE_H
#define CRASH_FILE_H

#include "../common/utf16.h"
#include "crash_format.h"
#include "dump.h"

#include <stddef.h>
#include <stdint.h>

#define CRASH_HEADER_MAX 0x2000u
/* Against hostile files: 64 TiB, whose bitmap has 2 GiB; and as many drivers as no kernel has. */
#define CRASH_PAGES_MAX (UINT64_C(1) << 34)
#define CRASH_DRIVERS_MAX 65536u

struct crash_file {
	struct dump dump;
	const struct crash_layout *layout;
	uint8_t header[CRASH_HEADER_MAX]; /* [layout->size] */
	uint32_t type;                    /* CRASH_FULL ...  */

	uint64_t drivers_off; /* of a triage dump of 64 bits; n_drivers of them are in the file */
	uint32_t n_drivers;   /* up to CRASH_DRIVERS_MAX */
};

/* Is this how one begins? */
int crash_probe(const uint8_t *head, size_t len);

/*
 * Read header and runs of a file of file_size bytes.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _CORRUPT, _TRUNCATED, _UNSUPPORTED (a kind of dump without memory that is known here),
 *           _LIMIT, _NO_MEMORY: ret->dump.why says what is wrong.
 * Owns      *ret: crash_file_finish, also after an error.
 */
int crash_file_read(struct crash_file *ret, dump_read_fn *read, void *user, uint64_t file_size);
void crash_file_finish(struct crash_file *crash);

/* A field of 4 bytes, or of a word, in the header. */
uint32_t crash_u32(const struct crash_file *crash, uint32_t off);
uint64_t crash_word(const struct crash_file *crash, uint32_t off);
/* Did somebody set this field of a word? */
int crash_is_set(const struct crash_file *crash, uint32_t off);
/* "kernel memory, as a bitmap"; NULL: not known. */
const char *crash_type_text(uint32_t type);

/* ---- among the files of this folder ---------------------------------------------------------- */

/* n pages from number first on, whose bytes lie at *off, which moves behind them. As dump_add_run. */
int crash_add_pages(struct crash_file *crash, uint64_t first, uint64_t n, uint64_t *off);

/* page_runs.c: the runs of dumps of physical memory. triage.c: of virtual. As crash_file_read. */
int crash_read_pages(struct crash_file *crash);
int crash_read_triage(struct crash_file *crash);

struct crash_driver {
	uint64_t base, size;
	uint8_t utf16[2 * DRIVER_NAME_MAX];
	char name[UTF16_ROOM(DRIVER_NAME_MAX)]; /* terminated; "": it cannot be read */
};
/* Returns 0, SONDE_E_TRUNCATED. index < n_drivers */
int crash_driver(struct crash_file *crash, uint32_t index, struct crash_driver *ret);

#endif

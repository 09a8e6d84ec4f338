/* SPDX-License-Identifier: MIT */
/*
 * A kernel crash dump of Windows: its header, and where in the file which memory is. Of a triage dump that is virtual
 * memory, of all others physical. It reads through a callback, so that a fuzzer needs no file.
 */
#ifndef CRASH_FILE_H
#define CRASH_FILE_H

#include "../common/utf16.h"
#include "crash_format.h"

#include <stddef.h>
#include <stdint.h>

/* Against hostile files: each run is one extent, one of them two; a space takes 2^20. */
#define CRASH_RUNS_MAX ((1u << 20) - 2)
#define CRASH_HEADER_MAX 0x2000u

/* Up to len bytes at off into buf; returns how many came. */
typedef size_t crash_read_fn(void *user, uint64_t off, void *buf, size_t len);

/* Memory that lies in the file as it is. */
struct crash_run {
	uint64_t addr, len; /* len > 0; addr + len - 1 does not wrap                       */
	uint64_t off;       /* of its bytes, in the file                                   */
	uint64_t have;      /* of len, in the file: fewer where it was cut off             */
};

struct crash_file {
	uint64_t file_size;
	crash_read_fn *read;
	void *user;
	const struct crash_layout *layout;
	uint8_t header[CRASH_HEADER_MAX]; /* [layout->size] */
	uint32_t type;                    /* CRASH_FULL ...  */
	uint32_t arch;                    /* enum sonde_arch */

	struct crash_run *runs; /* [n_runs], in the file's order */
	size_t n_runs, cap_runs;
	int cut;           /* some of the runs' bytes are not in the file   */
	uint64_t n_spoilt; /* stretches of a triage dump that lie: left out */

	uint64_t drivers_off; /* of a triage dump of 64 bits; n_drivers of them are in the file */
	uint32_t n_drivers;

	char why[192]; /* after an error: structure, field, offset and what is wrong */
};

/* Is this how one begins? */
int crash_probe(const uint8_t *head, size_t len);

/*
 * Read header and runs of a file of file_size bytes.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _CORRUPT, _TRUNCATED, _UNSUPPORTED (a kind of dump without memory that is known here),
 *           _LIMIT, _NO_MEMORY: ret->why says what is wrong.
 * Owns      *ret: crash_file_finish, also after an error.
 */
int crash_file_read(struct crash_file *ret, crash_read_fn *read, void *user, uint64_t file_size);
void crash_file_finish(struct crash_file *crash);

/* A field of 4 bytes, or of a word, in the header. */
uint32_t crash_u32(const struct crash_file *crash, uint32_t off);
uint64_t crash_word(const struct crash_file *crash, uint32_t off);
/* Did somebody set this field of a word? */
int crash_is_set(const struct crash_file *crash, uint32_t off);
/* "kernel memory, as a bitmap"; NULL: not known. */
const char *crash_type_text(uint32_t type);

/* ---- among the files of this folder ---------------------------------------------------------- */

/* Keep what is wrong, at field of structure at off of the file. Returns code. */
int crash_fail(struct crash_file *crash, int code, const char *structure, const char *field,
	       uint64_t off, const char *what);
/* len bytes at off of structure. Returns 0, SONDE_E_TRUNCATED. */
int crash_get(struct crash_file *crash, const char *structure, uint64_t off, void *buf, size_t len);
/* One more run; one of no bytes is none, one that wraps is an error. Returns 0, SONDE_E_CORRUPT, _LIMIT, _NO_MEMORY. */
int crash_add_run(struct crash_file *crash, uint64_t addr, uint64_t len, uint64_t off);
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

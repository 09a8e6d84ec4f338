/* SPDX-License-Identifier: MIT */
/* What all dumps of Windows share: a file that is read through a callback, and the memory that lies in it. */
#ifndef CRASH_DUMP_H
#define CRASH_DUMP_H

#include <stddef.h>
#include <stdint.h>

/* Against hostile files: each run is one extent, one of them two; a space takes 2^20. */
#define DUMP_RUNS_MAX ((1u << 20) - 2)

/* Up to len bytes at off into buf; returns how many came. */
typedef size_t dump_read_fn(void *user, uint64_t off, void *buf, size_t len);

/* Memory that lies in the file as it is. */
struct dump_run {
	uint64_t addr, len; /* len > 0; addr + len - 1 does not wrap                       */
	uint64_t off;       /* of its bytes, in the file                                   */
	uint64_t have;      /* of len, in the file: fewer where it was cut off             */
};

struct dump {
	uint64_t file_size;
	dump_read_fn *read;
	void *user;
	uint32_t arch;  /* enum sonde_arch */
	int is_virtual; /* addresses are virtual; else physical */

	struct dump_run *runs; /* [n_runs], in the file's order */
	size_t n_runs, cap_runs;
	int cut;           /* some of what is told of is not in the file  */
	uint64_t n_spoilt; /* stretches that lie: left out                */

	char why[192]; /* after an error: structure, field, offset and what is wrong */
};

/* Keep what is wrong, at field of structure at off of the file. Returns code. */
int dump_fail(struct dump *dump, int code, const char *structure, const char *field, uint64_t off,
	      const char *what);
/* len bytes at off of structure. Returns 0, SONDE_E_TRUNCATED. */
int dump_get(struct dump *dump, const char *structure, uint64_t off, void *buf, size_t len);
/* One more run; one of no bytes is none. Returns 0, SONDE_E_CORRUPT (it wraps), _LIMIT, _NO_MEMORY. */
int dump_add_run(struct dump *dump, uint64_t addr, uint64_t len, uint64_t off);
void dump_finish(struct dump *dump);

#endif

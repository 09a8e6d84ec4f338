/* SPDX-License-Identifier: MIT */
#include "dump.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>

int dump_fail(struct dump *dump, int code, const char *structure, const char *field, uint64_t off,
	      const char *what)
{
	snprintf(dump->why, sizeof(dump->why), "%s.%s at 0x%" PRIx64 ": %s", structure, field, off,
		 what);
	return code;
}

int dump_get(struct dump *dump, const char *structure, uint64_t off, void *buf, size_t len)
{
	size_t n = off < dump->file_size ? dump->read(dump->user, off, buf, len) : 0;

	if (n == len)
		return 0;
	snprintf(dump->why, sizeof(dump->why),
		 "%s at 0x%" PRIx64 ": %zu of %zu bytes are there: the file was cut off", structure,
		 off, n, len);
	return SONDE_E_TRUNCATED;
}

static int make_room(struct dump *dump)
{
	if (dump->n_runs < dump->cap_runs)
		return 0;
	size_t cap = dump->cap_runs ? dump->cap_runs * 2 : 64;
	struct dump_run *runs = realloc(dump->runs, cap * sizeof(*runs));
	if (!runs) {
		snprintf(dump->why, sizeof(dump->why), "out of memory");
		return SONDE_E_NO_MEMORY;
	}
	dump->runs = runs;
	dump->cap_runs = cap;
	return 0;
}

int dump_add_run(struct dump *dump, uint64_t addr, uint64_t len, uint64_t off)
{
	uint64_t left = off < dump->file_size ? dump->file_size - off : 0;

	if (len == 0)
		return 0;
	if (len - 1 > UINT64_MAX - addr)
		return SONDE_E_CORRUPT;
	if (dump->n_runs == DUMP_RUNS_MAX) {
		snprintf(dump->why, sizeof(dump->why), "more than %u runs of memory",
			 DUMP_RUNS_MAX);
		return SONDE_E_LIMIT;
	}
	int r = make_room(dump);
	if (r == 0)
		dump->runs[dump->n_runs++] =
			(struct dump_run){ addr, len, off, len < left ? len : left };
	dump->cut |= len > left;
	return r;
}

void dump_finish(struct dump *dump)
{
	free(dump->runs);
	dump->runs = NULL;
	dump->n_runs = dump->cap_runs = 0;
}

/* SPDX-License-Identifier: MIT */
/* A dump as files, wherever they are: one, or the parts that makedumpfile --split made; plain or flattened; a pipe. */
#ifndef DUMP_H
#define DUMP_H

#include <sonde/plugin.h>

#include "../common/flattened.h"
#include "../common/image_file.h"
#include "kdump_file.h"

#define DUMP_PARTS_MAX 256u

/* What belongs to one file that is open. */
struct dump_part {
	struct image_file file;
	int is_flat;
	struct flattened flat;
};

struct dump {
	struct dump_part *parts;  /* [n] */
	struct kdump_file *files; /* [n]; they read from parts, which do not move */
	size_t n;
};

/*
 * Open path, and where it is one of several and alone is 0 the other parts: those beside a file, and those whose names count
 * up and down from that of a URL. Errors as open of plugin.h.
 */
int dump_open(struct dump *ret, const struct sonde_host *host, const struct sonde_args *args,
	      const char *path, int alone, struct sonde_error *err);
void dump_close(struct dump *dump);

#endif

/* SPDX-License-Identifier: MIT */
/* A dump as files: one, or the parts that makedumpfile --split made; plain or flattened; a pipe. */
#ifndef DUMP_H
#define DUMP_H

#include <sonde/plugin.h>

#include "../common/flattened.h"
#include "kdump_file.h"

#define DUMP_PARTS_MAX 256u

/* What belongs to one file that is open. */
struct dump_part {
	int fd; /* -1 none */
	int is_flat;
	struct flattened flat;
	char name[256]; /* in its folder */
};

struct dump {
	struct dump_part *parts;  /* [n] */
	struct kdump_file *files; /* [n]; they read from parts, which do not move */
	size_t n;
};

/* Open a file, and the other parts beside it where it is one of several and alone is 0. Errors as open of plugin.h. */
int dump_open(struct dump *ret, const struct sonde_host *host, const char *path, int alone,
	      struct sonde_error *err);
void dump_close(struct dump *dump);

#endif

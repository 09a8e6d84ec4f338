/* SPDX-License-Identifier: MIT */
/* What comes through a pipe, put where it can be read in any order. */
#ifndef SPOOL_H
#define SPOOL_H

#include <sonde/plugin.h>

/*
 * Read from to its end into a file without a name, in $TMPDIR or /var/tmp. Blocks as long as the writer writes.
 * Returns its descriptor, or an error with err filled. name is the pipe's, for people.
 */
int spool(const struct sonde_host *host, int from, const char *name, struct sonde_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/* A whole regular file, mapped for reading. map_file_posix.c has it for POSIX hosts. */
#ifndef SONDE_SYM_MAP_FILE_H
#define SONDE_SYM_MAP_FILE_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

struct map_file {
	const uint8_t *bytes; /* [len]; NULL when not open */
	size_t len;
	int fd; /* stays open; -1 when not open */
};

/*
 * What the host says on open; BAD_FORMAT: not a regular file, or empty. err does not name the
 * path.
 */
int map_file_open(const char *path, struct map_file *ret, struct sonde_error *err);
void map_file_close(struct map_file *file); /* half-open is allowed */

#endif

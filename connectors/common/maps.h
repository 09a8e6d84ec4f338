/* SPDX-License-Identifier: MIT */
/* Lines of /proc/PID/maps. */
#ifndef MAPS_H
#define MAPS_H

#include <stddef.h>
#include <stdint.h>

struct maps_line {
	uint64_t start, end; /* end > start       */
	uint32_t flags;      /* enum sonde_region_flag */
	uint64_t off;        /* in the file       */
	uint32_t dev_major, dev_minor;
	uint64_t inode;   /* 0: no file        */
	const char *path; /* "" for none; octal escapes resolved in place */
};

/*
 * Take one line (without newline, changed in place) apart.
 * Returns 1, 0 when it is not such a line. Source: linux v6.1 Documentation/filesystems/proc.rst.
 */
int maps_parse(char *line, struct maps_line *ret);
/*
 * Newline and backslash of a path are written as \012 and \134 (linux fs/seq_file.c): make such a triple one byte again, in place.
 * Returns the length; a \000 is a byte like others.
 */
size_t maps_unescape(char *text);

#endif

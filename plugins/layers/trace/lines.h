/* SPDX-License-Identifier: MIT */
/* The file of a trace: whole lines through a buffer; those that cannot be written are counted. */
#ifndef TRACE_LINES_H
#define TRACE_LINES_H

#include <stddef.h>
#include <stdint.h>

enum { LINES_BUFFER = 65536, LINE_MAX_LEN = 320 };

struct lines {
	int fd;
	uint64_t n, n_lost;
	size_t used, n_buffered; /* bytes, lines */
	char buffer[LINES_BUFFER];
};

/* One line, printf-style, without its newline; at most LINE_MAX_LEN bytes of it. */
void lines_add(struct lines *lines, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lines_flush(struct lines *lines);

#endif

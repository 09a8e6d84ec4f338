/* SPDX-License-Identifier: MIT */
/* Lines into a file that was opened to append: several traces may share one. */
#include "lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void lines_flush(struct lines *lines)
{
	const char *at = lines->buffer;

	while (lines->used) {
		ssize_t n = write(lines->fd, at, lines->used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			lines->n_lost += lines->n_buffered;
			break;
		}
		at += n;
		lines->used -= (size_t)n;
	}
	lines->used = 0;
	lines->n_buffered = 0;
}

void lines_add(struct lines *lines, const char *fmt, ...)
{
	va_list args;

	if (LINES_BUFFER - lines->used < LINE_MAX_LEN + 2)
		lines_flush(lines);
	va_start(args, fmt);
	int n = vsnprintf(lines->buffer + lines->used, LINE_MAX_LEN + 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	lines->used += n < LINE_MAX_LEN ? (size_t)n : LINE_MAX_LEN;
	lines->buffer[lines->used++] = '\n';
	lines->n_buffered++;
	lines->n++;
}

/* SPDX-License-Identifier: MIT */
/* Text of a message in a buffer of fixed size: cut where it ends, always terminated. */
#ifndef SONDE_BASE_TEXT_H
#define SONDE_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * As vsnprintf; cap > 0. text_libc.c: the C library's. A program without one brings its own, which knows
 * at least %d %i %u %x %c %s %% with l, ll, z, a width, zeros and a precision.
 */
void text_vformat(char *to, size_t cap, const char *fmt, va_list ap);

/* A text from a target or a path may hold newlines and control bytes; what comes of them here is one line. */
static inline void text_line(char *to, size_t cap, const char *fmt, va_list ap)
{
	text_vformat(to, cap, fmt, ap);
	for (; *to; to++) {
		if ((unsigned char)*to < 0x20 || *to == 0x7f)
			*to = '?';
	}
}

/* Behind what is there already. */
static inline void text_add(char *to, size_t cap, const char *more)
{
	size_t used = 0;

	while (to[used])
		used++;
	while (*more && used + 1 < cap)
		to[used++] = *more++;
	to[used] = '\0';
}

/* What a digit of up to 16 stands for; 16: it is none. */
static inline int text_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a guest made fit to print. A guest chooses its names: they may hold terminal
 * commands, line breaks, halves of characters. One rule (docs/json.md): a byte that cannot
 * be shown becomes the four characters \xNN, and so does a backslash in front of an x.
 */
#ifndef SONDE_TOOL_TEXT_H
#define SONDE_TOOL_TEXT_H

#include "out.h"

enum text_form {
	TEXT_TERMINAL, /* every byte of a character that cannot be shown is escaped         */
	TEXT_CSV,      /* the same, but tab and line feed stay; quoted where RFC 4180 asks  */
	TEXT_JSON,     /* a JSON string with its quotes; control characters as \u00NN       */
};

/* Append bytes in that form. Returns how many columns they take on a terminal. */
size_t text_put(struct buf *buf, enum text_form form, const char *bytes, size_t len);

/* Length (1..4) of the well-formed UTF-8 character at s and *ret, its code point; 0 none. */
size_t text_utf8(const char *s, size_t len, uint32_t *ret);

/* The longest head of printable text that takes at most width columns; *ret_width what it takes. */
size_t text_fit(const char *s, size_t len, size_t width, size_t *ret_width);

/* "1.5M", "12.0K", "100M": a suffix of 1024s; tenths below 100. */
void size_text(char text[24], uint64_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/* Byte patterns as one writes them: 48 8b ?? 0?, or "text". */
#ifndef SONDE_TOOL_PATTERN_H
#define SONDE_TOOL_PATTERN_H

#include "cmd.h"

struct pattern {
	struct buf bytes, mask;
};

/*
 * Read one operand. Text stands in double quotes, and is taken as UTF-16 (little-endian) where utf16 says so; else it
 * is hex digits in pairs, with '?' for a digit that may be any. Returns 0, or EXIT_USAGE having told why.
 */
int pattern_parse(struct ctx *ctx, const char *text, bool utf16, struct pattern *ret);
void pattern_finish(struct pattern *pattern);

/* The value of a hex digit, -1 for what is none. */
int hex_digit(char c);

#endif

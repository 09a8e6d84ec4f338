/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static void add(struct pattern *pattern, int byte, int mask)
{
	buf_char(&pattern->bytes, (char)byte);
	buf_char(&pattern->mask, (char)mask);
}

static void add_unit(struct pattern *pattern, uint32_t unit)
{
	add(pattern, (int)(unit & 0xff), 0xff);
	add(pattern, (int)(unit >> 8 & 0xff), 0xff);
}

/* Beyond the first 2^16 code points a pair of surrogates stands for one (Unicode 15, 3.9). */
static void add_utf16(struct pattern *pattern, uint32_t point)
{
	if (point < 0x10000) {
		add_unit(pattern, point);
		return;
	}
	add_unit(pattern, 0xd800 + ((point - 0x10000) >> 10));
	add_unit(pattern, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

static int parse_text(struct ctx *ctx, const char *text, bool utf16, struct pattern *ret)
{
	size_t len = strlen(text), n;
	uint32_t point;

	if (len < 3 || text[len - 1] != '"')
		return usage(ctx, "'%s': text stands between two double quotes", text);
	for (size_t i = 1; i < len - 1; i += n) {
		n = 1;
		if (!utf16)
			add(ret, text[i], 0xff);
		else if ((n = text_utf8(text + i, len - 1 - i, &point)) != 0)
			add_utf16(ret, point);
		else
			return usage(ctx, "'%s': not UTF-8, so it cannot be UTF-16", text);
	}
	return 0;
}

static int parse_hex(struct ctx *ctx, const char *text, struct pattern *ret)
{
	for (const char *at = text; *at; at += 2) {
		while (isspace((unsigned char)*at))
			at++;
		if (*at == '\0')
			break;
		int byte = 0, mask = 0;
		for (int i = 0; i < 2; i++) {
			int digit = hex_digit(at[i]);
			if (digit < 0 && at[i] != '?')
				return usage(ctx,
					     "'%s': '%.2s' is no pair of hex digits or '?'; text "
					     "stands in double quotes: '\"text\"'",
					     text, at);
			byte = byte << 4 | (digit < 0 ? 0 : digit);
			mask = mask << 4 | (digit < 0 ? 0 : 15);
		}
		add(ret, byte, mask);
	}
	return ret->bytes.len ? 0 : usage(ctx, "'%s': an empty pattern", text);
}

int pattern_parse(struct ctx *ctx, const char *text, bool utf16, struct pattern *ret)
{
	return text[0] == '"' ? parse_text(ctx, text, utf16, ret) : parse_hex(ctx, text, ret);
}

void pattern_finish(struct pattern *pattern)
{
	buf_finish(&pattern->bytes);
	buf_finish(&pattern->mask);
}

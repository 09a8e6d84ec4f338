/* SPDX-License-Identifier: MIT */
/*
 * Escaping for terminals, CSV and JSON; see text.h. Besides control characters, those
 * that reorder text (Unicode UAX #9) are escaped: with them a guest could make a line
 * read as what it is not.
 */
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* Table 3-7 of the Unicode standard: well-formed UTF-8, so neither overlong nor surrogate. */
size_t text_utf8(const char *s, size_t len, uint32_t *ret)
{
	const unsigned char *b = (const unsigned char *)s;
	uint32_t code, least;
	size_t n;

	if (len == 0)
		return 0;
	if (b[0] < 0x80) {
		*ret = b[0];
		return 1;
	}
	if (b[0] >= 0xc2 && b[0] <= 0xdf) {
		n = 2, code = b[0] & 0x1f, least = 0x80;
	} else if ((b[0] & 0xf0) == 0xe0) {
		n = 3, code = b[0] & 0x0f, least = 0x800;
	} else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
		n = 4, code = b[0] & 0x07, least = 0x10000;
	} else {
		return 0;
	}
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (b[i] & 0x3f);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret = code;
	return n;
}

static bool reorders(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static bool breaks_line(uint32_t c)
{
	return c == 0x2028 || c == 0x2029;
}

/* A backslash before an x is escaped like a bad byte: what was \\xNN already stays distinct. */
static bool looks_escaped(const char *bytes, size_t len)
{
	return len > 1 && bytes[0] == '\\' && bytes[1] == 'x';
}

static bool unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || reorders(c) || breaks_line(c);
}

static size_t columns(uint32_t c)
{
	if (c < 0x300)
		return 1;
	int width = wcwidth((wchar_t)c);
	return width < 0 ? 1 : (size_t)width;
}

static void put_bytes_escaped(struct buf *buf, const char *prefix, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(buf, prefix);
		buf_hex(buf, (unsigned char)bytes[i], 2);
	}
}

/* Returns the columns it takes. */
static size_t put_plain(struct buf *buf, const char *bytes, size_t len, bool csv)
{
	size_t width = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = text_utf8(bytes + i, len - i, &c);

		bool keep = n > 0 && !looks_escaped(bytes + i, len - i) &&
			    (!unsafe(c) || (csv && (c == '\n' || c == '\t')));
		if (keep) {
			buf_bytes(buf, bytes + i, n);
			width += columns(c);
		} else {
			n = n > 0 ? n : 1;
			put_bytes_escaped(buf, "\\x", bytes + i, n);
			width += 4 * n;
		}
		i += n;
	}
	return width;
}

static size_t put_csv(struct buf *buf, const char *bytes, size_t len)
{
	size_t start = buf->len, quotes = 0;

	put_plain(buf, bytes, len, true);
	size_t n = buf->len - start;
	const char *plain = n ? buf->bytes + start : "";
	bool quote = n > 0 && (memchr(plain, ',', n) || memchr(plain, '\n', n));
	for (size_t i = 0; i < n; i++)
		quotes += plain[i] == '"';
	if (!quote && quotes == 0)
		return n;
	/* Make room at the end, then spread from the back: nothing is overwritten unread. */
	for (size_t i = 0; i < quotes + 2; i++)
		buf_char(buf, '"');
	char *text = buf->bytes + start;
	size_t to = n + quotes + 1;
	for (size_t i = n; i-- > 0;) {
		text[to - 1] = text[i];
		to--;
		if (text[to] == '"') {
			text[to - 1] = '"';
			to--;
		}
	}
	text[0] = '"';
	text[n + quotes + 1] = '"';
	return n + quotes + 2;
}

static void put_json_char(struct buf *buf, const char *bytes, size_t n, uint32_t c)
{
	static const char letter[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};

	if (c == '"' || c == '\\') {
		buf_char(buf, '\\');
		buf_char(buf, (char)c);
	} else if (c < sizeof(letter) && letter[c]) {
		buf_char(buf, '\\');
		buf_char(buf, letter[c]);
	} else if (unsafe(c)) {
		buf_str(buf, "\\u");
		buf_hex(buf, c, 4);
	} else {
		buf_bytes(buf, bytes, n);
	}
}

static size_t put_json(struct buf *buf, const char *bytes, size_t len)
{
	size_t start = buf->len;

	buf_char(buf, '"');
	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = text_utf8(bytes + i, len - i, &c);

		if (n == 0 || looks_escaped(bytes + i, len - i)) {
			put_bytes_escaped(buf, "\\\\x", bytes + i, 1);
			n = 1;
		} else {
			put_json_char(buf, bytes + i, n, c);
		}
		i += n;
	}
	buf_char(buf, '"');
	return buf->len - start;
}

size_t text_put(struct buf *buf, enum text_form form, const char *bytes, size_t len)
{
	switch (form) {
	case TEXT_JSON:
		return put_json(buf, bytes, len);
	case TEXT_CSV:
		return put_csv(buf, bytes, len);
	default:
		return put_plain(buf, bytes, len, false);
	}
}

size_t text_fit(const char *s, size_t len, size_t width, size_t *ret_width)
{
	size_t i = 0, used = 0;

	while (i < len) {
		uint32_t c = 0;
		size_t n = text_utf8(s + i, len - i, &c);
		size_t wide = n > 0 ? columns(c) : 1;

		if (wide > width - used)
			break;
		used += wide;
		i += n > 0 ? n : 1;
	}
	*ret_width = used;
	return i;
}

void size_text(char text[24], uint64_t bytes)
{
	static const char suffix[] = "BKMGTPE";
	unsigned shift = 0, i = 0;

	while (bytes >> shift >= 1024 && shift < 60) {
		shift += 10;
		i++;
	}
	uint64_t whole = bytes >> shift;
	if (shift == 0 || whole >= 100) {
		snprintf(text, 24, "%llu%c", (unsigned long long)whole, suffix[i]);
	} else {
		uint64_t tenth = ((bytes >> (shift - 10) & 1023) * 10) >> 10;
		snprintf(text, 24, "%llu.%llu%c", (unsigned long long)whole,
			 (unsigned long long)tenth, suffix[i]);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * Buffered output and byte strings; see out.h. stdio is not used for results: one call
 * a character or a number costs more than all else when a hundred thousand symbols are
 * printed, and its errors surface too late to be told apart.
 */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void out_init(struct out *out, int fd)
{
	out->fd = fd;
	out->err = 0;
	out->used = 0;
	out->all = 0;
}

static void write_all(struct out *out, const char *bytes, size_t len)
{
	while (len > 0 && out->err == 0) {
		ssize_t n = write(out->fd, bytes, len);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno != EINTR) {
			out->err = errno;
		}
	}
}

int out_flush(struct out *out)
{
	write_all(out, out->buf, out->used);
	out->used = 0;
	return out->err;
}

void out_bytes(struct out *out, const void *bytes, size_t len)
{
	out->all += len;
	if (len > sizeof(out->buf) - out->used)
		out_flush(out);
	if (len > sizeof(out->buf)) {
		write_all(out, bytes, len);
	} else {
		memcpy(out->buf + out->used, bytes, len);
		out->used += len;
	}
}

void out_str(struct out *out, const char *str)
{
	out_bytes(out, str, strlen(str));
}

void out_char(struct out *out, char c)
{
	out_bytes(out, &c, 1);
}

void out_spaces(struct out *out, size_t n)
{
	static const char spaces[] = "                                ";

	for (; n >= sizeof(spaces) - 1; n -= sizeof(spaces) - 1)
		out_bytes(out, spaces, sizeof(spaces) - 1);
	out_bytes(out, spaces, n);
}

void out_printf(struct out *out, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n > 0)
		out_bytes(out, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void *grow(void *old, size_t n, size_t size)
{
	void *bigger = reallocarray(old, n, size);

	if (!bigger) {
		static const char text[] = "sonde: out of memory\n";
		ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

		(void)ignored;
		exit(1);
	}
	return bigger;
}

static char *buf_room(struct buf *buf, size_t len)
{
	if (len > buf->cap - buf->len) {
		size_t cap = buf->cap < 256 ? 256 : buf->cap;

		while (len > cap - buf->len && cap <= SIZE_MAX / 2)
			cap *= 2;
		buf->bytes = grow(buf->bytes, cap, 1);
		buf->cap = cap;
	}
	char *at = buf->bytes + buf->len;
	buf->len += len;
	return at;
}

void buf_bytes(struct buf *buf, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(buf_room(buf, len), bytes, len);
}

void buf_str(struct buf *buf, const char *str)
{
	buf_bytes(buf, str, strlen(str));
}

void buf_char(struct buf *buf, char c)
{
	*buf_room(buf, 1) = c;
}

void buf_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_bytes(buf, digits + n, sizeof(digits) - n);
}

void buf_hex(struct buf *buf, uint64_t value, unsigned width)
{
	char digits[16];
	size_t n = sizeof(digits);

	do {
		digits[--n] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (n > 0 && (value > 0 || sizeof(digits) - n < width));
	buf_bytes(buf, digits + n, sizeof(digits) - n);
}

void buf_hex_bytes(struct buf *buf, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;

	if (len == 0)
		return;
	char *to = buf_room(buf, 2 * len);
	for (size_t i = 0; i < len; i++) {
		to[2 * i] = digits[from[i] >> 4];
		to[2 * i + 1] = digits[from[i] & 15];
	}
}

void buf_finish(struct buf *buf)
{
	free(buf->bytes);
	*buf = (struct buf){ 0 };
}

/* SPDX-License-Identifier: MIT */
/* The conversions that messages are made of: %d %i %u %x %c %s %% with l, ll, z, a width, zeros and a precision. */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct out {
	char *to;
	size_t cap, used;
};

struct conversion {
	bool zeros, left;
	int width, precision; /* precision -1: none */
	int longs;            /* 2: 64 bits         */
	char kind;
};

static void put(struct out *out, char c)
{
	if (out->used + 1 < out->cap)
		out->to[out->used++] = c;
}

static void pad(struct out *out, char c, int n)
{
	while (n-- > 0)
		put(out, c);
}

static void put_text(struct out *out, const struct conversion *c, const char *text)
{
	int len = 0;

	while ((c->precision < 0 || len < c->precision) && text[len])
		len++;
	if (!c->left)
		pad(out, ' ', c->width - len);
	for (int i = 0; i < len; i++)
		put(out, text[i]);
	if (c->left)
		pad(out, ' ', c->width - len);
}

static void put_number(struct out *out, const struct conversion *c, uint64_t value, bool negative)
{
	unsigned base = c->kind == 'x' ? 16 : 10;
	char digits[24];
	int n = 0, room;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	room = c->width - n - negative;
	if (!c->zeros && !c->left)
		pad(out, ' ', room);
	if (negative)
		put(out, '-');
	if (c->zeros && !c->left)
		pad(out, '0', room);
	while (n > 0)
		put(out, digits[--n]);
	if (c->left)
		pad(out, ' ', room);
}

static int read_number(const char **at, va_list *ap)
{
	int n = 0;

	if (**at == '*') {
		(*at)++;
		return va_arg(*ap, int);
	}
	while (**at >= '0' && **at <= '9' && n < 1000)
		n = 10 * n + (*(*at)++ - '0');
	return n;
}

static struct conversion read_conversion(const char **at, va_list *ap)
{
	struct conversion c = { .precision = -1 };

	for (; **at == '0' || **at == '-'; (*at)++) {
		c.zeros |= **at == '0';
		c.left |= **at == '-';
	}
	c.width = read_number(at, ap);
	if (**at == '.') {
		(*at)++;
		c.precision = read_number(at, ap);
	}
	for (; **at == 'l' || **at == 'z'; (*at)++)
		c.longs++;
	c.kind = **at;
	if (c.kind)
		(*at)++;
	return c;
}

/* long and size_t have 64 bits on all that this is for. */
static void convert(struct out *out, const struct conversion *c, va_list *ap)
{
	switch (c->kind) {
	case 'd':
	case 'i': {
		int64_t value = c->longs ? va_arg(*ap, int64_t) : va_arg(*ap, int);
		put_number(out, c, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
		break;
	}
	case 'u':
	case 'x':
		put_number(out, c, c->longs ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned), false);
		break;
	case 'c':
		put(out, (char)va_arg(*ap, int));
		break;
	case 's': {
		const char *text = va_arg(*ap, const char *);
		put_text(out, c, text ? text : "(null)");
		break;
	}
	default:
		put(out, c->kind);
	}
}

void text_vformat(char *to, size_t cap, const char *fmt, va_list ap)
{
	struct out out = { .to = to, .cap = cap };
	va_list rest;

	va_copy(rest, ap);
	while (*fmt) {
		if (*fmt != '%') {
			put(&out, *fmt++);
			continue;
		}
		fmt++;
		struct conversion c = read_conversion(&fmt, &rest);
		convert(&out, &c, &rest);
	}
	va_end(rest);
	to[out.used] = '\0';
}

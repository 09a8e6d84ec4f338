/* SPDX-License-Identifier: MIT */
/* The reader is a machine over single bytes, so it is all one how the stream is cut. */
#include "packet.h"

enum { RUN_BASE = 29, RUN_FIRST = 32, RUN_LAST = 126 };

static void begin(struct packet_reader *reader, int notice)
{
	reader->state = PACKET_INSIDE;
	reader->notice = (uint8_t)notice;
	reader->bad = reader->has_last = reader->sum = 0;
	reader->len = 0;
}

static void put(struct packet_reader *reader, uint8_t byte)
{
	if (reader->len < PACKET_MAX)
		reader->data[reader->len++] = byte;
	else
		reader->bad = 1;
}

/* c ends a run: what came before it, so many times more. */
static void repeat(struct packet_reader *reader, uint8_t c)
{
	if (!reader->has_last || c < RUN_FIRST || c > RUN_LAST)
		reader->bad = 1;
	for (int i = c - RUN_BASE; i > 0 && !reader->bad; i--)
		put(reader, reader->last);
	reader->has_last = 0;
}

/* A byte that belongs to the data, not the frame. */
static void inside(struct packet_reader *reader, uint8_t c)
{
	enum packet_state state = reader->state;

	reader->sum = (uint8_t)(reader->sum + c);
	reader->state = PACKET_INSIDE;
	if (state == PACKET_RUN) {
		repeat(reader, c);
	} else if (state == PACKET_INSIDE && c == '}') {
		reader->state = PACKET_ESCAPE;
	} else if (state == PACKET_INSIDE && c == '*') {
		reader->state = PACKET_RUN;
	} else {
		/* gdb repeats the byte as it came, before it resolves escapes (gdb 13 remote.c, read_frame). */
		put(reader, state == PACKET_ESCAPE ? c ^ 0x20 : c);
		reader->last = c;
		reader->has_last = 1;
	}
}

static enum packet_event outside(struct packet_reader *reader, uint8_t c)
{
	switch (c) {
	case '$':
	case '%':
		begin(reader, c == '%');
		return PACKET_NONE;
	case '+':
		return PACKET_ACK;
	case '-':
		return PACKET_NAK;
	default:
		return PACKET_NONE;
	}
}

static enum packet_event finish(struct packet_reader *reader, int low)
{
	reader->state = PACKET_OUTSIDE;
	if (low < 0 || (uint8_t)(reader->given | low) != reader->sum)
		reader->bad = 1;
	if (reader->bad)
		return reader->notice ? PACKET_NONE : PACKET_BAD;
	return reader->notice ? PACKET_NOTICE : PACKET_DATA;
}

static enum packet_event take_byte(struct packet_reader *reader, uint8_t c)
{
	if (reader->state == PACKET_OUTSIDE)
		return outside(reader, c);
	if (c == '$') { /* never inside a packet, not even in a checksum */
		begin(reader, 0);
		return PACKET_NONE;
	}
	switch (reader->state) {
	case PACKET_SUM_HIGH:
		reader->bad |= hex_digit(c) < 0;
		reader->given = (uint8_t)(16 * hex_digit(c));
		reader->state = PACKET_SUM_LOW;
		return PACKET_NONE;
	case PACKET_SUM_LOW:
		return finish(reader, hex_digit(c));
	default:
		break;
	}
	if (c == '#') {
		reader->bad |=
			reader->state != PACKET_INSIDE; /* in the middle of an escape or a run */
		reader->state = PACKET_SUM_HIGH;
		return PACKET_NONE;
	}
	inside(reader, c);
	return PACKET_NONE;
}

size_t packet_take(struct packet_reader *reader, const uint8_t *bytes, size_t n,
		   enum packet_event *ret)
{
	*ret = PACKET_NONE;
	for (size_t i = 0; i < n; i++) {
		*ret = take_byte(reader, bytes[i]);
		if (*ret != PACKET_NONE)
			return i + 1;
	}
	return n;
}

size_t packet_write(uint8_t *out, const uint8_t *data, size_t len)
{
	uint8_t sum = 0, *at = out, *from;

	*at++ = '$';
	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];
		from = at;
		if (c == '#' || c == '$' || c == '}' || c == '*') {
			*at++ = '}';
			c ^= 0x20;
		}
		*at++ = c;
		while (from < at)
			sum = (uint8_t)(sum + *from++);
	}
	*at++ = '#';
	hex_write(at, &sum, 1);
	return (size_t)(at + 2 - out);
}

int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_read(uint8_t *out, const uint8_t *digits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void hex_write(uint8_t *out, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = (uint8_t)digits[bytes[i] >> 4];
		out[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
	}
}

int hex_number(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *p = *at;
	uint64_t value = 0;

	while (p < end && p - *at < 16 && hex_digit(*p) >= 0)
		value = value << 4 | (uint64_t)hex_digit(*p++);
	if (p == *at)
		return -1;
	*at = p;
	*ret = value;
	return 0;
}

int thread_number(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *p = *at;
	uint64_t process;

	if (p < end && *p == 'p') {
		p++;
		if (hex_number(&p, end, &process) < 0 || p == end || *p++ != '.')
			return -1;
	}
	if (hex_number(&p, end, ret) < 0)
		return -1;
	*at = p;
	return 0;
}

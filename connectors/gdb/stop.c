/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include "packet.h"

#include <sonde/events.h>
#include <string.h>

static int is_key(const uint8_t *key, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(key, name, len) == 0;
}

static uint32_t watch_of(const uint8_t *key, size_t len)
{
	if (is_key(key, len, "watch"))
		return SONDE_BREAK_WRITE;
	if (is_key(key, len, "rwatch"))
		return SONDE_BREAK_READ;
	return is_key(key, len, "awatch") ? SONDE_BREAK_ACCESS : 0;
}

typedef int number_fn(const uint8_t **at, const uint8_t *end, uint64_t *ret);

/* The value is one number, all of it. */
static int take_number(number_fn *number, const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
	uint64_t value;

	if (number(&at, end, &value) < 0 || at != end)
		return 0;
	*ret = value;
	return 1;
}

static void take_pair(struct stop_reply *stop, const uint8_t *at, const uint8_t *end)
{
	const uint8_t *colon = memchr(at, ':', (size_t)(end - at));
	size_t len = colon ? (size_t)(colon - at) : 0;
	uint32_t watch = watch_of(at, len);

	if (len && watch && take_number(hex_number, colon + 1, end, &stop->addr))
		stop->watch = watch;
	else if (len && is_key(at, len, "thread"))
		stop->has_thread = take_number(thread_number, colon + 1, end, &stop->thread);
}

int stop_parse(const uint8_t *data, size_t len, struct stop_reply *ret)
{
	const uint8_t *at = data + 3, *end = data + len;
	struct stop_reply stop = { 0 };
	uint8_t signal;

	if (len < 3 || (data[0] != 'S' && data[0] != 'T') || hex_read(&signal, data + 1, 1) < 0)
		return 0;
	stop.signal = signal;
	while (data[0] == 'T' && at < end) {
		const uint8_t *semicolon = memchr(at, ';', (size_t)(end - at));
		const uint8_t *last = semicolon ? semicolon : end;
		take_pair(&stop, at, last);
		at = semicolon ? last + 1 : end;
	}
	*ret = stop;
	return 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a stub of GDB's protocol sends: a stream of packets, and each of them as everything that is read out of packets: a
 * description, an answer to "g" by it, a memory map, the monitor's texts, what is told of a stop.
 */
#include "../../connectors/gdb/description.h"
#include "../../connectors/gdb/packet.h"
#include "../../connectors/gdb/registers.h"
#include "../../connectors/gdb/stop.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_ranges(const struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->n; i++) {
		const struct range *range = &ranges->at[i];
		uint64_t ret;
		if (range->len == 0 || range->len - 1 > UINT64_MAX - range->addr)
			abort();
		if (i && range->addr <= range[-1].addr + (range[-1].len - 1))
			abort();
		if (ranges_limit(ranges, range->addr, UINT64_MAX, &ret) != 0 || ret != range->len)
			abort();
	}
}

static void try_maps(const uint8_t *data, size_t len)
{
	struct ranges *ranges = calloc(1, sizeof(*ranges));
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	description_ranges(ranges, data, len);
	check_ranges(ranges);
	memset(ranges, 0, sizeof(*ranges));
	ranges_of_monitor(ranges, text, text);
	check_ranges(ranges);
	free(text);
	free(ranges);
}

struct answer {
	const uint8_t *data;
	size_t len;
};

/* Every register gets the same answer. */
static int take_one(void *user, const struct description_register *reg, uint64_t *ret)
{
	const struct answer *answer = user;

	return registers_parse_one(reg, answer->data, answer->len, ret);
}

/* The data as one more file, or as an answer to "g" of what was described before. */
static void try_description(struct description *description, const uint8_t *data, size_t len)
{
	struct answer answer = { data, len };
	struct full_cpu cpu = { 0 };

	registers_take(description, data, len, NULL, NULL, &cpu);
	registers_take(description, data, len, take_one, &answer, &cpu);
	if (description_read(description, data, len) < 0 || description_layout(description) < 0) {
		memset(description, 0, sizeof(*description));
		return;
	}
	for (uint32_t i = 0; i < description->n; i++) {
		const struct description_register *reg = &description->registers[i];
		if (reg->size == 0 || memchr(reg->name, 0, sizeof(reg->name)) == NULL ||
		    (i && reg->off != reg[-1].off + reg[-1].size))
			abort();
	}
}

static void try_stop(const uint8_t *data, size_t len)
{
	struct stop_reply stop = { .signal = UINT32_MAX };
	uint8_t *alone = malloc(len + !len); /* so that one byte more is seen */

	memcpy(alone, data, len);
	int is_stop = stop_parse(alone, len, &stop);
	if (is_stop != (stop.signal <= UINT8_MAX) ||
	    (is_stop &&
	     (stop.has_thread > 1 || (stop.watch && (stop.watch < 2 || stop.watch > 4)))))
		abort();
	free(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct packet_reader *reader = calloc(1, sizeof(*reader));
	struct description *description = calloc(1, sizeof(*description));
	uint8_t *framed = malloc(packet_room(PACKET_MAX));

	for (size_t at = 0; at < len;) {
		enum packet_event event;
		size_t n = packet_take(reader, bytes + at, len - at, &event);
		if (n == 0 || n > len - at || reader->len > PACKET_MAX)
			abort();
		at += n;
		if (event != PACKET_DATA)
			continue;
		if (packet_write(framed, reader->data, reader->len) > packet_room(reader->len))
			abort();
		try_maps(reader->data, reader->len);
		try_stop(reader->data, reader->len);
		try_description(description, reader->data, reader->len);
	}
	free(framed);
	free(description);
	free(reader);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log: the input is sizes and ids, then descriptors, infos and texts of a ring; or,
 * with the top bit of its first byte, first and next of an old buffer and the buffer.
 */
#include "linux/log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define DESC_SIZE 24u
#define INFO_SIZE 88u
#define HEAD 18u

static const struct layout layout = {
	.desc_size = DESC_SIZE,
	.info_size = INFO_SIZE,
	.desc_state = { 0, 8 },
	.desc_lpos = { 8, 16 },
	.info_seq = { 0, 8 },
	.info_ts = { 8, 8 },
	.info_text_len = { 16, 2 },
	.info_facility = { 18, 1 },
	.info_caller = { 20, 4 },
	.log_record_size = 16,
	.record_ts = { 0, 8 },
	.record_len = { 8, 2 },
	.record_text_len = { 10, 2 },
	.record_facility = { 14, 1 },
};

/* The next want bytes on a heap block of exactly that size; what the input lacks is zero. */
static uint8_t *take(const uint8_t **bytes, size_t *len, size_t want)
{
	uint8_t *block = calloc(1, want);
	size_t n = want < *len ? want : *len;

	if (!block)
		abort();
	memcpy(block, *bytes, n);
	*bytes += n;
	*len -= n;
	return block;
}

static void check(const struct sonde_log *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].level > 7 || list->items[i].text[list->items[i].text_len])
			abort();
	}
}

static void ring(const uint8_t *head, const uint8_t *bytes, size_t len, struct sonde_log *list)
{
	uint32_t count_bits = head[0] & 7, size_bits = 3 + head[1] % 10, lost;
	size_t n = (size_t)1 << count_bits;
	uint8_t *descs = take(&bytes, &len, n * DESC_SIZE);
	uint8_t *infos = take(&bytes, &len, n * INFO_SIZE);
	uint8_t *data = take(&bytes, &len, (size_t)1 << size_bits);
	struct log_ring ring = { .layout = &layout,
				 .level = { 19, 5, 3 },
				 .count_bits = count_bits,
				 .size_bits = size_bits,
				 .tail_id = sonde_le64(head + 2),
				 .head_id = sonde_le64(head + 10),
				 .descs = descs,
				 .infos = infos,
				 .data = data };

	if (log_parse_ring(&ring, list, &lost) == 0 && list->n + lost > n)
		abort();
	free(descs);
	free(infos);
	free(data);
}

static void buffer(const uint8_t *head, const uint8_t *bytes, size_t len, struct sonde_log *list)
{
	uint8_t *data = take(&bytes, &len, len ? len : 1);
	struct log_buffer log = { .layout = &layout,
				  .level = { 15, 5, 3 },
				  .bytes = data,
				  .len = (uint32_t)(bytes - (head + HEAD)),
				  .first = sonde_le32(head + 2),
				  .next = sonde_le32(head + 6) };
	uint32_t lost;

	log_parse_buffer(&log, list, &lost);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct sonde_log list = { 0 };

	if (len < HEAD)
		return 0;
	if (bytes[0] & 0x80)
		buffer(bytes, bytes + HEAD, len - HEAD, &list);
	else
		ring(bytes, bytes + HEAD, len - HEAD, &list);
	check(&list);
	arena_finish(&list.arena);
	free(list.items);
	return 0;
}

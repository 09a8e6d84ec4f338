/* SPDX-License-Identifier: MIT */
#include "code.h"

#include <sonde/types.h>
#include <string.h>

const struct probe_arch *probe_arch(uint32_t arch)
{
	const struct probe_arch *all[] = { &probe_x86_64, &probe_arm64 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->arch == arch)
			return all[i];
	}
	return NULL;
}

static const char mark[] = "sonde trace";

void probe_ring_begin(uint8_t ring[PROBE_RING_LEN])
{
	memset(ring, 0, PROBE_RING_LEN);
	memcpy(ring + PROBE_MARK_AT, mark, sizeof(mark));
}

bool probe_ring_is_there(const uint8_t head[PROBE_BUSY_AT])
{
	return memcmp(head + PROBE_MARK_AT, mark, sizeof(mark)) == 0;
}

bool probe_record(const uint8_t *ring, uint32_t number, struct probe_record *ret)
{
	const uint8_t *at =
		ring + PROBE_HEAD_LEN + (size_t)((number - 1) % PROBE_RECORDS) * PROBE_RECORD_LEN;

	*ret = (struct probe_record){
		.number = sonde_le32(at + RECORD_NUMBER),
		.cpu = sonde_le32(at + RECORD_CPU),
		.returns_to = sonde_le64(at + RECORD_RETURN),
		.task = sonde_le64(at + RECORD_TASK),
		.clock = sonde_le64(at + RECORD_CLOCK),
		.text_len = (int32_t)sonde_le32(at + RECORD_TEXT_LEN),
	};
	memcpy(ret->text, at + RECORD_TEXT, sizeof(ret->text));
	for (size_t i = 0; i < PROBE_ARGUMENTS; i++)
		ret->arguments[i] = sonde_le64(at + RECORD_ARGUMENTS + 8 * i);
	return ret->number == number;
}

/* SPDX-License-Identifier: MIT */
#include "probes.h"

#include <string.h>

/* How many calls there were. */
static int read_head(struct probes_reader *reader, uint32_t *ret)
{
	sonde_space_invalidate(reader->memory);
	return sonde_space_u32(reader->memory, reader->state->ring_pa, ret);
}

/* Of what came while it was read some may lie where the oldest were. */
static void skip_overwritten(struct probes_reader *reader, uint32_t after)
{
	if (after - reader->next <= PROBE_RECORDS)
		return;
	uint32_t n = after - PROBE_RECORDS - reader->next, n_seen = reader->seen - reader->next;
	n = n < n_seen ? n : n_seen;
	reader->n_lost += n;
	reader->next += n;
}

static int fetch(struct probes_reader *reader)
{
	struct sonde_xfer piece = { .addr = reader->state->ring_pa,
				    .buf = reader->ring,
				    .len = PROBE_RING_LEN };
	uint32_t after;
	int r = read_head(reader, &reader->seen);

	if (r < 0 || reader->seen == reader->next)
		return r;
	if (sonde_space_read(reader->memory, &piece, 1) != 1)
		return piece.err;
	r = read_head(reader, &after);
	if (r == 0)
		skip_overwritten(reader, after);
	return r;
}

/* Whatever a guest's clock says, it fits. */
static uint64_t ns_of(uint64_t ticks, uint32_t khz)
{
	const double most = 1e18;
	double ns = (double)(int64_t)ticks * 1e6 / khz;

	return (uint64_t)(int64_t)(ns > most ? most : ns < -most ? -most : ns);
}

/* When a call was made: their clock tells what lies between two. Never in the future, and never before the last one. */
static uint64_t time_of(struct probes_reader *reader, uint64_t clock)
{
	uint64_t now = sonde_now_ns(), ns = now;
	uint32_t told = sonde_le32(reader->ring + PROBE_HZ_AT) / 1000;
	uint32_t khz = reader->state->khz ? reader->state->khz : told;

	if (reader->clock_ns && khz)
		ns = reader->clock_ns + ns_of(clock - reader->clock, khz);
	if (!reader->clock_ns || ns > now) {
		reader->clock = clock;
		reader->clock_ns = ns = now;
	}
	reader->last_ns = ns > reader->last_ns ? ns : reader->last_ns;
	return reader->last_ns;
}

static int as_call(struct probes_reader *reader, const struct probe_record *record,
		   struct probes_call *ret)
{
	const struct probes_state *state = reader->state;
	uint32_t i = 0;

	while (i < state->n && state->calls[i].returns_to != record->returns_to)
		i++;
	if (i == state->n)
		return SONDE_E_CORRUPT;
	ret->event = (struct sonde_event){
		.kind = SONDE_EVENT_BREAK,
		.cpu = record->cpu,
		.addr = state->calls[i].function,
		.time_ns = time_of(reader, record->clock),
		.task = record->task,
		.registers = { .arch = state->arch->arch,
			       .valid = SONDE_CPU_GENERAL,
			       .pc = state->calls[i].function },
	};
	for (i = 0; i < PROBE_ARGUMENTS; i++)
		ret->event.registers.general[state->arch->general[i]] = record->arguments[i];
	ret->text_len = record->text_len <= PROBE_TEXT_MAX ? record->text_len : 0;
	memcpy(ret->text, record->text, sizeof(ret->text));
	return 1;
}

int probes_next(struct probes_reader *reader, struct probes_call *ret)
{
	struct probe_record record;
	int r = reader->next == reader->seen ? fetch(reader) : 0;

	if (r < 0 || reader->next == reader->seen)
		return r;
	if (!probe_record(reader->ring, reader->next + 1, &record)) {
		reader->seen = reader->next; /* it is being written: look again */
		return 0;
	}
	reader->next++;
	return as_call(reader, &record, ret);
}

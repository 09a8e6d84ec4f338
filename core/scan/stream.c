/* SPDX-License-Identifier: MIT */
/*
 * A place is looked at once as many bytes as the longest pattern has follow it, so that all patterns go in step. The
 * last ones of a part are held until the next comes.
 */
#include "scan/stream.h"

#include <string.h>

#include "base/guard.h"

/* A search, or a copy, that may meet the end of a truncated file. */
static bool find_guarded(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
			 struct found *found)
{
	struct guard guard;
	volatile bool whole = false;

	if (!GUARD_ENTER(&guard)) {
		find_some(find, bytes, n, addr, found);
		whole = true;
	}
	guard_leave(&guard);
	return whole;
}

static bool copy_guarded(uint8_t *to, const uint8_t *from, size_t len)
{
	struct guard guard;
	volatile bool whole = false;

	if (!GUARD_ENTER(&guard)) {
		memcpy(to, from, len);
		whole = true;
	}
	guard_leave(&guard);
	return whole;
}

/* n places of len bytes are looked at. */
struct part {
	const uint8_t *bytes;
	size_t n, len;
	uint64_t addr;
	bool guarded;
};

/* How many places of a part a pattern may begin at. */
static size_t places(const struct find *find, const struct part *part)
{
	size_t n = part->len < find->len ? 0 : part->len - find->len + 1;

	return n < part->n ? n : part->n;
}

/* See to it that the next place of a pattern stands in found, where there is one. false: a fault. */
static bool look(struct stream *stream, size_t pattern, const struct part *part)
{
	const struct find *find = &stream->finds[pattern];
	struct found *found = &stream->found[pattern];
	size_t n = places(find, part);

	if (found->first < found->n || found->from >= n)
		return true;
	if (part->guarded)
		return find_guarded(find, part->bytes, n, part->addr, found);
	find_some(find, part->bytes, n, part->addr, found);
	return true;
}

/* Tell what was found. */
static int flush_out(struct stream *stream)
{
	uint32_t n = stream->n_out;

	stream->n_out = 0;
	if (n == 0)
		return 0;
	stream->told = true;
	stream->tell = stream->out[n - 1];
	return stream->hits(stream->user, stream->out, n);
}

static bool was_told(const struct stream *stream, uint64_t addr, size_t pattern)
{
	const struct sonde_scan_hit *tell = &stream->tell;

	return stream->told &&
	       (addr < tell->addr || (addr == tell->addr && pattern <= tell->pattern));
}

/* There is room for it. */
static inline void put_out(struct stream *stream, uint64_t addr, size_t pattern)
{
	if (addr > stream->last || (stream->again && was_told(stream, addr, pattern)))
		return;
	stream->out[stream->n_out++] =
		(struct sonde_scan_hit){ .addr = addr, .pattern = (uint32_t)pattern };
}

static size_t next_of(const struct found *found)
{
	return found->first < found->n ? found->at[found->first] : SIZE_MAX;
}

/* The pattern whose next place is the lowest. */
static size_t lowest(const struct stream *stream)
{
	size_t best = 0;

	for (size_t i = 1; i < stream->n; i++) {
		if (next_of(&stream->found[i]) < next_of(&stream->found[best]))
			best = i;
	}
	return best;
}

static void begin(struct found *found)
{
	found->n = found->first = 0;
	found->from = 0;
}

/* All that was found of the one pattern, for which there is room. */
static void put_all_out(struct stream *stream, const struct found *found, uint64_t addr)
{
	/* Most are this part's own, and the first time. */
	if (stream->again || addr + found->at[found->n - 1] > stream->last) {
		for (uint32_t i = 0; i < found->n; i++)
			put_out(stream, addr + found->at[i], 0);
		return;
	}
	for (uint32_t i = 0; i < found->n; i++)
		stream->out[i] = (struct sonde_scan_hit){ .addr = addr + found->at[i] };
	stream->n_out = found->n;
}

/* Of one pattern there is nothing to put in order. */
static int search_one(struct stream *stream, const struct part *part)
{
	struct found *found = &stream->found[0];
	int r;

	begin(found);
	do {
		found->n = 0;
		if (!look(stream, 0, part))
			return STREAM_FAULT;
		if (found->n)
			put_all_out(stream, found, part->addr);
		r = flush_out(stream);
	} while (r == 0 && found->n);
	return r;
}

static int search_all(struct stream *stream, const struct part *part)
{
	int r = 0;

	for (size_t i = 0; i < stream->n; i++) {
		begin(&stream->found[i]);
		if (!look(stream, i, part))
			return STREAM_FAULT;
	}
	while (r == 0) {
		size_t i = lowest(stream), at = next_of(&stream->found[i]);
		if (at == SIZE_MAX)
			return flush_out(stream);
		put_out(stream, part->addr + at, i);
		if (stream->n_out == FOUND_MAX)
			r = flush_out(stream);
		stream->found[i].first++;
		if (!look(stream, i, part))
			return STREAM_FAULT;
	}
	return r;
}

static int search(struct stream *stream, const struct part *part)
{
	return stream->n == 1 ? search_one(stream, part) : search_all(stream, part);
}

/* How many places have all they need behind them. */
static size_t complete(const struct stream *stream, size_t len)
{
	return len < stream->longest ? 0 : len - stream->longest + 1;
}

/* Places that are held, with the beginning of what comes behind them. */
static int search_held(struct stream *stream, const uint8_t *bytes, size_t len, bool guarded)
{
	size_t n = len < stream->longest - 1 ? len : stream->longest - 1;
	struct part part = { .bytes = stream->held,
			     .len = stream->n_held + n,
			     .addr = stream->held_addr };

	if (!guarded)
		memcpy(stream->held + stream->n_held, bytes, n);
	else if (!copy_guarded(stream->held + stream->n_held, bytes, n))
		return STREAM_FAULT;
	part.n = complete(stream, part.len);
	if (part.n > stream->n_held)
		part.n = stream->n_held;
	int r = search(stream, &part);
	/* All of a short part is held with it. */
	uint32_t n_held = part.n < stream->n_held ? (uint32_t)(part.len - part.n) : 0;
	memmove(stream->held, stream->held + part.n, n_held);
	stream->held_addr += part.n;
	stream->n_held = n_held;
	return r;
}

static int hold_end(struct stream *stream, const struct part *part)
{
	size_t n = part->len - part->n;

	if (n && !part->guarded)
		memcpy(stream->held, part->bytes + part->n, n);
	else if (n && !copy_guarded(stream->held, part->bytes + part->n, n))
		return STREAM_FAULT;
	stream->held_addr = part->addr + part->n;
	stream->n_held = (uint32_t)n;
	return 0;
}

int stream_feed(struct stream *stream, const uint8_t *bytes, size_t len, uint64_t addr,
		bool guarded)
{
	struct part part = { bytes, complete(stream, len), len, addr, guarded };
	int r = 0;

	if (stream->n_held && stream->held_addr + stream->n_held != addr)
		r = stream_flush(stream);
	if (r == 0 && stream->n_held) {
		r = search_held(stream, bytes, len, guarded);
		if (stream->n_held)
			return r;
	}
	if (r == 0)
		r = search(stream, &part);
	return r == 0 ? hold_end(stream, &part) : r;
}

int stream_flush(struct stream *stream)
{
	struct part part = { stream->held, stream->n_held, stream->n_held, stream->held_addr,
			     false };

	stream->n_held = 0;
	return search(stream, &part);
}

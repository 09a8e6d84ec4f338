/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log from its bytes.
 *
 * The ring of v5.10 and later has three arrays: descriptors (state and place of the text), infos
 * (time, level, ...) at the same index, and the texts. Positions in the texts and the ids of
 * descriptors only ever rise; their low bits are the index. A text never wraps: one that would not
 * fit before the end lies at the start, and its next position says so. In front of each stands the
 * id of its descriptor.
 *
 * Source: linux v5.10 and v6.12 kernel/printk/printk_ringbuffer.{c,h}, v6.1
 * kernel/printk/internal.h; v5.4 kernel/printk/printk.c (struct printk_log).
 */
#include <string.h>

#include "linux/log.h"
#include "linux/rows.h"

#define ID_SIZE 8u
#define STATE_SHIFT 62 /* DESC_FLAGS_SHIFT on 64-bit               */
#define ID_MASK (~(UINT64_C(3) << STATE_SHIFT))
#define DATALESS 1u            /* LPOS_DATALESS                             */
#define NO_TEXT 3u             /* NO_LPOS, EMPTY_LINE_LPOS: an empty line   */
#define RECORDS_MAX (1u << 20) /* of the old buffer                    */

/* enum desc_state */
enum { RESERVED, COMMITTED, FINALIZED, REUSABLE };

static uint64_t load(const uint8_t *bytes, struct field field)
{
	const uint8_t *at = bytes + field.off;

	return field.size == 8   ? sonde_le64(at)
	       : field.size == 4 ? sonde_le32(at)
	       : field.size == 2 ? sonde_le16(at)
				 : *at;
}

static uint32_t load_bits(const uint8_t *bytes, struct bits bits)
{
	return bits.count ? bytes[bits.byte] >> bits.shift & ((1u << bits.count) - 1) : 0;
}

/* Where a text lies; *ret_len is what room the ring has for it. Returns NULL when it has none. */
static const uint8_t *find_text(const struct log_ring *ring, uint64_t id, uint64_t begin,
				uint64_t next, uint64_t *ret_len)
{
	uint64_t size = UINT64_C(1) << ring->size_bits, mask = size - 1, at = begin & mask, len;

	if (begin & DATALESS || next & DATALESS) {
		*ret_len = 0;
		return begin == NO_TEXT && next == NO_TEXT ? ring->data : NULL;
	}
	/* Behind the last byte is still the same lap: newer kernels fill the ring to its end. */
	if (begin < next && begin >> ring->size_bits == (next - 1) >> ring->size_bits) {
		len = next - begin;
	} else if ((begin + size) >> ring->size_bits == next >> ring->size_bits) {
		at = 0;
		len = next & mask;
	} else {
		return NULL;
	}
	/* A block is aligned, has an id, and ends inside the ring; the id is overwritten with the
	 * block. */
	if (at % ID_SIZE || len < ID_SIZE || len > size - at ||
	    (sonde_le64(ring->data + at) & ID_MASK) != id)
		return NULL;
	*ret_len = len - ID_SIZE;
	return ring->data + at + ID_SIZE;
}

static int add_record(struct sonde_log *list, const uint8_t *text, uint64_t len,
		      const struct sonde_log_record *head)
{
	struct sonde_log_record *record = log_add(list);

	if (!record)
		return SONDE_E_NO_MEMORY;
	*record = *head;
	record->text_len = (uint32_t)len;
	record->text = arena_strndup(&list->arena, (const char *)text, len);
	return record->text ? SONDE_OK : SONDE_E_NO_MEMORY;
}

/* One descriptor. Returns 1 for a record, 0 for none, CORRUPT (its text is not there), NO_MEMORY. */
static int take_desc(const struct log_ring *ring, uint64_t id, struct sonde_log *list)
{
	const struct layout *l = ring->layout;
	uint64_t index = id & ((UINT64_C(1) << ring->count_bits) - 1), room;
	const uint8_t *desc = ring->descs + index * l->desc_size;
	const uint8_t *info = ring->infos + index * l->info_size;
	uint64_t state = load(desc, l->desc_state);
	const uint8_t *lpos = desc + l->desc_lpos.off;

	/* A committed record may still grow: in a kernel that has died it is the last word. */
	if ((state & ID_MASK) != id ||
	    (state >> STATE_SHIFT != FINALIZED && state >> STATE_SHIFT != COMMITTED))
		return 0;
	uint64_t begin = sonde_le64(lpos), next = sonde_le64(lpos + 8);
	const uint8_t *text = find_text(ring, id, begin, next, &room);
	if (!text) /* the kernel had no room for it, or somebody lies */
		return begin & DATALESS && next & DATALESS ? 0 : SONDE_E_CORRUPT;
	uint64_t len = load(info, l->info_text_len);
	struct sonde_log_record head = {
		.seq = load(info, l->info_seq),
		.time_ns = load(info, l->info_ts),
		.level = load_bits(info, ring->level),
		.facility = (uint32_t)load(info, l->info_facility),
		.caller = has(l->info_caller) ? (uint32_t)load(info, l->info_caller) : 0,
	};
	int r = add_record(list, text, len < room ? len : room, &head);
	return r < 0 ? r : 1;
}

static bool fits(struct field field, uint32_t size, uint32_t least)
{
	return field.size >= least && field.off <= size && field.size <= size - field.off;
}

static bool ring_layout_fits(const struct layout *l)
{
	return fits(l->desc_state, l->desc_size, 8) && fits(l->desc_lpos, l->desc_size, 16) &&
	       fits(l->info_seq, l->info_size, 8) && fits(l->info_ts, l->info_size, 8) &&
	       fits(l->info_text_len, l->info_size, 2) && fits(l->info_facility, l->info_size, 1) &&
	       (!has(l->info_caller) || fits(l->info_caller, l->info_size, 4));
}

static bool bits_fit(struct bits bits, uint32_t size)
{
	return !bits.count || (bits.byte < size && bits.shift + bits.count <= 8);
}

int log_parse_ring(const struct log_ring *ring, struct sonde_log *list, uint32_t *ret_lost)
{
	uint64_t n = UINT64_C(1) << ring->count_bits;
	uint64_t head = ring->head_id & ID_MASK, tail = ring->tail_id & ID_MASK;

	*ret_lost = 0;
	if (!ring_layout_fits(ring->layout) || !bits_fit(ring->level, ring->layout->info_size))
		return SONDE_E_NO_TYPES;
	/* Ids wrap at 2^62, so only their distance means something. */
	if (((head - tail) & ID_MASK) >= n)
		return SONDE_E_CORRUPT;
	for (uint64_t id = tail;; id = (id + 1) & ID_MASK) {
		int r = take_desc(ring, id, list);
		if (r == SONDE_E_NO_MEMORY)
			return r;
		*ret_lost += r < 0;
		if (id == head)
			return SONDE_OK;
	}
}

static bool record_layout_fits(const struct layout *l)
{
	uint32_t size = l->log_record_size;

	return fits(l->record_ts, size, 8) && fits(l->record_len, size, 2) &&
	       fits(l->record_text_len, size, 2) && fits(l->record_facility, size, 1) &&
	       (!has(l->record_caller) || fits(l->record_caller, size, 4));
}

int log_parse_buffer(const struct log_buffer *log, struct sonde_log *list, uint32_t *ret_lost)
{
	const struct layout *l = log->layout;
	uint32_t at = log->first, size = l->log_record_size;
	bool wrapped = false;

	*ret_lost = 0;
	if (!record_layout_fits(l) || !bits_fit(log->level, size))
		return SONDE_E_NO_TYPES;
	for (uint32_t i = 0; at != log->next && i < RECORDS_MAX; i++) {
		bool room = at <= log->len && size <= log->len - at;
		uint64_t len = room ? load(log->bytes + at, l->record_len) : 0;
		/* A record of length 0, or no room for one: the rest lies at the start. Once only.
		 */
		if (!len && !wrapped && log->next < at) {
			wrapped = true;
			at = 0;
			continue;
		}
		const uint8_t *record = log->bytes + at;
		bool passed = at > log->next && (wrapped || log->first <= log->next);
		if (passed || len < size || len > log->len - at ||
		    load(record, l->record_text_len) > len - size)
			break;
		struct sonde_log_record head = {
			.seq = log->first_seq + list->n,
			.time_ns = load(record, l->record_ts),
			.level = load_bits(record, log->level),
			.facility = (uint32_t)load(record, l->record_facility),
			.caller = has(l->record_caller) ? (uint32_t)load(record, l->record_caller)
							: 0,
		};
		int r = add_record(list, record + size, load(record, l->record_text_len), &head);
		if (r < 0)
			return r;
		at += (uint32_t)len;
	}
	*ret_lost = at != log->next;
	return SONDE_OK;
}

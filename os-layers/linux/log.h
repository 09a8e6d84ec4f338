/* SPDX-License-Identifier: MIT */
/*
 * The two shapes of the kernel's log, as bytes: these functions only interpret what log.c has
 * fetched, so that tests and fuzzers can feed them. Whatever the bytes say, records are added to
 * the list or counted as lost.
 */
#ifndef SONDE_LINUX_LOG_H
#define SONDE_LINUX_LOG_H

#include "common/lists.h"
#include "linux/layout.h"

/* Where `level`, a bit field, lies in a record's header. */
struct bits {
	uint32_t byte, shift, count; /* count 0: this kernel has none */
};

/* Since v5.10: struct printk_ringbuffer. */
struct log_ring {
	const struct layout *layout;
	struct bits level;
	uint32_t count_bits, size_bits; /* of descriptors, of data bytes: powers of two */
	uint64_t head_id, tail_id;
	const uint8_t *descs; /* [1 << count_bits] of layout->desc_size */
	const uint8_t *infos; /* [1 << count_bits] of layout->info_size */
	const uint8_t *data;  /* [1 << size_bits]                       */
};

/*
 * Add the records of the ring, oldest first.
 *
 * Returns   0, *ret_lost telling how many finished records had no text where they say it is;
 * SONDE_E_NO_TYPES where the layout lacks something; SONDE_E_CORRUPT (ids that no ring of this size
 * has); SONDE_E_NO_MEMORY.
 */
int log_parse_ring(const struct log_ring *ring, struct sonde_log *list, uint32_t *ret_lost);

/* Before: struct printk_log records in a buffer, first to next, which wraps. */
struct log_buffer {
	const struct layout *layout;
	struct bits level;
	const uint8_t *bytes; /* [len] */
	uint32_t len, first, next;
	uint64_t first_seq;
};
/* As above; *ret_lost is 1 when the chain of records breaks off. */
int log_parse_buffer(const struct log_buffer *log, struct sonde_log *list, uint32_t *ret_lost);

#endif

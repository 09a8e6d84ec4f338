/* SPDX-License-Identifier: MIT */
#include "chunks.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_AT_ONCE (64u << 10)
#define SEARCH_MAX (256u << 20) /* the next head is not farther away: ranges are of 16 MiB */
#define VARINT_MAX 5u

enum { CHUNK_PACKED = 0x00, CHUNK_PLAIN = 0x01, CHUNK_SKIPPED = 0x80, CHUNK_STREAM = 0xff };

struct reader {
	struct avml_chunks *chunks;
	const struct source *source;
	struct source_scan scan;
	uint64_t at;      /* in the file */
	uint64_t n_heads; /* of chunks, that were looked at */
	const char *why;
};

/* The range that is being read. */
struct range {
	uint64_t addr, left; /* of what no chunk told yet */
	uint64_t body;       /* of its first chunk, in the file */
	size_t first;        /* of its chunks, their index       */
};

int avml_probe(const uint8_t *head, size_t len)
{
	return len >= AVML_HEAD_SIZE && memcmp(head, AVML_MAGIC, 4) == 0;
}

static int add(struct reader *r, const struct avml_chunk *chunk)
{
	struct avml_chunks *chunks = r->chunks;

	if (chunks->n == AVML_CHUNKS_MAX) {
		r->why = "more chunks than are taken";
		return SONDE_E_LIMIT;
	}
	if (chunks->n == chunks->cap) {
		size_t cap = chunks->cap ? chunks->cap * 2 : 1024;
		struct avml_chunk *at = realloc(chunks->at, cap * sizeof(*at));
		if (!at) {
			r->why = "out of memory";
			return SONDE_E_NO_MEMORY;
		}
		chunks->at = at;
		chunks->cap = cap;
	}
	chunks->at[chunks->n++] = *chunk;
	return 0;
}

/* Bytes that came, up to len; a code. */
static int64_t read_some(struct reader *r, uint64_t off, void *buf, size_t len)
{
	source_scan(&r->scan, r->source, off, len);
	int64_t n = off < r->source->size ? r->source->read(r->source->user, off, buf, len) : 0;

	if (n < 0)
		r->why = "cannot be read";
	return n;
}

/* What of the range is left: there are no chunks of it. */
static int lose(struct reader *r, const struct range *range, int16_t err)
{
	r->chunks->n_broken++;
	return add(r, &(struct avml_chunk){
			      .addr = range->addr, .size = range->left, .off = r->at, .err = err });
}

/* ---- one chunk ---------------------------------------------------------------------------------- */

/* What a chunk of snappy says that it makes; 0: nothing that it may say. */
static uint32_t unpacked_size(const uint8_t *at, size_t len)
{
	uint64_t size = 0;

	for (size_t i = 0; i < len && i < VARINT_MAX; i++) {
		size |= (uint64_t)(at[i] & 0x7f) << 7 * i;
		if (!(at[i] & 0x80))
			return size <= AVML_CHUNK_MAX ? (uint32_t)size : 0;
	}
	return 0;
}

/* Writers fill each but the last one of a range. */
static int take_data(struct reader *r, struct range *range, const uint8_t *head, size_t head_len,
		     uint32_t len)
{
	struct avml_chunk chunk = { .addr = range->addr,
				    .off = r->at + AVML_CHUNK_HEAD,
				    .len = len,
				    .plain = head[0] == CHUNK_PLAIN };
	size_t known = head_len - AVML_CHUNK_HEAD < len ? head_len - AVML_CHUNK_HEAD : len;

	if (len >= 4)
		chunk.size = chunk.plain ? len - 4 : unpacked_size(head + 8, known - 4);
	if (chunk.size == 0 || chunk.size > AVML_CHUNK_MAX || chunk.size > range->left ||
	    len > AVML_PACKED_MAX) {
		chunk.size = range->left < AVML_CHUNK_MAX ? range->left : AVML_CHUNK_MAX;
		chunk.err = SONDE_E_CORRUPT;
	}
	range->addr += chunk.size;
	range->left -= chunk.size;
	return add(r, &chunk);
}

/* A range that breaks off is gone through again from its beginning, and so on where the ranges of a hostile file lie in each other. */
static int count_head(struct reader *r)
{
	if (++r->n_heads <= r->source->size / 2)
		return 0;
	r->why = "more heads of chunks than it has room for: its ranges lie in each other";
	return SONDE_E_LIMIT;
}

/* Returns 1: go on; 0: the range breaks off here, and is told to its end; an error. */
static int read_chunk(struct reader *r, struct range *range)
{
	uint8_t head[AVML_CHUNK_HEAD + 4 + VARINT_MAX];
	if (count_head(r) < 0)
		return SONDE_E_LIMIT;
	int64_t n = read_some(r, r->at, head, sizeof(head));

	if (n < 0)
		return (int)n;
	uint32_t len = n < (int64_t)AVML_CHUNK_HEAD ? 0 : sonde_le32(head) >> 8;
	if (n < (int64_t)AVML_CHUNK_HEAD || len > r->source->size - r->at - AVML_CHUNK_HEAD)
		return lose(r, range, SONDE_E_TRUNCATED);
	int result = 0;
	if (head[0] == CHUNK_PACKED || head[0] == CHUNK_PLAIN)
		result = take_data(r, range, head, (size_t)n, len);
	else if (head[0] < CHUNK_SKIPPED ||
		 (head[0] == CHUNK_STREAM && (len != 6 || memcmp(head + 4, "sNaPpY", 6) != 0)))
		return lose(r, range, SONDE_E_CORRUPT);
	r->at += AVML_CHUNK_HEAD + len;
	return result < 0 ? result : 1;
}

/* ---- ranges ------------------------------------------------------------------------------------- */

static int is_head(const uint8_t *head)
{
	return avml_probe(head, AVML_HEAD_SIZE) && sonde_le32(head + 4) == 2;
}

/* Where in these bytes of the file, which stand at off, a head of a range follows the length of chunks from one of both bodies
 * on; len none. */
static size_t find_head(const uint8_t *bytes, size_t len, uint64_t off, const uint64_t bodies[2])
{
	const uint8_t *at = bytes;

	while ((at = memmem(at, (size_t)(bytes + len - at), AVML_MAGIC "\2\0\0", 8))) {
		uint64_t end = off + (uint64_t)(at - bytes) - 8;
		uint64_t said = at - bytes >= 8 ? sonde_le64(at - 8) : 0;
		if (said && (said == end - bodies[0] || said == end - bodies[1]))
			return (size_t)(at - bytes);
		at++;
	}
	return len;
}

/* Go to the next head from r->at on and before end. Returns 1; 0: there is none; an error. */
static int search(struct reader *r, uint64_t end, uint64_t body, uint64_t other_body)
{
	const uint64_t bodies[2] = { body, other_body };
	uint8_t *bytes = malloc(SEARCH_AT_ONCE);
	int result = bytes ? 0 : SONDE_E_NO_MEMORY;

	if (!bytes)
		r->why = "out of memory";
	for (int64_t n = 16; result == 0 && n >= 16 && r->at < end;) {
		n = read_some(r, r->at, bytes, SEARCH_AT_ONCE);
		size_t found = n > 0 ? find_head(bytes, (size_t)n, r->at, bodies) : 0;
		if (n < 0)
			result = (int)n;
		else if (found < (size_t)n)
			result = 1;
		else if (n >= 16)
			found = (size_t)n - 15; /* a head and the length before it may lie across */
		r->at += found;
	}
	free(bytes);
	return result;
}

/* The next range begins at r->at: chunks that were taken from behind there are none, and the last of them is lost. */
static void take_back(struct reader *r, const struct range *range)
{
	struct avml_chunks *chunks = r->chunks;
	uint64_t last = chunks->at[chunks->n - 1].addr + (chunks->at[chunks->n - 1].size - 1);

	while (chunks->n - 1 > range->first && chunks->at[chunks->n - 2].off >= r->at - 8)
		chunks->n--;
	struct avml_chunk *lost = &chunks->at[chunks->n - 1];
	lost->size = last - lost->addr + 1;
	lost->err = SONDE_E_CORRUPT;
}

/* Its last chunk is what was lost: go to the next range, which the chunks before may have run over. */
static int break_off(struct reader *r, const struct range *range)
{
	r->at = range->body;
	int found = search(r, r->at + SEARCH_MAX, range->body, range->body);
	if (found == 1)
		take_back(r, range);
	else
		r->chunks->cut |= r->chunks->at[r->chunks->n - 1].err == SONDE_E_TRUNCATED;
	return found;
}

/* Behind the last chunk their length should stand. Where it does not, a chunk may have run over it. Returns 1; an error. */
static int close_range(struct reader *r, const struct range *range)
{
	uint8_t length[8];
	uint64_t end = r->at;
	int64_t n = read_some(r, end, length, sizeof(length));

	if (n == (int64_t)sizeof(length) && sonde_le64(length) != end - range->body) {
		r->at = range->body;
		int found = search(r, end, range->body, range->body);
		if (found == 1) {
			r->chunks->n_broken++;
			take_back(r, range);
		}
		if (found)
			return found;
	}
	r->at = end + 8;
	return n < 0 ? (int)n : 1;
}

/* All of a range, and to where the next one begins. Returns 1; 0: there is none; an error. */
static int read_range(struct reader *r, struct range *range)
{
	size_t n_broken = r->chunks->n_broken;

	while (range->left && r->chunks->n_broken == n_broken) {
		int result = read_chunk(r, range);
		if (result < 0)
			return result;
	}
	if (r->chunks->n_broken != n_broken)
		return break_off(r, range);
	return close_range(r, range);
}

/* ---- all of them -------------------------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	const struct avml_chunk *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/* Of two that overlap the one told first stays. */
static void order(struct avml_chunks *chunks)
{
	size_t kept = 0;

	for (size_t i = 1; i < chunks->n; i++) {
		if (by_addr(&chunks->at[i - 1], &chunks->at[i]) > 0) {
			qsort(chunks->at, chunks->n, sizeof(*chunks->at), by_addr);
			break;
		}
	}
	for (size_t i = 0; i < chunks->n; i++) {
		struct avml_chunk *last = kept ? &chunks->at[kept - 1] : NULL;
		if (!last || chunks->at[i].addr - last->addr >= last->size)
			chunks->at[kept++] = chunks->at[i];
		else if (chunks->at[i].off < last->off)
			*last = chunks->at[i];
	}
	chunks->n_refused = chunks->n - kept;
	chunks->n = kept;
}

/* What is no head: a broken one, which another follows, or something else. Returns 1: there is one; 0; an error. */
static int pass_over(struct reader *r, uint64_t body)
{
	int found = search(r, r->at + SEARCH_MAX, body, r->at + AVML_HEAD_SIZE);

	r->chunks->n_broken += found == 1;
	r->chunks->trailing |= found == 0;
	return found;
}

/* The next one, from r->at on; *range was the one before. Returns 1; 0: there is none; an error. */
static int read_head(struct reader *r, struct range *range)
{
	for (;;) {
		uint8_t head[AVML_HEAD_SIZE];
		int64_t n = read_some(r, r->at, head, sizeof(head));
		if (n < (int64_t)sizeof(head)) {
			r->chunks->cut |= n > 0;
			return n < 0 ? (int)n : 0;
		}
		uint64_t first = sonde_le64(head + 8), last = sonde_le64(head + 16);
		if (is_head(head) && last >= first && last - first != UINT64_MAX) {
			*range = (struct range){ .addr = first,
						 .left = last - first + 1,
						 .body = r->at + sizeof(head),
						 .first = r->chunks->n };
			return 1;
		}
		int found = pass_over(r, range->body);
		if (found <= 0)
			return found;
	}
}

static int check_first(struct reader *r)
{
	uint8_t head[AVML_HEAD_SIZE];
	int64_t n = read_some(r, 0, head, sizeof(head));

	if (n < 0)
		return (int)n;
	r->why = "ends inside the head of its first range";
	if (n < (int64_t)sizeof(head))
		return SONDE_E_TRUNCATED;
	r->why = "no image of AVML packed: it does not begin with 'AVML'";
	if (!avml_probe(head, sizeof(head)))
		return SONDE_E_BAD_FORMAT;
	r->why = "the head of its first range, at 4: another version than 2";
	return sonde_le32(head + 4) == 2 ? 0 : SONDE_E_UNSUPPORTED;
}

int avml_chunks_read(struct avml_chunks *ret, const struct source *source, const char **ret_why)
{
	struct reader r = { .chunks = ret, .source = source };
	struct range range = { 0 };

	*ret = (struct avml_chunks){ 0 };
	int result = check_first(&r);
	for (int more = result == 0; more == 1;) {
		result = more = read_head(&r, &range);
		if (more != 1)
			break;
		ret->n_ranges++;
		r.at = range.body;
		result = more = read_range(&r, &range);
	}
	if (result == 0 && ret->n_ranges == 0) {
		r.why = "the head of its first range, at 8: its last address lies before its first";
		result = SONDE_E_BAD_FORMAT;
	}
	if (result < 0) {
		*ret_why = r.why;
		return result;
	}
	order(ret);
	return 0;
}

void avml_chunks_finish(struct avml_chunks *chunks)
{
	free(chunks->at);
	*chunks = (struct avml_chunks){ 0 };
}

size_t avml_chunks_find(const struct avml_chunks *chunks, uint64_t addr)
{
	size_t low = 0, high = chunks->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct avml_chunk *chunk = &chunks->at[mid];
		if (chunk->addr <= addr && addr - chunk->addr >= chunk->size)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

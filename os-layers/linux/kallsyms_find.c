/* SPDX-License-Identifier: MIT */
/*
 * Where are the kallsyms tables in a copy of the kernel's image, when nobody tells?
 *
 * One of them has a shape that nothing else has: the token table, 256 strings one after another,
 * where each character that occurs in symbols stands at its own code, so '0' .. '9' follow one
 * another; right behind it, token_index holds the offset of each. From there the others are found
 * by what they must be like, and each is checked against the others:
 *
 *	until v6.3   addresses  relative_base  num_syms  names  markers  [seqs]
 *	             token_table  token_index
 *	since v6.4   num_syms  names  markers  token_table  token_index
 *	             addresses  [relative_base]  seqs
 *
 * Every table is aligned to a word. Source: scripts/kallsyms.c (write_src) of v5.10, v6.1, v6.2,
 * v6.4, v6.12.
 */
#include "linux/kallsyms_internal.h"

#include <sonde/types.h>
#include <string.h>

#define MIN_MARKERS ((KALLSYMS_MIN_SYMBOLS + KALLSYMS_BLOCK - 1) / KALLSYMS_BLOCK)
#define MIN_BLOCK_SIZE (2 * KALLSYMS_BLOCK) /* no row is shorter than 2 bytes  */
#define MAX_BLOCK_SIZE (KALLSYMS_ROW_MAX * KALLSYMS_BLOCK)
#define MAX_SEQS_SIZE (4u * KALLSYMS_MAX_SYMBOLS) /* between markers and token table */
#define MAX_CANDIDATES 64u                        /* token tables looked at          */
#define MAX_STEPS (32u << 20)                     /* rows and words tried in all     */

struct image {
	const uint8_t *buf;
	size_t len;
	uint64_t va;
	uint32_t word_size;
	uint64_t steps; /* left of MAX_STEPS: memory may be made to look right everywhere */
};

struct found {
	size_t token_table, token_index; /* offsets in the image       */
	size_t markers, n_markers;       /* n_markers: at most so many */
	size_t names, names_len, num_syms;
};

static size_t align_up(size_t value, size_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* --- the token table ------------------------------------------------------------------------ */

/*
 * The next place from off on where "0\0" .. "9\0" stand, len when none. Of those 20 bytes one
 * aligned word of 8 is always whole and holds digits in every second byte, which is two tests per
 * word of memory: 30 MB take 3 ms.
 */
static size_t next_digits(const struct image *image, size_t off)
{
	static const char digits[20] = "0\0"
				       "1\0"
				       "2\0"
				       "3\0"
				       "4\0"
				       "5\0"
				       "6\0"
				       "7\0"
				       "8\0"
				       "9";

	for (size_t at = off & ~(size_t)7; at + 8 <= image->len; at += 8) {
		uint64_t word = sonde_le64(image->buf + at);
		if ((word & 0xfff0fff0fff0fff0) != 0x0030003000300030 &&
		    (word & 0xf0fff0fff0fff0ff) != 0x3000300030003000)
			continue;
		for (size_t start = at > 8 ? at - 7 : 0; start <= at; start++) {
			if (start >= off && image->len - start >= sizeof(digits) &&
			    memcmp(image->buf + start, digits, sizeof(digits)) == 0)
				return start;
		}
	}
	return image->len;
}

/*
 * Offsets of tokens from..to-1, the first being at `at`. Returns the offset behind the last, 0
 * when they do not end.
 */
static size_t walk_tokens(const struct image *image, size_t at, unsigned from, unsigned to,
			  size_t *offsets)
{
	for (unsigned i = from; i < to; i++) {
		size_t room = image->len - at;
		size_t max = room < KALLSYMS_NAME_LEN ? room : KALLSYMS_NAME_LEN;
		const uint8_t *end = memchr(image->buf + at, '\0', max);
		if (!end)
			return 0;
		offsets[i] = at;
		at = (size_t)(end - image->buf) + 1;
	}
	return at;
}

static int index_agrees(const struct image *image, size_t index, size_t table,
			const size_t *offsets)
{
	for (unsigned i = 0; i < KALLSYMS_TOKENS; i++) {
		if (offsets[i] - table != sonde_le16(image->buf + index + 2 * i))
			return 0;
	}
	return 1;
}

/* The digits' place is known; the index says how far before it the table begins. */
static int check_token_table(const struct image *image, size_t digits, struct found *ret)
{
	size_t offsets[KALLSYMS_TOKENS];
	size_t end = walk_tokens(image, digits, '0', KALLSYMS_TOKENS, offsets);

	if (!end)
		return 0;
	for (unsigned c = 'a'; c <= 'z'; c++) {
		const uint8_t *token = image->buf + offsets[c];
		if (token[0] != c || token[1])
			return 0;
	}
	size_t index = align_up(end, image->word_size);
	if (index > image->len || image->len - index < KALLSYMS_INDEX_SIZE)
		return 0;
	size_t before = sonde_le16(image->buf + index + 2 * '0');
	if (before > digits)
		return 0;
	size_t table = digits - before;
	if (walk_tokens(image, table, 0, '0', offsets) != digits ||
	    !index_agrees(image, index, table, offsets))
		return 0;
	ret->token_table = table;
	ret->token_index = index;
	return 1;
}

/* --- markers and names ---------------------------------------------------------------------- */

static uint32_t marker(const struct image *image, size_t markers, size_t i)
{
	return sonde_le32(image->buf + markers + 4 * i);
}

/* How many markers may stand here: 0, then steps as blocks of names make them. */
static size_t count_markers(const struct image *image, size_t at, size_t end)
{
	size_t n = 1;

	if (end - at < 4 || marker(image, at, 0) != 0)
		return 0;
	while (n < (end - at) / 4) {
		uint64_t step = (uint64_t)marker(image, at, n) - marker(image, at, n - 1);
		if (step < MIN_BLOCK_SIZE || step > MAX_BLOCK_SIZE)
			break;
		n++;
	}
	return n;
}

/* Walk all names from off on; they must agree with the markers and end where these begin. */
static int names_agree(struct image *image, const struct found *f, size_t names, uint32_t n,
		       size_t *ret_len)
{
	const uint8_t *base = image->buf + names;
	size_t len = f->markers - names, off = 0, first, count;

	for (uint32_t i = 0; i < n; i++) {
		if (i % KALLSYMS_BLOCK == 0 && marker(image, f->markers, i / KALLSYMS_BLOCK) != off)
			return 0;
		off = kallsyms_row(base, len, off, &first, &count);
		if (!off || !image->steps)
			return 0;
		image->steps--;
	}
	*ret_len = off;
	return align_up(names + off, image->word_size) == f->markers;
}

/*
 * Names begin one word behind num_syms and end at the markers; only the last block's length is
 * open. So try every word in that block's reach that could be num_syms.
 */
static int find_names(struct image *image, struct found *f, uint32_t *ret_n)
{
	uint32_t word = image->word_size;
	size_t lowest = marker(image, f->markers, MIN_MARKERS - 1);
	size_t last = marker(image, f->markers, f->n_markers - 1);
	size_t highest = last + MAX_BLOCK_SIZE + word;

	for (size_t len = align_up(lowest, word);
	     len <= highest && len + word <= f->markers && image->steps; len += word) {
		image->steps--;
		size_t names = f->markers - len;
		uint32_t n = sonde_le32(image->buf + names - word);
		if (n < KALLSYMS_MIN_SYMBOLS || n > KALLSYMS_MAX_SYMBOLS ||
		    (n - 1) / KALLSYMS_BLOCK >= f->n_markers ||
		    !names_agree(image, f, names, n, &f->names_len))
			continue;
		f->names = names;
		f->num_syms = names - word;
		*ret_n = n;
		return 1;
	}
	return 0;
}

/*
 * Markers lie before the token table, directly or with a table of sequence numbers between (v6.2,
 * v6.3).
 */
static int find_markers_and_names(struct image *image, struct found *f, uint32_t *ret_n)
{
	size_t end = f->token_table;
	size_t first = end & ~(size_t)3;
	size_t lowest = first > MAX_SEQS_SIZE ? first - MAX_SEQS_SIZE : 0;

	for (size_t at = first; at >= lowest + 4;) {
		at -= 4;
		f->n_markers = count_markers(image, at, end);
		f->markers = at;
		if (f->n_markers >= MIN_MARKERS && at % image->word_size == 0 &&
		    find_names(image, f, ret_n))
			return 1;
	}
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------ */

static uint64_t word_at(const struct image *image, size_t off)
{
	return image->word_size == 8 ? sonde_le64(image->buf + off) : sonde_le32(image->buf + off);
}

/* The address table is [off, off + n * size): set it when that is in the image. */
static int place_addresses(const struct image *image, struct kallsyms_tables *t, size_t off,
			   size_t size)
{
	size_t bytes = (size_t)t->n * size;

	if (off > image->len || bytes > image->len - off)
		return 0;
	t->addresses = image->buf + off;
	t->addresses_len = bytes;
	t->addresses_va = image->va + off;
	return 1;
}

static int addresses_before(const struct image *image, const struct found *f,
			    struct kallsyms_tables *t)
{
	size_t word = image->word_size;
	size_t offsets_size = align_up((size_t)t->n * 4, word), absolute_size = (size_t)t->n * word;

	if (f->num_syms >= word + offsets_size) {
		size_t base = f->num_syms - word;
		t->relative_base = word_at(image, base);
		if (place_addresses(image, t, base - offsets_size, 4) && kallsyms_settle_base(t))
			return 1;
	}
	t->relative_base = 0;
	return f->num_syms >= absolute_size &&
	       place_addresses(image, t, f->num_syms - absolute_size, word) &&
	       kallsyms_settle_form(t, KALLSYMS_ABSOLUTE);
}

static int addresses_after(const struct image *image, const struct found *f,
			   struct kallsyms_tables *t)
{
	size_t word = image->word_size;
	size_t at = align_up(f->token_index + KALLSYMS_INDEX_SIZE, word);

	t->relative_base = 0;
	if (!place_addresses(image, t, at, 4))
		return 0;
	size_t base = align_up(at + (size_t)t->n * 4, word);
	if (base <= image->len && word <= image->len - base) {
		t->relative_base = word_at(image, base);
		if (kallsyms_settle_base(t))
			return 1;
	}
	t->relative_base = 0;
	if (kallsyms_settle_form(t, KALLSYMS_SELF_RELATIVE))
		return 1;
	return place_addresses(image, t, at, word) && kallsyms_settle_form(t, KALLSYMS_ABSOLUTE);
}

/* --- all together --------------------------------------------------------------------------- */

/* What was still missing at the candidate that came furthest, for the message. */
enum progress { NO_TOKEN_TABLE, NO_MARKERS, NO_ADDRESSES, COMPLETE };

static enum progress try_candidate(struct image *image, size_t digits, struct kallsyms_tables *ret)
{
	struct found f = { 0 };
	struct kallsyms_tables t = { .word_size = image->word_size };

	if (!check_token_table(image, digits, &f))
		return NO_TOKEN_TABLE;
	if (!find_markers_and_names(image, &f, &t.n))
		return NO_MARKERS;
	t.names = image->buf + f.names;
	t.names_len = f.names_len;
	t.token_table = image->buf + f.token_table;
	t.token_table_len = f.token_index - f.token_table;
	t.token_index = image->buf + f.token_index;
	if (!addresses_after(image, &f, &t) && !addresses_before(image, &f, &t))
		return NO_ADDRESSES;
	*ret = t;
	return COMPLETE;
}

int kallsyms_find(const uint8_t *buf, size_t len, uint64_t va, uint32_t word_size,
		  struct kallsyms_tables *ret, struct sonde_error *err)
{
	struct image image = { buf, len, va, word_size, MAX_STEPS };
	enum progress best = NO_TOKEN_TABLE;
	size_t best_at = 0, off = 0;

	if ((word_size != 4 && word_size != 8) || va % word_size)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "kallsyms: words of %u bytes at 0x%llx", word_size,
				       (unsigned long long)va);
	for (unsigned tries = 0; tries < MAX_CANDIDATES; tries++) {
		size_t digits = next_digits(&image, off);
		if (digits >= len)
			break;
		enum progress got = try_candidate(&image, digits, ret);
		if (got == COMPLETE)
			return 0;
		if (got > best) {
			best = got;
			best_at = digits;
		}
		off = digits + 1;
	}
	if (best == NO_TOKEN_TABLE)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "kallsyms: no token table in %zu bytes from 0x%llx", len,
				       (unsigned long long)va);
	return sonde_error_set(err, SONDE_E_CORRUPT,
			       "kallsyms: token table at 0x%llx: no %s fit it",
			       (unsigned long long)(va + best_at),
			       best == NO_MARKERS ? "markers and names" : "addresses");
}

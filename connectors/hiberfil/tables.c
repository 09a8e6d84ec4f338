/* SPDX-License-Identifier: MIT */
/*
 * Windows 7: tables of ranges, a page each, and behind each table the pages of its ranges in Xpress blocks, one behind the other
 * (Hibr2Bin PO_MEMORY_RANGE_ARRAY64_NT61; Volatility 2.6 hibernate.py; libhibr's documentation).
 *
 *	table   the page in the file where the next one is (a word); how many ranges (32 bits; padded to two words); the ranges, of a
 *	        first page and the one behind the last, a word each. A table that is not full is the last one.
 *	block   "\x81\x81xpress"; bits 0 to 9 pages less one, above them bytes packed less one (32 bits); zeros up to 32 bytes; what is
 *	        packed, and as it is where it has as many bytes as the pages; its length is rounded up to eight bytes
 */
#include "../common/pack.h"
#include "index.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <string.h>

#define MAGIC "\x81\x81xpress"
enum { BLOCK_HEAD = 32, MAGIC_LEN = 8 };
#define PAGES_MAX (UINT64_C(1) << 52)

/* The ranges of one table, as the blocks use them up. */
struct ranges {
	uint8_t table[HIBER_PAGE];
	uint32_t n, i;       /* i: the one that is next              */
	uint64_t page, left; /* of it: the next page, and pages left */
};

static void next_range(const struct hiber_file *file, struct ranges *ranges)
{
	uint32_t word = file->layout->word;

	while (!ranges->left && ranges->i < ranges->n) {
		const uint8_t *range = ranges->table + (size_t)(ranges->i++ + 1) * 2 * word;
		uint64_t first = hiber_word(file, range), end = hiber_word(file, range + word);
		if (end <= first || end > PAGES_MAX)
			continue;
		ranges->page = first;
		ranges->left = end - first;
	}
}

/* The block's pages, as many as the table has left. */
static int add_runs(struct hiber_file *file, struct ranges *ranges, uint32_t n)
{
	int r = 0;

	for (uint32_t first = 0; r == 0 && first < n && ranges->left;) {
		uint32_t pages = ranges->left < n - first ? (uint32_t)ranges->left : n - first;
		r = hiber_add_run(file, ranges->page, first, pages);
		first += pages;
		ranges->page += pages;
		ranges->left -= pages;
		next_range(file, ranges);
	}
	return r;
}

/* The block at *at, which moves behind it. Returns 1; 0: there is none that is sound; an error. */
static int take_block(struct hiber_file *file, struct ranges *ranges, uint64_t *at)
{
	uint8_t head[BLOCK_HEAD];
	int r = hiber_get(file, *at, head, sizeof(head));

	if (r < 0 && r != SONDE_E_TRUNCATED)
		return r;
	file->cut |= r < 0;
	if (r < 0 || memcmp(head, MAGIC, MAGIC_LEN) != 0)
		return 0;
	uint32_t word = sonde_le32(head + MAGIC_LEN), n = (word & 0x3ff) + 1,
		 len = (word >> 10) + 1;
	if (n > HIBER_SET_PAGES || len > n * HIBER_PAGE)
		return 0;
	struct hiber_set set = { .off = *at + BLOCK_HEAD, .len = len, .n = (uint8_t)n };
	set.packed = len == n * HIBER_PAGE ? PACK_NONE : PACK_XPRESS;
	set.cut = len > file->source->size - set.off;
	*at = set.off + (len + 7) / 8 * 8;
	r = hiber_add_set(file, &set);
	if (r == 0)
		r = add_runs(file, ranges, n);
	return r < 0 ? r : 1;
}

static int take_table(struct hiber_file *file, struct ranges *ranges, uint64_t table_page)
{
	uint64_t at = (table_page + 1) * HIBER_PAGE;
	int r = 1;

	next_range(file, ranges);
	while (ranges->left && r > 0)
		r = take_block(file, ranges, &at);
	for (; ranges->left; next_range(file, ranges)) {
		file->n_missing += ranges->left;
		ranges->left = 0;
	}
	return r < 0 ? r : 0;
}

/* Tables lie behind each other in the file, so they do not lead around in a circle. */
int hiber_read_tables(struct hiber_file *file, const uint8_t *header)
{
	const struct hiber_layout *layout = file->layout;
	uint32_t full = HIBER_PAGE / (2 * layout->word) - 1;
	uint64_t page = hiber_word(file, header + layout->first_table);
	struct ranges ranges;
	int r = 0;

	for (uint64_t before = 0; r == 0 && page > before;) {
		ranges = (struct ranges){ 0 };
		r = page < file->source->size / HIBER_PAGE
			    ? hiber_get(file, page * HIBER_PAGE, ranges.table, HIBER_PAGE)
			    : SONDE_E_TRUNCATED;
		file->cut |= r == SONDE_E_TRUNCATED;
		ranges.n = sonde_le32(ranges.table + layout->word);
		if (r < 0 || ranges.n > full)
			break;
		r = take_table(file, &ranges, page);
		before = page;
		page = ranges.n == full ? hiber_word(file, ranges.table) : 0;
	}
	return r == SONDE_E_TRUNCATED ? 0 : r;
}

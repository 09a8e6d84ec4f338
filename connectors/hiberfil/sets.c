/* SPDX-License-Identifier: MIT */
/*
 * Windows 8 and later: two restoration sets, of what the boot loader restores and of what the kernel does. Each is a row of
 * compression sets, one behind the other (Sylve et al. 2016; Hibr2Bin PO_MEMORY_RANGE_TABLE32_NT62):
 *
 *	0   bits 0 to 7     how many page descriptors, 1 to 16
 *	    bits 8 to 29    bytes of what is packed
 *	    bits 30, 31     0, 1 Xpress; 2, 3 Xpress with Huffman codes
 *	4   the descriptors, a word each: bits 0 to 3 pages less one, above them the number of the first
 *	    what is packed, which is as it is where it has as many bytes as the pages
 */
#include "../common/pack.h"
#include "index.h"

#include <sonde/error.h>
#include <sonde/types.h>

/* What one set's head takes at most. */
#define HEAD_MAX (4u + HIBER_SET_PAGES * 8u)
#define PAGES_MAX (UINT64_C(1) << 52)

/* How far a restoration set goes. */
struct walk {
	uint64_t at;     /* of the next compression set, in the file */
	uint64_t n_left; /* pages                                    */
};

static uint32_t count_pages(const struct hiber_file *file, const uint8_t *head, uint32_t n)
{
	uint32_t pages = 0;

	for (uint32_t i = 0; i < n; i++)
		pages += (uint32_t)(hiber_word(file, head + 4 + i * file->layout->word) & 0xf) + 1;
	return pages;
}

/* Returns 1; 0: there is no sound set; an error. head_len: bytes of its head, of which have are there. */
static int parse_set(const struct hiber_file *file, const uint8_t *head, size_t have, uint64_t at,
		     struct hiber_set *ret)
{
	uint32_t word = have < 4 ? 0 : sonde_le32(head), n = word & 0xff;
	uint64_t head_len = 4 + (uint64_t)n * file->layout->word;

	if (!n || n > HIBER_SET_PAGES || head_len > have)
		return 0;
	uint32_t pages = count_pages(file, head, n), len = word >> 8 & 0x3fffff;
	if (pages > HIBER_SET_PAGES || !len || len > pages * HIBER_PAGE)
		return 0;
	*ret = (struct hiber_set){ .off = at + head_len, .len = len, .n = (uint8_t)pages };
	ret->packed = len == pages * HIBER_PAGE ? PACK_NONE
		      : word >> 31              ? PACK_XPRESS_HUFFMAN
						: PACK_XPRESS;
	ret->cut = len > file->source->size - ret->off;
	return 1;
}

static int add_runs(struct hiber_file *file, const uint8_t *head)
{
	uint32_t n = head[0], first = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		uint64_t word = hiber_word(file, head + 4 + i * file->layout->word);
		uint32_t pages = (uint32_t)(word & 0xf) + 1;
		if (word >> 4 <= PAGES_MAX - pages)
			r = hiber_add_run(file, word >> 4, first, pages);
		first += pages;
	}
	return r;
}

/* Returns 1; 0: this restoration set ends here; an error. */
static int step(struct hiber_file *file, struct walk *walk)
{
	uint8_t head[HEAD_MAX];
	uint64_t size = file->source->size, left = walk->at < size ? size - walk->at : 0;
	size_t have = left < sizeof(head) ? (size_t)left : sizeof(head);
	struct hiber_set set;

	int r = have ? hiber_get(file, walk->at, head, have) : SONDE_E_TRUNCATED;
	if (r < 0 && r != SONDE_E_TRUNCATED)
		return r;
	if (r < 0 || !parse_set(file, head, have, walk->at, &set)) {
		file->cut |= have < sizeof(head);
		return 0;
	}
	r = hiber_add_set(file, &set);
	if (r == 0)
		r = add_runs(file, head);
	walk->at = set.off + set.len;
	walk->n_left -= set.n < walk->n_left ? set.n : walk->n_left;
	return r < 0 ? r : 1;
}

static int read_restoration_set(struct hiber_file *file, uint64_t first_page, uint64_t n_pages)
{
	struct walk walk = { .at = first_page * HIBER_PAGE, .n_left = n_pages };
	int r = 1;

	if (first_page > file->source->size / HIBER_PAGE)
		walk.at = file->source->size;
	while (walk.n_left && r > 0)
		r = step(file, &walk);
	file->n_missing += walk.n_left;
	return r < 0 ? r : 0;
}

int hiber_read_sets(struct hiber_file *file, const uint8_t *header)
{
	const struct hiber_layout *layout = file->layout;
	int r = read_restoration_set(file, hiber_word(file, header + layout->boot),
				     sonde_le64(header + layout->n_boot));

	return r < 0 ? r
		     : read_restoration_set(file, hiber_word(file, header + layout->kernel),
					    sonde_le64(header + layout->n_kernel));
}

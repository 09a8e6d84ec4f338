/* SPDX-License-Identifier: MIT */
/*
 * Which physical pages a dump holds, told in one of four ways: runs in the header, a bitmap (of two layouts), ranges. The pages
 * lie in the file in the order of their telling, one behind the other.
 */
#include "crash_file.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <string.h>

/* ---- runs in the header -------------------------------------------------------------------------- */

static int read_header_runs(struct crash_file *crash)
{
	const struct crash_layout *l = crash->layout;
	uint32_t n = crash_u32(crash, l->n_runs), room = (l->runs_end - l->runs) / (2 * l->word);
	uint64_t off = l->size;

	if (n > room || n == 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, l->name,
				 "PhysicalMemoryBlock.NumberOfRuns", l->n_runs,
				 n ? "more runs than there is room for" : "no memory at all");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = l->runs + i * 2 * l->word;
		int r = crash_add_pages(crash, crash_word(crash, at),
					crash_word(crash, at + l->word), &off);
		if (r == SONDE_E_CORRUPT)
			return dump_fail(&crash->dump, r, l->name, "PhysicalMemoryBlock.Run", at,
					 "its addresses wrap");
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- bitmaps ------------------------------------------------------------------------------------- */

struct bitmap {
	struct crash_file *crash;
	const char *name;
	uint64_t at, n_bits; /* where in the file it lies, and how long it is */
	uint64_t off;        /* of the next page, in the file                 */
	uint64_t first, n;   /* bits in a row so far                          */
};

static int end_run(struct bitmap *map)
{
	int r = map->n ? crash_add_pages(map->crash, map->first, map->n, &map->off) : 0;

	map->n = 0;
	return r == SONDE_E_CORRUPT ? dump_fail(&map->crash->dump, r, map->name, "Bitmap", map->at,
						"the offsets of its pages wrap")
				    : r;
}

/* Eight bits that belong to pages from page on; those from limit on do not count. */
static int take_byte(struct bitmap *map, uint8_t byte, uint64_t page)
{
	for (int i = 0; i < 8 && page + (uint64_t)i < map->n_bits; i++) {
		if (byte >> i & 1) {
			map->first = map->n ? map->first : page + (uint64_t)i;
			map->n++;
			continue;
		}
		int r = end_run(map);
		if (r < 0)
			return r;
	}
	return 0;
}

static int walk_bitmap(struct bitmap *map)
{
	uint64_t size = map->n_bits / 8 + (map->n_bits % 8 != 0), file = map->crash->dump.file_size;
	uint8_t bytes[4096];
	int r = 0;

	if (map->at > file || size > file - map->at)
		return dump_fail(&map->crash->dump, SONDE_E_TRUNCATED, map->name, "Bitmap", map->at,
				 "it reaches beyond the end of the file");
	if (map->n_bits > CRASH_PAGES_MAX)
		return dump_fail(&map->crash->dump, SONDE_E_LIMIT, map->name, "Pages", map->at,
				 "more than any machine has");
	for (uint64_t done = 0; done < size && r == 0; done += sizeof(bytes)) {
		size_t n = size - done < sizeof(bytes) ? (size_t)(size - done) : sizeof(bytes);
		r = dump_get(&map->crash->dump, map->name, map->at + done, bytes, n);
		for (size_t i = 0; i < n && r == 0; i++) {
			if (bytes[i] == 0xff && map->n && (done + i + 1) * 8 <= map->n_bits)
				map->n += 8;
			else if (bytes[i] || map->n)
				r = take_byte(map, bytes[i], (done + i) * 8);
		}
	}
	return r < 0 ? r : end_run(map);
}

/* Pages that begin within what tells of them would be taken for one another. */
static int check_first(struct crash_file *crash, const char *name, uint64_t at, uint64_t first)
{
	if (first > at)
		return 0;
	return dump_fail(&crash->dump, SONDE_E_CORRUPT, name, "FirstPage", at,
			 "pages would begin within the headers");
}

static int read_summary(struct crash_file *crash)
{
	static const char name[] = "SUMMARY_DUMP";
	uint64_t at = crash->layout->size;
	uint8_t head[SUMMARY_BITMAP];
	int r = dump_get(&crash->dump, name, at, head, sizeof(head));

	if (r < 0)
		return r;
	if (memcmp(head, "SDMPDUMP", 8) != 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, name, "Signature", at,
				 "no SDMP DUMP");
	struct bitmap map = { .crash = crash,
			      .name = name,
			      .at = at + SUMMARY_BITMAP,
			      .n_bits = sonde_le32(head + SUMMARY_BITS),
			      .off = sonde_le32(head + SUMMARY_FIRST) };
	r = check_first(crash, name, at + SUMMARY_FIRST, map.off);
	return r < 0 ? r : walk_bitmap(&map);
}

static int read_bitmap(struct crash_file *crash)
{
	static const char name[] = "BMP_HEADER64";
	uint64_t at = crash->layout->size;
	uint8_t head[BITMAP_BITMAP];

	if (crash->layout->word != 8)
		return dump_fail(&crash->dump, SONDE_E_UNSUPPORTED, crash->layout->name, "DumpType",
				 crash->layout->type,
				 "a bitmap in a dump of 32 bits, whose layout is not known");
	int r = dump_get(&crash->dump, name, at, head, sizeof(head));
	if (r < 0)
		return r;
	if (memcmp(head, "SDMPDUMP", 8) != 0 && memcmp(head, "FDMPDUMP", 8) != 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, name, "Signature", at,
				 "neither SDMP DUMP nor FDMP DUMP");
	struct bitmap map = { .crash = crash,
			      .name = name,
			      .at = at + BITMAP_BITMAP,
			      .n_bits = sonde_le64(head + BITMAP_BITS),
			      .off = sonde_le64(head + BITMAP_FIRST) };
	r = check_first(crash, name, at + BITMAP_FIRST, map.off);
	return r < 0 ? r : walk_bitmap(&map);
}

/* ---- ranges -------------------------------------------------------------------------------------- */

struct ranges {
	struct crash_file *crash;
	uint64_t at, n;   /* where in the file, and how many                    */
	uint64_t n_pages; /* of all together: what is behind them is no range   */
	uint64_t off;     /* of the next page, in the file                      */
};

/* Returns 1; 0: they end here. */
static int take_range(struct ranges *ranges, const uint8_t *bytes, uint64_t at)
{
	uint64_t first = sonde_le64(bytes), n = sonde_le64(bytes + 8);

	if (first == 0 || ranges->n_pages == 0)
		return 0;
	n = n < ranges->n_pages ? n : ranges->n_pages;
	ranges->n_pages -= n;
	int r = crash_add_pages(ranges->crash, first, n, &ranges->off);
	if (r == SONDE_E_CORRUPT)
		return dump_fail(&ranges->crash->dump, r, "RDMP_HEADER64", "Range", at,
				 "its addresses wrap");
	return r < 0 ? r : 1;
}

static int walk_ranges(struct ranges *ranges)
{
	uint8_t bytes[64 * RANGE_SIZE];
	int r = 1;

	for (uint64_t done = 0; done < ranges->n && r > 0;) {
		size_t n = ranges->n - done < 64 ? (size_t)(ranges->n - done) : 64;
		uint64_t at = ranges->at + done * RANGE_SIZE;
		if ((r = dump_get(&ranges->crash->dump, "RDMP_HEADER64.Range", at, bytes,
				  n * RANGE_SIZE)) < 0)
			return r;
		r = 1;
		for (size_t i = 0; i < n && r > 0; i++)
			r = take_range(ranges, bytes + i * RANGE_SIZE, at + i * RANGE_SIZE);
		done += n;
	}
	return r < 0 ? r : 0;
}

static int read_ranges(struct crash_file *crash)
{
	static const char name[] = "RDMP_HEADER64";
	uint64_t at = crash->layout->size;
	uint8_t head[RANGES_AT];

	if (crash->layout->word != 8)
		return dump_fail(&crash->dump, SONDE_E_UNSUPPORTED, crash->layout->name, "DumpType",
				 crash->layout->type,
				 "ranges in a dump of 32 bits, whose layout is not known");
	int r = dump_get(&crash->dump, name, at, head, sizeof(head));
	if (r < 0)
		return r;
	if (sonde_le32(head) != RANGES_MARKER || memcmp(head + 4, "RDMPDUMP", 8) != 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, name, "Signature", at,
				 "no RDMP DUMP");
	uint64_t size = sonde_le64(head + RANGES_SIZE), first = sonde_le64(head + RANGES_FIRST);
	/* Both count from a fixed place on to the first page. */
	if (size < 32 || first < at + 0x40 || size - 32 != first - (at + 0x40))
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, name, "MetadataSize",
				 at + RANGES_SIZE, "it contradicts FirstPageOffset");
	struct ranges ranges = { .crash = crash,
				 .at = at + RANGES_AT,
				 .n = (first - at - RANGES_AT) / RANGE_SIZE,
				 .n_pages = UINT64_MAX,
				 .off = first };
	if (crash->type == CRASH_RANGES_ALL)
		ranges.n_pages = sonde_le64(head + RANGES_N_PAGES);
	return walk_ranges(&ranges);
}

int crash_read_pages(struct crash_file *crash)
{
	int r;

	switch (crash->type) {
	case CRASH_FULL:
		r = read_header_runs(crash);
		break;
	case CRASH_SUMMARY:
		r = read_summary(crash);
		break;
	case CRASH_BITMAP_FULL:
	case CRASH_BITMAP_KERNEL:
		r = read_bitmap(crash);
		break;
	case CRASH_RANGES_KERNEL:
	case CRASH_RANGES_USER:
	case CRASH_RANGES_ALL:
		r = read_ranges(crash);
		break;
	default:
		return dump_fail(&crash->dump, SONDE_E_UNSUPPORTED, crash->layout->name, "DumpType",
				 crash->layout->type, "not a kind of dump that is known");
	}
	if (r == 0 && crash->dump.n_runs == 0)
		return dump_fail(&crash->dump, SONDE_E_CORRUPT, crash->layout->name, "DumpType",
				 crash->layout->type, "of its kind, but without a page");
	return r;
}

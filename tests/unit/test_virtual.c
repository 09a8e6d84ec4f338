/* SPDX-License-Identifier: MIT */
/*
 * Virtual spaces: page tables of text, hostile tables, trips a batch, and a random comparison with
 * the naive way (one address at a time by paging_translate, then a physical read).
 */
#include "arch/paging.h"
#include "arch/tlb.h"
#include "fake.h"
#include "synth/page_tables.h"

#define MEM UINT64_C(0x1000000) /* 16 MiB of physical memory                */
#define RX (SONDE_PAGE_READ | SONDE_PAGE_EXEC)
#define TABLES UINT64_C(0x400000) /* tables lie here; the bytes in front tell their address */

struct world {
	struct sonde_loop *loop;
	struct fake fake;
	struct page_tables tables;
	struct sonde_space *space;
};

static void world_open(struct world *w, uint32_t way, unsigned levels, const char *text)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	fake_open(&w->fake, w->loop, MEM, way);
	/* Every 8 bytes name their own physical address. */
	for (uint64_t at = 0; at < MEM; at += 8)
		memcpy(w->fake.bytes + at, &at, 8);
	tables_build(&w->tables, w->fake.bytes, MEM, TABLES, levels, text);
	assert_int_equal(paging_space(w->fake.space,
				      paging_map(paging_x86_64(levels), w->tables.root), 0,
				      &w->space),
			 0);
}

static void world_close(struct world *w)
{
	sonde_space_close(w->space);
	fake_close(&w->fake);
	sonde_loop_destroy(w->loop);
}

static const char four_levels[] =
	"1000             4k 5000 rw   # low and plain\n"
	"2000             4k 3000      # not the neighbour of the one before\n"
	"3000             4k 4000      # but of this one\n"
	"200000           2m 0         # a 2 MiB page over the first 2 MiB\n"
	"40000000         1g 0\n"
	"5000             raw 0 6000                # swapped: not present, not empty\n"
	"6000             raw 0 8000000000000100    # PROT_NONE of frame 0, see below\n"
	"7000             raw 0 fffffffff1160       # PROT_NONE of 0xe000, inverted\n"
	"400000           raw 1 1234500             # a swapped 2 MiB page\n"
	"600000           raw 1 100000001           # a table far outside memory\n"
	"8000000000       raw 3 87                  # PS is reserved in a top entry\n"
	"ffff800000001000 4k 7000\n"
	"ffffffffffffe000 4k a000\n"
	"fffffffffffff000 4k b000\n";

/* One address, its outcome, and the physical address that its 8 bytes name. */
static const struct {
	const char *name;
	uint64_t va;
	int32_t err;
	uint64_t pa;
} lookups[] = {
	{ "a 4 KiB page", 0x1008, 0, 0x5008 },
	{ "its neighbour elsewhere", 0x2ff8, 0, 0x3ff8 },
	{ "inside a 2 MiB page", 0x200000 + 0x123450, 0, 0x123450 },
	{ "inside a 1 GiB page", 0x40000000 + 0x345670, 0, 0x345670 },
	{ "nothing there", 0x4000, SONDE_E_NOT_MAPPED, 0 },
	{ "swapped", 0x5000, SONDE_E_PAGED_OUT, 0 },
	{ "a swapped 2 MiB page", 0x400000, SONDE_E_PAGED_OUT, 0 },
	{ "PROT_NONE beyond memory", 0x6000, SONDE_E_NOT_MAPPED, 0 },
	{ "PROT_NONE", 0x7010, 0, 0xe010 },
	{ "a table outside memory", 0x600000, SONDE_E_NOT_MAPPED, 0 },
	{ "a 1 GiB page that leaves memory", 0x40000000 + 0x1000000, SONDE_E_NOT_MAPPED, 0 },
	{ "a reserved bit", 0x8000000000, SONDE_E_NOT_MAPPED, 0 },
	{ "the high half", 0xffff800000001010, 0, 0x7010 },
	{ "the last bytes of all", 0xfffffffffffffff8, 0, 0xbff8 },
	{ "not canonical, low", 0x0000800000000000, SONDE_E_NOT_MAPPED, 0 },
	{ "not canonical, high", 0xffff7ffffffffff8, SONDE_E_NOT_MAPPED, 0 },
	{ "not canonical, but its low bits are", 0x0100000000001008, SONDE_E_NOT_MAPPED, 0 },
};

static void every_kind_of_entry(void **state)
{
	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		world_open(&w, way, 4, four_levels);
		for (int round = 0; round < 3; round++) { /* the third with a warm TLB */
			for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
				uint64_t got = 99;
				struct sonde_xfer x = { lookups[i].va, &got, 8, 0, 0, 0 };
				sonde_space_read(w.space, &x, 1);
				if (x.err != lookups[i].err || got != lookups[i].pa)
					fail_msg("%s (round %d): got %d, 0x%llx; want %d, 0x%llx",
						 lookups[i].name, round, x.err,
						 (unsigned long long)got, lookups[i].err,
						 (unsigned long long)lookups[i].pa);
			}
		}
		world_close(&w);
	}
}

/* An empty entry only: not one that keeps something, nor one that leads out of memory. Writing there stays an error. */
static void what_nobody_touched_is_zeros_where_that_is_said(void **state)
{
	struct world w;
	uint64_t got[3 * 512];

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		world_open(&w, way, 4, four_levels);
		paging_space_zeros(w.space, 0x4000, 0x600000);
		for (int round = 0; round < 3; round++) {
			struct sonde_xfer x = { 0x3000, got, sizeof(got), 0, 0, 0 };
			memset(got, 0xff, sizeof(got));
			sonde_space_read(w.space, &x, 1);
			assert_int_equal(x.err, SONDE_E_PAGED_OUT);
			assert_int_equal(x.err_off, 0x2000);
			assert_int_equal(x.done, 0x2000);
			assert_true(got[0] == 0x4000 && got[512] == 0 && got[1023] == 0);
			assert_int_equal(sonde_space_u64(w.space, 0x603ff8, got),
					 SONDE_E_NOT_MAPPED);
			assert_int_equal(sonde_space_u64(w.space, 0x8000, got), 0);
			assert_int_equal(sonde_space_u64(w.space, 0x604000, got),
					 SONDE_E_NOT_MAPPED);
		}
		world_close(&w);
	}
}

static void five_levels_reach_further(void **state)
{
	static const char text[] = "123400000000000 4k 5000\n"
				   "ff00000000000000 2m 200000\n"
				   "1000 4k 7000\n";
	struct world w;
	uint64_t got;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 5, text);
	/* 0x0123400000000000 has bit 56 set and bit 57 clear: not canonical even with 57 bits. */
	assert_int_equal(sonde_space_u64(w.space, 0x0123400000000008, &got), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_u64(w.space, 0xff00000000000018, &got), 0);
	assert_true(got == 0x200018);
	assert_int_equal(sonde_space_u64(w.space, 0x1008, &got), 0);
	assert_true(got == 0x7008);
	world_close(&w);
	assert_null(paging_x86_64(3));
}

static void a_piece_crosses_pages_and_holes(void **state)
{
	struct world w;
	static uint8_t buf[0x8000];
	struct sonde_xfer x = { 0x800, buf, 0x6800, 0, 0, 0 };

	(void)state;
	world_open(&w, SONDE_WAY_TRANSFER, 4, four_levels);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(sonde_space_read(w.space, &x, 1), 0);
	/* 0x800..0xfff hole, three pages, then hole, swapped, PROT_NONE beyond memory. */
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 0);
	assert_int_equal(x.done, 0x3000);
	assert_memory_equal(buf + 0x800, w.fake.bytes + 0x5000, 0x1000);
	assert_memory_equal(buf + 0x1800, w.fake.bytes + 0x3000, 0x2000);
	for (size_t i = 0; i < 0x800; i++)
		assert_int_equal(buf[i] | buf[0x3800 + i], 0);
	x = (struct sonde_xfer){ 0x2000, buf, 0x4000, 0, 0, 0 };
	assert_int_equal(sonde_space_read(w.space, &x, 1), 0);
	assert_int_equal(x.err_off, 0x2000);
	/* A range over the end of the address space stops there. */
	x = (struct sonde_xfer){ 0xfffffffffffff800, buf, 0x1000, 0, 0, 0 };
	assert_int_equal(sonde_space_read(w.space, &x, 1), 0);
	assert_int_equal(x.done, 0x800);
	assert_int_equal(x.err_off, 0x800);
	/* The end of one 2 MiB page. */
	x = (struct sonde_xfer){ 0x3ff000, buf, 0x2000, 0, 0, 0 };
	sonde_space_read(w.space, &x, 1);
	assert_int_equal(x.done, 0x1000);
	assert_int_equal(x.err, SONDE_E_PAGED_OUT);
	world_close(&w);
}

static void writes_go_through(void **state)
{
	struct world w;
	char text[] = "written across two pages that are no neighbours";
	uint32_t len = sizeof(text);
	struct sonde_xfer x = { 0x2000 - 10, text, len, 0, 0, 0 };

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, four_levels);
	assert_int_equal(sonde_space_write(w.space, &x, 1), 1);
	assert_memory_equal(w.fake.bytes + 0x5ff6, text, 10);
	assert_memory_equal(w.fake.bytes + 0x3000, text + 10, len - 10);
	x.addr = 0x4000 - 10;
	assert_int_equal(sonde_space_write(w.space, &x, 1), 0);
	assert_int_equal(x.done, 10);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_string_equal(text, "written across two pages that are no neighbours");
	world_close(&w);
}

static uint64_t trips(const struct world *w)
{
	struct sonde_space_stats stats;

	sonde_space_stats(w->fake.space, &stats);
	return stats.trips;
}

static void a_batch_costs_a_trip_a_level_and_one(void **state)
{
	struct world w;
	struct sonde_xfer x[600];
	static uint64_t buf[600];

	(void)state;
	for (unsigned levels = 4; levels <= 5; levels++) {
		world_open(&w, SONDE_WAY_TRANSFER, levels, four_levels);
		for (uint32_t i = 0; i < 600; i++)
			x[i] = (struct sonde_xfer){ 0x1000 + i * 8, &buf[i], 8, 0, 0, 0 };
		x[7].addr = 0xfffffffffffff000;
		x[9].addr = 0x40000000;
		assert_int_equal(sonde_space_read(w.space, x, 600), 600);
		assert_int_equal(trips(&w), levels + 1);
		/* The second batch makes the store of translations, the third profits. */
		sonde_space_read(w.space, x, 600);
		uint64_t before = trips(&w);
		x[7].addr = x[9].addr = 0x1000;
		sonde_space_read(w.space, x, 600);
		assert_int_equal(trips(&w) - before, 1);
		world_close(&w);
	}
}

/* The page moves, and with move_table the table of its entry as well. */
static void move_page(struct world *w, uint64_t pa, bool move_table)
{
	uint64_t *table = tables_entry(&w->tables, 0x1000, 1);

	if (move_table) {
		uint64_t to = tables_new(&w->tables);
		memcpy(w->fake.bytes + to, w->fake.bytes + (*table & ~UINT64_C(0xfff)), 4096);
		memset(w->fake.bytes + (*table & ~UINT64_C(0xfff)), 0, 4096);
		*table = to | 7;
	}
	*tables_entry(&w->tables, 0x1000, 0) = pa | 3;
}

/* Live targets: after a while, or when told to, a translation is looked up again. */
static void old_translations_are_forgotten(void **state)
{
	struct world w;
	struct sonde_space *live;
	uint64_t got;

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		for (unsigned tlb_ns = 0; tlb_ns < 2; tlb_ns++) {
			world_open(&w, way, 4, four_levels);
			paging_space(w.fake.space, paging_map(paging_x86_64(4), w.tables.root),
				     tlb_ns, &live);
			for (unsigned i = 0; i < 8; i++) {
				move_page(&w, 0x9000 + i * 0x1000, i % 2);
				if (!tlb_ns)
					sonde_space_invalidate(live);
				for (int again = 0; again < 3; again++) {
					assert_int_equal(sonde_space_u64(live, 0x1008, &got), 0);
					assert_true(got == 0x9008 + i * 0x1000);
				}
			}
			sonde_space_close(live);
			world_close(&w);
		}
	}
}

/* In one batch, so that what is kept of one is replaced by the next. */
static void many_distant_pages_do_not_mix_in_a_batch(void **state)
{
	enum { N = 3000 };
	static struct sonde_xfer x[N];
	static uint64_t got[N];
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "");
	for (uint64_t i = 0; i < 700; i++)
		*tables_entry(&w.tables, 0x1000 + (i << 21) * 3, 0) = (i << 12) | 3;
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < N; i++) {
			uint64_t page = i * 37 % 700;
			x[i] = (struct sonde_xfer){
				0x1000 + (page << 21) * 3 + i % 500 * 8, &got[i], 8, 0, 0, 0
			};
		}
		assert_int_equal(sonde_space_read(w.space, x, N), N);
		for (uint64_t i = 0; i < N; i++)
			assert_true(got[i] == (i * 37 % 700 << 12) + i % 500 * 8);
	}
	world_close(&w);
}

/* ---- hostile tables -------------------------------------------------------------------------- */

static int count_runs(void *user, const struct sonde_page_run *run)
{
	(void)run;
	++*(uint64_t *)user;
	return 0;
}

static void tables_that_point_at_themselves_end(void **state)
{
	struct world w;
	struct sonde_xfer x[100];
	static uint64_t buf[100];
	uint64_t runs = 0;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "");
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t entry = w.tables.root | 7;
		memcpy(w.fake.bytes + w.tables.root + 8 * i, &entry, 8);
	}
	for (uint32_t i = 0; i < 100; i++)
		x[i] = (struct sonde_xfer){ i * UINT64_C(0x8040201000), &buf[i], 8, 0, 0, 0 };
	assert_int_equal(sonde_space_read(w.space, x, 100), 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(buf[i] == (w.tables.root | 7));
	/* Wherever one goes, there is the same page. */
	assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0,
				      UINT64_MAX, PAGING_RIGHTS, count_runs, &runs),
			 0);
	assert_int_equal(runs, 2);
	world_close(&w);
}

/* A memory of nothing but tables, each entry of each leading to another, at every level. */
static void fill_with_hostile_tables(struct fake *fake, uint64_t holes)
{
	uint64_t random = 1;

	for (uint64_t at = 0; at < fake->size; at += 8) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		uint64_t entry = (random >> 20) % (fake->size * holes) & ~UINT64_C(0xfff);
		entry |= 0x67;
		memcpy(fake->bytes + at, &entry, 8);
	}
}

static void hostile_tables_end_behind_what_was_found(void **state)
{
	(void)state;
	for (uint64_t holes = 1; holes <= 16; holes *= 4) {
		struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
		struct fake fake = { 0 };
		uint64_t runs = 0;

		fake_open(&fake, loop, 1 << 20, SONDE_WAY_EXTENTS);
		fill_with_hostile_tables(&fake, holes);
		assert_int_equal(paging_visit(fake.space, paging_map(paging_x86_64(4), 0), 0,
					      UINT64_MAX, PAGING_RIGHTS, count_runs, &runs),
				 SONDE_E_LIMIT);
		assert_true(runs > 0 && runs < UINT64_C(512) * (4608 + 256));
		fake_close(&fake);
		sonde_loop_destroy(loop);
	}
}

/* Entries that lie together are read in one piece: one that is missing hides none behind it. */
static void a_missing_entry_costs_its_own_page(void **state)
{
	enum { VA = 0x600000, PAGES = 6 };
	static uint8_t bytes[PAGES * 0x1000];
	struct fake_range bad = { 0, 4, SONDE_E_NOT_SAVED };
	struct world w;

	(void)state;
	for (uint32_t way = SONDE_WAY_TRANSFER; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		world_open(&w, way, 4, "");
		for (uint64_t i = 0; i < PAGES; i++)
			*tables_entry(&w.tables, VA + i * 0x1000, 0) = (i * 0x2000 + 0x1000) | 3;
		bad.addr = (uint64_t)((uint8_t *)tables_entry(&w.tables, VA + 0x2000, 0) -
				      w.fake.bytes);
		w.fake.bad = &bad;
		w.fake.n_bad = 1;
		struct sonde_xfer x = { .addr = VA, .buf = bytes, .len = sizeof(bytes) };
		assert_int_equal(sonde_space_read(w.space, &x, 1), 0);
		assert_int_equal(x.err, SONDE_E_NOT_SAVED);
		assert_int_equal(x.err_off, 0x2000);
		assert_int_equal(x.done, (PAGES - 1) * 0x1000);
		for (uint64_t i = 0; i < PAGES; i++) {
			uint64_t got, want = i == 2 ? 0 : i * 0x2000 + 0x1000;
			memcpy(&got, bytes + i * 0x1000, 8);
			assert_int_equal(got, want);
		}
		world_close(&w);
	}
}

static void a_root_outside_memory_maps_nothing(void **state)
{
	static const uint64_t roots[] = { MEM, UINT64_MAX & ~UINT64_C(0xfff), UINT64_MAX, MEM - 8 };
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "");
	for (size_t i = 0; i < 4; i++) {
		struct sonde_translation t;
		struct sonde_space *space;
		uint64_t got, runs = 0;
		paging_space(w.fake.space, paging_map(paging_x86_64(4), roots[i]), 0, &space);
		assert_int_equal(sonde_space_u64(space, 0xfffffffff8, &got), SONDE_E_NOT_MAPPED);
		assert_int_equal(paging_translate(w.fake.space,
						  paging_map(paging_x86_64(4), roots[i]),
						  0xfffffffff8, &t),
				 SONDE_E_NOT_MAPPED);
		assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), roots[i]),
					      0, UINT64_MAX, PAGING_RIGHTS, count_runs, &runs),
				 0);
		assert_true(runs == 0);
		sonde_space_close(space);
	}
	world_close(&w);
}

static void a_walk_says_what_ended_it(void **state)
{
	static const struct {
		uint64_t va;
		uint32_t kind, levels;
	} ends[] = {
		{ 0x1008, SONDE_ENTRY_MAPPED, 4 },
		{ 0x7010, SONDE_ENTRY_KEPT, 4 },
		{ 0x4000, SONDE_ENTRY_EMPTY, 4 },
		{ 0x5000, SONDE_ENTRY_ABSENT, 4 },
		{ 0x400000, SONDE_ENTRY_ABSENT, 3 },
		{ 0x600000, SONDE_ENTRY_UNREADABLE, 3 },
		{ 0x8000000000, SONDE_ENTRY_RESERVED, 1 },
		{ 0x10000000000, SONDE_ENTRY_EMPTY, 1 },
		{ 0x0000800000000000, SONDE_ENTRY_OUTSIDE, 0 },
	};
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, four_levels);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sonde_translation t;
		paging_translate(w.fake.space, paging_map(paging_x86_64(4), w.tables.root),
				 ends[i].va, &t);
		assert_int_equal(t.kind, ends[i].kind);
		assert_int_equal(t.levels, ends[i].levels);
	}
	world_close(&w);
}

/* ---- visiting ----------------------------------------------------------------------------------- */

struct seen {
	struct sonde_page_run runs[32];
	size_t n;
};

static int see(void *user, const struct sonde_page_run *run)
{
	struct seen *seen = user;

	assert_true(seen->n < 32);
	seen->runs[seen->n++] = *run;
	return 0;
}

static void runs_come_in_order_with_rights(void **state)
{
	struct seen seen = { 0 };
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4,
		   "1000 4k 5000 rw\n2000 4k 6000 rw\n3000 4k 7000 r\n4000 4k 9000 r\n"
		   "ffff800000000000 2m 200000 rx\n");
	assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0,
				      UINT64_MAX, PAGING_RIGHTS, see, &seen),
			 0);
	assert_int_equal(seen.n, 4);
	assert_true(seen.runs[0].va == 0x1000 && seen.runs[0].len == 0x2000);
	assert_int_equal(seen.runs[0].flags, SONDE_REGION_READ | SONDE_REGION_WRITE);
	assert_int_equal(seen.runs[1].flags, SONDE_REGION_READ);
	assert_true(seen.runs[2].va == 0x4000 && seen.runs[2].pa == 0x9000);
	assert_true(seen.runs[3].va == 0xffff800000000000 && seen.runs[3].len == 0x200000);
	assert_int_equal(seen.runs[3].flags, SONDE_REGION_READ | SONDE_REGION_EXEC);
	seen.n = 0;
	paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0x2fff, 0x3000,
		     PAGING_RIGHTS, see, &seen);
	assert_int_equal(seen.n, 2);
	assert_true(seen.runs[0].va == 0x2000 && seen.runs[1].va == 0x3000);
	world_close(&w);
}

/* linux v6.6 mm/kasan/init.c: shadow of what is not there is one page, through one table of each level. */
static void one_page_mapped_everywhere_is_one_run(void **state)
{
	struct seen seen = { 0 };
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "ffff800000001000 4k 7000 rw\n");
	uint64_t tables = w.tables.next;
	for (uint64_t level = 0; level < 3; level++) {
		for (uint64_t i = 0; i < 512; i++) {
			uint64_t entry = level ? (tables + (level - 1) * 4096) | 0x63 : 0x5161;
			memcpy(w.fake.bytes + tables + level * 4096 + 8 * i, &entry, 8);
		}
	}
	for (uint64_t i = 300; i < 310; i++) {
		uint64_t entry = (tables + 2 * 4096) | 0x63;
		memcpy(w.fake.bytes + w.tables.root + 8 * i, &entry, 8);
	}
	assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0,
				      UINT64_MAX, PAGING_RIGHTS | SONDE_PAGE_SIZES, see, &seen),
			 0);
	assert_int_equal(seen.n, 2);
	assert_true(seen.runs[1].va == 0xffff960000000000 &&
		    seen.runs[1].len == 10 * (UINT64_C(1) << 39) && seen.runs[1].pa == 0x5000);
	assert_int_equal(seen.runs[1].flags, RX | SONDE_PAGE_SAME);
	/* A piece of it, to the page. */
	seen.n = 0;
	assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root),
				      0xffff960000200010, 0xffff960000402010, PAGING_RIGHTS, see,
				      &seen),
			 0);
	assert_int_equal(seen.n, 1);
	assert_true(seen.runs[0].va == 0xffff960000200000 && seen.runs[0].len == 0x203000);
	world_close(&w);
}

/* linux v6.6 arch/x86/kernel/espfix_64.c: for 1024 processors 16 pages, 65 536 times each. */
static void tables_are_shared_as_real_kernels_share_them(void **state)
{
	uint64_t runs = 0;
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "1000 4k 7000 rw\n");
	uint64_t pte = w.tables.next, pmd = pte + 4096, pud = pmd + 4096;
	memset(w.fake.bytes + pte, 0, 3 * 4096);
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t page = (0x10000 + i % 16 * 0x2000) | 0x161, table = pte | 0x63;
		memcpy(w.fake.bytes + pte + 8 * i, &page, 8);
		memcpy(w.fake.bytes + pmd + 8 * i, &table, 8);
	}
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t table = pmd | 0x63;
		memcpy(w.fake.bytes + pud + 8 * i, &table, 8);
	}
	pud |= 0x63;
	memcpy(w.fake.bytes + w.tables.root + 8 * 511, &pud, 8);
	assert_int_equal(paging_visit(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0,
				      UINT64_MAX, PAGING_RIGHTS, count_runs, &runs),
			 0);
	assert_int_equal(runs, 1 + 16 * 65536);
	world_close(&w);
}

/* 300 tables of the last level below 300 of the one above: windows of 128. */
static void tables_are_read_many_at_a_time(void **state)
{
	struct sonde_pages *pages;
	struct sonde_page_run run;
	uint64_t n = 0, last = 0;
	struct world w;

	(void)state;
	world_open(&w, SONDE_WAY_TRANSFER, 4, "");
	for (uint64_t i = 0; i < 300; i++)
		*tables_entry(&w.tables, i << 30, 0) = 0x5000 | 3;
	w.fake.calls = 0;
	assert_int_equal(paging_pages(w.fake.space, paging_map(paging_x86_64(4), w.tables.root), 0,
				      UINT64_MAX, PAGING_RIGHTS, &pages),
			 0);
	while (sonde_pages_next(pages, &run) > 0) {
		assert_true(run.va == n << 30 && run.pa == 0x5000 && run.len == 4096);
		last = run.va;
		n++;
	}
	assert_int_equal(sonde_pages_next(pages, &run), 0);
	sonde_pages_close(pages);
	assert_int_equal(n, 300);
	assert_true(last == UINT64_C(299) << 30);
	assert_int_equal(w.fake.calls, 1 + 1 + 3 + 3);
	world_close(&w);
}

/* ---- against the naive way ----------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	/* Numerical Recipes, 7.1.4: a 64-bit linear congruential generator; the high bits are good. */
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (seed >> 20) % below;
}

/* Few enough indices at each level that addresses meet each other's tables. */
static uint64_t random_va(unsigned levels)
{
	uint64_t va = rnd(4) ? rnd(4096) : (rnd(2) ? 0 : 4090 + rnd(6));

	for (unsigned l = 0; l < levels; l++)
		va |= (rnd(8) ? rnd(3) : 509 + rnd(3)) << (12 + 9 * l);
	unsigned bits = 12 + 9 * levels;
	if (va >> (bits - 1) & 1)
		va |= ~UINT64_C(0) << bits;
	return rnd(50) ? va : va ^ UINT64_C(1) << 60;
}

static void random_tables(struct page_tables *t, uint8_t *mem, unsigned levels)
{
	tables_build(t, mem, MEM, TABLES, levels, "");
	for (int i = 0; i < 300; i++) {
		uint64_t va = random_va(levels) & ~UINT64_C(0xfff), pa = rnd(0x400) << 12;
		unsigned level = rnd(6) ? 0 : (unsigned)rnd(3);
		uint64_t kinds[] = { pa | 3,
				     pa | 3,
				     pa | 3,
				     pa | 3,
				     pa | 3,
				     pa,
				     0,
				     (~pa & 0xffffffffff000) | 0x100,
				     pa | (UINT64_C(1) << 40) | 3,
				     t->root | 3 };
		uint64_t entry = kinds[rnd(10)] | (level && rnd(2) ? 0x80 : 0);
		if (t->next + 8 * 4096 > MEM)
			break;
		uint64_t *at = tables_entry(t, va, level);
		/* A table in use stays; below, its loss is the point. */
		if (!level || !*at)
			*at = level && !(entry & 0x80) ? 0 : entry;
	}
	for (int i = 0; i < 10; i++) /* now some loops and lies */
		*tables_entry(t, random_va(levels), (unsigned)rnd(levels)) = t->root | 3;
}

/* What the space should say of one piece, byte by byte. */
static void naive(struct world *w, unsigned levels, const struct sonde_xfer *x, uint8_t *buf,
		  struct sonde_xfer *ret)
{
	*ret = (struct sonde_xfer){ .len = x->len, .err_off = x->len };
	for (uint32_t off = 0; off < x->len; off++) {
		struct sonde_translation t;
		uint64_t va = x->addr + off;
		int r = va < x->addr ? SONDE_E_NOT_MAPPED
				     : paging_translate(
					       w->fake.space,
					       paging_map(paging_x86_64(levels), w->tables.root),
					       va, &t);
		buf[off] = 0;
		if (!r)
			r = sonde_space_get(w->fake.space, t.pa, buf + off, 1);
		ret->done += r == 0;
		if (r && !ret->err) {
			ret->err = r;
			ret->err_off = off;
		}
	}
}

static void compare(struct world *w, unsigned levels, uint64_t this_seed, uint32_t n)
{
	struct sonde_xfer *x = calloc(n, sizeof(*x)), want;
	uint8_t *buf = malloc(n * 64), expect[64];

	memset(buf, 0xee, n * 64);
	for (uint32_t i = 0; i < n; i++)
		x[i] = (struct sonde_xfer){
			random_va(levels), buf + 64 * i, (uint32_t)(1 + rnd(64)), 0, 0, 0
		};
	sonde_space_read(w->space, x, n);
	for (uint32_t i = 0; i < n; i++) {
		naive(w, levels, &x[i], expect, &want);
		if (x[i].done != want.done || x[i].err != want.err ||
		    x[i].err_off != want.err_off || memcmp(x[i].buf, expect, x[i].len))
			fail_msg("seed %llu, %u levels: 0x%llx+%u: got %u bytes, error %d at %u; "
				 "want %u, %d at %u",
				 (unsigned long long)this_seed, levels,
				 (unsigned long long)x[i].addr, x[i].len, x[i].done, x[i].err,
				 x[i].err_off, want.done, want.err, want.err_off);
	}
	free(x);
	free(buf);
}

static void random_batches_agree_with_the_naive_way(void **state)
{
	(void)state;
	for (uint64_t s = 1; s <= 60; s++) {
		struct world w;
		unsigned levels = s % 2 ? 4 : 5;
		uint32_t way = s % 3 ? SONDE_WAY_EXTENTS : SONDE_WAY_SUBMIT;
		seed = s;
		world_open(&w, way, levels, "");
		random_tables(&w.tables, w.fake.bytes, levels);
		for (int round = 0; round < 4; round++)
			compare(&w, levels, s, 1 + (uint32_t)rnd(200));
		world_close(&w);
	}
}

static void a_batch_larger_than_a_window_is_right_as_well(void **state)
{
	struct world w;

	(void)state;
	seed = 99;
	world_open(&w, SONDE_WAY_EXTENTS, 4, "");
	random_tables(&w.tables, w.fake.bytes, 4);
	compare(&w, 4, seed, 40000);
	world_close(&w);
}

static void one_long_piece_spans_many_windows(void **state)
{
	struct world w;
	uint32_t len = 100u << 20; /* 25 600 pages */
	uint8_t *buf = malloc(len);
	struct sonde_xfer x = { 0x40000000 - 0x1000, buf, len, 0, 0, 0 };

	(void)state;
	world_open(&w, SONDE_WAY_TRANSFER, 4, "40000000 1g 0\n");
	assert_int_equal(sonde_space_read(w.space, &x, 1), 0);
	assert_int_equal(x.done, MEM);
	assert_int_equal(x.err_off, 0);
	assert_memory_equal(buf + 0x1000, w.fake.bytes, MEM);
	for (uint32_t i = 0x1000 + MEM; i < len; i += 511)
		assert_int_equal(buf[i], 0);
	free(buf);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_entry),
		cmocka_unit_test(what_nobody_touched_is_zeros_where_that_is_said),
		cmocka_unit_test(five_levels_reach_further),
		cmocka_unit_test(a_piece_crosses_pages_and_holes),
		cmocka_unit_test(writes_go_through),
		cmocka_unit_test(a_batch_costs_a_trip_a_level_and_one),
		cmocka_unit_test(old_translations_are_forgotten),
		cmocka_unit_test(many_distant_pages_do_not_mix_in_a_batch),
		cmocka_unit_test(tables_that_point_at_themselves_end),
		cmocka_unit_test(hostile_tables_end_behind_what_was_found),
		cmocka_unit_test(one_page_mapped_everywhere_is_one_run),
		cmocka_unit_test(tables_are_shared_as_real_kernels_share_them),
		cmocka_unit_test(tables_are_read_many_at_a_time),
		cmocka_unit_test(a_missing_entry_costs_its_own_page),
		cmocka_unit_test(a_walk_says_what_ended_it),
		cmocka_unit_test(a_root_outside_memory_maps_nothing),
		cmocka_unit_test(runs_come_in_order_with_rights),
		cmocka_unit_test(random_batches_agree_with_the_naive_way),
		cmocka_unit_test(a_batch_larger_than_a_window_is_right_as_well),
		cmocka_unit_test(one_long_piece_spans_many_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

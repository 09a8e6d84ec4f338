/* SPDX-License-Identifier: MIT */
/*
 * Page tables of the machine, extended by two windows, one in each half of all addresses, and asked of two:
 * the library, which walks them in physical memory, and the processor, which has them in use. From its first byte a
 * window holds
 *
 *	4 KiB   pages 0 to 63 in another order, 64 to 71 a hole, 72 an entry that is not present, 73 a page,
 *	        74 a malformed entry where that can be one, 511 a page
 *	2 MiB   1: a page, 2: not present, 3: malformed where that can be one, 4: a page
 *	1 GiB   1: a page, 2: a hole
 */
#include <sonde/task.h>

#include "check.h"
#include "device.h"
#include "entries.h"

#define LOW_WINDOW UINT64_C(0x0000500000000000)
#define HIGH_WINDOW UINT64_C(0xffffa00000000000)
#define GAP UINT64_C(0x0000900000000000) /* between the halves: no address of any */
#define SELF_SLOT 0x1e0u
#define N_SEEN (5 * MIB2 / KIB4) /* pages of a window that regions are compared for */
#define STAMP UINT64_C(0x9e3779b97f4a7c15)

struct tables {
	const struct machine *machine;
	uint64_t next;     /* physical: the next free table */
	uint64_t pages[2]; /* physical: the last table of each window */
};

/* ---- writing tables ------------------------------------------------------------------------------- */

static void put_entry(const struct machine *machine, uint64_t table, uint64_t index, uint64_t entry)
{
	volatile uint64_t *at = memory_at(machine, table + 8 * index);

	*at = entry;
}

static uint64_t add_table(struct tables *t, uint64_t above, uint64_t index)
{
	uint64_t made = t->next;

	t->next += KIB4;
	put_entry(t->machine, above, index, made | ENTRY_TABLE);
	return made;
}

static uint64_t page_of(uint64_t i)
{
	return i * 37 % 64 * KIB4;
}

static uint64_t gib_of(const struct machine *machine)
{
	return machine->pool & ~(GIB1 - 1);
}

static void make_pages(const struct machine *machine, uint64_t table)
{
	for (uint64_t i = 0; i < 64; i++)
		put_entry(machine, table, i, (machine->pool + page_of(i)) | ENTRY_PAGE);
	put_entry(machine, table, 72, machine->pool | ENTRY_ABSENT);
	put_entry(machine, table, 73, (machine->pool + page_of(73)) | ENTRY_PAGE);
#if defined(__aarch64__)
	put_entry(machine, table, 74, machine->pool | ENTRY_MALFORMED);
#endif
	put_entry(machine, table, 511, (machine->pool + page_of(511)) | ENTRY_PAGE);
}

/* Returns its table of pages. */
static uint64_t make_window(struct tables *t, uint64_t root, uint64_t va)
{
	const struct machine *machine = t->machine;
	uint64_t gibs = add_table(t, root, va >> 39 & 511), mibs = add_table(t, gibs, 0);
	uint64_t pages = add_table(t, mibs, 0);

	put_entry(machine, gibs, 1, gib_of(machine) | ENTRY_LARGE);
	put_entry(machine, mibs, 1, (machine->pool + MIB2) | ENTRY_LARGE);
	put_entry(machine, mibs, 2, machine->pool | ENTRY_ABSENT);
#if defined(__x86_64__)
	put_entry(machine, mibs, 3, machine->pool | ENTRY_MALFORMED);
#endif
	put_entry(machine, mibs, 4, machine->pool | ENTRY_LARGE);
	make_pages(machine, pages);
	machine->changed(va);
	return pages;
}

/* What the picture above has at off of a window: 0 and where the byte is, or why there is none. */
static int look_up(const struct machine *machine, uint64_t off, uint64_t *ret_pa)
{
	uint64_t page = off / KIB4, mib2 = off / MIB2;

	if (off >= GIB1) {
		*ret_pa = gib_of(machine) + (off - GIB1);
		return off < 2 * GIB1 ? 0 : SONDE_E_NOT_MAPPED;
	}
	if (page == 72 || mib2 == 2)
		return SONDE_E_PAGED_OUT; /* not present, and not zero */
	if (mib2 == 0) {
		*ret_pa = machine->pool + page_of(page) + off % KIB4;
		return page < 64 || page == 73 || page == 511 ? 0 : SONDE_E_NOT_MAPPED;
	}
	*ret_pa = machine->pool + (mib2 == 1 ? MIB2 : 0) + off % MIB2;
	return mib2 == 1 || mib2 == 4 ? 0 : SONDE_E_NOT_MAPPED;
}

/* Eight bytes there; or the error of the lowest that is not. */
static int look_up_u64(const struct machine *machine, uint64_t off, uint64_t *ret)
{
	uint64_t pa = 0;

	*ret = 0;
	for (unsigned i = 0; i < 8; i++) {
		int r = look_up(machine, off + i, &pa);
		if (r < 0)
			return r;
		const uint8_t *byte = memory_at(machine, pa);
		*ret |= (uint64_t)*byte << 8 * i;
	}
	return 0;
}

/* ---- asking both --------------------------------------------------------------------------------- */

struct asking {
	const struct machine *machine;
	struct sonde_space *space;
	uint64_t window;
	unsigned n_asked, n_library, n_processor, n_translated; /* of those: how many are right */
};

static void ask(struct asking *a, uint64_t off)
{
	const struct machine *machine = a->machine;
	uint64_t va = a->window + off, want = 0, got = 0, pa = 0, there = 0;
	int truth = look_up_u64(machine, off, &want), r = sonde_space_u64(a->space, va, &got);

	a->n_asked++;
	a->n_library += r == truth && (r < 0 || got == want);
	if (machine->load) {
		bool loaded = machine->load(va, &there);
		a->n_processor += loaded == (truth == 0) && (!loaded || there == want);
	}
	if (machine->translate) {
		bool has = machine->translate(va, &there), mapped = !look_up(machine, off, &pa);
		a->n_translated += has == mapped && (!has || there == pa);
	}
}

static void ask_window(struct asking *a)
{
	const struct machine *machine = a->machine;

	for (uint64_t page = 0; page < 80; page++) {
		ask(a, page * KIB4);
		ask(a, page * KIB4 + 2001);
		ask(a, page * KIB4 + KIB4 - 8);
		ask(a, page * KIB4 + KIB4 - 3);
	}
	for (uint64_t end = MIB2; end <= 5 * MIB2; end += MIB2) {
		ask(a, end - 8);
		ask(a, end - 4);
		ask(a, end + 4);
		ask(a, end + MIB2 / 2 - 5);
	}
	for (uint64_t off = 0; off + 8 < POOL_LEN; off += POOL_LEN / 64)
		ask(a, GIB1 + (machine->pool - gib_of(machine)) + off);
	ask(a, GIB1 - 8);
	ask(a, 2 * GIB1);
}

static void both_see_the_window(const struct machine *machine, struct sonde_space *space,
				uint64_t window, const char *what)
{
	struct asking a = { .machine = machine, .space = space, .window = window };

	ask_window(&a);
	check(a.n_asked > 300 && a.n_library == a.n_asked, what);
	if (machine->load)
		check(a.n_processor == a.n_asked, "the processor sees the same bytes and faults");
	if (machine->translate)
		check(a.n_translated == a.n_asked, "and says the same physical addresses");
}

struct seen {
	uint64_t window;
	uint8_t pages[N_SEEN];
};

static int see_region(void *user, const struct sonde_region *region)
{
	struct seen *seen = user;

	for (uint64_t i = 0; i < N_SEEN; i++) {
		uint64_t va = seen->window + i * KIB4;
		seen->pages[i] |= va >= region->addr && va - region->addr < region->len;
	}
	return 0;
}

static void regions_are_what_is_mapped(const struct machine *machine, struct sonde_space *space,
				       uint64_t window)
{
	static struct seen seen;
	uint64_t n_right = 0, pa;

	seen = (struct seen){ .window = window };
	int r = sonde_space_regions(space, see_region, &seen);
	for (uint64_t i = 0; i < N_SEEN; i++)
		n_right += seen.pages[i] == (look_up(machine, i * KIB4, &pa) == 0);
	check(r == 0 && n_right == N_SEEN, "its regions are the pages that are mapped");
}

static void gap_is_no_address(const struct machine *machine, struct sonde_space *space)
{
	uint64_t got;

	check(sonde_space_u64(space, GAP, &got) == SONDE_E_NOT_MAPPED &&
		      (!machine->load || !machine->load(GAP, &got)),
	      "between the halves there is nothing");
}

/* Page 0 shows what page 1 shows, and then again what it did. */
static void changes_are_seen(const struct tables *t, struct sonde_space *space, uint64_t window,
			     uint64_t pages)
{
	const struct machine *machine = t->machine;
	uint64_t was = *(uint64_t *)memory_at(machine, pages);
	uint64_t is = *(uint64_t *)memory_at(machine, pages + 8);
	uint64_t want = *(uint64_t *)memory_at(machine, machine->pool + page_of(1));
	uint64_t got = 0, there = want;

	put_entry(machine, pages, 0, is);
	machine->changed(window);
	sonde_space_invalidate(space);
	check(sonde_space_u64(space, window, &got) == 0 && got == want &&
		      (!machine->load || machine->load(window, &there)) && there == want,
	      "an entry that was changed leads both elsewhere");
	put_entry(machine, pages, 0, was);
	machine->changed(window);
	sonde_space_invalidate(space);
}

/* What if that entry were another one? The processor does not hear of it. */
static void changes_are_tried(const struct tables *t, struct sonde_space *phys,
			      const struct sonde_tables *tables, uint64_t pages)
{
	const struct machine *machine = t->machine;
	struct sonde_bare_layer layer = { .plugin = &sonde_bare_overlay,
					  .below = phys,
					  .write = 1 };
	struct sonde_space *overlay = NULL, *space = NULL;
	uint64_t is = *(uint64_t *)memory_at(machine, pages + 8);
	uint64_t want = *(uint64_t *)memory_at(machine, machine->pool + page_of(1));
	uint64_t old = *(uint64_t *)memory_at(machine, machine->pool + page_of(0));
	uint64_t got = 0, there = old;

	check(sonde_bare_layer_open(&layer, &overlay, NULL) == 0 &&
		      sonde_space_tables(overlay, tables, &space) == 0,
	      "tables are walked through an overlay");
	if (space) {
		check(sonde_space_put_u64(overlay, pages, is) == 0 &&
			      sonde_space_u64(space, LOW_WINDOW, &got) == 0 && got == want,
		      "an entry that is written there leads the library elsewhere");
		check((!machine->load || machine->load(LOW_WINDOW, &there)) && there == old,
		      "and the processor where it did");
	}
	sonde_space_close(space);
	sonde_space_close(overlay);
}

/* An entry of the root that leads to the root: its entries lie at an address of their own. */
static void a_table_shows_itself(const struct machine *machine, struct sonde_space *space)
{
	uint64_t root = machine->high_root, slot = SELF_SLOT, n_right = 0, got, there;
	uint64_t va = UINT64_C(0xffff) << 48 | slot << 39 | slot << 30 | slot << 21 | slot << 12;

	put_entry(machine, root, slot, root | ENTRY_SELF);
	machine->changed(va);
	sonde_space_invalidate(space);
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t want = *(volatile uint64_t *)memory_at(machine, root + 8 * i);
		there = want;
		n_right += sonde_space_u64(space, va + 8 * i, &got) == 0 && got == want &&
			   (!machine->load || machine->load(va + 8 * i, &there)) && there == want;
	}
	check(n_right == 512, "a table that leads to itself shows its entries");
	put_entry(machine, root, slot, 0);
	machine->changed(va);
}

/* ---- batches ------------------------------------------------------------------------------------- */

struct look {
	struct sonde_space *space;
	uint64_t va, got;
};

static int look_there(struct sonde_task *task, void *arg)
{
	struct look *look = arg;
	struct sonde_xfer x = { .addr = look->va, .buf = &look->got, .len = 8 };

	return sonde_task_read(task, look->space, &x, 1);
}

/* Returns how many of the tasks saw what is there. */
static unsigned look_at_all(const struct machine *machine, struct sonde_loop *loop,
			    struct sonde_space *space)
{
	static struct look looks[64];
	unsigned n_right = 0;
	uint64_t want;

	for (uint64_t i = 0; i < 64; i++) {
		looks[i] = (struct look){ .space = space, .va = LOW_WINDOW + i * KIB4 + 8 * i };
		sonde_task_spawn(loop, look_there, &looks[i], NULL);
	}
	sonde_loop_run(loop);
	for (uint64_t i = 0; i < 64; i++)
		n_right +=
			look_up_u64(machine, i * KIB4 + 8 * i, &want) == 0 && looks[i].got == want;
	return n_right;
}

static void walks_are_batches(const struct machine *machine, struct sonde_loop *loop,
			      struct sonde_space *phys, const struct sonde_tables *tables)
{
	static struct device device;
	struct sonde_space *slow = NULL, *space = NULL;

	if (device_open(&device, phys, &slow) < 0 || sonde_space_tables(slow, tables, &space) < 0) {
		check(false, "tables over a device");
		sonde_space_close(slow);
		return;
	}
	check(look_at_all(machine, loop, space) == 64, "64 tasks read through page tables");
	check(device.trips == 5, "of four levels, which is five trips for all of them");
	look_at_all(machine, loop, space); /* the second batch makes the TLB */
	uint64_t trips = device.trips;
	check(look_at_all(machine, loop, space) == 64 && device.trips == trips + 1,
	      "and one trip once they were walked");
	sonde_space_close(space);
	sonde_space_close(slow);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void stamp(const struct machine *machine)
{
	uint64_t *pool = memory_at(machine, machine->pool);

	for (uint64_t off = 0; off < POOL_LEN; off += 8)
		pool[off / 8] = (machine->pool + off) * STAMP;
}

void check_tables(const struct machine *machine, struct sonde_loop *loop, struct sonde_space *phys)
{
	const struct sonde_tables tables = { .format = TABLES_FORMAT,
					     .root = machine->root,
					     .high_root = machine->high_root };
	struct tables t = { .machine = machine, .next = machine->tables };
	struct sonde_space *space = NULL;

	stamp(machine);
	t.pages[0] = make_window(&t, machine->root, LOW_WINDOW);
	t.pages[1] = make_window(&t, machine->high_root, HIGH_WINDOW);
	check(sonde_space_tables(phys, &tables, &space) == 0, "page tables are a space");
	if (!space)
		return;
	both_see_the_window(machine, space, LOW_WINDOW, "the library sees the low window");
	both_see_the_window(machine, space, HIGH_WINDOW, "the library sees the high window");
	regions_are_what_is_mapped(machine, space, LOW_WINDOW);
	regions_are_what_is_mapped(machine, space, HIGH_WINDOW);
	gap_is_no_address(machine, space);
	changes_are_seen(&t, space, HIGH_WINDOW, t.pages[1]);
	changes_are_tried(&t, phys, &tables, t.pages[0]);
	walks_are_batches(machine, loop, phys, &tables);
	a_table_shows_itself(machine, space);
	sonde_space_close(space);
}

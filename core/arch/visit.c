/* SPDX-License-Identifier: MIT */
/*
 * All that page tables map, run by run in rising order. A level's tables are read many at a time:
 *
 *	root's window      [ T ]
 *	  next level's     [ T T T T T T ]           one batch; more follow when these are through
 *	    last level's   [ T T T T T ... T ]       one batch, its tables from several of those above
 *
 * A window holds tables in the order of their addresses, gathered from as many entries of the window above as fit.
 * The walk goes down and up through the windows, so that what it tells is in order, while the number of trips is that
 * of the windows.
 *
 * Tables may be shared, and a sane kernel does: KASAN maps terabytes of shadow to one page through one table of each
 * level (linux v6.6 mm/kasan/init.c), the ESPFIX stacks are there 65 536 times through one table (linux v6.6
 * arch/x86/kernel/espfix_64.c: 2 048 times for each 1 024 processors). So:
 *
 * - tables whose entries are all the same and lead to one page are walked once: wherever one is met again it is one
 *   run of that page (SONDE_PAGE_SAME), which is how the kernel's own dump treats KASAN (linux v6.6 mm/ptdump.c,
 *   note_kasan_page_table);
 * - all else may be met again REPEATS_MAX times in a walk, at the same level, before it ends with SONDE_E_LIMIT. A
 *   memory of n pages has at most n tables a level, and as many entries that lead nowhere as fit: with hostile tables
 *   the work is that, once, and REPEATS_MAX tables more. A self-map (Windows) meets a table once a level: no repeat.
 */
#include <sonde/error.h>
#include <sonde/types.h>

#include "arch/paging.h"
#include "arch/seen_tables.h"
#include "base/mem.h"

#define WINDOW_BYTES (512u << 10) /* of tables, a level */
#define WINDOW_REFS 1024u
#define TABLES_MAX (1u << 20) /* 4 GiB of tables map 2 TiB of 4 KiB pages */
#define REPEATS_MAX                                                                                \
	4608u /* 2 048 processors' ESPFIX stacks are 4 101; a hostile MiB takes 0.12 s */
#define SAMES_MAX 16u

/* A table of a window. */
struct table_ref {
	uint64_t pa, base;      /* base: first address that it maps, before sign extension     */
	uint32_t rights;        /* of the tables above                                         */
	uint32_t slot;          /* which of the window's tables; neighbours may share one      */
	uint32_t root;          /* index into roots                                            */
	uint32_t parent, entry; /* which ref above, and which of its entries leads here        */
	int32_t err;
};

struct window {
	struct table_ref *refs; /* [n], room for WINDOW_REFS                              */
	uint8_t *tables;        /* [n_slots], room for cap                                */
	uint32_t n, n_slots, cap;
	uint32_t at;    /* the table that is being walked, or the next one to be          */
	uint32_t entry; /* the next of its entries                                        */
};

/* A table that leads to one page only, however one goes. */
struct same_table {
	uint64_t pa;
	uint32_t level;
	struct paging_entry page; /* flags: of the tables in between as well */
};

struct sonde_pages {
	struct pages_ops ops;
	struct sonde_space *phys;
	const struct paging *paging;
	uint32_t care;
	struct paging_root *roots; /* [n_roots] */
	uint32_t n_roots, next_root;
	uint32_t level; /* of the table that is being walked; n_levels: none is */
	uint32_t table_bytes, slots_max;
	struct window windows[PAGING_LEVELS_MAX];
	struct sonde_xfer *xfers; /* [slots_max] */
	struct seen_tables seen;  /* of the root that is being walked */
	uint32_t n_repeats;
	struct same_table sames[SAMES_MAX];
	uint32_t n_sames;
	struct sonde_page_run run; /* grows while pages go on alike             */
	uint64_t run_unit;         /* bytes that its first entry mapped         */
	uint32_t run_root;
	struct sonde_page_run ready; /* len 0: none */
	uint32_t ready_root;
	bool over;
	int err;
};

/* ---- runs -------------------------------------------------------------------------------------------- */

static bool goes_on(const struct sonde_pages *pages, const struct sonde_page_run *more,
		    uint64_t unit)
{
	const struct sonde_page_run *run = &pages->run;
	const bool one = run->len == run->page_size && pages->run_unit == run->page_size;
	const uint32_t told = run->flags & ~(uint32_t)SONDE_PAGE_SAME;

	if (run->va + run->len != more->va || told != more->flags)
		return false;
	if (run->pa + run->len == more->pa && !(run->flags & SONDE_PAGE_SAME) && unit == more->len)
		return !(pages->care & SONDE_PAGE_SIZES) || run->page_size == more->page_size;
	return (run->flags & SONDE_PAGE_SAME || one) && run->pa == more->pa &&
	       run->page_size == more->page_size && unit == more->page_size;
}

/* unit: what one entry maps; more->len is that, or a multiple where many map the same page. */
static void put_run(struct sonde_pages *pages, uint32_t root, const struct sonde_page_run *more,
		    uint64_t unit)
{
	struct sonde_page_run *run = &pages->run;

	if (run->len && root == pages->run_root && goes_on(pages, more, unit)) {
		if (run->pa == more->pa)
			run->flags |= SONDE_PAGE_SAME;
		run->len += more->len;
		return;
	}
	pages->ready = *run;
	pages->ready_root = pages->run_root;
	*run = *more;
	if (more->len != unit)
		run->flags |= SONDE_PAGE_SAME;
	pages->run_unit = unit;
	pages->run_root = root;
}

static void put_page(struct sonde_pages *pages, const struct table_ref *ref, uint64_t va,
		     const struct paging_entry *e)
{
	const uint64_t size = paging_page_size(pages->paging, pages->level);
	const struct sonde_page_run page = {
		.va = va,
		.pa = paging_byte_pa(e, va),
		.len = size,
		.flags = paging_flags(ref->rights & e->flags) & pages->care,
		.page_size = UINT64_C(1) << e->page_shift,
	};

	put_run(pages, ref->root, &page, size);
}

/* ---- tables that lead to one page ---------------------------------------------------------------------- */

static const struct same_table *find_same(const struct sonde_pages *pages, uint32_t level,
					  uint64_t pa)
{
	for (uint32_t i = 0; i < pages->n_sames; i++) {
		if (pages->sames[i].pa == pa && pages->sames[i].level == level)
			return &pages->sames[i];
	}
	return NULL;
}

/* All size bytes from va on, as far as the root's range has them. */
static void put_same(struct sonde_pages *pages, const struct table_ref *ref, uint32_t rights,
		     uint64_t va, uint64_t size, const struct paging_entry *page)
{
	const struct paging_root *root = &pages->roots[ref->root];
	const uint64_t unit = UINT64_C(1) << page->shift;
	uint64_t first = va, last = va + (size - 1);

	if (first < root->first)
		first = root->first & ~(unit - 1);
	if (last > root->last)
		last = root->last | (unit - 1);
	const struct sonde_page_run run = {
		.va = first,
		.pa = page->pa,
		.len = last - first + 1,
		.flags = paging_flags(rights & page->flags) & pages->care,
		.page_size = unit,
	};
	put_run(pages, ref->root, &run, unit);
}

static bool all_alike(const struct sonde_pages *pages, const uint8_t *table, uint32_t n)
{
	const uint32_t size = pages->paging->entry_size;

	return n > 1 && memcmp(table, table + size, (size_t)(n - 1) * size) == 0;
}

/* Called when all of a table was walked, so what is below it is known. */
static void note_same(struct sonde_pages *pages, const struct table_ref *ref, const uint8_t *table)
{
	const uint32_t level = pages->level;
	const struct same_table *below;

	if (pages->n_sames == SAMES_MAX || find_same(pages, level, ref->pa) ||
	    !all_alike(pages, table, paging_n_entries(pages->paging, level)))
		return;
	struct paging_entry e =
		paging_decode(pages->paging, level, paging_load(pages->paging, table));
	if (e.err || (e.leaf && e.page_shift != pages->paging->levels[level].shift))
		return;
	if (!e.leaf) {
		below = level ? find_same(pages, level - 1, e.pa) : NULL;
		if (!below)
			return;
		uint32_t rights = e.flags;
		e = below->page;
		e.flags &= rights;
	}
	pages->sames[pages->n_sames++] = (struct same_table){ ref->pa, level, e };
}

/* ---- windows ------------------------------------------------------------------------------------------- */

static uint8_t *table_of(const struct sonde_pages *pages, uint32_t level, uint32_t ref)
{
	const struct window *w = &pages->windows[level];

	return w->tables + (size_t)w->refs[ref].slot * pages->table_bytes;
}

static uint64_t sign_extend(const struct paging *paging, uint64_t va)
{
	uint32_t spare = paging->range == PAGING_SIGNED ? 64 - paging->va_bits : 0;

	return (uint64_t)((int64_t)(va << spare) >> spare);
}

static uint64_t base_of(const struct sonde_pages *pages, uint32_t level,
			const struct table_ref *ref, uint32_t entry)
{
	return ref->base + ((uint64_t)entry << pages->paging->levels[level].shift);
}

/* Is anything of what an entry maps in the root's range? */
static bool wanted(const struct sonde_pages *pages, const struct table_ref *ref, uint32_t level,
		   uint64_t va)
{
	const struct paging_root *root = &pages->roots[ref->root];

	return va <= root->last && va + (paging_page_size(pages->paging, level) - 1) >= root->first;
}

/* False: there is no room. */
static bool add_ref(struct sonde_pages *pages, struct window *w, struct table_ref ref)
{
	const struct table_ref *last = w->n ? &w->refs[w->n - 1] : NULL;

	if (w->n == WINDOW_REFS)
		return false;
	if (last && last->pa == ref.pa) {
		ref.slot = last->slot;
	} else {
		if (w->n_slots == pages->slots_max)
			return false;
		ref.slot = w->n_slots++;
	}
	w->refs[w->n++] = ref;
	return true;
}

/* The tables that entries of one above lead to, from entry on. False: the window is full. */
static bool gather_table(struct sonde_pages *pages, uint32_t level, uint32_t parent, uint32_t entry)
{
	const struct table_ref *ref = &pages->windows[level].refs[parent];
	const uint8_t *table = table_of(pages, level, parent);
	const uint32_t n = paging_n_entries(pages->paging, level);

	for (; entry < n; entry++) {
		uint64_t raw = paging_load(pages->paging,
					   table + (size_t)pages->paging->entry_size * entry);
		if (!raw)
			continue;
		struct paging_entry e = paging_decode(pages->paging, level, raw);
		uint64_t base = base_of(pages, level, ref, entry);
		if (e.err || e.leaf ||
		    !wanted(pages, ref, level, sign_extend(pages->paging, base)) ||
		    find_same(pages, level - 1, e.pa))
			continue;
		if (!add_ref(pages, &pages->windows[level - 1],
			     (struct table_ref){ .pa = e.pa,
						 .base = base,
						 .rights = ref->rights & e.flags,
						 .root = ref->root,
						 .parent = parent,
						 .entry = entry }))
			return false;
	}
	return true;
}

static int make_room(struct sonde_pages *pages, struct window *w)
{
	if (w->n_slots <= w->cap)
		return SONDE_OK;
	uint8_t *tables = mem_resize(w->tables, w->n_slots, pages->table_bytes);
	if (!tables)
		return SONDE_E_NO_MEMORY;
	w->tables = tables;
	w->cap = w->n_slots;
	return SONDE_OK;
}

/* One trip for all tables of a window. */
static int read_window(struct sonde_pages *pages, uint32_t level)
{
	struct window *w = &pages->windows[level];
	uint32_t len = paging_n_entries(pages->paging, level) * pages->paging->entry_size;
	uint32_t n = 0;

	if (make_room(pages, w) < 0)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->refs[i].slot == n)
			pages->xfers[n++] = (struct sonde_xfer){ .addr = w->refs[i].pa,
								 .buf = table_of(pages, level, i),
								 .len = len };
	}
	int r = n ? sonde_space_read(pages->phys, pages->xfers, n) : 0;
	for (uint32_t i = 0; i < w->n && r >= 0; i++)
		w->refs[i].err = pages->xfers[w->refs[i].slot].err;
	return r < 0 ? r : SONDE_OK;
}

/* Windows below speak of refs that are about to change. */
static void empty_windows(struct sonde_pages *pages, uint32_t level)
{
	for (uint32_t i = 0; i <= level; i++)
		pages->windows[i].n = pages->windows[i].n_slots = pages->windows[i].at = 0;
}

/* Fill the window below level with what is next from entry on. */
static int fill_below(struct sonde_pages *pages, uint32_t level, uint32_t entry)
{
	const struct window *w = &pages->windows[level];
	bool room = true;

	empty_windows(pages, level - 1);
	for (uint32_t i = w->at; i < w->n && room; i++) {
		if (!w->refs[i].err)
			room = gather_table(pages, level, i, i == w->at ? entry : 0);
	}
	return read_window(pages, level - 1);
}

static int fill_roots(struct sonde_pages *pages)
{
	const uint32_t top = pages->paging->n_levels - 1;

	empty_windows(pages, top);
	for (uint32_t i = pages->next_root; i < pages->n_roots; i++) {
		if (!add_ref(pages, &pages->windows[top],
			     (struct table_ref){ .pa = pages->roots[i].pa,
						 .base = pages->roots[i].base,
						 .rights = PAGING_ALL_RIGHTS,
						 .root = i }))
			break;
	}
	return read_window(pages, top);
}

/* ---- down and up ---------------------------------------------------------------------------------------- */

static void end(struct sonde_pages *pages, int err)
{
	pages->over = true;
	pages->err = err;
}

/* Begin with the next table of a window. One that cannot be read is passed over. */
static void enter(struct sonde_pages *pages, uint32_t level)
{
	struct window *w = &pages->windows[level];
	const struct table_ref *ref = &w->refs[w->at];
	int r = seen_tables_add(&pages->seen, level, ref->pa);

	if (r < 0) {
		end(pages, r);
	} else if ((r && ++pages->n_repeats > REPEATS_MAX) || pages->seen.n > TABLES_MAX) {
		end(pages, SONDE_E_LIMIT);
	} else if (ref->err == SONDE_E_GONE || ref->err == SONDE_E_BUSY) {
		end(pages, ref->err);
	} else if (ref->err) {
		w->at++;
	} else {
		w->entry = 0;
		pages->level = level;
	}
}

static void enter_root(struct sonde_pages *pages)
{
	struct window *w = &pages->windows[pages->paging->n_levels - 1];
	int r = SONDE_OK;

	if (pages->next_root == pages->n_roots) {
		end(pages, SONDE_OK);
		return;
	}
	if (w->at == w->n)
		r = fill_roots(pages);
	seen_tables_forget(&pages->seen);
	pages->next_root++;
	if (r < 0)
		end(pages, r);
	else
		enter(pages, pages->paging->n_levels - 1);
}

static void enter_below(struct sonde_pages *pages, uint32_t entry, uint64_t va,
			const struct paging_entry *e)
{
	const uint32_t level = pages->level;
	const struct window *w = &pages->windows[level];
	const struct table_ref *ref = &w->refs[w->at];
	struct window *below = &pages->windows[level - 1];
	const struct same_table *same = find_same(pages, level - 1, e->pa);
	int r = SONDE_OK;

	if (same) {
		put_same(pages, ref, ref->rights & e->flags, va,
			 paging_page_size(pages->paging, level), &same->page);
		return;
	}
	/* Tables that turned out to be of one page only are left behind. */
	while (below->at < below->n &&
	       (below->refs[below->at].parent < w->at ||
		(below->refs[below->at].parent == w->at && below->refs[below->at].entry < entry)))
		below->at++;
	if (below->at == below->n)
		r = fill_below(pages, level, entry);
	if (r < 0)
		end(pages, r);
	else
		enter(pages, level - 1);
}

static void leave(struct sonde_pages *pages)
{
	struct window *w = &pages->windows[pages->level];

	note_same(pages, &w->refs[w->at], table_of(pages, pages->level, w->at));
	w->at++;
	pages->level++;
}

/* Entries of the table that is being walked, until one leads down or a run is ready. */
static void walk_entries(struct sonde_pages *pages)
{
	const struct paging *paging = pages->paging;
	const uint32_t level = pages->level, n = paging_n_entries(paging, level);
	struct window *w = &pages->windows[level];
	const struct table_ref *ref = &w->refs[w->at];
	const uint8_t *table = table_of(pages, level, w->at);

	while (w->entry < n && !pages->ready.len) {
		uint32_t i = w->entry++;
		uint64_t raw = paging_load(paging, table + (size_t)paging->entry_size * i);
		if (!raw)
			continue;
		struct paging_entry e = paging_decode(paging, level, raw);
		uint64_t va = sign_extend(paging, base_of(pages, level, ref, i));
		if (e.err || !wanted(pages, ref, level, va))
			continue;
		if (e.leaf) {
			put_page(pages, ref, va, &e);
		} else if (level) {
			enter_below(pages, i, va, &e);
			return;
		}
	}
}

static void step(struct sonde_pages *pages)
{
	if (pages->level == pages->paging->n_levels)
		enter_root(pages);
	else if (pages->windows[pages->level].entry ==
		 paging_n_entries(pages->paging, pages->level))
		leave(pages);
	else
		walk_entries(pages);
}

/* ---- the doors ------------------------------------------------------------------------------------------ */

int paging_pages_next(struct sonde_pages *pages, struct sonde_page_run *ret, uint32_t *ret_root)
{
	while (!pages->ready.len && !pages->over)
		step(pages);
	if (!pages->ready.len) {
		pages->ready = pages->run;
		pages->ready_root = pages->run_root;
		pages->run.len = 0;
	}
	if (!pages->ready.len)
		return pages->err;
	*ret = pages->ready;
	*ret_root = pages->ready_root;
	pages->ready.len = 0;
	return 1;
}

static int next_run(struct sonde_pages *pages, struct sonde_page_run *ret)
{
	uint32_t root;

	return paging_pages_next(pages, ret, &root);
}

int sonde_pages_next(struct sonde_pages *pages, struct sonde_page_run *ret)
{
	return pages_ops(pages)->next(pages, ret);
}

void sonde_pages_close(struct sonde_pages *pages)
{
	if (pages)
		pages_ops(pages)->close(pages);
}

static void close_pages(struct sonde_pages *pages)
{
	for (uint32_t i = 0; i < PAGING_LEVELS_MAX; i++) {
		mem_release(pages->windows[i].refs);
		mem_release(pages->windows[i].tables);
	}
	seen_tables_forget(&pages->seen);
	mem_release(pages->xfers);
	mem_release(pages->roots);
	mem_release(pages);
}

static uint32_t largest_table(const struct paging *paging)
{
	uint32_t most = 0;

	for (uint32_t level = 0; level < paging->n_levels; level++) {
		if (paging_n_entries(paging, level) > most)
			most = paging_n_entries(paging, level);
	}
	return most * paging->entry_size;
}

static bool make_windows(struct sonde_pages *pages)
{
	pages->table_bytes = largest_table(pages->paging);
	pages->slots_max = WINDOW_BYTES / pages->table_bytes;
	pages->xfers = mem_alloc(pages->slots_max, sizeof(*pages->xfers));
	for (uint32_t level = 0; level < pages->paging->n_levels; level++) {
		struct window *w = &pages->windows[level];
		w->refs = mem_alloc(WINDOW_REFS, sizeof(*w->refs));
		if (!w->refs)
			return false;
	}
	return pages->xfers;
}

int paging_pages_of(struct sonde_space *phys, const struct paging *paging,
		    const struct paging_root *roots, uint32_t n, uint32_t care,
		    struct sonde_pages **ret)
{
	struct sonde_pages *pages = mem_alloc(1, sizeof(*pages));

	if (!pages)
		return SONDE_E_NO_MEMORY;
	pages->ops = (struct pages_ops){ next_run, close_pages };
	pages->phys = phys;
	pages->paging = paging;
	pages->care = care;
	pages->level = paging->n_levels;
	pages->n_roots = n;
	pages->roots = mem_alloc(n, sizeof(*roots));
	if (!make_windows(pages) || !pages->roots) {
		sonde_pages_close(pages);
		return SONDE_E_NO_MEMORY;
	}
	memcpy(pages->roots, roots, n * sizeof(*roots));
	*ret = pages;
	return SONDE_OK;
}

int paging_pages(struct sonde_space *phys, struct paging_map map, uint64_t first, uint64_t last,
		 uint32_t care, struct sonde_pages **ret)
{
	const uint64_t high = map.paging->va_bits < 64 ? UINT64_MAX << map.paging->va_bits : 0;
	const bool halves = map.paging->range == PAGING_HALVES;
	struct paging_root roots[2];
	uint32_t n = 0;

	if (!halves || first < high)
		roots[n++] = (struct paging_root){ map.root, 0, first, last };
	if (halves && last >= high)
		roots[n++] = (struct paging_root){ map.high_root, high, first, last };
	return paging_pages_of(phys, map.paging, roots, n, care, ret);
}

int paging_visit(struct sonde_space *phys, struct paging_map map, uint64_t first, uint64_t last,
		 uint32_t care, sonde_page_run_fn *fn, void *user)
{
	struct sonde_page_run run;
	struct sonde_pages *pages;
	int r = paging_pages(phys, map, first, last, care, &pages);

	if (r < 0)
		return r;
	while ((r = sonde_pages_next(pages, &run)) > 0) {
		r = fn(user, &run);
		if (r)
			break;
	}
	sonde_pages_close(pages);
	return r;
}

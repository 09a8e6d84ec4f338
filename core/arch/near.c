/* SPDX-License-Identifier: MIT */
/* Reading virtual memory where it lies: spans, and batches of pieces through them. */
#include "arch/near.h"

#include <sonde/error.h>

#include "base/mem.h"
#include "io/request.h"
#include "space/space.h"

#define SPANS_FEW 16u
#define SPANS_BITS 11u
#define SPANS_MANY (1u << SPANS_BITS) /* of 2 MiB: 4 GiB */

enum span_kind {
	SPAN_BYTES = 1, /* at: of the span, all in one place             */
	SPAN_PAGE,      /* pa: of the span, but not all of it in one place */
	SPAN_TABLE,     /* at: the entries of its pages                  */
};

struct near_span {
	uint64_t tag; /* its address >> its shift, plus 1; 0: empty */
	const char *at;
	uint64_t pa;
	enum span_kind kind;
	uint32_t n_steps;
	struct step { /* an entry on the way, from the root down */
		const char *at;
		uint64_t raw;
	} steps[PAGING_LEVELS_MAX];
};

void near_init(struct near *near, struct sonde_space *phys, const struct paging_map *map, bool live)
{
	const struct paging *paging = map->paging;

	*near = (struct near){
		.phys = phys,
		.map = map,
		.live = live,
		.span_level = paging->n_levels > 1,
		.span_shift = paging->levels[paging->n_levels > 1].shift,
	};
	near->pages = paging_plain_pages(paging);
}

void near_finish(struct near *near)
{
	mem_release(near->spans);
}

void near_forget(struct near *near)
{
	near->window.len = 0;
	if (near->spans)
		memset(near->spans, 0, near->n_spans * sizeof(*near->spans));
}

/* ---- one address ------------------------------------------------------------------------------------- */

static __attribute__((noinline)) const char *move_window(struct near *near, uint64_t pa,
							 uint64_t len)
{
	size_t run = 0;
	const char *at = sonde_space_borrow_run(near->phys, pa, SIZE_MAX, &run);

	if (!at || run < len)
		return NULL;
	near->window = (struct near_window){ pa, run, at };
	return at;
}

/* Physical memory that lies here in one place; NULL: it does not. */
static inline const char *lies_at(struct near *near, uint64_t pa, uint64_t len)
{
	uint64_t in = pa - near->window.pa;

	if (in < near->window.len && len <= near->window.len - in)
		return near->window.at + in;
	return move_window(near, pa, len);
}

/* The entry of va at the level of spans; false: the way to it is no table, or does not lie here. */
static bool find_entry(struct near *near, struct near_span *span, uint64_t va,
		       struct paging_entry *ret)
{
	const struct paging *paging = near->map->paging;
	uint64_t table = paging_root(near->map, va);

	for (uint32_t level = paging->n_levels; level-- > near->span_level;) {
		uint64_t at = paging_entry_pa(paging, level, table, va);
		const char *entry = lies_at(near, at, paging->entry_size);
		if (!entry)
			return false;
		uint64_t raw = paging_load(paging, entry);
		span->steps[span->n_steps++] = (struct step){ entry, raw };
		*ret = paging_locate(paging, level, raw);
		if (ret->err)
			return false;
		if (ret->leaf)
			return true;
		table = ret->pa;
	}
	return true;
}

/* What the span of va is; false: nothing that can be looked at here. */
static __attribute__((noinline)) bool fill_span(struct near *near, struct near_span *span,
						uint64_t va, uint64_t tag)
{
	const struct paging *paging = near->map->paging;
	uint64_t len = UINT64_C(1) << near->span_shift;
	struct paging_entry e = { 0 };

	span->tag = 0;
	span->n_steps = 0;
	if (!paging_canonical(paging, va) || !find_entry(near, span, va, &e))
		return false;
	if (e.leaf) {
		span->pa = paging_byte_pa(&e, va & ~(len - 1));
		span->at = lies_at(near, span->pa, len);
		span->kind = span->at ? SPAN_BYTES : SPAN_PAGE;
	} else {
		size_t size = (size_t)paging_n_entries(paging, 0) * paging->entry_size;
		span->at = lies_at(near, e.pa, size);
		span->kind = SPAN_TABLE;
		if (!span->at)
			return false;
	}
	span->tag = tag;
	return true;
}

/* Does the way to it still lead there? */
static inline bool still_holds(const struct near *near, const struct near_span *span)
{
	for (uint32_t i = 0; i < span->n_steps; i++) {
		if (paging_load(near->map->paging, span->steps[i].at) != span->steps[i].raw)
			return false;
	}
	return true;
}

/* It holds until the next one is looked for. */
static inline const struct near_span *find_span(struct near *near, uint64_t va)
{
	uint64_t tag = (va >> near->span_shift) + 1;
	/* Knuth's multiplicative hash: kernels like addresses that differ in a few high bits only. */
	uint64_t place = tag * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SPANS_BITS);
	struct near_span *span = &near->spans[place & (near->n_spans - 1)];

	if (span->tag == tag && (!near->live || still_holds(near, span)))
		return span;
	return fill_span(near, span, va, tag) ? span : NULL;
}

/* The entry of va in the table of a span. */
static inline const char *page_entry(struct near *near, const struct near_span *span, uint64_t va)
{
	return span->at + paging_entry_pa(near->map->paging, 0, 0, va);
}

/* Where bytes are, and how many of them lie in one place; at NULL: not here. */
struct stretch_near {
	const char *at;
	uint64_t len;
};

static inline struct stretch_near stretch_at(struct near *near, uint64_t pa, uint64_t in,
					     uint64_t size, uint64_t len)
{
	struct stretch_near s = { .len = len < size - in ? len : size - in };

	s.at = lies_at(near, pa + in, s.len);
	return s;
}

/* Of a span that is no table. */
static inline struct stretch_near stretch_in(struct near *near, const struct near_span *span,
					     uint64_t va, uint64_t len)
{
	uint64_t size = UINT64_C(1) << near->span_shift, in = va & (size - 1);

	if (span->kind == SPAN_BYTES)
		return (struct stretch_near){ span->at + in, len < size - in ? len : size - in };
	return stretch_at(near, span->pa, in, size, len);
}

/* Of the page that an entry of the last level says. */
static inline struct stretch_near stretch_of(struct near *near, const char *entry, uint64_t va,
					     uint64_t len)
{
	const struct paging *paging = near->map->paging;
	uint64_t raw = paging_load(paging, entry), size = near->pages.size;

	if ((raw & near->pages.care) == near->pages.set)
		return stretch_at(near, (raw & near->pages.mask) << near->pages.up, va & (size - 1),
				  size, len);
	struct paging_entry e = paging_locate(paging, 0, raw);
	if (e.err || !e.leaf)
		return (struct stretch_near){ 0 };
	size = UINT64_C(1) << e.shift;
	return stretch_at(near, e.pa, va & (size - 1), size, len);
}

/* ---- a batch -------------------------------------------------------------------------------------------- */

/*
 * In lots: the entries of all are asked for, then the bytes of all, then they are copied. So what is not in the
 * nearest cache is under way many at a time.
 */
#define LOT 64u

struct lot {
	struct sonde_xfer *x[LOT];
	const char *entry[LOT]; /* of the last level; NULL: found without, or not at all */
	struct stretch_near s[LOT];
	uint32_t n;
};

struct lane {
	struct near *near;
	struct sonde_io *io; /* where the next lot begins */
	uint32_t piece;
	struct lot lot;
};

static inline bool is_for_us(const struct sonde_io *io)
{
	return io->op == SONDE_IO_READ && !io->fragment;
}

/* Of the request at the cursor, as many as there is room for. */
static inline void take_pieces(struct lane *lane)
{
	struct lot *lot = &lane->lot;
	struct sonde_xfer *x = &lane->io->xfers[lane->piece];
	uint32_t left = lane->io->n - lane->piece, room = LOT - lot->n;
	uint32_t n = left < room ? left : room;

	for (uint32_t i = 0; i < n; i++)
		lot->x[lot->n + i] = x + i;
	lot->n += n;
	lane->piece += n;
}

static void next_lot(struct lane *lane)
{
	lane->lot.n = 0;
	while (lane->io && lane->lot.n < LOT) {
		if (is_for_us(lane->io) && lane->piece < lane->io->n) {
			take_pieces(lane);
			continue;
		}
		lane->io = io_core(lane->io)->next;
		lane->piece = 0;
	}
}

static inline void fetch(const struct stretch_near *s)
{
	for (uint64_t off = 0; off < s->len && off < 256; off += 64)
		__builtin_prefetch(s->at + off);
}

/* Returns how many of them lead to a table. */
static uint32_t find_entries(struct near *near, struct lot *lot)
{
	const uint32_t shift = near->span_shift;
	const struct near_span *span = NULL;
	uint32_t n_tables = 0;

	for (uint32_t i = 0; i < lot->n; i++) {
		const struct sonde_xfer *x = lot->x[i];
		lot->entry[i] = NULL;
		lot->s[i].at = NULL;
		/* Neighbours in a list tend to be so in memory. On a live machine every look is a new one. */
		if (!span || span->tag != (x->addr >> shift) + 1 || near->live)
			span = find_span(near, x->addr);
		if (!span)
			continue;
		if (span->kind == SPAN_TABLE) {
			lot->entry[i] = page_entry(near, span, x->addr);
			__builtin_prefetch(lot->entry[i]);
			n_tables++;
			continue;
		}
		lot->s[i] = stretch_in(near, span, x->addr, x->len);
		if (lot->s[i].at)
			fetch(&lot->s[i]);
	}
	return n_tables;
}

static void find_pages(struct near *near, struct lot *lot)
{
	for (uint32_t i = 0; i < lot->n; i++) {
		const struct sonde_xfer *x = lot->x[i];
		if (!lot->entry[i])
			continue;
		lot->s[i] = stretch_of(near, lot->entry[i], x->addr, x->len);
		if (lot->s[i].at)
			fetch(&lot->s[i]);
	}
}

static struct stretch_near locate(struct near *near, uint64_t va, uint64_t len)
{
	const struct near_span *span = find_span(near, va);

	if (!span)
		return (struct stretch_near){ 0 };
	if (span->kind == SPAN_TABLE)
		return stretch_of(near, page_entry(near, span, va), va, len);
	return stretch_in(near, span, va, len);
}

/* What was loaded before was so before what follows is. gcc's thread sanitizer refuses fences, and knows no such order. */
static inline void load_in_order(void)
{
#ifndef __SANITIZE_THREAD__
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
	__asm__ volatile("" ::: "memory");
}

#define TRIES 4u /* of a page that moves while it is read */

/* How many bytes of those at va, which were found at s, are in buf now; 0: none that could be relied on. */
static uint64_t copy_stretch(struct near *near, char *buf, uint64_t va, uint64_t len,
			     struct stretch_near s)
{
	for (unsigned i = 0; s.at && i < TRIES; i++) {
		copy_bytes(&near->copier, buf, s.at, s.len);
		/* A fault in a copy must find the account as it was, and what follows must look at memory anew. */
		load_in_order();
		if (!near->live)
			return s.len;
		struct stretch_near again = locate(near, va, len);
		if (again.at == s.at && again.len == s.len)
			return s.len;
		s = again;
	}
	return 0;
}

/* Page by page, from the second on. */
static void copy_piece(struct near *near, struct sonde_xfer *x, struct stretch_near s)
{
	uint64_t done = copy_stretch(near, x->buf, x->addr, x->len, s), more = done;

	while (more && done < x->len) {
		uint64_t va = x->addr + done, len = x->len - done;
		if (va < x->addr)
			break;
		more = copy_stretch(near, (char *)x->buf + done, va, len, locate(near, va, len));
		done += more;
	}
	if (done == x->len)
		x->done = x->len;
}

/* Nearly all: whole in one page, of memory that stands still. */
static inline bool copy_plain(struct near *near, struct sonde_xfer *x, const struct stretch_near *s)
{
	if (!s->at || s->len != x->len || near->live)
		return false;
	copy_bytes(&near->copier, x->buf, s->at, x->len);
	/* A fault in a copy must find the account as it was. */
	__asm__ volatile("" ::: "memory");
	x->done = x->len;
	return true;
}

static void copy_all(struct near *near, struct lot *lot)
{
	for (uint32_t i = 0; i < lot->n; i++) {
		if (!copy_plain(near, lot->x[i], &lot->s[i]))
			copy_piece(near, lot->x[i], lot->s[i]);
	}
}

static void run_lane(void *arg)
{
	struct lane *lane = arg;

	for (next_lot(lane); lane->lot.n; next_lot(lane)) {
		if (find_entries(lane->near, &lane->lot))
			find_pages(lane->near, &lane->lot);
		copy_all(lane->near, &lane->lot);
	}
}

/* Many spaces see one batch and no more. */
static bool has_spans(struct near *near)
{
	uint32_t want = near->seen_one ? SPANS_MANY : SPANS_FEW;

	near->seen_one = true;
	if (near->n_spans >= want)
		return true;
	struct near_span *spans = mem_alloc(want, sizeof(*spans));
	if (spans) {
		mem_release(near->spans);
		near->spans = spans;
		near->n_spans = want;
	}
	return near->spans;
}

/* After a fault virtual.c does the rest of the batch: page by page, it finds out which were meant. */
void near_read(struct near *near, struct sonde_io *list)
{
	const struct space_ops *ops = near->phys->ops;
	struct lane lane = { .near = near, .io = list };

	if (ops->borrow && ops->guarded && *near->phys->resident && has_spans(near))
		ops->guarded(near->phys, run_lane, &lane);
}

/* SPDX-License-Identifier: MIT */
/*
 * A space made of stretches of others. Pieces are cut where stretches end and go below in operations of
 * a fixed size, one open for each space below; what became of a part below is what became of it above.
 * Operations are kept: once there are enough of them nothing is allocated.
 *
 * A request's cursor (io_core.piece, .off) is the next byte that was not sent, io_core.pending counts its
 * parts below. It ends when both are through.
 */
#include "space/remap.h"

#include <sonde/error.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/sort.h"

#define STRETCHES_MAX (UINT32_C(1) << 20)
#define OP_PIECES 64u
#define OPS_MAX 256u /* in flight; what is beyond waits for one of them */

/* Whose a piece below is. */
struct origin {
	struct sonde_io *io;
	uint32_t piece, off;
};

struct remap_op {
	struct sonde_io lower;
	struct remap *remap;
	struct remap_op *next; /* spare or open */
	uint32_t n, target;    /* pieces; index of the space below */
	bool in_flight;
	bool watched; /* somebody wants to hear of each fragment                           */
	struct sonde_io
		*whole; /* these are its own pieces, from first on, their addresses changed */
	uint32_t first;
	union {
		uint64_t addrs[OP_PIECES]; /* whole: what to put back */
		struct {
			struct sonde_xfer xfers[OP_PIECES];
			struct origin origins[OP_PIECES];
		};
	};
};

static struct remap *of_space(struct sonde_space *space)
{
	return (struct remap *)(void *)space;
}

/* ---- stretches ----------------------------------------------------------------------------- */

/* The first stretch that ends at or behind addr, which is not the one that the guide named. */
static uint32_t find_behind(const struct remap *remap, uint64_t step, uint64_t addr)
{
	uint32_t low = remap->guide[step] + 1, high = remap->guide[step + 1];

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (remap->stretches[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The first stretch that ends at or behind addr, which is not behind the last one nor before the first. */
static inline const struct remap_stretch *at_or_behind(const struct remap *remap, uint64_t addr)
{
	uint64_t step = (addr - remap->first) >> remap->guide_shift;
	uint32_t i = remap->guide[step];

	if (remap->stretches[i].last < addr)
		i = find_behind(remap, step, addr);
	return &remap->stretches[i];
}

/* The stretch that holds addr, else NULL. */
static inline const struct remap_stretch *find(const struct remap *remap, uint64_t addr)
{
	if (addr - remap->first > remap->last - remap->first || !remap->n_stretches)
		return NULL;
	const struct remap_stretch *s = at_or_behind(remap, addr);
	return s->addr <= addr ? s : NULL;
}

/* How far the hole goes on that addr is in; 0: to the end. */
static uint64_t find_gap(const struct remap *remap, uint64_t addr)
{
	if (!remap->n_stretches || addr > remap->last)
		return 0;
	if (addr < remap->first)
		return remap->first - addr;
	return at_or_behind(remap, addr)->addr - addr;
}

/* Four steps a stretch: where stretches are alike, the guide is right at once. */
static int make_guide(struct remap *remap)
{
	uint32_t n = remap->n_stretches, i = 0;

	remap->first = n ? remap->stretches[0].addr : 0;
	remap->last = n ? remap->stretches[n - 1].last : 0;
	uint64_t span = remap->last - remap->first;
	while (span >> remap->guide_shift >= 4 * (uint64_t)n + 4)
		remap->guide_shift++;
	remap->n_steps = n ? (span >> remap->guide_shift) + 1 : 0;
	remap->guide = mem_alloc(remap->n_steps + 1, sizeof(*remap->guide));
	if (!remap->guide)
		return SONDE_E_NO_MEMORY;
	for (uint64_t step = 0; step < remap->n_steps; step++) {
		while (remap->stretches[i].last - remap->first < step << remap->guide_shift)
			i++;
		remap->guide[step] = i;
	}
	remap->guide[remap->n_steps] = n ? n - 1 : 0;
	return SONDE_OK;
}

/* ---- operations ------------------------------------------------------------------------------ */

static struct remap_op *op_new(struct remap *remap)
{
	struct remap_op *op = remap->n_ops < OPS_MAX ? mem_alloc(1, sizeof(*op)) : NULL;

	if (op) {
		op->remap = remap;
		remap->ops[remap->n_ops++] = op;
	}
	return op;
}

static void op_put(struct remap_op *op)
{
	op->n = 0;
	op->watched = false;
	op->whole = NULL;
	op->next = op->remap->spare;
	op->remap->spare = op;
}

static void finish_if_over(struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (core->piece == io->n && core->pending == 0)
		io_finish(io);
}

/* Those that share a trip may have been asked to end for different reasons. */
static int32_t error_above(struct sonde_io *io, int32_t err)
{
	int32_t stop = io_stop_code(io);

	return stop && (err == SONDE_E_CANCELLED || err == SONDE_E_TIMED_OUT) ? stop : err;
}

/* A piece below is final, and with it a part of one above. */
static inline void account(const struct origin *from, const struct sonde_xfer *low)
{
	struct sonde_xfer *x = &from->io->xfers[from->piece];

	x->done += low->done;
	if (low->err && (x->err == 0 || from->off + low->err_off < x->err_off)) {
		x->err = error_above(from->io, low->err);
		x->err_off = from->off + low->err_off;
	}
}

static void moved(struct sonde_io *lower, const struct sonde_fragment *f)
{
	const struct remap_op *op = (const struct remap_op *)(void *)lower;
	const struct origin *from = &op->origins[f->piece];

	io_account(from->io, from->piece, from->off + f->off, f->len,
		   error_above(from->io, f->err));
}

static void send(struct remap *remap);

static void put_back(struct remap_op *op)
{
	struct sonde_xfer *xfers = op->whole->xfers + op->first;

	for (uint32_t i = 0; i < op->n; i++)
		xfers[i].addr = op->addrs[i];
	io_core(op->whole)->pending--;
	finish_if_over(op->whole);
}

/* A request ends with the last of its parts, so none is touched behind its end. */
static void settle_parts(struct remap_op *op)
{
	for (uint32_t i = 0; i < op->n; i++) {
		struct sonde_io *io = op->origins[i].io;
		if (!op->watched)
			account(&op->origins[i], &op->xfers[i]);
		else if (io_was_dropped(&op->lower, i))
			io_distrust(io, op->origins[i].piece);
		io_core(io)->pending--;
		finish_if_over(io);
	}
}

static void op_complete(struct sonde_io *lower)
{
	struct remap_op *op = (struct remap_op *)(void *)lower;
	struct remap *remap = op->remap;

	space_leave(lower);
	op->in_flight = false;
	if (op->whole)
		put_back(op);
	else
		settle_parts(op);
	op_put(op);
	if (remap->backlog && !remap->sending)
		send(remap);
}

static void op_issue(struct remap_op *op)
{
	struct remap *remap = op->remap;

	remap->lowers[op->target].open = NULL;
	op->in_flight = true;
	op->lower.xfers = op->whole ? op->whole->xfers + op->first : op->xfers;
	op->lower.n = op->n;
	op->lower.op = remap->filling;
	op->lower.fragment = op->watched ? moved : NULL;
	op->lower.state = SONDE_IO_IDLE;
	space_issue_prepared(remap->lowers[op->target].space, &op->lower, op_complete);
}

static void issue_open(struct remap *remap)
{
	while (remap->open) {
		struct remap_op *op = remap->open;
		remap->open = op->next;
		op_issue(op);
	}
}

/* An operation with room, for a space below; NULL: all are in flight. */
static struct remap_op *op_open(struct remap *remap, uint32_t target)
{
	struct remap_op *op = remap->lowers[target].open;

	if (op && op->n < OP_PIECES)
		return op;
	if (op)
		issue_open(remap);
	if (!remap->spare && !(remap->spare = op_new(remap)))
		issue_open(remap); /* those of spaces that answer at once are back then */
	op = remap->spare;
	if (!op)
		return NULL;
	remap->spare = op->next;
	op->target = target;
	op->next = remap->open;
	remap->open = op;
	remap->lowers[target].open = op;
	return op;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static inline void advance(struct sonde_io *io, uint32_t len)
{
	struct io_core *core = io_core(io);

	core->off += len;
	if (core->off == io->xfers[core->piece].len) {
		core->piece++;
		core->off = 0;
	}
}

static void skip_hole(struct sonde_io *io, uint32_t left, uint64_t gap)
{
	struct io_core *core = io_core(io);
	uint32_t len = gap && gap < left ? (uint32_t)gap : left;

	io_account(io, core->piece, core->off, len, SONDE_E_NOT_MAPPED);
	advance(io, len);
}

static inline void op_add(struct remap_op *op, struct sonde_io *io, uint64_t at, uint32_t len)
{
	struct io_core *core = io_core(io);
	struct sonde_xfer *x = &op->xfers[op->n];

	*x = (struct sonde_xfer){ .addr = at,
				  .buf = (char *)io->xfers[core->piece].buf + core->off,
				  .len = len,
				  .err_off = len };
	op->origins[op->n++] = (struct origin){ io, core->piece, core->off };
	op->watched |= io->fragment != NULL;
	core->pending++;
}

/*
 * Pieces from the cursor on that lie in a stretch each: over memory that answers inside the call nothing
 * is faster than to change their addresses for as long as it takes.
 */
static void change_addrs(struct remap *remap, struct sonde_io *io, struct remap_op *op)
{
	struct io_core *core = io_core(io);
	struct sonde_xfer *x = &io->xfers[core->piece];
	uint32_t left = io->n - core->piece, n = 0;

	left = left < OP_PIECES ? left : OP_PIECES;
	for (; n < left; n++, x++) {
		const struct remap_stretch *s = find(remap, x->addr);
		if (!s || x->len - 1 > s->last - x->addr)
			break;
		op->addrs[n] = x->addr;
		x->addr += s->shift;
	}
	op->whole = io;
	op->first = core->piece;
	op->n = n;
	core->piece += n;
}

static bool send_whole(struct remap *remap, struct sonde_io *io)
{
	struct remap_op *op;

	if (io->fragment || remap->n_lowers != 1 || !*remap->space.resident || io_core(io)->off)
		return false;
	issue_open(remap); /* its operation may be wanted */
	op = op_open(remap, 0);
	if (!op)
		return false;
	change_addrs(remap, io, op);
	if (op->n == 0) {
		remap->open = op->next;
		remap->lowers[0].open = NULL;
		op_put(op);
		return false;
	}
	io_core(io)->pending++;
	issue_open(remap);
	return true;
}

/* From its cursor to its end; false: every operation is in flight. */
static bool cut(struct remap *remap, struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	while (core->piece < io->n) {
		if (send_whole(remap, io))
			continue;
		const struct sonde_xfer *x = &io->xfers[core->piece];
		uint64_t addr = x->addr + core->off;
		uint32_t len = x->len - core->off;
		bool wraps = addr < x->addr;
		const struct remap_stretch *s = wraps ? NULL : find(remap, addr);
		if (!s) {
			skip_hole(io, len, wraps ? 0 : find_gap(remap, addr));
			continue;
		}
		if (len - 1 > s->last - addr)
			len = (uint32_t)(s->last - addr) + 1;
		struct remap_op *op = op_open(remap, s->lower);
		if (!op)
			return false;
		op_add(op, io, addr + s->shift, len);
		advance(io, len);
	}
	return true;
}

static bool cut_or_stop(struct remap *remap, struct sonde_io *io)
{
	bool through = true;

	io_core(io)->pending++; /* its end comes from here, not from a part that is back at once */
	if (remap->filling != io->op) {
		issue_open(remap);
		remap->filling = io->op;
	}
	if (io_stop_code(io))
		io_finish_unsent(io);
	else
		through = cut(remap, io);
	io_core(io)->pending--;
	return through;
}

static struct sonde_io *take_backlog(struct remap *remap)
{
	struct sonde_io *io = remap->backlog;

	remap->backlog = io_core(io)->next;
	if (!remap->backlog)
		remap->backlog_tail = &remap->backlog;
	return io;
}

static void add_backlog(struct remap *remap, struct sonde_io *list)
{
	*remap->backlog_tail = list;
	for (; list; list = io_core(list)->next)
		remap->backlog_tail = &io_core(list)->next;
}

/* What is submitted meanwhile, by a request that ends in here, is taken along. */
static void send(struct remap *remap)
{
	remap->sending = true;
	do {
		while (remap->backlog && cut_or_stop(remap, remap->backlog))
			finish_if_over(take_backlog(remap));
		issue_open(remap);
	} while (remap->backlog && remap->spare);
	remap->sending = false;
}

void remap_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct remap *remap = of_space(space);

	add_backlog(remap, list);
	if (!remap->sending)
		send(remap);
}

/* ---- cancelling ------------------------------------------------------------------------------- */

static bool nobody_waits(const struct remap_op *op)
{
	if (op->whole)
		return io_stop_code(op->whole) != 0;
	for (uint32_t i = 0; i < op->n; i++) {
		if (!io_stop_code(op->origins[i].io))
			return false;
	}
	return true;
}

static void drop_stopped(struct remap *remap)
{
	struct sonde_io *list = remap->backlog;

	remap->backlog = NULL;
	remap->backlog_tail = &remap->backlog;
	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		io_core(io)->next = NULL;
		if (io_stop_code(io))
			io_finish_unsent(io);
		else
			add_backlog(remap, io);
	}
}

/* Parts that share an operation with somebody else's are waited for. */
void remap_cancel(struct sonde_space *space, struct sonde_io *io)
{
	struct remap *remap = of_space(space);

	for (uint32_t i = 0; i < remap->n_ops; i++) {
		if (remap->ops[i]->in_flight && nobody_waits(remap->ops[i]))
			space_stop(&remap->ops[i]->lower, io_stop_code(io));
	}
	drop_stopped(remap);
}

/* ---- the rest ----------------------------------------------------------------------------------- */

struct region_visit {
	const struct remap_stretch *stretch;
	sonde_region_fn *fn;
	void *user;
	int result; /* of fn */
};

/* A region below, as far as it lies in the stretch and in the stretch's addresses. */
static int visit_region(void *user, const struct sonde_region *below)
{
	struct region_visit *visit = user;
	const struct remap_stretch *s = visit->stretch;
	uint64_t first = s->addr + s->shift, last = s->last + s->shift;
	uint64_t below_last = below->addr + (below->len - 1);

	if (below->addr > last)
		return 1;
	if (below_last < first)
		return 0;
	struct sonde_region region = *below;
	region.addr = below->addr > first ? below->addr : first;
	region.len = (below_last < last ? below_last : last) - region.addr + 1;
	region.addr -= s->shift;
	visit->result = visit->fn(visit->user, &region);
	return visit->result;
}

static int regions_of(struct remap *remap, const struct remap_stretch *s, sonde_region_fn *fn,
		      void *user)
{
	struct region_visit visit = { .stretch = s, .fn = fn, .user = user };
	struct sonde_region whole = { .addr = s->addr,
				      .len = s->last - s->addr + 1,
				      .flags = SONDE_REGION_READ,
				      .name = "" };
	int r = sonde_space_regions(remap->lowers[s->lower].space, visit_region, &visit);

	if (visit.result || r == 1)
		return visit.result;
	if (r != SONDE_E_UNSUPPORTED)
		return r;
	return fn(user, &whole);
}

int remap_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct remap *remap = of_space(space);
	int r = 0;

	for (uint32_t i = 0; i < remap->n_stretches && r == 0; i++)
		r = regions_of(remap, &remap->stretches[i], fn, user);
	return r;
}

const void *remap_borrow(struct sonde_space *space, uint64_t addr, size_t *len)
{
	struct remap *remap = of_space(space);
	const struct remap_stretch *s = find(remap, addr);

	if (!s)
		return NULL;
	if (*len - 1 > s->last - addr)
		*len = (size_t)(s->last - addr) + 1;
	return sonde_space_borrow_run(remap->lowers[s->lower].space, addr + s->shift, *len, len);
}

void remap_trim(struct sonde_space *space)
{
	struct remap *remap = of_space(space);

	for (uint32_t i = 0; i < remap->n_lowers; i++)
		sonde_space_trim(remap->lowers[i].space);
}

void remap_invalidate(struct sonde_space *space)
{
	struct remap *remap = of_space(space);

	for (uint32_t i = 0; i < remap->n_lowers; i++)
		sonde_space_invalidate(remap->lowers[i].space);
}

/* ---- making one ---------------------------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	const struct sonde_stretch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int by_space(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct remap_lower *)a)->space;
	uintptr_t y = (uintptr_t)((const struct remap_lower *)b)->space;

	return x < y ? -1 : x > y;
}

static int check(struct sonde_loop *loop, const struct sonde_stretch *s, size_t n)
{
	if (n > STRETCHES_MAX)
		return SONDE_E_LIMIT;
	for (size_t i = 0; i < n; i++) {
		if (!s[i].space || s[i].space->loop != loop || s[i].len == 0)
			return SONDE_E_BAD_ARG;
		if (s[i].len - 1 > UINT64_MAX - s[i].addr || s[i].len - 1 > UINT64_MAX - s[i].at)
			return SONDE_E_BAD_ARG;
	}
	return SONDE_OK;
}

static void gather_lowers(struct remap *remap, const struct sonde_stretch *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		remap->lowers[i].space = s[i].space;
	sort_items(remap->lowers, n, sizeof(struct remap_lower), by_space);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || remap->lowers[i].space != remap->lowers[remap->n_lowers - 1].space)
			remap->lowers[remap->n_lowers++].space = remap->lowers[i].space;
	}
}

static uint32_t lower_of(const struct remap *remap, const struct sonde_space *space)
{
	uint32_t low = 0, high = remap->n_lowers - 1;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if ((uintptr_t)remap->lowers[mid].space < (uintptr_t)space)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Do they go on alike below? Together they are no longer than the length of a stretch can tell. */
static bool joins(const struct remap_stretch *last, const struct remap_stretch *one)
{
	return one->addr == last->last + 1 && one->shift == last->shift &&
	       one->lower == last->lower && one->addr + one->shift &&
	       one->last - last->addr != UINT64_MAX;
}

/* sorted: by addr. Neighbours that go on alike below become one. */
static int take_stretches(struct remap *remap, const struct sonde_stretch *sorted, size_t n)
{
	struct remap_stretch *last = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct sonde_stretch *s = &sorted[i];
		struct remap_stretch one = { s->addr, s->addr + (s->len - 1), s->at - s->addr,
					     lower_of(remap, s->space) };
		if (last && one.addr <= last->last)
			return SONDE_E_BAD_ARG;
		if (last && joins(last, &one)) {
			last->last = one.last;
			continue;
		}
		last = &remap->stretches[remap->n_stretches++];
		*last = one;
	}
	return SONDE_OK;
}

static int fill(struct remap *remap, const struct sonde_stretch *stretches, size_t n)
{
	struct sonde_stretch *sorted = mem_alloc(n + 1, sizeof(*sorted));
	int r = SONDE_E_NO_MEMORY;

	remap->stretches = mem_alloc(n + 1, sizeof(*remap->stretches));
	remap->lowers = mem_alloc(n + 1, sizeof(*remap->lowers));
	remap->ops = mem_alloc(OPS_MAX, sizeof(struct remap_op *));
	if (sorted && remap->stretches && remap->lowers && remap->ops)
		remap->spare = op_new(remap);
	if (remap->spare) {
		if (n)
			memcpy(sorted, stretches, n * sizeof(*sorted));
		sort_items(sorted, n, sizeof(struct sonde_stretch), by_addr);
		gather_lowers(remap, sorted, n);
		r = take_stretches(remap, sorted, n);
		if (r == SONDE_OK)
			r = make_guide(remap);
	}
	mem_release(sorted);
	return r;
}

int remap_init(struct remap *remap, const struct space_ops *ops, struct sonde_loop *loop,
	       const struct sonde_stretch *stretches, size_t n)
{
	*remap = (struct remap){ .resident = true };
	remap->backlog_tail = &remap->backlog;
	int r = check(loop, stretches, n);
	if (r == SONDE_OK)
		r = fill(remap, stretches, n);
	if (r < 0) {
		remap_finish(remap);
		return r;
	}
	/* Of several, a hint that holds for all would have to change with each of theirs. */
	for (uint32_t i = 0; i < remap->n_lowers; i++)
		remap->resident &= remap->lowers[i].space->resident == &space_always;
	space_init(&remap->space, ops, loop,
		   remap->n_lowers == 1 ? remap->lowers[0].space->resident : &remap->resident);
	return SONDE_OK;
}

void remap_finish(struct remap *remap)
{
	for (uint32_t i = 0; i < remap->n_ops; i++)
		mem_release(remap->ops[i]);
	mem_release(remap->ops);
	mem_release(remap->guide);
	mem_release(remap->lowers);
	mem_release(remap->stretches);
}

static void remap_destroy(struct sonde_space *space)
{
	remap_finish(of_space(space));
	mem_release(space);
}

/* Each stretch over the clone of its space: lowers[i] of ours is clones[i]. */
static int remap_clones(const struct remap *remap, struct sonde_loop *loop,
			struct sonde_space *const *clones, struct sonde_space **ret)
{
	struct sonde_stretch *all = mem_alloc(remap->n_stretches + 1, sizeof(*all));
	int r = SONDE_E_NO_MEMORY;

	for (uint32_t i = 0; all && i < remap->n_stretches; i++) {
		const struct remap_stretch *s = &remap->stretches[i];
		all[i] = (struct sonde_stretch){ s->addr, s->last - s->addr + 1, clones[s->lower],
						 s->addr + s->shift };
	}
	if (all)
		r = sonde_space_remap(loop, all, remap->n_stretches, ret);
	mem_release(all);
	return r;
}

static int remap_clone(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		       struct sonde_error *err)
{
	struct remap *remap = of_space(space);
	struct sonde_space **clones = mem_alloc(remap->n_lowers + 1, sizeof(struct sonde_space *));
	int r = clones ? SONDE_OK : sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");

	for (uint32_t i = 0; r == SONDE_OK && i < remap->n_lowers; i++)
		r = sonde_space_clone(remap->lowers[i].space, loop, &clones[i], err);
	if (r == SONDE_OK) {
		r = remap_clones(remap, loop, clones, ret);
		if (r < 0)
			sonde_error_set(err, r, "out of memory");
	}
	for (uint32_t i = 0; clones && i < remap->n_lowers; i++) {
		if (r < 0)
			sonde_space_close(clones[i]);
		else
			space_own(*ret, clones[i]);
	}
	mem_release(clones);
	return r;
}

static const struct space_ops remap_ops = {
	.submit = remap_submit,
	.cancel = remap_cancel,
	.regions = remap_regions,
	.borrow = remap_borrow,
	.trim = remap_trim,
	.invalidate = remap_invalidate,
	.clone = remap_clone,
	.destroy = remap_destroy,
};

int sonde_space_remap(struct sonde_loop *loop, const struct sonde_stretch *stretches, size_t n,
		      struct sonde_space **ret)
{
	struct remap *remap;

	if (!loop || !ret || (n && !stretches))
		return SONDE_E_BAD_ARG;
	remap = mem_alloc(1, sizeof(*remap));
	if (!remap)
		return SONDE_E_NO_MEMORY;
	int r = remap_init(remap, &remap_ops, loop, stretches, n);
	if (r < 0) {
		mem_release(remap);
		return r;
	}
	*ret = &remap->space;
	return SONDE_OK;
}

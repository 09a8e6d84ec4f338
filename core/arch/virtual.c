/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory as a space: a batch of virtual pieces is cut at pages, translated level by
 * level (any number of addresses costs at most one trip a level), then read as one
 * physical batch. Each step is a request to the space below; the state machine is vm_run.
 *
 *   FILL ──slots──▶ WALK ──one trip a level──▶ MOVE ──one trip──▶ (more to cut? FILL) ──▶ over
 */
#include <sonde/error.h>
#include <sonde/types.h>

#include "arch/near.h"
#include "arch/paging.h"
#include "arch/tlb.h"
#include "base/mem.h"
#include "base/sort.h"
#include "space/space.h"

#define SLOTS_MAX 16384u /* pages a window; a larger batch goes in several      */
#define SLOTS_FEW 8u
#define SPARES_MAX 4u

/* One page's share of one piece. */
struct slot {
	uint64_t va;
	uint64_t pa; /* walk: of the table; once resolved: of the byte */
	struct sonde_io *io;
	uint32_t piece, off, len;
	uint32_t entry; /* walk: index of its entry in entries            */
	int32_t err;
	bool resolved;
	bool untouched; /* err: nothing is kept in its entry */
	bool hidden;    /* walk: its entry lies behind one that failed in the same piece */
};

enum vm_phase { VM_FILL, VM_WALK, VM_MOVE };

struct vm_op {
	struct sonde_io lower; /* first: the request below is the op */
	struct vm_op *next;    /* spare */
	struct vspace *vs;
	enum vm_phase phase;
	uint32_t level;
	bool issuing, lower_done;
	bool walking;             /* FILL: some slot was not in the TLB       */
	bool again;               /* WALK: this trip is for the hidden ones   */
	struct sonde_io *list;    /* all requests of the batch                */
	struct sonde_io *fill_io; /* FILL: where cutting goes on              */
	uint32_t fill_piece, fill_off;
	struct slot *slots;       /* [n_slots], by va if walking; room for cap */
	uint64_t *entries;        /* [cap]                                    */
	struct sonde_xfer *xfers; /* [cap]                                    */
	uint32_t *run_slot;       /* [cap] MOVE: first slot of each xfer      */
	uint32_t n_slots, cap;
};

struct vspace {
	struct sonde_space space;
	struct sonde_space *phys;
	struct paging_map map;
	uint64_t tlb_ns, forget_at_ns;
	uint64_t zeros, n_zeros; /* addresses of which paging_space_zeros was told */
	struct tlb *tlb;         /* made by the second batch: many spaces see only one */
	bool seen_one;
	struct near near;
	struct vm_op *spares;
	uint32_t n_spares;
};

/* ---- operations ----------------------------------------------------------------------------- */

static void op_free(struct vm_op *op)
{
	mem_release(op->slots);
	mem_release(op->entries);
	mem_release(op->xfers);
	mem_release(op->run_slot);
	mem_release(op);
}

/* Only the slots live across a growth; the other arrays are made anew at each step. */
static bool op_grow(struct vm_op *op)
{
	uint32_t cap = op->cap ? op->cap * 4 : SLOTS_FEW;
	uint64_t *entries = mem_resize(NULL, cap, sizeof(*entries));
	struct sonde_xfer *xfers = mem_resize(NULL, cap, sizeof(*xfers));
	uint32_t *run_slot = mem_resize(NULL, cap, sizeof(*run_slot));
	struct slot *slots = NULL;

	if (entries && xfers && run_slot)
		slots = mem_resize(op->slots, cap, sizeof(*slots));
	if (!slots) {
		mem_release(entries);
		mem_release(xfers);
		mem_release(run_slot);
		return false;
	}
	mem_release(op->entries);
	mem_release(op->xfers);
	mem_release(op->run_slot);
	op->slots = slots;
	op->entries = entries;
	op->xfers = xfers;
	op->run_slot = run_slot;
	op->cap = cap;
	return true;
}

static struct vm_op *op_get(struct vspace *vs)
{
	struct vm_op *op = vs->spares;

	if (op) {
		vs->spares = op->next;
		vs->n_spares--;
		return op;
	}
	op = mem_alloc(1, sizeof(*op));
	if (!op)
		return NULL;
	op->vs = vs;
	if (!op_grow(op)) {
		op_free(op);
		return NULL;
	}
	return op;
}

static void op_put(struct vm_op *op)
{
	struct vspace *vs = op->vs;

	if (vs->n_spares >= SPARES_MAX) {
		op_free(op);
		return;
	}
	op->next = vs->spares;
	vs->spares = op;
	vs->n_spares++;
}

/* ---- FILL: cut pieces at pages ------------------------------------------------------------------ */

static uint32_t to_page_end(uint64_t va, uint32_t len)
{
	uint64_t rest = SONDE_PAGE_SIZE - (va & (SONDE_PAGE_SIZE - 1));

	return len < rest ? len : (uint32_t)rest;
}

static void add_slot(struct vm_op *op, uint64_t va, uint32_t len)
{
	struct vspace *vs = op->vs;
	struct slot *slot = &op->slots[op->n_slots++];

	*slot = (struct slot){ .va = va,
			       .pa = paging_root(&vs->map, va),
			       .io = op->fill_io,
			       .piece = op->fill_piece,
			       .off = op->fill_off,
			       .len = len };
	if (!paging_canonical(vs->map.paging, va))
		slot->err = SONDE_E_NOT_MAPPED;
	else if (vs->tlb && tlb_find(vs->tlb, vs->map.paging, va, &slot->pa))
		slot->resolved = true;
	else
		op->walking = true;
}

/* Was it read the short way? Nobody else has written done of a request that has just come. */
static inline bool is_moved(const struct sonde_xfer *x)
{
	return x->done == x->len;
}

static void fill_piece(struct vm_op *op, const struct sonde_xfer *x)
{
	int32_t stop = io_stop_code(op->fill_io);

	if (stop) {
		io_account(op->fill_io, op->fill_piece, op->fill_off, x->len - op->fill_off, stop);
		op->fill_off = x->len;
		return;
	}
	while (op->fill_off < x->len && op->n_slots < SLOTS_MAX) {
		uint64_t va = x->addr + op->fill_off;
		if (op->n_slots == op->cap && !op_grow(op))
			return;
		if (va < x->addr) { /* past 2^64 */
			io_account(op->fill_io, op->fill_piece, op->fill_off, x->len - op->fill_off,
				   SONDE_E_NOT_MAPPED);
			op->fill_off = x->len;
			return;
		}
		uint32_t len = to_page_end(va, x->len - op->fill_off);
		add_slot(op, va, len);
		op->fill_off += len;
	}
}

/* Without memory for one more slot the window simply ends; with none at all the batch fails. */
static void fill(struct vm_op *op)
{
	op->n_slots = 0;
	op->walking = false;
	while (op->fill_io) {
		struct sonde_io *io = op->fill_io;
		if (op->fill_piece == io->n) {
			op->fill_io = io_core(io)->next;
			op->fill_piece = 0;
			continue;
		}
		if (op->fill_off == 0 && is_moved(&io->xfers[op->fill_piece])) {
			op->fill_piece++;
			continue;
		}
		fill_piece(op, &io->xfers[op->fill_piece]);
		if (op->fill_off < io->xfers[op->fill_piece].len)
			return;
		op->fill_piece++;
		op->fill_off = 0;
	}
}

static int by_va(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	if (x->va != y->va)
		return x->va < y->va ? -1 : 1;
	if (x->io != y->io)
		return (uintptr_t)x->io < (uintptr_t)y->io ? -1 : 1;
	return x->piece < y->piece ? -1 : x->piece > y->piece;
}

/* A walk wants neighbours together; without one the order of the pieces is as good. */
static void sort_slots(struct vm_op *op)
{
	if (!op->walking)
		return;
	for (uint32_t i = 1; i < op->n_slots; i++) {
		if (op->slots[i].va < op->slots[i - 1].va) {
			sort_items(op->slots, op->n_slots, sizeof(*op->slots), by_va);
			return;
		}
	}
}

/* ---- WALK: one level for all slots ------------------------------------------------------------------ */

static bool is_walking(const struct vm_op *op, const struct slot *slot)
{
	return !slot->resolved && !slot->err && slot->hidden == op->again;
}

/* Entries lie as they do in memory. */
static char *entry_at(const struct vm_op *op, uint32_t index)
{
	return (char *)op->entries + (size_t)op->vs->map.paging->entry_size * index;
}

/* Neighbours share an entry or have neighbouring ones, which makes one piece of many, the first time. */
static uint32_t gather_entries(struct vm_op *op)
{
	const struct paging *paging = op->vs->map.paging;
	const uint32_t size = paging->entry_size;
	uint64_t last = 0;
	uint32_t n = 0, n_entries = 0;

	for (uint32_t i = 0; i < op->n_slots; i++) {
		struct slot *slot = &op->slots[i];
		if (!is_walking(op, slot))
			continue;
		uint64_t at = paging_entry_pa(paging, op->level, slot->pa, slot->va);
		if (n && at == last + size && (at & (SONDE_PAGE_SIZE - 1)) && !op->again) {
			op->xfers[n - 1].len += size;
			n_entries++;
		} else if (!n || at != last) {
			op->xfers[n++] = (struct sonde_xfer){ .addr = at,
							      .buf = entry_at(op, n_entries++),
							      .len = size };
		}
		slot->entry = n_entries - 1;
		last = at;
	}
	return n;
}

static void resolve(struct vm_op *op, struct slot *slot, uint64_t raw)
{
	struct vspace *vs = op->vs;
	struct paging_entry e = paging_decode(vs->map.paging, op->level, raw);

	slot->err = e.err;
	slot->untouched = raw == 0;
	slot->pa = e.pa;
	if (e.err || !e.leaf)
		return;
	slot->resolved = true;
	slot->pa = paging_byte_pa(&e, slot->va);
	if (vs->tlb)
		tlb_add(vs->tlb, vs->map.paging, op->level, slot->va, slot->pa);
}

/*
 * Where a table itself could not be read, its slots fail with what the space below said. *ret_hidden: it
 * may have been readable all the same, behind what failed.
 */
static int32_t entry_error(const struct vm_op *op, uint32_t entry, uint32_t *piece,
			   bool *ret_hidden)
{
	const char *at = entry_at(op, entry);
	const uint32_t size = op->vs->map.paging->entry_size;

	while (at >= (const char *)op->xfers[*piece].buf + op->xfers[*piece].len)
		(*piece)++;
	const struct sonde_xfer *x = &op->xfers[*piece];
	uint32_t off = (uint32_t)(at - (const char *)x->buf);
	*ret_hidden = x->err && off > x->err_off && x->done >= x->err_off + size;
	return x->err && off + size > x->err_off ? x->err : 0;
}

static void step_slot(struct vm_op *op, struct slot *slot, uint32_t *piece)
{
	bool hidden;
	int32_t err = entry_error(op, slot->entry, piece, &hidden);

	slot->hidden = hidden;
	if (hidden)
		return;
	if (!err)
		err = io_stop_code(slot->io); /* asked for between two trips */
	slot->err = err;
	if (!err)
		resolve(op, slot, paging_load(op->vs->map.paging, entry_at(op, slot->entry)));
	if (op->level == 0 && !slot->resolved && !slot->err)
		slot->err = SONDE_E_NOT_MAPPED;
}

static void step_level(struct vm_op *op)
{
	uint32_t piece = 0;
	bool again = false;

	for (uint32_t i = 0; i < op->n_slots; i++) {
		if (!is_walking(op, &op->slots[i]))
			continue;
		step_slot(op, &op->slots[i], &piece);
		again |= op->slots[i].hidden;
	}
	op->again = again;
}

/* ---- MOVE: the bytes ------------------------------------------------------------------------------------ */

static bool continues(const struct slot *prev, const struct slot *slot)
{
	return prev->io == slot->io && prev->piece == slot->piece &&
	       prev->off + prev->len == slot->off && prev->pa + prev->len == slot->pa;
}

/* A slot that leads nowhere. */
static void give_up(const struct vm_op *op, const struct slot *slot)
{
	const struct vspace *vs = op->vs;
	bool zeros = slot->untouched && slot->err == SONDE_E_NOT_MAPPED &&
		     op->list->op == SONDE_IO_READ && slot->va - vs->zeros < vs->n_zeros;

	if (zeros)
		memset((char *)slot->io->xfers[slot->piece].buf + slot->off, 0, slot->len);
	io_account(slot->io, slot->piece, slot->off, slot->len, zeros ? 0 : slot->err);
}

static uint32_t gather_runs(struct vm_op *op)
{
	const struct slot *prev = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < op->n_slots; i++) {
		struct slot *slot = &op->slots[i];
		if (slot->err) {
			give_up(op, slot);
			prev = NULL;
			continue;
		}
		if (prev && continues(prev, slot)) {
			op->xfers[n - 1].len += slot->len;
		} else {
			char *buf = slot->io->xfers[slot->piece].buf;
			op->run_slot[n] = i;
			op->xfers[n++] = (struct sonde_xfer){ .addr = slot->pa,
							      .buf = buf + slot->off,
							      .len = slot->len };
		}
		prev = slot;
	}
	return n;
}

/* What became of a stretch below is what became of it above. */
static void moved(struct sonde_io *lower, const struct sonde_fragment *f)
{
	struct vm_op *op = (struct vm_op *)(void *)lower;
	const struct slot *slot = &op->slots[op->run_slot[f->piece]];

	io_account(slot->io, slot->piece, slot->off + f->off, f->len, f->err);
}

/* A run that was dropped below is seen at its end only: what it told was not to be believed. */
static void distrust_dropped(struct vm_op *op)
{
	for (uint32_t i = 0; i < op->lower.n; i++) {
		const struct slot *slot = &op->slots[op->run_slot[i]];
		if (io_was_dropped(&op->lower, i))
			io_distrust(slot->io, slot->piece);
	}
}

/* ---- the machine ---------------------------------------------------------------------------------------- */

static void vm_run(struct vm_op *op);

static void lower_complete(struct sonde_io *lower)
{
	struct vm_op *op = (struct vm_op *)(void *)lower;

	space_leave(lower);
	if (lower->fragment == moved && io_core(lower)->flags & IO_DROPPED)
		distrust_dropped(op);
	op->lower_done = true;
	if (!op->issuing)
		vm_run(op);
}

/* Returns whether the answer is there already. */
static bool issue(struct vm_op *op, uint32_t n, uint32_t io_op, sonde_fragment_fn *fragment)
{
	op->lower.xfers = op->xfers;
	op->lower.n = n;
	op->lower.op = io_op;
	op->lower.fragment = fragment;
	op->lower.state = SONDE_IO_IDLE;
	op->lower_done = false;
	op->issuing = true;
	space_issue(op->vs->phys, &op->lower, lower_complete);
	op->issuing = false;
	return op->lower_done;
}

static bool start_walk(struct vm_op *op)
{
	fill(op);
	if (op->n_slots == 0)
		return false;
	sort_slots(op);
	op->level = op->vs->map.paging->n_levels;
	op->again = false;
	op->phase = VM_WALK;
	return true;
}

static void over(struct vm_op *op)
{
	struct sonde_io *list = op->list;

	op_put(op);
	while (list) {
		struct sonde_io *next = io_core(list)->next;
		io_finish(list);
		list = next;
	}
}

/* A step ends in a request; the next begins when its answer is there, now or later. */
static void vm_run(struct vm_op *op)
{
	bool answered = true;

	while (answered) {
		switch (op->phase) {
		case VM_FILL:
			if (!start_walk(op)) {
				over(op);
				return;
			}
			break;
		case VM_WALK: {
			if (op->level < op->vs->map.paging->n_levels)
				step_level(op);
			uint32_t n = 0;
			if (op->again) {
				n = gather_entries(op);
			} else if (op->level > 0) {
				op->level--;
				n = gather_entries(op);
			}
			if (n) {
				answered = issue(op, n, SONDE_IO_READ, NULL);
				break;
			}
			op->phase = VM_MOVE;
			break;
		}
		case VM_MOVE: {
			uint32_t n = gather_runs(op);
			op->phase = VM_FILL;
			if (n)
				answered = issue(op, n, op->list->op, moved);
			break;
		}
		}
	}
}

/* Reads and writes of one flush go as two batches, in the order of their first. */
static struct sonde_io *split_by_op(struct sonde_io **list)
{
	uint32_t op = (*list)->op;
	struct sonde_io *same = NULL, **same_tail = &same, *rest = NULL, **rest_tail = &rest;

	for (struct sonde_io *io = *list; io; io = io_core(io)->next) {
		struct sonde_io ***tail = io->op == op ? &same_tail : &rest_tail;
		**tail = io;
		*tail = &io_core(io)->next;
	}
	*same_tail = *rest_tail = NULL;
	*list = rest;
	return same;
}

static void forget(struct vspace *vs)
{
	near_forget(&vs->near);
	if (vs->tlb)
		tlb_clear(vs->tlb);
}

/* Before each batch: what was kept for too long goes, and the second batch has a TLB. */
static void refresh(struct vspace *vs)
{
	uint64_t now = vs->tlb_ns ? sonde_now_ns() : 0;

	if (!vs->tlb && vs->seen_one)
		vs->tlb = mem_alloc(1, sizeof(*vs->tlb));
	vs->seen_one = true;
	if (now >= vs->forget_at_ns && vs->tlb_ns) {
		forget(vs);
		vs->forget_at_ns = now + vs->tlb_ns;
	}
}

static void fail_all(struct sonde_io *list, int32_t err)
{
	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		for (uint32_t i = 0; i < io->n; i++)
			io_account(io, i, 0, io->xfers[i].len, err);
		io_finish(io);
	}
}

static bool is_done(const struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		if (!is_moved(&io->xfers[i]))
			return false;
	}
	return true;
}

/* The short way for all that go it. Returns those of which something is left. */
static struct sonde_io *read_near(struct vspace *vs, struct sonde_io *list)
{
	struct sonde_io *rest = NULL, **tail = &rest, *next;

	near_read(&vs->near, list);
	for (struct sonde_io *io = list; io; io = next) {
		next = io_core(io)->next;
		if (is_done(io)) {
			io_finish(io);
			continue;
		}
		*tail = io;
		tail = &io_core(io)->next;
	}
	*tail = NULL;
	return rest;
}

static void vspace_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct vspace *vs = (struct vspace *)(void *)space;

	refresh(vs);
	list = read_near(vs, list);
	while (list) {
		struct sonde_io *same = split_by_op(&list);
		struct vm_op *op = op_get(vs);
		if (!op) {
			fail_all(same, SONDE_E_NO_MEMORY);
			continue;
		}
		op->list = op->fill_io = same;
		op->fill_piece = op->fill_off = 0;
		op->phase = VM_FILL;
		vm_run(op);
	}
}

struct region_user {
	sonde_region_fn *fn;
	void *user;
	uint32_t flags; /* of each, besides its rights */
};

static int visit_run(void *user, const struct sonde_page_run *run)
{
	struct region_user *to = user;
	struct sonde_region region = { .addr = run->va,
				       .len = run->len,
				       .flags = (run->flags & PAGING_RIGHTS) | to->flags,
				       .name = "" };

	return to->fn(to->user, &region);
}

static int vspace_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct vspace *vs = (struct vspace *)(void *)space;
	struct region_user to = { fn, user, vs->map.paging->maps_ram ? SONDE_REGION_RAM : 0 };

	return paging_visit(vs->phys, vs->map, 0, UINT64_MAX, PAGING_RIGHTS, visit_run, &to);
}

static size_t vspace_how(const struct sonde_space *space, char *text, size_t cap)
{
	return sonde_space_how(((const struct vspace *)(const void *)space)->phys, text, cap);
}

static void vspace_trim(struct sonde_space *space)
{
	sonde_space_trim(((struct vspace *)(void *)space)->phys);
}

static void vspace_invalidate(struct sonde_space *space)
{
	struct vspace *vs = (struct vspace *)(void *)space;

	forget(vs);
	sonde_space_invalidate(vs->phys);
}

static void vspace_destroy(struct sonde_space *space)
{
	struct vspace *vs = (struct vspace *)(void *)space;

	while (vs->spares) {
		struct vm_op *next = vs->spares->next;
		op_free(vs->spares);
		vs->spares = next;
	}
	near_finish(&vs->near);
	mem_release(vs->tlb);
	mem_release(vs);
}

/* ---- lending -------------------------------------------------------------------------------------------- */

/* Where a byte lies below, and for how many bytes that goes on; 0: it does not, or cannot be told now. */
static size_t look_up(struct vspace *vs, uint64_t va, uint64_t *ret_pa)
{
	const struct paging *paging = vs->map.paging;
	struct sonde_translation t;
	uint64_t size = SONDE_PAGE_SIZE;
	uint32_t level;

	if (!paging_canonical(paging, va))
		return 0;
	if (!vs->tlb || !tlb_find(vs->tlb, paging, va, ret_pa)) {
		if (paging_translate(vs->phys, vs->map, va, &t) < 0)
			return 0;
		level = paging->n_levels - t.levels;
		if (vs->tlb)
			tlb_add(vs->tlb, paging, level, va, t.pa);
		*ret_pa = t.pa;
		size = paging_page_size(paging, level); /* not of t: joined entries may lie apart */
	}
	return (size_t)(size - (va & (size - 1)));
}

/* As far as pages lie together in what the space below lends. */
static const void *borrow_pages(struct vspace *vs, uint64_t va, size_t *len)
{
	uint64_t pa, next;
	size_t n = look_up(vs, va, &pa), more;
	const void *at = n ? sonde_space_borrow_run(vs->phys, pa, *len, len) : NULL;

	while (at && n < *len) {
		more = va + n > va ? look_up(vs, va + n, &next) : 0;
		if (!more || next != pa + n)
			*len = n;
		n += more;
	}
	return at;
}

/* The tables are read, where that takes no waiting. */
static const void *vspace_borrow(struct sonde_space *space, uint64_t addr, size_t *len)
{
	struct vspace *vs = (struct vspace *)(void *)space;
	bool outer = space->loop->in_call;
	const void *at;

	if (!*vs->phys->resident)
		return NULL;
	refresh(vs);
	space->loop->in_call = true;
	at = borrow_pages(vs, addr, len);
	space->loop->in_call = outer;
	return at;
}

static int vspace_clone(struct sonde_space *space, struct sonde_loop *loop,
			struct sonde_space **ret, struct sonde_error *err)
{
	const struct vspace *vs = (const struct vspace *)(const void *)space;
	struct sonde_space *phys = NULL;
	int r = sonde_space_clone(vs->phys, loop, &phys, err);

	if (r < 0)
		return r;
	r = paging_space(phys, vs->map, vs->tlb_ns, ret);
	if (r == SONDE_OK) {
		paging_space_zeros(*ret, vs->zeros, vs->n_zeros);
		space_own(*ret, phys);
		return r;
	}
	sonde_space_close(phys);
	return sonde_error_set(err, r, "out of memory");
}

static const struct space_ops vspace_ops = {
	.submit = vspace_submit,
	.regions = vspace_regions,
	.borrow = vspace_borrow,
	.clone = vspace_clone,
	.trim = vspace_trim,
	.how = vspace_how,
	.invalidate = vspace_invalidate,
	.destroy = vspace_destroy,
};

int paging_space(struct sonde_space *phys, struct paging_map map, uint64_t tlb_ns,
		 struct sonde_space **ret)
{
	struct vspace *vs = mem_alloc(1, sizeof(*vs));

	if (!vs)
		return SONDE_E_NO_MEMORY;
	/* Over a resident space every step is answered at once, so this one is resident too. */
	space_init(&vs->space, &vspace_ops, phys->loop, phys->resident);
	vs->phys = phys;
	vs->map = map;
	vs->tlb_ns = tlb_ns;
	near_init(&vs->near, phys, &vs->map, tlb_ns > 0);
	*ret = &vs->space;
	return SONDE_OK;
}

void paging_space_zeros(struct sonde_space *space, uint64_t addr, uint64_t len)
{
	struct vspace *vs = (struct vspace *)(void *)space;

	if (space->ops != &vspace_ops)
		return;
	vs->zeros = addr;
	vs->n_zeros = len;
}

/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX(batch) (BATCH_SIZE / (batch)->page_size + 1)

int batch_init(struct batch *batch, uint32_t page_size, uint32_t unit)
{
	*batch = (struct batch){ .page_size = page_size,
				 .page_shift = (uint32_t)__builtin_ctz(page_size) };
	batch->bytes = malloc(BATCH_SIZE);
	batch->pages = calloc(PAGES_MAX(batch), sizeof(*batch->pages));
	batch->pieces = calloc(PAGES_MAX(batch) / 2 + 1, sizeof(*batch->pieces));
	if (!batch->bytes || !batch->pages || !batch->pieces)
		return SONDE_E_NO_MEMORY;
	if (!unit)
		return 0;
	/* Each run may begin and end in the midst of a unit, and is a page at least. */
	size_t n = BATCH_SIZE / unit + PAGES_MAX(batch);
	batch->room = packer_room(unit);
	batch->units = calloc(n, sizeof(*batch->units));
	batch->packed = malloc(n * batch->room);
	return batch->units && batch->packed ? 0 : SONDE_E_NO_MEMORY;
}

void batch_finish(struct batch *batch)
{
	free(batch->bytes);
	free(batch->pages);
	free(batch->pieces);
	free(batch->units);
	free(batch->packed);
	*batch = (struct batch){ 0 };
}

/* ---- reading -------------------------------------------------------------------------------------- */

uint32_t batch_fit(const struct batch *batch, uint64_t addr, uint64_t left)
{
	uint32_t most = BATCH_SIZE - (uint32_t)(addr & (batch->page_size - 1));

	return left < most ? (uint32_t)left : most;
}

static uint32_t page_at(const struct batch *batch, uint32_t off)
{
	return (uint32_t)(((batch->addr + off) >> batch->page_shift) -
			  (batch->addr >> batch->page_shift));
}

/* What is memory and cannot be read says more than what is none. */
static bool says_more(const struct batch_page *bad, uint32_t at, int32_t err)
{
	bool is_memory = err != SONDE_E_NOT_MAPPED, was_memory = bad->err != SONDE_E_NOT_MAPPED;

	if (!bad->n_bad || is_memory != was_memory)
		return !bad->n_bad || is_memory;
	return at < bad->first_bad;
}

static void mark_bad(struct batch *batch, uint32_t off, uint32_t len, int32_t err)
{
	for (uint32_t at = off, end = off + len; at < end;) {
		uint32_t page = page_at(batch, at);
		uint32_t next = batch_offset(batch, page + 1);
		uint32_t n = (next < end ? next : end) - at;
		struct batch_page *bad = &batch->pages[page];
		if (says_more(bad, at, err)) {
			bad->first_bad = at;
			bad->err = err;
		}
		bad->n_bad += n;
		bad->n_no_mem += err == SONDE_E_NOT_MAPPED ? n : 0;
		at += n;
	}
}

static void landed(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct batch *batch = io->user;
	const struct sonde_xfer *piece = &io->xfers[f->piece];

	if (f->err && f->off <= piece->len && f->len <= piece->len - f->off)
		mark_bad(batch, (uint32_t)(piece->addr - batch->addr) + f->off, f->len, f->err);
}

static void done(struct sonde_io *io)
{
	struct batch *batch = io->user;

	batch->is_flying = false;
}

void batch_place(struct batch *batch, uint64_t addr, uint32_t len)
{
	batch->addr = addr;
	batch->len = len;
	batch->n_pages = page_at(batch, len - 1) + 1;
	batch->n_units = 0;
	memset(batch->pages, 0, batch->n_pages * sizeof(*batch->pages));
}

/* One for each run of pages whose states are in the set. */
static uint32_t make_pieces(struct batch *batch, unsigned states)
{
	uint32_t n = 0;

	for (struct batch_run run = { 0 };
	     batch_next_run(batch, states, run.first + run.n, &run);) {
		uint32_t off = batch_offset(batch, run.first);
		batch->pieces[n++] = (struct sonde_xfer){
			.addr = batch->addr + off,
			.buf = batch->bytes + off,
			.len = batch_offset(batch, run.first + run.n) - off,
		};
	}
	return n;
}

int batch_read(struct batch *batch, struct sonde_loop *loop, struct sonde_space *space, bool all)
{
	const unsigned states = 1u << PAGE_SAVED | (all ? 1u << PAGE_EXCLUDED : 0u);

	batch->io = (struct sonde_io){ .xfers = batch->pieces,
				       .n = make_pieces(batch, states),
				       .op = SONDE_IO_READ,
				       .done = done,
				       .fragment = landed,
				       .user = batch };
	int r = sonde_io_submit(space, &batch->io);
	batch->is_flying = r >= 0;
	if (r >= 0)
		r = sonde_loop_turn(loop); /* it leaves now */
	else
		batch->len = 0;
	return r < 0 ? r : 0;
}

static int come_home(struct batch *batch, struct sonde_loop *loop)
{
	int r = 0;

	while (r >= 0 && batch->is_flying)
		r = sonde_loop_wait(loop, UINT64_MAX);
	return r;
}

void batch_cancel(struct batch *batch, struct sonde_loop *loop)
{
	if (batch->is_flying)
		sonde_io_cancel(&batch->io);
	come_home(batch, loop);
}

/* What a source has not told is known by the piece's error alone: then none of it counts. */
int batch_wait(struct batch *batch, struct sonde_loop *loop)
{
	uint64_t n_bad = 0, n_undone = 0;
	int32_t err = 0;
	int r = come_home(batch, loop);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < batch->n_pages; i++)
		n_bad += batch->pages[i].n_bad;
	for (uint32_t i = 0; i < batch->io.n; i++) {
		n_undone += batch->pieces[i].len - batch->pieces[i].done;
		err = err ? err : batch->pieces[i].err;
	}
	if (n_bad == n_undone)
		return 0;
	for (uint32_t i = 0; i < batch->n_pages; i++)
		batch->pages[i].n_bad = batch->pages[i].n_no_mem = 0;
	mark_bad(batch, 0, batch->len, err ? err : SONDE_E_IO);
	return 0;
}

/* ---- looking -------------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static void look(void *user, unsigned worker, size_t i)
{
	struct batch *batch = user;
	struct batch_page *page = &batch->pages[i];
	uint32_t off = batch_offset(batch, (uint32_t)i);
	uint32_t len = batch_offset(batch, (uint32_t)i + 1) - off;

	(void)worker;
	if (page->state == PAGE_EXCLUDED)
		return;
	page->state = page->n_bad >= len                  ? PAGE_MISSING
		      : all_zero(batch->bytes + off, len) ? PAGE_ZERO
							  : PAGE_SAVED;
}

void batch_look(struct batch *batch, struct crew *crew)
{
	crew_run(crew, batch->n_pages, look, batch);
}

bool batch_next_run(const struct batch *batch, unsigned states, uint32_t from,
		    struct batch_run *ret)
{
	uint32_t end;

	while (from < batch->n_pages && !(states >> batch->pages[from].state & 1))
		from++;
	for (end = from; end < batch->n_pages && (states >> batch->pages[end].state & 1);)
		end++;
	*ret = (struct batch_run){ from, end - from };
	return end > from;
}

/* ---- packing -------------------------------------------------------------------------------------- */

struct packing_work {
	struct batch *batch;
	struct packer *const *packers;
};

static void pack_unit(void *user, unsigned worker, size_t i)
{
	const struct packing_work *work = user;
	struct batch *batch = work->batch;
	struct batch_unit *unit = &batch->units[i];
	uint8_t *to = batch->packed + i * batch->room;

	unit->packed = packer_pack(work->packers[worker], batch->bytes + unit->off, unit->len, to);
	unit->is_packed = unit->packed > 0;
	if (unit->is_packed)
		return;
	memcpy(to, batch->bytes + unit->off, unit->len);
	unit->packed = unit->len;
}

static void add_units(struct batch *batch, struct batch_run run, uint32_t unit)
{
	uint32_t end = batch_offset(batch, run.first + run.n);

	for (uint32_t off = batch_offset(batch, run.first), len; off < end; off += len) {
		len = end - off < unit ? end - off : unit;
		batch->units[batch->n_units++] = (struct batch_unit){ .off = off, .len = len };
	}
}

void batch_pack(struct batch *batch, struct crew *crew, struct packer *const *packers,
		unsigned states, uint32_t unit)
{
	struct packing_work work = { batch, packers };

	for (struct batch_run run = { 0 }; batch_next_run(batch, states, run.first + run.n, &run);)
		add_units(batch, run, unit);
	crew_run(crew, batch->n_units, pack_unit, &work);
}

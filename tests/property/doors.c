/* SPDX-License-Identifier: MIT */
/* Requests on their way: made from the plan, kept from each other, sent through each door. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "io/loop.h"

/* ---- pieces -------------------------------------------------------------------------------- */

static void expand(struct live *live)
{
	const struct plan_request *plan = live->plan;
	size_t bytes = 0;
	uint32_t n = 0;

	for (unsigned i = 0; i < plan->n_pieces; i++)
		n += plan->pieces[i].repeat;
	live->parts = malloc((n + 1) * sizeof(*live->parts));
	if (!live->parts)
		abort();
	for (unsigned i = 0; i < plan->n_pieces; i++) {
		const struct plan_piece *piece = &plan->pieces[i];
		uint64_t addr = piece->addr;
		for (unsigned k = 0; k < piece->repeat;
		     k++, addr += (uint64_t)(int64_t)piece->stride) {
			if (live->n == EXPANDED_MAX || bytes + piece->len > BYTES_MAX)
				return;
			bool several = door_is_batch(plan->door);
			live->parts[live->n++] =
				(struct part){ .x = { .addr = addr, .len = piece->len },
					       .node = several ? piece->node : plan->node };
			bytes += piece->len;
		}
	}
}

/* Would this request meet one that flies, the order of the two being anybody's guess? */
static bool meets_others(struct live *live)
{
	bool write = live->plan->write;
	struct spot spot;

	if (live->run->alone)
		return true;
	for (uint32_t i = 0; i < live->n; i++) {
		const struct part *part = &live->parts[i];
		for (uint32_t off = 0; off < part->x.len; off += spot.len) {
			if (!oracle_piece(&live->run->world, part->node, part->x.addr, part->x.len,
					  off, write, &spot))
				return true;
			if (spot.kept)
				return true;
			if (spot.store &&
			    store_is_marked(spot.store, spot.off, spot.len,
					    write ? MARK_READ | MARK_WRITE : MARK_WRITE))
				return true;
		}
	}
	return false;
}

/* Claim a stretch for this request; false: it cannot have it. */
static bool claim_spot(struct live *live, const struct spot *spot)
{
	bool write = live->plan->write;

	/* Not over page tables, over itself, or where it would lengthen a file. */
	if (write && (spot->sure > MAY_FAIL || spot->err == SONDE_E_TRUNCATED))
		return false;
	if (write && spot->store && store_is_marked(spot->store, spot->off, spot->len, 0xff))
		return false;
	if (spot->kept) {
		live->run->alone = true;
		return kept_claim(spot->kept, spot->kept_addr, spot->len);
	}
	if (!spot->store)
		return true;
	store_mark(spot->store, spot->off, spot->len, write ? MARK_WRITE : MARK_READ);
	if (write)
		store_written(spot->store, spot->off, spot->len);
	return true;
}

/* The caches that a write passes by. */
static uint32_t caches_missed(const struct plan *plan, uint32_t crossed)
{
	uint32_t missed = 0;

	for (unsigned i = 0; i < plan->n_nodes; i++) {
		const struct layer_kind *layer = layer_kind_of(&plan->nodes[i]);
		if (layer && layer->effect == EFFECT_KEEPS && !(crossed & 1u << i))
			missed |= 1u << i;
	}
	return missed;
}

static bool claim_part(struct live *live, const struct part *part)
{
	struct spot spot;

	for (uint32_t off = 0; off < part->x.len; off += spot.len) {
		if (!oracle_piece(&live->run->world, part->node, part->x.addr, part->x.len, off,
				  live->plan->write, &spot))
			return false;
		if (!claim_spot(live, &spot))
			return false;
		if (live->plan->write)
			live->run->stale |= caches_missed(live->run->plan, spot.caches);
	}
	return true;
}

/* Writes that would meet what must stay as it is, or each other, are left out. */
static void claim(struct live *live)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < live->n; i++) {
		if (claim_part(live, &live->parts[i]))
			live->parts[n++] = live->parts[i];
	}
	live->n = n;
}

/* Never zero; where it begins tells requests and pieces apart. */
const uint8_t *live_pattern(const struct live *live, uint32_t part, uint32_t off, uint32_t *len)
{
	enum { PERIOD = 256, ROOM = 1 << 15 };
	static uint8_t bytes[PERIOD + ROOM];

	for (uint32_t i = 0; !bytes[0] && i < sizeof(bytes); i++)
		bytes[sizeof(bytes) - 1 - i] = (uint8_t)(i * 7) | 1;
	*len = *len < ROOM ? *len : ROOM;
	return bytes + (live->index * 37 + part * 11 + off) % PERIOD;
}

static void fill(const struct live *live, uint32_t i)
{
	const struct sonde_xfer *x = &live->parts[i].x;

	if (!live->plan->write)
		memset(x->buf, FRESH_BYTE, x->len);
	for (uint32_t off = 0, n; live->plan->write && off < x->len; off += n) {
		n = x->len - off;
		const uint8_t *bytes = live_pattern(live, i, off, &n);
		memcpy((uint8_t *)x->buf + off, bytes, n);
	}
}

static void make_bytes(struct live *live)
{
	size_t at = EDGE;

	live->n_bytes = EDGE;
	for (uint32_t i = 0; i < live->n; i++)
		live->n_bytes += live->parts[i].x.len + EDGE;
	/* Half of them where loops know the memory. */
	live->bytes = live->index % 2 ? world_room(&live->run->world, live->n_bytes) : NULL;
	live->lent = live->bytes;
	live->bytes = live->lent ? live->bytes : malloc(live->n_bytes);
	if (!live->bytes)
		abort();
	memset(live->bytes, EDGE_BYTE, EDGE);
	for (uint32_t i = 0; i < live->n; i++) {
		struct sonde_xfer *x = &live->parts[i].x;
		uint8_t *buf = live->bytes + at;
		x->buf = buf;
		fill(live, i);
		memset(buf + x->len, EDGE_BYTE, EDGE);
		at += x->len + EDGE;
	}
}

/* ---- completion ------------------------------------------------------------------------------ */

struct sonde_xfer *live_xfers(const struct live *live)
{
	struct sonde_xfer *xfers = malloc((live->n + 1) * sizeof(*xfers));

	if (!xfers)
		abort();
	for (uint32_t i = 0; i < live->n; i++)
		xfers[i] = live->parts[i].x;
	return xfers;
}

void live_take(struct live *live, const struct sonde_xfer *xfers)
{
	for (uint32_t i = 0; i < live->n; i++)
		live->parts[i].x = xfers[i];
}

static void over(struct live *live, int32_t result)
{
	if (live->life != LIFE_FLIES)
		fail_now("request %u: ended, but it is not in flight", live->index);
	live->life = LIFE_OVER;
	live->result = result;
	live->run->n_writing -= live->plan->write;
	live_check(live);
}

static void check_total(const struct live *live, const struct sonde_io *io)
{
	struct sonde_total total;
	uint64_t len = 0, done = 0;
	int32_t err = 0, r = sonde_io_total(io, &total);

	for (uint32_t i = 0; i < live->n; i++) {
		err = err ? err : live->parts[i].x.err;
		len += live->parts[i].x.len;
		done += live->parts[i].x.done;
	}
	if (r != err || total.err != err || total.done != done || total.len != len)
		fail_now("request %u: its total is %d (%llu of %llu bytes), its pieces say %d "
			 "(%llu of %llu)",
			 live->index, r, (unsigned long long)total.done,
			 (unsigned long long)total.len, err, (unsigned long long)done,
			 (unsigned long long)len);
}

/* The request and its pieces are gone for good: whoever touches them now is found out. */
static void done(struct sonde_io *io)
{
	struct live *live = io->user;
	struct run *run = live->run;
	int32_t result = io->result;

	if (run->inside)
		fail_now("request %u: called back inside a submit", live->index);
	if (io != live->io || io->state != SONDE_IO_IDLE)
		fail_now("request %u: its callback runs twice, or too early", live->index);
	if (sonde_io_cancel(io) != 0)
		fail_now("request %u: could be cancelled in its callback", live->index);
	live_take(live, io->xfers);
	check_total(live, io);
	live->io = NULL;
	free(io->xfers);
	memset(io, 0xdd, sizeof(*io));
	free(io);
	over(live, result);
	if (live->plan->cancels < run->plan->n_requests)
		live_cancel(&run->lives[live->plan->cancels]);
	if (live->plan->submits < run->plan->n_requests && !run->closing)
		live_submit(&run->lives[live->plan->submits]);
}

void live_listen(struct live *live)
{
	live->told = calloc(1, live->n_bytes);
	if (!live->told)
		abort();
}

/* Each byte once. */
void live_hear(struct live *live, const struct sonde_fragment *f)
{
	if (f->piece >= live->n || f->off > live->parts[f->piece].x.len ||
	    f->len > live->parts[f->piece].x.len - f->off || f->err > 0 || f->len == 0)
		fail_now("request %u: a fragment of piece %u is no part of it: %u+%u, error %d",
			 live->index, f->piece, f->off, f->len, f->err);
	uint8_t *told =
		live->told + ((uint8_t *)live->parts[f->piece].x.buf - live->bytes) + f->off;
	if (!bytes_are(told, f->len, 0) && !plan_lies(live->run->plan))
		fail_now("request %u: piece %u: some of bytes %u+%u are told twice", live->index,
			 f->piece, f->off, f->len);
	memset(told, f->err ? (uint8_t)-f->err : TOLD_RIGHT, f->len);
}

static void fragment(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct live *live = io->user;

	if (live->run->inside)
		fail_now("request %u: told a fragment inside a submit", live->index);
	if (io != live->io)
		fail_now("request %u: told a fragment behind its end", live->index);
	live_hear(live, f);
	if (live->plan->stop_early && !live->stopped) {
		live->stopped = true;
		live_cancel(live);
	}
}

static uint64_t time_of(enum limit limit)
{
	return limit == LIMIT_NONE ? 0 : limit == LIMIT_PAST ? 1 : sonde_now_ns() + 30000;
}

static void submit_io(struct live *live)
{
	struct sonde_io *io = calloc(1, sizeof(*io));

	if (!io)
		abort();
	*io = (struct sonde_io){ .xfers = live_xfers(live),
				 .n = live->n,
				 .op = live->plan->write,
				 .done = done,
				 .user = live,
				 .deadline_ns = time_of(live->plan->deadline) };
	if (live->plan->door == DOOR_FRAGMENTS) {
		io->fragment = fragment;
		live_listen(live);
	}
	live->io = io;
	live->limited = live->plan->deadline != LIMIT_NONE;
	live->run->inside = true;
	int r = sonde_io_submit(live->run->world.spaces[live->plan->node], io);
	live->run->inside = false;
	if (r != 0)
		fail_now("request %u: submit returns %d", live->index, r);
	if (sonde_io_submit(live->run->world.spaces[live->plan->node], io) != SONDE_E_BAD_ARG)
		fail_now("request %u: submitted twice", live->index);
}

/* ---- tasks ------------------------------------------------------------------------------------ */

static int move_in_time(struct sonde_task *task, void *arg)
{
	return wait_move(arg, task);
}

static int task_main(struct sonde_task *task, void *arg)
{
	struct live *live = arg;

	for (unsigned i = 0; i < live->plan->yields; i++)
		sonde_task_yield(task);
	if (live->plan->deadline != LIMIT_NONE) {
		live->limited = true;
		over(live,
		     sonde_task_timeout(task, time_of(live->plan->deadline), move_in_time, live));
	} else {
		over(live, wait_move(live, task));
	}
	return (int)live->index;
}

/* The task of the request before this one, where it still runs. */
static struct sonde_task *parent_of(const struct live *live)
{
	if (!live->plan->child || live->index == 0)
		return NULL;
	const struct live *before = live - 1;
	return before->life == LIFE_FLIES ? before->task : NULL;
}

static void spawn(struct live *live)
{
	struct sonde_task *parent = parent_of(live);
	int r;

	if (parent) {
		live->asked = true; /* by the parent, when it returns */
		r = sonde_task_spawn_child(parent, task_main, live, &live->task);
	} else {
		r = sonde_task_spawn(live->run->world.loop, task_main, live, &live->task);
	}
	if (r != 0)
		fail_now("request %u: spawn returns %d", live->index, r);
}

/* ---- all of them ------------------------------------------------------------------------------------ */

static bool waits(const struct live *live)
{
	unsigned door = live->plan->door;

	return door == DOOR_BLOCKING || door == DOOR_BATCH || door == DOOR_STREAM ||
	       door == DOOR_GET;
}

static void enter_door(struct live *live)
{
	switch (live->plan->door) {
	case DOOR_BLOCKING:
	case DOOR_BATCH:
	case DOOR_STREAM:
		over(live, wait_move(live, NULL));
		break;
	case DOOR_GET:
		over(live, wait_get(live));
		break;
	case DOOR_TASK:
	case DOOR_TASK_BATCH:
	case DOOR_TASK_STREAM:
		spawn(live);
		break;
	default:
		submit_io(live);
		break;
	}
}

/* From a callback: nothing can be waited for there. */
static bool is_in_callback(const struct run *run)
{
	return run->world.loop->inside > 0;
}

void live_submit(struct live *live)
{
	struct run *run = live->run;

	if (live->life != LIFE_NEW || (is_in_callback(run) && waits(live)))
		return;
	live->life = LIFE_WAITS;
	expand(live);
	if (meets_others(live)) {
		if (is_in_callback(run)) {
			free(live->parts);
			live->life = LIFE_OVER; /* it does without */
			return;
		}
		run_barrier(run);
	}
	claim(live);
	make_bytes(live);
	live->life = LIFE_FLIES;
	run->n_writing += live->plan->write;
	enter_door(live);
}

void live_cancel(struct live *live)
{
	if (live->life != LIFE_FLIES)
		return;
	if (live->io && live->io->state != SONDE_IO_DONE) {
		live->asked = true;
		live->unsent |= live->io->state == SONDE_IO_QUEUED;
		if (sonde_io_cancel(live->io) != 1 || sonde_io_cancel(live->io) != 1)
			fail_now("request %u: cannot be cancelled", live->index);
	} else if (live->io) { /* its callback is next */
		if (sonde_io_cancel(live->io) != 0)
			fail_now("request %u: is cancelled though it is done", live->index);
	} else if (live->task) {
		live->asked = true;
		sonde_task_cancel(live->task);
	}
}

/* SPDX-License-Identifier: MIT */
/* Telling stretches, and serving requests: in a call, from a queue, from another thread. */
#include "base.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "space/backed.h"

#define READ SONDE_REGION_READ
#define BOTH (SONDE_REGION_READ | SONDE_REGION_WRITE)

/* ---- layouts ------------------------------------------------------------------------------ */

static void tell(struct base *base, struct told told)
{
	if (base->n_told < TOLD_MAX)
		base->told[base->n_told++] = told;
}

static void tell_file(struct base *base, uint64_t addr, uint64_t len, uint64_t off, uint32_t flags)
{
	tell(base, (struct told){ addr, len, off, SONDE_EXTENT_FILE, flags, 0, 0 });
}

/* In front of and behind the tables: swapped, shared, missing, read-only, zero; odd ends. */
static void tell_pieces(struct base *base)
{
	tell_file(base, 0, 0x1003, 0x11000, BOTH);
	tell_file(base, 0x1003, 1, 0x20, READ);
	tell_file(base, 0x1004, 0xffc, 0x12004, BOTH);
	tell_file(base, TABLES_AT, TABLES_END - TABLES_AT, TABLES_AT, BOTH);
	tell_file(base, 0x10000, 0x3000, 0x10000, BOTH);
	tell(base,
	     (struct told){ 0x14000, 0x1800, 0, SONDE_EXTENT_ABSENT, 0, SONDE_E_NOT_SAVED, 0 });
	tell(base, (struct told){ 0x15800, 0x1001, 0, SONDE_EXTENT_ZERO, BOTH, 0, 0 });
	tell_file(base, 0x16801, 0x2000, STORE_FIRST + 0x1fff, BOTH);
	tell_file(base, 0x18801, 0x77ff, 0x18801, READ);
}

/* 300 bytes from here, 300 from there. */
static void tell_parts(struct base *base)
{
	tell_file(base, 0, TABLES_END, 0, BOTH);
	for (uint64_t i = 0; i < 40; i++)
		tell_file(base, 0x10000 + i * 300, 300,
			  i % 2 ? STORE_FIRST + i * 300 : 0x10000 + i * 300, BOTH);
	tell_file(base, 0x10000 + 40 * 300, 0x8000, 0x10000 + 40 * 300, BOTH);
}

static void tell_overlapping(struct base *base)
{
	tell_file(base, 0x11000, 0x2100, STORE_FIRST, BOTH);
	tell(base, (struct told){ 0x10f80, 0x100, 0, SONDE_EXTENT_ZERO, READ, 0, 0 });
	tell_file(base, 0x12000, 0x4000, 0x12000, READ);
	tell_file(base, 0, STORE_FIRST, 0, BOTH);
}

static void tell_layout(struct base *base, unsigned layout)
{
	switch (layout) {
	case 1:
		tell_pieces(base);
		break;
	case LAYOUT_END:
		tell_file(base, 0, STORE_FIRST + 0x3000, 0, BOTH);
		break;
	case LAYOUT_PARTS:
		tell_parts(base);
		break;
	case 4:
		tell_file(base, 0, STORE_FIRST, 0, READ);
		break;
	case 5:
		tell_overlapping(base);
		break;
	case 6:
		tell_file(base, LAYOUT_HIGH_AT, STORE_FIRST, 0, BOTH);
		tell_file(base, 0, TABLES_END, 0, BOTH);
		break;
	case LAYOUT_BIG:
		tell_file(base, 0, STORE_BIG, 0, BOTH);
		break;
	default:
		tell_file(base, 0, STORE_FIRST, 0, BOTH);
		break;
	}
}

static unsigned layout_of(const struct plan_node *node)
{
	if (node->kind <= NODE_MEMORY)
		return node->variant % LAYOUTS;
	return node->kind == NODE_TRANSFER ? node->variant % 2 : node->variant / MANNERS % 2;
}

static void tell_all(struct base *base, const struct plan_node *node)
{
	base->n_told = 0;
	for (unsigned i = 0; i < node->n_bad && node->kind != NODE_FILE; i++) {
		const struct plan_bad *bad = &node->bad[i];
		bool no_code = bad->kind == BAD_NO_CODE && node->kind > NODE_MEMORY;
		if (bad->kind == BAD_ERROR || no_code)
			tell(base, (struct told){ .addr = bad->addr,
						  .len = bad->len,
						  .kind = SONDE_EXTENT_ABSENT,
						  .err = no_code ? SONDE_E_IO : bad->err,
						  .said = !no_code       ? 0
							  : bad->err % 2 ? 7
									 : -200 });
	}
	tell_layout(base, layout_of(node));
}

const struct told *base_at(const struct base *base, uint64_t addr, uint32_t max, uint32_t *ret_len)
{
	uint64_t len = max;

	for (size_t i = 0; i < base->n_told; i++) {
		const struct told *told = &base->told[i];
		if (addr - told->addr < told->len) {
			uint64_t left = told->len - (addr - told->addr);
			*ret_len = (uint32_t)(left < len ? left : len);
			return told;
		}
		if (told->addr > addr && told->addr - addr < len)
			len = told->addr - addr;
	}
	*ret_len = (uint32_t)len;
	return NULL;
}

const struct plan_bad *base_lies(const struct base *base, uint64_t addr, uint32_t len)
{
	const struct plan_node *node = base->node;

	for (unsigned i = 0; i < node->n_bad && node->kind > NODE_MEMORY; i++) {
		const struct plan_bad *bad = &node->bad[i];
		if (bad->kind == BAD_ERROR || bad->kind == BAD_NO_CODE)
			continue;
		/* What wraps is told as a hole: nobody lies about that. */
		uint64_t n = len - 1 > UINT64_MAX - addr ? UINT64_MAX - addr + 1 : len;
		if (bad->addr - addr < n || addr - bad->addr < bad->len)
			return bad;
	}
	return NULL;
}

/* ---- serving ------------------------------------------------------------------------------- */

/* Moves the stretch and says what to tell of it. */
static int32_t move(struct base *base, const struct sonde_io *io, const struct told *told,
		    uint64_t addr, uint8_t *buf, uint32_t len)
{
	if (!told)
		return SONDE_E_NOT_MAPPED;
	if (told->kind == SONDE_EXTENT_ABSENT)
		return told->said ? told->said : told->err;
	if (io->op == SONDE_IO_WRITE &&
	    (told->kind == SONDE_EXTENT_ZERO || !(told->flags & SONDE_REGION_WRITE)))
		return SONDE_E_READ_ONLY;
	uint8_t *at = base->store.bytes + told->off + (addr - told->addr);
	if (told->kind == SONDE_EXTENT_ZERO)
		memset(buf, 0, len);
	else if (io->op == SONDE_IO_READ)
		memcpy(buf, at, len);
	else
		memcpy(at, buf, len);
	return 0;
}

/* The last stretch of a piece that is lied about. */
static void tell_lie(struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len, int32_t err,
		     unsigned kind)
{
	if (len > 1)
		sonde_progress(&space_host, io, i, off, len - 1, err);
	if (kind == BAD_OUTSIDE)
		sonde_progress(&space_host, io, i, off + len, 1, err);
	for (int n = kind == BAD_TWICE ? 2 : 0; n > 0; n--)
		sonde_progress(&space_host, io, i, off + len - 1, 1, err);
}

static void serve_piece(struct base *base, struct sonde_io *io, uint32_t i)
{
	struct sonde_xfer *x = &io->xfers[i];
	const struct plan_bad *lie = base_lies(base, x->addr, x->len);

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		const struct told *told = NULL;
		len = x->len - off;
		if (addr >= x->addr) {
			if (len - 1 > UINT64_MAX - addr)
				len = (uint32_t)(UINT64_MAX - addr) + 1;
			told = base_at(base, addr, len, &len);
		}
		int32_t err = move(base, io, told, addr, (uint8_t *)x->buf + off, len);
		if (lie && off + len == x->len)
			tell_lie(io, i, off, len, err, lie->kind);
		else
			sonde_progress(&space_host, io, i, off, len, err);
	}
}

static void serve(struct base *base, struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++)
		serve_piece(base, io, i);
}

static void base_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++)
		serve(conn, ios[i]);
}

/* ---- another thread ---------------------------------------------------------------------------- */

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct {
		struct base *base;
		struct sonde_io *io;
	} queue[HELD_MAX];
	size_t n;
	bool runs, stop, busy;
	pthread_cond_t idle;
} worker = { .lock = PTHREAD_MUTEX_INITIALIZER,
	     .more = PTHREAD_COND_INITIALIZER,
	     .idle = PTHREAD_COND_INITIALIZER };

static void *work(void *arg)
{
	struct numbers numbers = { 1 };

	(void)arg;
	pthread_mutex_lock(&worker.lock);
	while (!worker.stop || worker.n) {
		if (!worker.n) {
			pthread_cond_wait(&worker.more, &worker.lock);
			continue;
		}
		size_t pick = numbers_below(&numbers, (uint32_t)worker.n);
		struct base *base = worker.queue[pick].base;
		struct sonde_io *io = worker.queue[pick].io;
		worker.queue[pick] = worker.queue[--worker.n];
		worker.busy = true;
		pthread_mutex_unlock(&worker.lock);
		serve(base, io);
		space_host.io_done(io);
		pthread_mutex_lock(&worker.lock);
		worker.busy = false;
		pthread_cond_signal(&worker.idle);
	}
	pthread_mutex_unlock(&worker.lock);
	return NULL;
}

static size_t give_to_thread(struct base *base, struct sonde_io *const *ios, size_t n)
{
	size_t taken = 0;

	pthread_mutex_lock(&worker.lock);
	if (!worker.runs && pthread_create(&worker.thread, NULL, work, NULL))
		abort();
	worker.runs = true;
	while (taken < n && worker.n < HELD_MAX) {
		worker.queue[worker.n].base = base;
		worker.queue[worker.n++].io = ios[taken++];
	}
	pthread_cond_signal(&worker.more);
	pthread_mutex_unlock(&worker.lock);
	return taken;
}

void base_thread_stop(void)
{
	if (!worker.runs)
		return;
	pthread_mutex_lock(&worker.lock);
	worker.stop = true;
	pthread_cond_signal(&worker.more);
	pthread_mutex_unlock(&worker.lock);
	pthread_join(worker.thread, NULL);
	worker.runs = worker.stop = false;
}

/* ---- a queue, served by a timer that fires in each turn ---------------------------------------- */

static unsigned manner_of(const struct base *base)
{
	return base->node->variant % MANNERS;
}

static void let_go(struct base *base, size_t i)
{
	struct sonde_io *io = base->held[i].io;

	memmove(&base->held[i], &base->held[i + 1], (base->n_held - i - 1) * sizeof(base->held[0]));
	base->n_held--;
	space_host.io_done(io);
}

static void serve_some(struct base *base)
{
	size_t i = 0;
	uint32_t n = UINT32_MAX;

	if (manner_of(base) != MANNER_LATER) {
		i = numbers_below(&base->numbers, (uint32_t)base->n_held);
		n = 1 + numbers_below(&base->numbers, 3);
	}
	struct held_io *held = &base->held[i];
	for (; n && held->piece < held->io->n; n--)
		serve_piece(base, held->io, held->piece++);
	if (held->piece == held->io->n)
		let_go(base, i);
}

static void start_timer(struct base *base);

static void serve_on_time(struct sonde_timer *timer)
{
	struct base *base = timer->user;

	base->serving = false;
	if (base->n_held)
		serve_some(base);
	start_timer(base);
}

static void start_timer(struct base *base)
{
	if (base->serving || !base->n_held)
		return;
	base->serving = true;
	base->timer = (struct sonde_timer){ .at_ns = 1, .fire = serve_on_time, .user = base };
	sonde_timer_start(base->loop, &base->timer);
}

static size_t take(struct base *base, struct sonde_io *const *ios, size_t n)
{
	size_t most =
		manner_of(base) == MANNER_LATER ? HELD_MAX : 1 + numbers_below(&base->numbers, 3);
	size_t taken = 0;

	while (taken < n && base->n_held < most)
		base->held[base->n_held++] = (struct held_io){ .io = ios[taken++] };
	start_timer(base);
	return taken;
}

static size_t base_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct base *base = conn;

	if (manner_of(base) == MANNER_THREAD)
		return give_to_thread(base, ios, n);
	if (manner_of(base) != MANNER_AT_ONCE)
		return take(base, ios, n);
	for (size_t i = 0; i < n; i++) {
		serve(base, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static void base_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct base *base = conn;

	(void)why;
	for (size_t i = 0; i < base->n_held && manner_of(base) == MANNER_POLITE; i++) {
		if (base->held[i].io == io) {
			let_go(base, i);
			return;
		}
	}
}

/* ---- opening ------------------------------------------------------------------------------------- */

static int base_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct base *base = conn;
	int r = 0;

	(void)err;
	for (size_t i = 0; i < base->n_told && r == 0; i++) {
		const struct told *told = &base->told[i];
		struct sonde_extent e = { .addr = told->addr,
					  .len = told->len,
					  .kind = told->kind,
					  .flags = told->flags,
					  .err = told->err };
		if (told->kind == SONDE_EXTENT_FILE && base->store.bytes) {
			e.kind = SONDE_EXTENT_MEMORY;
			e.ptr = base->store.bytes + told->off;
		} else if (told->kind == SONDE_EXTENT_FILE) {
			bool second = base->store.size < STORE_BIG && told->off >= STORE_FIRST;
			e.fd = base->store.fd[second];
			e.off = second ? told->off - STORE_FIRST : told->off;
		}
		r = fn(user, &e);
	}
	return r;
}

/* The thread may still be on its way out of io_done, and that is the loop's. */
static void base_leave(void *conn)
{
	(void)conn;
	pthread_mutex_lock(&worker.lock);
	while (worker.busy)
		pthread_cond_wait(&worker.idle, &worker.lock);
	pthread_mutex_unlock(&worker.lock);
}

static void nothing_to_tell(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

static bool open_space(struct base *base)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = base_leave,
					   .info = nothing_to_tell };

	if (base->node->kind <= NODE_MEMORY)
		ops.extents = base_extents;
	else if (base->node->kind == NODE_TRANSFER)
		ops.transfer = base_transfer;
	else
		ops.submit = base_submit;
	ops.cancel = base_cancel;
	return space_from_connector(base->loop, &ops, base, &base->space, NULL) == 0;
}

bool base_open(struct base *base, const struct plan_node *node, struct sonde_loop *loop,
	       uint64_t seed)
{
	base->node = node;
	base->loop = loop;
	base->numbers.state = seed;
	tell_all(base, node);
	return open_space(base);
}

void base_close(struct base *base)
{
	sonde_space_close(base->space);
	base->space = NULL;
}

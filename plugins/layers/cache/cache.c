/* SPDX-License-Identifier: MIT */
/*
 * cache: pages of what is slow to reach. Bounded, scan-resistant (frames.h), each page good for a time or
 * until it is invalidated, and never past a write through here. What a batch is missing is one request
 * below; who wants a page that is on its way joins. Where below is mapped memory the cache steps aside.
 */
#include "cache.h"

#include "../common/memory.h"
#include "../common/stats.h"

/* Pieces of this length and more pass: they are sweeps, and would cost a copy. */
enum { PASS_LEN = 65536 };

#define LIVE_MS 100u /* as long as the OS layers believe translations of a live guest */

/* ---- answers ---------------------------------------------------------------------------------------- */

/* count of an answer: parts that wait for pages or rereads, and one for its own parts below. */
void answer_less(struct detour *answer)
{
	if (--answer->count == 0)
		detour_end(answer);
}

void answer_part(struct cache *cache, struct sonde_io *io, const struct waiter *w,
		 const struct frame *frame)
{
	if (frame->err == 0)
		memcpy((uint8_t *)io->xfers[w->piece].buf + w->off, frame->bytes + w->in_page,
		       w->len);
	sonde_progress(cache->host, io, w->piece, w->off, w->len, frame->err);
}

static void reread_over(struct detour *d)
{
	struct detour *answer = d->user;

	detour_drop(d);
	answer_less(answer);
}

void answer_reread(struct cache *cache, const struct waiter *w)
{
	struct detour *answer = w->answer;
	int32_t err = answer->stop;
	struct detour *d = err ? NULL : detour_begin(&cache->rereads, answer->upper);

	if (!d) {
		err = err ? err : SONDE_E_NO_MEMORY;
		sonde_progress(cache->host, answer->upper, w->piece, w->off, w->len, err);
		return;
	}
	answer->count++;
	d->user = answer;
	d->over = reread_over;
	detour_part(d, w->piece, w->off, w->len);
	detour_send(d);
}

static void parts_over(struct detour *answer)
{
	answer_less(answer);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* A batch while it is looked through. */
struct looking {
	struct cache *cache;
	struct sonde_io *io;
	struct detour *answer; /* of io; NULL: all of it was there so far */
	struct fetch *fetch;   /* of the batch; NULL: nothing was missing */
	uint64_t now;
};

static struct detour *need_answer(struct looking *l)
{
	if (!l->answer && (l->answer = detour_begin(&l->cache->answers, l->io)) != NULL) {
		l->answer->over = parts_over;
		l->answer->count = 1;
	}
	return l->answer;
}

/* These bytes are asked for below, by themselves. */
static void pass(struct looking *l, uint32_t piece, uint32_t off, uint32_t len)
{
	if (need_answer(l))
		detour_part(l->answer, piece, off, len);
	else
		sonde_progress(l->cache->host, l->io, piece, off, len, SONDE_E_NO_MEMORY);
}

static int is_fresh(const struct cache *cache, const struct frame *frame, uint64_t now)
{
	return frame->epoch == cache->epoch &&
	       (!cache->ms_ns || now - frame->sent_ns < cache->ms_ns);
}

/* Wait for a page that is coming. Returns 0 where that cannot be. */
static int wait_for(struct looking *l, struct frame *frame, struct waiter *w)
{
	w->answer = need_answer(l);
	return w->answer && fetch_wait(l->cache, frame, w) == 0;
}

/* A page that is not there: it is fetched, if there is room for it. */
static void miss(struct looking *l, struct waiter *w, uint64_t number)
{
	struct cache *cache = l->cache;
	struct frame *frame = need_answer(l) ? frames_take(&cache->frames, number) : NULL;

	cache->n_misses++;
	if (!frame) {
		pass(l, w->piece, w->off, w->len);
		return;
	}
	if (wait_for(l, frame, w)) {
		if (fetch_add(cache, &l->fetch, frame, l->now) == 0)
			return;
		fetch_unwait(cache, frame);
	}
	frames_drop(&cache->frames, frame);
	pass(l, w->piece, w->off, w->len);
}

static void from_page(struct looking *l, struct frame *frame, const struct waiter *w)
{
	l->cache->n_hits++;
	frames_use(&l->cache->frames, frame);
	if (frame->err == FRAME_PARTLY)
		pass(l, w->piece, w->off, w->len);
	else
		answer_part(l->cache, l->io, w, frame);
}

static void join(struct looking *l, struct frame *frame, struct waiter *w)
{
	if (fetch_joinable(l->cache, frame->fetch, l->now) && wait_for(l, frame, w))
		l->cache->n_joined++;
	else
		pass(l, w->piece, w->off, w->len);
}

/* [off, off + len) of a piece lies in one page. */
static void look_up(struct looking *l, uint32_t piece, uint32_t off, uint32_t len, uint64_t addr)
{
	struct cache *cache = l->cache;
	struct frame *frame = frames_find(&cache->frames, addr / CACHE_PAGE);
	struct waiter w = {
		.piece = piece, .off = off, .len = len, .in_page = (uint32_t)(addr % CACHE_PAGE)
	};

	if (frame && frame->place == FRAME_COMING) {
		join(l, frame, &w);
		return;
	}
	if (frame && !is_fresh(cache, frame, l->now)) {
		cache->n_stale++;
		frames_drop(&cache->frames, frame);
		frame = NULL;
	}
	if (frame)
		from_page(l, frame, &w);
	else
		miss(l, &w, addr / CACHE_PAGE);
}

static void read_piece(struct looking *l, uint32_t piece)
{
	const struct sonde_xfer *x = &l->io->xfers[piece];

	if (x->len >= PASS_LEN) {
		l->cache->n_passed++;
		pass(l, piece, 0, x->len);
		return;
	}
	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		uint32_t room = CACHE_PAGE - (uint32_t)(addr % CACHE_PAGE);
		len = room < x->len - off ? room : x->len - off;
		if (detour_wraps(x, off))
			sonde_progress(l->cache->host, l->io, piece, off, len, SONDE_E_NOT_MAPPED);
		else
			look_up(l, piece, off, len, addr);
	}
}

static void read_request(struct looking *l, struct sonde_io *io)
{
	l->io = io;
	l->answer = NULL;
	for (uint32_t i = 0; i < io->n; i++)
		read_piece(l, i);
	if (l->answer)
		detour_send(l->answer);
	else
		l->cache->host->io_done(io);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

/*
 * The byte that is written may stand at other addresses as well, where below is made of pieces or is the
 * memory of a process: so a write is an invalidation, when it is sent and when it is back.
 */
static void write_over(struct detour *d)
{
	struct cache *cache = (struct cache *)((char *)d->pool - offsetof(struct cache, writes));

	cache->epoch++;
	detour_end(d);
}

static void write_through(struct cache *cache, struct sonde_io *io)
{
	struct detour *d = detour_begin(&cache->writes, io);

	if (!d) {
		detour_refuse(cache->host, io, SONDE_E_NO_MEMORY);
		return;
	}
	cache->epoch++;
	d->over = write_over;
	for (uint32_t i = 0; i < io->n; i++)
		detour_part(d, i, 0, io->xfers[i].len);
	detour_send(d);
}

/* ---- the table --------------------------------------------------------------------------------------- */

/* Below is mapped memory: a page of ours would only cost. What we have of before is forgotten. */
static void step_aside(struct cache *cache, struct sonde_io *const *ios, size_t n)
{
	if (frames_used(&cache->frames) || cache->active)
		cache->epoch++;
	cache->n_aside += n;
	cache->host->forward(cache->below, ios, n);
}

static void cache_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct cache *cache = conn;
	struct looking l = { .cache = cache };

	if (cache->host->resident(cache->below)) {
		step_aside(cache, ios, n);
		return;
	}
	l.now = cache->host->now_ns();
	for (size_t i = 0; i < n; i++) {
		if (ios[i]->op == SONDE_IO_READ)
			read_request(&l, ios[i]);
		else
			write_through(cache, ios[i]);
	}
	if (l.fetch)
		fetch_send(l.fetch);
}

static void cache_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct cache *cache = conn;
	struct detour *answer = detour_cancel(&cache->answers, io, why);

	detour_cancel(&cache->writes, io, why);
	if (!answer)
		return;
	detour_cancel(&cache->rereads, io, why);
	answer->count++;
	fetch_leave(cache, answer, why);
	answer_less(answer);
}

static void cache_invalidate(void *conn)
{
	((struct cache *)conn)->epoch++;
}

static void cache_trim(void *conn)
{
	frames_trim(&((struct cache *)conn)->frames);
}

/* What is live is believed for a moment only, unless the user said otherwise. */
static void cache_info(void *conn, struct sonde_target_info *info)
{
	struct cache *cache = conn;

	if (!cache->given_ms && info->flags & SONDE_TARGET_LIVE)
		cache->ms_ns = LIVE_MS * UINT64_C(1000000);
}

static uint32_t cache_traits(void *conn)
{
	(void)conn;
	return SONDE_LAYER_INLINE | SONDE_LAYER_SAME_BYTES;
}

static int cache_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct cache *cache = conn;
	const struct sonde_stat stats[] = {
		{ .name = "hits", .value = cache->n_hits },
		{ .name = "misses", .value = cache->n_misses },
		{ .name = "joined", .value = cache->n_joined },
		{ .name = "evicted", .value = cache->frames.n_evicted },
		{ .name = "stale", .value = cache->n_stale },
		{ .name = "pages", .value = frames_used(&cache->frames) },
		{ .name = "passed", .value = cache->n_passed },
		{ .name = "aside (below is mapped memory)", .value = cache->n_aside },
	};

	return STATS_TELL(stats, fn, user);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static void cache_close(void *conn)
{
	struct cache *cache = conn;

	detour_pool_finish(&cache->answers);
	detour_pool_finish(&cache->rereads);
	detour_pool_finish(&cache->writes);
	fetch_finish(cache);
	frames_finish(&cache->frames);
	mem_release(cache);
}

static int configure(struct cache *cache, const struct sonde_args *args, struct sonde_error *err)
{
	const struct sonde_host *host = cache->host;
	uint64_t mb = 64, ms = 0;
	int r = host->arg_u64(args, "mb", &mb, err);

	if (r < 0)
		return r;
	cache->given_ms = host->arg_u64(args, "ms", &ms, err);
	if (cache->given_ms < 0)
		return cache->given_ms;
	if (mb == 0 || mb > 1 << 20)
		return host->error_set(err, SONDE_E_BAD_ARG, "cache: mb=%llu: 1 to 1048576",
				       (unsigned long long)mb);
	if (ms > 1000000000)
		return host->error_set(err, SONDE_E_BAD_ARG, "cache: ms=%llu: above 1000000000",
				       (unsigned long long)ms);
	cache->ms_ns = ms * 1000000;
	if (frames_init(&cache->frames, (uint32_t)((mb << 20) / CACHE_PAGE)) < 0)
		return host->error_set(err, SONDE_E_NO_MEMORY, "cache: mb=%llu",
				       (unsigned long long)mb);
	return 0;
}

static int cache_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	struct cache *cache = mem_alloc(1, sizeof(*cache));

	if (!cache)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	cache->host = host;
	cache->below = below;
	cache->answers = (struct detour_pool){ .host = host, .below = below };
	cache->rereads = cache->answers;
	cache->writes = cache->answers;
	int r = configure(cache, args, err);
	if (r < 0) {
		cache_close(cache);
		return r;
	}
	*ret_conn = cache;
	return 0;
}

/* With pages of its own, good for as long as these. */
static int cache_clone(void *conn, const struct sonde_host *host, const struct sonde_args *args,
		       void *below, void **ret_conn, struct sonde_error *err)
{
	int r = cache_open(host, args, below, ret_conn, err);

	if (r == 0)
		((struct cache *)*ret_conn)->ms_ns = ((struct cache *)conn)->ms_ns;
	return r;
}

static const struct sonde_layer_ops cache_ops = {
	.size = sizeof(cache_ops),
	.open = cache_open,
	.close = cache_close,
	.submit = cache_submit,
	.traits = cache_traits,
	.cancel = cache_cancel,
	.trim = cache_trim,
	.invalidate = cache_invalidate,
	.info = cache_info,
	.stats = cache_stats,
	.clone = cache_clone,
};

SONDE_PLUGIN(.name = "cache", .summary = "pages of what is slow to reach, kept for a while",
	     .args_help = "mb=N  memory for pages, in MiB (64)\n"
			  "ms=N  how long a page is good; 0: until it is written or invalidated\n"
			  "      (100 for what is live, else 0)\n",
	     .layer = &cache_ops);

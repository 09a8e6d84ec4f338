/* SPDX-License-Identifier: MIT */
/*
 * overlay: "what if". Writes stay here, in memory and if wanted in a file; reads see them over what is
 * below, byte by byte. Nothing is ever written below: the connector is not even opened for it.
 */
#include "overlay.h"

#include "../common/memory.h"

/* ---- reading ----------------------------------------------------------------------------------- */

/* Does any page of ours lie in [addr, addr + len)? What wraps is a hole and nobody's. */
static int touches(const struct overlay *overlay, const struct sonde_xfer *x)
{
	uint64_t last = x->len - 1 <= UINT64_MAX - x->addr ? x->addr + (x->len - 1) : UINT64_MAX;

	for (uint64_t n = x->addr / OVERLAY_PAGE; n <= last / OVERLAY_PAGE; n++) {
		if (pages_find(&overlay->pages, n))
			return 1;
	}
	return 0;
}

static int is_plain(const struct overlay *overlay, const struct sonde_io *io)
{
	if (io->op != SONDE_IO_READ)
		return 0;
	for (uint32_t i = 0; overlay->pages.n && i < io->n; i++) {
		if (touches(overlay, &io->xfers[i]))
			return 0;
	}
	return 1;
}

/* [off, off + len) of a piece lies in one page of ours: what was written is ours, the rest below's. */
static void merge_page(struct detour *d, const struct overlay_page *page, uint32_t piece,
		       uint32_t off, uint32_t len)
{
	const struct sonde_xfer *x = &d->upper->xfers[piece];
	uint32_t at = (uint32_t)((x->addr + off) % OVERLAY_PAGE), end = at + len;

	while (at < end) {
		int written;
		uint32_t n = page_run(page, at, end, &written);
		if (written) {
			memcpy((uint8_t *)x->buf + off, page->bytes + at, n);
			sonde_progress(d->pool->host, d->upper, piece, off, n, 0);
		} else {
			detour_part(d, piece, off, n);
		}
		at += n;
		off += n;
	}
}

static void merge_piece(struct overlay *overlay, struct detour *d, uint32_t piece)
{
	const struct sonde_xfer *x = &d->upper->xfers[piece];

	for (uint32_t off = 0, n; off < x->len; off += n) {
		uint64_t addr = x->addr + off;
		uint32_t room = OVERLAY_PAGE - (uint32_t)(addr % OVERLAY_PAGE);
		const struct overlay_page *page =
			detour_wraps(x, off) ? NULL
					     : pages_find(&overlay->pages, addr / OVERLAY_PAGE);
		n = room < x->len - off ? room : x->len - off;
		if (page)
			merge_page(d, page, piece, off, n);
		else
			detour_part(d, piece, off, n);
	}
}

static void read_merged(struct overlay *overlay, struct sonde_io *io)
{
	struct detour *d = detour_begin(&overlay->reads, io);

	if (!d) {
		detour_refuse(overlay->host, io, SONDE_E_NO_MEMORY);
		return;
	}
	for (uint32_t i = 0; i < io->n; i++)
		merge_piece(overlay, d, i);
	detour_send(d);
}

/* A batch goes on as it is, or all its reads are asked below by us: one trip either way. */
static void overlay_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct overlay *overlay = conn;
	size_t n_plain = 0, n_merged = 0;

	for (size_t i = 0; i < n; i++) {
		n_plain += (size_t)is_plain(overlay, ios[i]);
		n_merged += ios[i]->op == SONDE_IO_READ;
	}
	if (n_plain == n) {
		overlay->host->forward(overlay->below, ios, n);
		return;
	}
	overlay->n_merged += n_merged - n_plain;
	for (size_t i = 0; i < n; i++) {
		if (ios[i]->op == SONDE_IO_READ)
			read_merged(overlay, ios[i]);
		else
			overlay_write(overlay, ios[i]);
	}
}

static void overlay_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct overlay *overlay = conn;

	if (io->op == SONDE_IO_READ)
		detour_cancel(&overlay->reads, io, why);
	else
		overlay_write_cancel(overlay, io, why);
}

/* ---- what else is asked ------------------------------------------------------------------------ */

/* Regions below, and in their gaps the pages that were made there. */
struct visit {
	const struct overlay *overlay;
	sonde_region_fn *fn;
	void *user;
	uint64_t *numbers; /* [n] of pages, rising; those before i are told */
	uint64_t n, i;
	uint64_t free_from; /* what lies below this address is told   */
	int over;           /* it is behind the end of all addresses  */
};

/* The part of page i, and of those that follow it without a gap, that lies in [free_from, last]. i: not told yet. */
static struct sonde_region made_region(struct visit *visit, uint64_t last)
{
	uint64_t from = visit->numbers[visit->i] * OVERLAY_PAGE, to = from + (OVERLAY_PAGE - 1);

	while (to < last && visit->i + 1 < visit->n &&
	       visit->numbers[visit->i + 1] == to / OVERLAY_PAGE + 1) {
		to += OVERLAY_PAGE;
		visit->i++;
	}
	if (to <= last)
		visit->i++;
	from = from > visit->free_from ? from : visit->free_from;
	to = to < last ? to : last;
	return (struct sonde_region){
		.addr = from,
		.len = from <= to ? to - from + 1 : 0,
		.flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
		.name = "overlay",
	};
}

static int visit_gap(struct visit *visit, uint64_t last)
{
	int r = 0;

	while (r == 0 && visit->i < visit->n && visit->numbers[visit->i] * OVERLAY_PAGE <= last) {
		uint64_t before = visit->i;
		struct sonde_region region = made_region(visit, last);
		if (region.len)
			r = visit->fn(visit->user, &region);
		if (visit->i == before || region.addr + region.len - 1 == last)
			break; /* the page goes on behind the gap */
	}
	return r;
}

static int visit_region(void *user, const struct sonde_region *below)
{
	struct visit *visit = user;
	struct sonde_region region = *below;
	int r = region.addr > visit->free_from ? visit_gap(visit, region.addr - 1) : 0;

	if (r)
		return r;
	if (visit->overlay->write)
		region.flags |= SONDE_REGION_WRITE;
	visit->free_from = region.addr + region.len;
	visit->over = visit->free_from == 0;
	return visit->fn(visit->user, &region);
}

static int overlay_regions(void *conn, sonde_region_fn *fn, void *user)
{
	const struct overlay *overlay = conn;
	struct visit visit = { .overlay = overlay, .fn = fn, .user = user };

	if (overlay->holes) {
		visit.numbers = pages_sorted(&overlay->pages);
		visit.n = visit.numbers ? overlay->pages.n : 0;
	}
	int r = overlay->host->regions(overlay->below, visit_region, &visit);
	if (r == 0 && !visit.over)
		r = visit_gap(&visit, UINT64_MAX);
	mem_release(visit.numbers);
	return r;
}

/* Up to the first page that stands between the reader and what is below. */
static const void *overlay_borrow_run(void *conn, uint64_t addr, size_t cap, size_t *ret_len)
{
	const struct overlay *overlay = conn;
	size_t len = overlay->pages.n ? 0 : cap;

	while (len < cap && !pages_find(&overlay->pages, (addr + len) / OVERLAY_PAGE)) {
		size_t rest = OVERLAY_PAGE - (addr + len) % OVERLAY_PAGE;
		len = rest < cap - len ? len + rest : cap;
	}
	return len ? overlay->host->borrow_run(overlay->below, addr, len, ret_len) : NULL;
}

static void overlay_info(void *conn, struct sonde_target_info *info)
{
	if (((const struct overlay *)conn)->write)
		info->flags |= SONDE_TARGET_WRITABLE;
}

static int overlay_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct overlay *overlay = conn;
	const struct sonde_stat stats[] = {
		{ .name = "bytes written", .value = overlay->pages.n_bytes },
		{ .name = "pages", .value = overlay->pages.n },
		{ .name = "writes", .value = overlay->n_writes },
		{ .name = "merged reads", .value = overlay->n_merged },
		{ .name = "bytes restored", .value = overlay->n_restored },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(stats) / sizeof(stats[0]); i++)
		r = fn(user, &stats[i]);
	return r;
}

static uint32_t overlay_traits(void *conn)
{
	(void)conn;
	return SONDE_LAYER_INLINE;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void overlay_close(void *conn)
{
	struct overlay *overlay = conn;

	keep_close(overlay);
	detour_pool_finish(&overlay->reads);
	detour_pool_finish(&overlay->writes);
	pages_finish(&overlay->pages);
	mem_release(overlay);
}

static int read_yes(const struct overlay *overlay, const struct sonde_args *args, const char *key,
		    int *ret, struct sonde_error *err)
{
	const char *text = overlay->host->arg(args, key);

	if (!text || mem_same_text(text, "no"))
		return 0;
	*ret = mem_same_text(text, "yes");
	return *ret ? 0
		    : overlay->host->error_set(err, SONDE_E_BAD_ARG,
					       "overlay: %s='%.40s': yes or no", key, text);
}

static int configure(struct overlay *overlay, const struct sonde_args *args,
		     struct sonde_error *err)
{
	const struct sonde_host *host = overlay->host;
	const char *file = host->arg(args, "file");
	uint64_t mb = 64;
	int r = host->arg_u64(args, "mb", &mb, err);

	if (r < 0)
		return r;
	if (mb == 0 || mb > UINT64_C(1) << 24)
		return host->error_set(err, SONDE_E_BAD_ARG, "overlay: mb=%llu: 1 to 16777216",
				       (unsigned long long)mb);
	overlay->write = host->arg_write(args) != 0;
	if ((r = read_yes(overlay, args, "holes", &overlay->holes, err)) < 0 ||
	    (r = read_yes(overlay, args, "other", &overlay->other, err)) < 0)
		return r;
	if (pages_init(&overlay->pages, (mb << 20) / sizeof(struct overlay_page)) < 0)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	return file ? keep_open(overlay, file, err) : 0;
}

static int overlay_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
			void **ret_conn, struct sonde_error *err)
{
	struct overlay *overlay = mem_alloc(1, sizeof(*overlay));

	if (!overlay)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	overlay->host = host;
	overlay->below = below;
	overlay->reads = (struct detour_pool){ .host = host, .below = below };
	overlay->writes = (struct detour_pool){ .host = host,
						.below = below,
						.landed = overlay_write_landed };
	int r = configure(overlay, args, err);
	if (r < 0) {
		overlay_close(overlay);
		return r;
	}
	*ret_conn = overlay;
	return 0;
}

/* What is written, now or later, stands here only: who reads elsewhere would not see it. */
static int overlay_clone(void *conn, const struct sonde_host *host, const struct sonde_args *args,
			 void *below, void **ret_conn, struct sonde_error *err)
{
	const struct overlay *overlay = conn;

	if (overlay->write || overlay->pages.n)
		return host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"overlay: what is written is seen by one thread only: "
			"use that one, or keep it (file=FILE) and open the target again");
	return overlay_open(host, args, below, ret_conn, err);
}

static const struct sonde_layer_ops overlay_ops = {
	.size = sizeof(overlay_ops),
	.flags = SONDE_LAYER_KEEPS_WRITES,
	.open = overlay_open,
	.close = overlay_close,
	.submit = overlay_submit,
	.traits = overlay_traits,
	.cancel = overlay_cancel,
	.regions = overlay_regions,
	.borrow_run = overlay_borrow_run,
	.info = overlay_info,
	.stats = overlay_stats,
	.clone = overlay_clone,
};

SONDE_PLUGIN(.name = "overlay", .summary = "writes that stay here, over memory that is left alone",
	     .args_help = "mb=N  memory for what is written, in MiB (64)\n"
			  "holes=yes  write where there is no memory, too (no)\n"
			  "file=FILE  keep what is written there, and begin with what it holds\n"
			  "other=yes  even if FILE was made over another target (no)\n",
	     .layer = &overlay_ops);

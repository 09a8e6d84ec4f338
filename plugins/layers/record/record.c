/* SPDX-License-Identifier: MIT */
/*
 * record: writes down what is read, and what else is asked of the target, as it passes. replay:FILE answers
 * from it. Each read takes a detour, so that every stretch that failed is known; writes go on as they are.
 */
#include <sonde/plugin.h>

#include <stdlib.h>
#include <string.h>

#include "../../common/recfile.h"
#include "../../common/recording.h"
#include "../common/detour.h"
#include "../common/stats.h"

#define FLUSH_NS                                                                                   \
	UINT64_C(100000000) /* what came is in the file so soon after, if nothing is under way */
#define NOTE_MAX ((size_t)16 << 20)

struct record {
	const struct sonde_host *host;
	void *below;
	struct detour_pool pool;
	uint64_t opened_ns, flushed_ns;
	uint64_t n_requests, n_bytes, n_records, n_lost;
	struct recfile_writer file;
};

/* A stretch of a request that failed. */
struct bad {
	uint32_t piece, off, len;
	int32_t err;
};

/* Behind a read that is under way: detour.user. */
struct bads {
	struct bad *at; /* [n] */
	uint32_t n, cap;
	int incomplete; /* no memory to keep them all: the request is not written down */
};

/* ---- records ---------------------------------------------------------------------------------------- */

static void put(struct record *record, uint32_t type, const struct recfile_bytes *parts, size_t n)
{
	if (recfile_put(&record->file, type, parts, n))
		record->n_lost++;
	else
		record->n_records++;
}

static void flush_if_time(struct record *record, uint64_t now)
{
	if (now - record->flushed_ns < FLUSH_NS)
		return;
	record->flushed_ns = now;
	recfile_flush(&record->file);
}

/* ---- reads -------------------------------------------------------------------------------------------- */

static void landed(struct detour *d, uint32_t i, uint32_t off, uint32_t len, int32_t err)
{
	struct bads *bads = d->user;

	if (err && bads->n == bads->cap) {
		uint32_t cap = bads->cap ? 2 * bads->cap : 16;
		struct bad *grown = realloc(bads->at, cap * sizeof(*grown));
		bads->incomplete |= !grown;
		bads->at = grown ? grown : bads->at;
		bads->cap = grown ? cap : bads->cap;
	}
	if (err && bads->n < bads->cap)
		bads->at[bads->n++] =
			(struct bad){ d->parts[i].piece, d->parts[i].off + off, len, err };
	sonde_progress(d->pool->host, d->upper, d->parts[i].piece, d->parts[i].off + off, len, err);
}

/* Heads of all pieces and bad stretches. NULL: no memory. */
static uint8_t *make_heads(const struct record *record, const struct sonde_io *io,
			   const struct bads *bads, size_t *ret_len)
{
	size_t len = RECORDING_READ_HEAD + (size_t)io->n * RECORDING_PIECE +
		     (size_t)bads->n * RECORDING_STRETCH;
	uint8_t *heads = calloc(1, len), *at = heads;

	if (!heads)
		return NULL;
	recfile_put_u64(at, record->host->now_ns() - record->opened_ns);
	recfile_put_u32(at + 8, io->n);
	recfile_put_u32(at + 12, bads->n);
	at += RECORDING_READ_HEAD;
	for (uint32_t i = 0; i < io->n; i++, at += RECORDING_PIECE) {
		recfile_put_u64(at, io->xfers[i].addr);
		recfile_put_u32(at + 8, io->xfers[i].len);
	}
	for (uint32_t i = 0; i < bads->n; i++, at += RECORDING_STRETCH) {
		recfile_put_u32(at, bads->at[i].piece);
		recfile_put_u32(at + 4, bads->at[i].off);
		recfile_put_u32(at + 8, bads->at[i].len);
		recfile_put_u32(at + 12, (uint32_t)bads->at[i].err);
	}
	*ret_len = len;
	return heads;
}

/* Before the request above ends: its buffers are still ours to look at. */
static int write_down(struct record *record, const struct sonde_io *io, const struct bads *bads)
{
	size_t len;
	uint8_t *heads = bads->incomplete ? NULL : make_heads(record, io, bads, &len);
	struct recfile_bytes *parts = heads ? malloc((io->n + 1) * sizeof(*parts)) : NULL;

	if (parts) {
		parts[0] = (struct recfile_bytes){ heads, len };
		for (uint32_t i = 0; i < io->n; i++) {
			parts[i + 1] = (struct recfile_bytes){ io->xfers[i].buf, io->xfers[i].len };
			record->n_bytes += io->xfers[i].len;
		}
		put(record, RECORDING_READ, parts, io->n + 1);
	}
	free(heads);
	free(parts);
	return parts ? 0 : -1;
}

static int by_place(const void *a, const void *b)
{
	const struct bad *x = a, *y = b;

	if (x->piece != y->piece)
		return x->piece < y->piece ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* The bad stretches of a piece begin at *at; how many bytes they have. *at is behind them then. */
static uint64_t sum_of(const struct bads *bads, uint32_t piece, uint32_t *at)
{
	uint64_t sum = 0;

	for (; *at < bads->n && bads->at[*at].piece == piece; (*at)++)
		sum += bads->at[*at].len;
	return sum;
}

/*
 * A piece that was not told as it must be is dropped as a whole, whatever was told of it: the account below
 * says so, where stretches do not.
 */
static uint32_t count_dropped(const struct detour *d, const struct bads *bads)
{
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		uint64_t sum = sum_of(bads, i, &at);
		n += d->xfers[i].err && d->xfers[i].done == 0 && sum != d->xfers[i].len;
	}
	return n;
}

static void add_dropped(const struct detour *d, struct bads *bads, uint32_t n_dropped)
{
	struct bad *out = malloc(((size_t)bads->n + n_dropped) * sizeof(*out));
	uint32_t n = 0, at = 0;

	if (!out) {
		bads->incomplete = 1;
		return;
	}
	for (uint32_t i = 0; i < d->n; i++) {
		const struct sonde_xfer *x = &d->xfers[i];
		uint32_t from = at;
		uint64_t sum = sum_of(bads, i, &at);
		if (x->err && x->done == 0 && sum != x->len) {
			out[n++] = (struct bad){ i, 0, x->len, x->err };
			continue;
		}
		while (from < at)
			out[n++] = bads->at[from++];
	}
	free(bads->at);
	bads->at = out;
	bads->n = n;
}

static void over(struct detour *d)
{
	struct record *record = (struct record *)((char *)d->pool - offsetof(struct record, pool));
	struct bads *bads = d->user;
	uint32_t n_dropped;

	if (bads->n)
		qsort(bads->at, bads->n, sizeof(*bads->at), by_place);
	n_dropped = count_dropped(d, bads);
	if (n_dropped)
		add_dropped(d, bads, n_dropped);
	record->n_requests++;
	if (write_down(record, d->upper, bads) < 0)
		record->n_lost++;
	free(bads->at);
	free(bads);
	flush_if_time(record, record->host->now_ns());
	detour_end(d);
}

/* Returns 0 without memory: it goes on unrecorded. */
static int follow(struct record *record, struct sonde_io *io)
{
	struct bads *bads = calloc(1, sizeof(*bads));
	struct detour *d = bads ? detour_begin(&record->pool, io) : NULL;

	if (!d) {
		free(bads);
		record->n_lost++;
		return 0;
	}
	d->user = bads;
	d->over = over;
	for (uint32_t i = 0; i < io->n; i++)
		detour_part(d, i, 0, io->xfers[i].len);
	bads->incomplete = d->n != io->n;
	detour_send(d);
	return 1;
}

static void record_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct record *record = conn;

	for (size_t i = 0; i < n; i++) {
		if (ios[i]->op != SONDE_IO_READ || !follow(record, ios[i]))
			record->host->forward(record->below, &ios[i], 1);
	}
}

static void record_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	detour_cancel(&((struct record *)conn)->pool, io, why);
}

/* ---- what else is asked ------------------------------------------------------------------------------ */

struct region_list {
	struct sonde_region *at; /* [n], names copied */
	size_t n, cap;
	uint8_t *bytes; /* [used] the records' payload */
	size_t used, room;
	int failed;
};

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static int grow(void **at, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 64;

	while (n < want)
		n *= 2;
	if (n == *cap)
		return 0;
	void *grown = realloc(*at, n * size);
	if (!grown)
		return -1;
	*at = grown;
	*cap = n;
	return 0;
}

/* All of them first: the user may stop half-way, and whoever replays may not. */
static int gather_region(void *user, const struct sonde_region *region)
{
	struct region_list *list = user;
	size_t name_len = strlen(region->name), len = RECORDING_REGION + padded(name_len);

	if (grow((void **)&list->at, &list->cap, list->n + 1, sizeof(*list->at)) < 0 ||
	    grow((void **)&list->bytes, &list->room, list->used + len, 1) < 0) {
		list->failed = 1;
		return SONDE_E_NO_MEMORY;
	}
	uint8_t *at = list->bytes + list->used;
	memset(at, 0, len);
	recfile_put_u64(at, region->addr);
	recfile_put_u64(at + 8, region->len);
	recfile_put_u32(at + 16, region->flags);
	recfile_put_u32(at + 20, (uint32_t)name_len);
	memcpy(at + RECORDING_REGION, region->name, name_len);
	list->used += len;
	list->at[list->n++] = *region;
	return 0;
}

static void put_regions(struct record *record, const struct region_list *list, int result)
{
	uint8_t head[RECORDING_REGIONS_HEAD];
	const struct recfile_bytes parts[] = { { head, sizeof(head) },
					       { list->bytes, list->used } };

	recfile_put_u32(head, (uint32_t)result);
	recfile_put_u32(head + 4, (uint32_t)list->n);
	put(record, RECORDING_REGIONS, parts, 2);
}

/* Names are read from the payload, padding and all: each ends in a zero, or is given one. */
static int tell_regions(const struct region_list *list, sonde_region_fn *fn, void *user)
{
	const uint8_t *at = list->bytes;
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		struct sonde_region region = list->at[i];
		uint32_t name_len = recfile_u32(at + 20);
		char *name = strndup((const char *)at + RECORDING_REGION, name_len);
		region.name = name ? name : "";
		r = fn(user, &region);
		free(name);
		at += RECORDING_REGION + padded(name_len);
	}
	return r;
}

static int record_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct record *record = conn;
	struct region_list list = { .n = 0 };
	int r = record->host->regions(record->below, gather_region, &list);

	if (list.failed) {
		record->n_lost++;
		r = record->host->regions(record->below, fn, user);
	} else {
		put_regions(record, &list, r);
		int told = tell_regions(&list, fn, user);
		r = told ? told : r;
	}
	free(list.at);
	free(list.bytes);
	return r;
}

static int record_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct record *record = conn;
	uint8_t bytes[RECORDING_CPU_LEN] = { 0 }, *at = bytes + RECORDING_CPU_HEAD;
	const struct recfile_bytes part = { bytes, sizeof(bytes) };
	int r = record->host->cpu(record->below, index, ret);
	const struct sonde_cpu none = { 0 }, *cpu = r == 0 ? ret : &none;
	const uint64_t first[] = { cpu->pc, cpu->sp, cpu->flags };
	const uint64_t last[] = { cpu->gdt_base, cpu->idt_base, cpu->gs_base, cpu->kernel_gs_base,
				  cpu->efer };

	recfile_put_u32(bytes, index);
	recfile_put_u32(bytes + 4, (uint32_t)r);
	recfile_put_u32(bytes + 8, cpu->arch);
	recfile_put_u32(bytes + 12, cpu->valid);
	for (int i = 0; i < 3; i++, at += 8)
		recfile_put_u64(at, first[i]);
	for (int i = 0; i < 16; i++, at += 8)
		recfile_put_u64(at, cpu->general[i]);
	for (int i = 0; i < 5; i++, at += 8)
		recfile_put_u64(at, cpu->cr[i]);
	for (int i = 0; i < 5; i++, at += 8)
		recfile_put_u64(at, last[i]);
	put(record, RECORDING_CPU, &part, 1);
	return r;
}

static void put_note(struct record *record, const char *name, int64_t result, const void *bytes,
		     size_t len)
{
	static const uint8_t zeros[8];
	uint8_t head[RECORDING_NOTE_HEAD];
	size_t name_len = strlen(name);
	const struct recfile_bytes parts[] = { { head, sizeof(head) },
					       { name, name_len },
					       { zeros, padded(name_len) - name_len },
					       { bytes, len } };

	recfile_put_u64(head, (uint64_t)result);
	recfile_put_u32(head + 8, (uint32_t)name_len);
	recfile_put_u32(head + 12, (uint32_t)len);
	put(record, RECORDING_NOTE, parts, 4);
}

/* All of the note, however little of it was asked for: who replays may ask for more. */
static int64_t record_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct record *record = conn;
	int64_t len = record->host->note(record->below, name, buf, cap);
	void *whole = NULL;

	if (len > 0 && (uint64_t)len > cap && (uint64_t)len <= NOTE_MAX &&
	    (whole = malloc((size_t)len)) &&
	    record->host->note(record->below, name, whole, (size_t)len) == len)
		put_note(record, name, len, whole, (size_t)len);
	else if (len > 0 && (uint64_t)len > cap)
		record->n_lost++;
	else
		put_note(record, name, len, buf, len > 0 ? (size_t)len : 0);
	free(whole);
	return len;
}

static void record_info(void *conn, struct sonde_target_info *info)
{
	struct record *record = conn;
	const char *detail = info->detail ? info->detail : "";
	uint8_t head[RECORDING_TARGET_HEAD];
	const struct recfile_bytes parts[] = { { head, sizeof(head) }, { detail, strlen(detail) } };

	recfile_put_u32(head, info->arch);
	recfile_put_u32(head + 4, info->flags);
	recfile_put_u32(head + 8, info->n_cpus);
	recfile_put_u32(head + 12, (uint32_t)strlen(detail));
	put(record, RECORDING_TARGET, parts, 2);
}

static uint32_t record_traits(void *conn)
{
	(void)conn;
	return SONDE_LAYER_INLINE;
}

static int record_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct record *record = conn;
	const struct sonde_stat stats[] = {
		{ .name = "requests", .value = record->n_requests },
		{ .name = "bytes", .value = record->n_bytes },
		{ .name = "records", .value = record->n_records },
		{ .name = "lost", .value = record->n_lost },
	};

	return STATS_TELL(stats, fn, user);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static void record_close(void *conn)
{
	struct record *record = conn;

	recfile_writer_close(&record->file);
	detour_pool_finish(&record->pool);
	free(record);
}

static int record_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		       void **ret_conn, struct sonde_error *err)
{
	const char *path = host->arg(args, "file");
	struct record *record;

	if (!path || !*path)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "record: into what? Write record,file=FILE");
	record = calloc(1, sizeof(*record));
	if (!record)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	record->host = host;
	record->below = below;
	record->pool = (struct detour_pool){ .host = host, .below = below, .landed = landed };
	record->opened_ns = host->now_ns();
	int r = recfile_create(host, "record", path, RECFILE_RECORDING, &record->file, err);
	if (r < 0) {
		free(record);
		return r;
	}
	*ret_conn = record;
	return 0;
}

static const struct sonde_layer_ops record_ops = {
	.size = sizeof(record_ops),
	.open = record_open,
	.close = record_close,
	.submit = record_submit,
	.traits = record_traits,
	.cancel = record_cancel,
	.regions = record_regions,
	.cpu = record_cpu,
	.note = record_note,
	.info = record_info,
	.stats = record_stats,
};

SONDE_PLUGIN(.name = "record", .summary = "writes down a run, for replay:FILE to repeat",
	     .args_help = "file=FILE  a new one (required)\n", .layer = &record_ops);

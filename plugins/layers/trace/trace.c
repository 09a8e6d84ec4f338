/* SPDX-License-Identifier: MIT */
/*
 * trace: a line for each batch, request or piece that has come back: when it was sent, what it was, what
 * became of it, how long it took. Requests go on as they are.
 */
#include <sonde/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/stats.h"
#include "lines.h"

enum { SPARES_MAX = 1024 };
enum detail { DETAIL_BATCH, DETAIL_REQUEST, DETAIL_PIECE };

/* A batch of which some requests are under way; of the lines of DETAIL_BATCH only. */
struct batch {
	uint64_t number, sent_ns, bytes, pieces, failed;
	size_t n, left; /* requests */
};

/* A request that was forwarded and is not back. */
struct seen {
	struct sonde_follow follow; /* first */
	uint64_t number, sent_ns;
	struct batch *batch; /* DETAIL_BATCH */
	struct seen *next;   /* spare        */
};

struct trace {
	const struct sonde_host *host;
	void *below;
	struct seen *spare;
	uint32_t n_spare;
	struct lines lines;
	enum detail detail;
	int json;
	uint64_t opened_ns, n_batches, n_requests, n_unseen, n_under_way;
};

/* Seconds since opening, as "%llu.%09llu" takes them. */
#define SECONDS(ns) (unsigned long long)((ns) / 1000000000), (unsigned long long)((ns) % 1000000000)
#define ULL(n) ((unsigned long long)(n))

static const char *op_name(const struct sonde_io *io)
{
	return io->op == SONDE_IO_READ ? "read" : "write";
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void batch_line(struct trace *trace, const struct batch *b, uint64_t now)
{
	uint64_t at = b->sent_ns - trace->opened_ns, took = now - b->sent_ns;

	if (trace->json)
		lines_add(&trace->lines,
			  "{\"time_ns\":%llu,\"batch\":%llu,\"requests\":%zu,\"pieces\":%llu,"
			  "\"bytes\":%llu,\"failed\":%llu,\"took_ns\":%llu}",
			  ULL(at), ULL(b->number), b->n, ULL(b->pieces), ULL(b->bytes),
			  ULL(b->failed), ULL(took));
	else
		lines_add(&trace->lines,
			  "%llu.%09llu batch %llu: %zu requests, %llu pieces, %llu bytes, %llu "
			  "failed, %llu ns",
			  SECONDS(at), ULL(b->number), b->n, ULL(b->pieces), ULL(b->bytes),
			  ULL(b->failed), ULL(took));
}

static void request_line(struct trace *trace, const struct sonde_io *io, uint64_t number,
			 uint64_t sent_ns, uint64_t now)
{
	uint64_t at = sent_ns - trace->opened_ns, took = now - sent_ns, bytes = 0, failed = 0;

	for (uint32_t i = 0; i < io->n; i++) {
		bytes += io->xfers[i].len;
		failed += io->xfers[i].err != 0;
	}
	if (trace->json)
		lines_add(&trace->lines,
			  "{\"time_ns\":%llu,\"request\":%llu,\"op\":\"%s\",\"pieces\":%u,"
			  "\"bytes\":%llu,\"failed\":%llu,\"took_ns\":%llu}",
			  ULL(at), ULL(number), op_name(io), io->n, ULL(bytes), ULL(failed),
			  ULL(took));
	else
		lines_add(&trace->lines,
			  "%llu.%09llu %s %llu: %u pieces, %llu bytes, %llu failed, %llu ns",
			  SECONDS(at), op_name(io), ULL(number), io->n, ULL(bytes), ULL(failed),
			  ULL(took));
}

static void piece_line(struct trace *trace, const struct sonde_io *io, uint32_t i, uint64_t number,
		       uint64_t sent_ns, uint64_t now)
{
	const struct sonde_xfer *x = &io->xfers[i];
	uint64_t at = sent_ns - trace->opened_ns, took = now - sent_ns;
	char failure[64] = "";

	if (trace->json && x->err)
		snprintf(failure, sizeof(failure), ",\"error\":\"%s\",\"error_off\":%u",
			 trace->host->code_name(x->err), x->err_off);
	else if (x->err)
		snprintf(failure, sizeof(failure), ", %s at +%u", trace->host->code_name(x->err),
			 x->err_off);
	if (trace->json)
		lines_add(&trace->lines,
			  "{\"time_ns\":%llu,\"request\":%llu,\"piece\":%u,\"op\":\"%s\","
			  "\"addr\":%llu,\"len\":%u,\"done\":%u%s,\"took_ns\":%llu}",
			  ULL(at), ULL(number), i, op_name(io), ULL(x->addr), x->len, x->done,
			  failure, ULL(took));
	else
		lines_add(&trace->lines, "%llu.%09llu %s %llu.%u: 0x%llx+%u: %u bytes%s, %llu ns",
			  SECONDS(at), op_name(io), ULL(number), i, ULL(x->addr), x->len, x->done,
			  failure, ULL(took));
}

/* ---- requests ------------------------------------------------------------------------------------ */

static struct seen *take_seen(struct trace *trace)
{
	struct seen *seen = trace->spare;

	if (!seen)
		return calloc(1, sizeof(*seen));
	trace->spare = seen->next;
	trace->n_spare--;
	return seen;
}

static void put_seen(struct trace *trace, struct seen *seen)
{
	if (trace->n_spare == SPARES_MAX) {
		free(seen);
		return;
	}
	seen->next = trace->spare;
	trace->spare = seen;
	trace->n_spare++;
}

/* Who looks at the file while nothing happens is to see all that has. */
static void one_less(struct trace *trace)
{
	if (--trace->n_under_way == 0)
		lines_flush(&trace->lines);
}

static void leave_batch(struct trace *trace, struct batch *b, const struct sonde_io *io,
			uint64_t now)
{
	for (uint32_t i = 0; i < io->n; i++) {
		b->bytes += io->xfers[i].len;
		b->failed += io->xfers[i].err != 0;
	}
	b->pieces += io->n;
	if (--b->left)
		return;
	batch_line(trace, b, now);
	free(b);
}

static void back(struct sonde_follow *follow, struct sonde_io *io)
{
	struct seen *seen = (struct seen *)(void *)follow;
	struct trace *trace = follow->user;
	uint64_t now = trace->host->now_ns();

	if (seen->batch)
		leave_batch(trace, seen->batch, io, now);
	else if (trace->detail == DETAIL_REQUEST)
		request_line(trace, io, seen->number, seen->sent_ns, now);
	else
		for (uint32_t i = 0; i < io->n; i++)
			piece_line(trace, io, i, seen->number, seen->sent_ns, now);
	put_seen(trace, seen);
	one_less(trace);
}

/* Returns 0 where there is no memory to: it goes on unseen, and is counted. */
static int follow(struct trace *trace, struct sonde_io *io, struct batch *batch, uint64_t now)
{
	struct seen *seen = take_seen(trace);

	if (!seen) {
		trace->n_unseen++;
		return 0;
	}
	*seen = (struct seen){ .follow = { .back = back, .user = trace },
			       .number = trace->n_requests++,
			       .sent_ns = now,
			       .batch = batch };
	trace->n_under_way++;
	trace->host->follow(io, &seen->follow);
	return 1;
}

static struct batch *make_batch(const struct trace *trace, uint64_t now)
{
	struct batch *batch = trace->detail == DETAIL_BATCH ? calloc(1, sizeof(*batch)) : NULL;

	if (batch) {
		batch->number = trace->n_batches;
		batch->sent_ns = now;
	}
	return batch;
}

static void trace_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct trace *trace = conn;
	uint64_t now = trace->host->now_ns();
	struct batch *batch = make_batch(trace, now);
	size_t n_seen = 0;

	/* What comes back inside the call does not flush for each. */
	trace->n_under_way++;
	if (trace->detail == DETAIL_BATCH && !batch)
		trace->n_unseen += n;
	else
		for (size_t i = 0; i < n; i++)
			n_seen += (size_t)follow(trace, ios[i], batch, now);
	if (batch)
		batch->n = batch->left = n_seen;
	if (batch && n_seen == 0)
		free(batch);
	trace->n_batches++;
	trace->host->forward(trace->below, ios, n);
	one_less(trace);
}

static uint32_t trace_traits(void *conn)
{
	(void)conn;
	return SONDE_LAYER_INLINE;
}

static int trace_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct trace *trace = conn;
	const struct sonde_stat stats[] = {
		{ .name = "lines", .value = trace->lines.n },
		{ .name = "lines lost", .value = trace->lines.n_lost },
		{ .name = "batches", .value = trace->n_batches },
		{ .name = "requests", .value = trace->n_requests },
		{ .name = "requests unseen", .value = trace->n_unseen },
	};

	return STATS_TELL(stats, fn, user);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void trace_close(void *conn)
{
	struct trace *trace = conn;

	lines_flush(&trace->lines);
	if (trace->lines.fd >= 0)
		close(trace->lines.fd);
	while (trace->spare) {
		struct seen *next = trace->spare->next;
		free(trace->spare);
		trace->spare = next;
	}
	free(trace);
}

/* Which of n words; absent: the one at fallback. */
static int choose(const struct trace *trace, const char *key, const char *text,
		  const char *const *words, int n, int fallback, struct sonde_error *err)
{
	for (int i = 0; i < n; i++) {
		if (!text || strcmp(text, words[i]) == 0)
			return text ? i : fallback;
	}
	return trace->host->error_set(err, SONDE_E_BAD_ARG, "trace: %s='%.40s': %s%s%s or %s", key,
				      text, n > 2 ? words[0] : "", n > 2 ? ", " : "", words[n - 2],
				      words[n - 1]);
}

static int open_file(struct trace *trace, const char *path, struct sonde_error *err)
{
	const struct sonde_host *host = trace->host;
	struct stat st;

	if (!path || !*path)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "trace: into what? Write trace,file=FILE");
	trace->lines.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
	if (trace->lines.fd < 0 || fstat(trace->lines.fd, &st) < 0)
		return host->error_os(err, errno, "trace: '%s'", path);
	if (!S_ISREG(st.st_mode))
		return host->error_set(err, SONDE_E_BAD_ARG, "trace: '%s' is no file", path);
	return 0;
}

static int configure(struct trace *trace, const struct sonde_args *args, struct sonde_error *err)
{
	static const char *const details[] = { "batch", "request", "piece" };
	static const char *const formats[] = { "text", "json" };
	const struct sonde_host *host = trace->host;
	int detail =
		choose(trace, "detail", host->arg(args, "detail"), details, 3, DETAIL_REQUEST, err);
	int json = detail < 0
			   ? detail
			   : choose(trace, "format", host->arg(args, "format"), formats, 2, 0, err);

	if (json < 0)
		return json;
	trace->detail = (enum detail)detail;
	trace->json = json;
	return open_file(trace, host->arg(args, "file"), err);
}

static int trace_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	trace->host = host;
	trace->below = below;
	trace->lines.fd = -1;
	trace->opened_ns = host->now_ns();
	int r = configure(trace, args, err);
	if (r < 0) {
		trace_close(trace);
		return r;
	}
	*ret_conn = trace;
	return 0;
}

static const struct sonde_layer_ops trace_ops = {
	.size = sizeof(trace_ops),
	.open = trace_open,
	.close = trace_close,
	.submit = trace_submit,
	.traits = trace_traits,
	.stats = trace_stats,
};

SONDE_PLUGIN(.name = "trace", .summary = "a line for each request that comes back",
	     .args_help = "file=FILE  added to, made if it is not there (required)\n"
			  "detail=WHAT  a line for each batch, request or piece (request)\n"
			  "format=HOW  text or json (text)\n",
	     .layer = &trace_ops);

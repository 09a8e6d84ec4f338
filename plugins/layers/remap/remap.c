/* SPDX-License-Identifier: MIT */
/*
 * remap: a linear space made of pieces of the one below, in any order, any number of times. It only
 * says which; the core moves the bytes.
 */
#include <sonde/plugin.h>

#include <stdlib.h>

#include "../../common/numbers.h"

struct remap {
	const struct sonde_host *host;
	struct sonde_stretch *stretches; /* [n] */
	size_t n;
};

static size_t count_items(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ';';
	return n;
}

/* ADDR+LEN@BELOW. Returns where it ends, NULL where it is none. */
static const char *read_stretch(const char *text, struct sonde_stretch *ret)
{
	const char *at = number_read(text, &ret->addr);

	if (!at || *at != '+' || !(at = number_read(at + 1, &ret->len)) || *at != '@' ||
	    !(at = number_read(at + 1, &ret->at)))
		return NULL;
	return *at == '\0' || *at == ';' ? at : NULL;
}

static int wraps(const struct sonde_stretch *s)
{
	return s->len == 0 || s->len - 1 > UINT64_MAX - s->addr || s->len - 1 > UINT64_MAX - s->at;
}

static int by_addr(const void *a, const void *b)
{
	const struct sonde_stretch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int check_overlap(struct remap *remap, struct sonde_error *err)
{
	qsort(remap->stretches, remap->n, sizeof(*remap->stretches), by_addr);
	for (size_t i = 1; i < remap->n; i++) {
		const struct sonde_stretch *a = &remap->stretches[i - 1], *b = a + 1;
		if (b->addr - a->addr < a->len)
			return remap->host->error_set(
				err, SONDE_E_BAD_ARG,
				"remap: map: 0x%llx+0x%llx and 0x%llx+0x%llx overlap",
				(unsigned long long)a->addr, (unsigned long long)a->len,
				(unsigned long long)b->addr, (unsigned long long)b->len);
	}
	return 0;
}

static int read_map(struct remap *remap, const char *text, struct sonde_error *err)
{
	const struct sonde_host *host = remap->host;

	if (!text || !*text)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"remap: of which pieces? Write remap,map=ADDR+LEN@BELOW;...");
	remap->stretches = calloc(count_items(text), sizeof(*remap->stretches));
	if (!remap->stretches)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	for (const char *end; *text; text = *end ? end + 1 : end) {
		struct sonde_stretch *s = &remap->stretches[remap->n];
		end = read_stretch(text, s);
		if (!end)
			return host->error_set(err, SONDE_E_BAD_ARG,
					       "remap: map: '%.60s' is not ADDR+LEN@BELOW;...",
					       text);
		if (wraps(s))
			return host->error_set(
				err, SONDE_E_BAD_ARG,
				"remap: map: '%.60s': no bytes, or more than up to 2^64", text);
		remap->n++;
	}
	return check_overlap(remap, err);
}

static void remap_close(void *conn)
{
	struct remap *remap = conn;

	free(remap->stretches);
	free(remap);
}

static int remap_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	struct remap *remap = calloc(1, sizeof(*remap));

	(void)below;
	if (!remap)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	remap->host = host;
	int r = read_map(remap, host->arg(args, "map"), err);
	if (r < 0) {
		remap_close(remap);
		return r;
	}
	*ret_conn = remap;
	return 0;
}

static int remap_map(void *conn, sonde_stretch_fn *fn, void *user, struct sonde_error *err)
{
	const struct remap *remap = conn;
	int r = 0;

	for (size_t i = 0; i < remap->n && r == 0; i++)
		r = fn(user, &remap->stretches[i]);
	return r < 0 ? remap->host->error_set(err, r, NULL) : r;
}

static int remap_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct remap *remap = conn;
	struct sonde_stat stretches = { .name = "stretches", .value = remap->n };
	struct sonde_stat bytes = { .name = "bytes" };

	for (size_t i = 0; i < remap->n; i++)
		bytes.value += remap->stretches[i].len;
	int r = fn(user, &stretches);
	return r ? r : fn(user, &bytes);
}

static int remap_clone(void *conn, const struct sonde_host *host, const struct sonde_args *args,
		       void *below, void **ret_conn, struct sonde_error *err)
{
	(void)conn;
	return remap_open(host, args, below, ret_conn, err);
}

static const struct sonde_layer_ops remap_ops = {
	.size = sizeof(remap_ops),
	.open = remap_open,
	.close = remap_close,
	.stats = remap_stats,
	.map = remap_map,
	.clone = remap_clone,
};

SONDE_PLUGIN(.name = "remap", .summary = "a linear space made of pieces of the one below",
	     .args_help =
		     "map=ADDR+LEN@BELOW;...  LEN bytes at ADDR are those at BELOW (required)\n",
	     .layer = &remap_ops);

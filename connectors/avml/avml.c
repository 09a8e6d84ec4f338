/* SPDX-License-Identifier: MIT */
/*
 * avml: images of AVML as it writes them by default, packed: version 2. chunks.c reads where each chunk lies; common/blocks
 * unpacks those that are asked for. What AVML writes unpacked are images of LiME: the connector lime.
 */
#include "../common/blocks.h"
#include "../common/image_file.h"
#include "../common/unpack.h"
#include "chunks.h"

#include <stdio.h>
#include <stdlib.h>

#define KEEP_DEFAULT UINT64_C(32) /* MiB */

struct avml {
	const struct sonde_host *host;
	struct image_file file;
	struct source source;
	struct avml_chunks chunks;
	struct blocks *blocks;
	char detail[200];
};

/* ---- its chunks as blocks ----------------------------------------------------------------------- */

static void chunk_at(void *user, uint64_t addr, struct block *ret)
{
	const struct avml_chunks *chunks = &((const struct avml *)user)->chunks;
	size_t i = avml_chunks_find(chunks, addr);
	const struct avml_chunk *chunk = i < chunks->n ? &chunks->at[i] : NULL;
	uint64_t left = UINT64_MAX - addr;

	if (chunk && chunk->addr <= addr && chunk->err == 0) {
		*ret = (struct block){ .id = i,
				       .size = (uint32_t)chunk->size,
				       .inside = (uint32_t)(addr - chunk->addr) };
		return;
	}
	if (chunk && chunk->addr <= addr)
		left = chunk->size - (addr - chunk->addr);
	else if (chunk)
		left = chunk->addr - addr;
	ret->size = left == 0 ? 1 : left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	ret->err = chunk && chunk->addr <= addr ? chunk->err : SONDE_E_NOT_MAPPED;
}

static int place(void *user, uint64_t id, struct block_place *ret)
{
	const struct avml *avml = user;
	const struct avml_chunk *chunk = &avml->chunks.at[id];

	*ret = (struct block_place){ .source = &avml->source,
				     .off = chunk->off,
				     .len = chunk->len,
				     .packed = chunk->plain ? PACK_CHUNK_PLAIN : PACK_CHUNK };
	return 0;
}

/* ---- life --------------------------------------------------------------------------------------- */

static void describe(struct avml *avml)
{
	const struct avml_chunks *chunks = &avml->chunks;
	char broken[40] = "", refused[64] = "";

	if (chunks->n_broken)
		snprintf(broken, sizeof(broken), ", %zu broken off", chunks->n_broken);
	if (chunks->n_refused)
		snprintf(refused, sizeof(refused), ", %zu chunks refused: they overlap",
			 chunks->n_refused);
	snprintf(avml->detail, sizeof(avml->detail),
		 "AVML image, version 2, snappy, %zu range%s%s%s%s", chunks->n_ranges,
		 chunks->n_ranges == 1 ? "" : "s", broken, refused,
		 chunks->cut        ? ", cut off"
		 : chunks->trailing ? ", something else behind the last"
				    : "");
}

static int read_chunks(struct avml *avml, struct sonde_error *err)
{
	const char *why;

	avml->source = image_file_source(&avml->file);
	int r = avml_chunks_read(&avml->chunks, &avml->source, &why);
	if (r < 0)
		return image_file_refuse(&avml->file, "avml", r, why, err);
	describe(avml);
	return 0;
}

static void avml_close(void *conn)
{
	struct avml *avml = conn;

	blocks_destroy(avml->blocks);
	avml_chunks_finish(&avml->chunks);
	image_file_close(&avml->file);
	free(avml);
}

static int start(struct avml *avml, const struct sonde_host *host, uint64_t keep,
		 struct sonde_error *err)
{
	struct block_map map = { .user = avml,
				 .size_max = AVML_CHUNK_MAX,
				 .packed_max = AVML_PACKED_MAX,
				 .at = chunk_at,
				 .place = place };
	int r = blocks_create(&avml->blocks, &map, blocks_threads(), keep);

	return r < 0 ? host->error_set(err, r, NULL) : 0;
}

static int avml_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	const char *path = image_file_path(host, args, "avml", err);
	uint64_t keep = KEEP_DEFAULT;

	if (!path)
		return SONDE_E_BAD_ARG;
	if (host->arg_write(args))
		return host->error_set(err, SONDE_E_READ_ONLY,
				       "avml: '%.300s': packed memory cannot be written: put an "
				       "overlay in front, 'avml:%.100s|overlay'",
				       path, path);
	int r = blocks_keep(host, args, "avml", &keep, err);
	if (r < 0)
		return r;
	struct avml *avml = calloc(1, sizeof(*avml));
	if (!avml)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	avml->host = host;
	r = image_file_open_name(&avml->file, host, args, path, err);
	if (r == 0)
		r = read_chunks(avml, err);
	if (r == 0)
		r = start(avml, host, keep << 20, err);
	if (r < 0) {
		avml_close(avml);
		return r;
	}
	*ret_conn = avml;
	return 0;
}

static void avml_info(void *conn, struct sonde_target_info *ret)
{
	const struct avml *avml = conn;

	ret->detail = avml->detail;
	ret->flags = SONDE_TARGET_PHYSICAL;
}

static void avml_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct avml *avml = conn;

	blocks_transfer(avml->blocks, avml->host, ios, n);
}

/* Chunks that touch are one region. */
static int avml_regions(void *conn, sonde_region_fn *fn, void *user)
{
	const struct avml_chunks *chunks = &((const struct avml *)conn)->chunks;
	int r = 0;

	for (size_t i = 0; r == 0 && i < chunks->n;) {
		struct sonde_region region = { .addr = chunks->at[i].addr,
					       .flags = SONDE_REGION_READ | SONDE_REGION_RAM,
					       .name = "" };
		for (; i < chunks->n && chunks->at[i].err == 0 &&
		       chunks->at[i].addr == region.addr + region.len;
		     i++)
			region.len += chunks->at[i].size;
		if (region.len)
			r = fn(user, &region);
		else
			i++;
	}
	return r;
}

static int avml_is(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return avml_probe(head, head_len) && sonde_le32(head + 4) == 2 ? 90 : 0;
}

static const struct sonde_connector_ops avml_ops = {
	.size = sizeof(avml_ops),
	.open = avml_open,
	.close = avml_close,
	.info = avml_info,
	.transfer = avml_transfer,
	.regions = avml_regions,
	.probe = avml_is,
};

SONDE_PLUGIN(.name = "avml", .summary = "image of AVML, packed", .main_arg = "path",
	     .args_help = "path=FILE  the image to read, or its URL (required)\n"
			  "keep=MB  unpacked memory that is kept (32)\n",
	     .connector = &avml_ops);

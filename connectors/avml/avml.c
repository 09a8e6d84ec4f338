/* SPDX-License-Identifier: MIT */
/*
 * avml: images of AVML as it writes them by default, packed: version 2. chunks.c reads where each chunk lies; common/blocks
 * unpacks those that are asked for. What AVML writes unpacked are images of LiME: the connector lime.
 */
#include "../common/blocks.h"
#include "../common/read_at.h"
#include "../common/unpack.h"
#include "chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_DEFAULT UINT64_C(32) /* MiB */

struct avml {
	const struct sonde_host *host;
	int fd;
	struct source source;
	struct avml_chunks chunks;
	struct blocks *blocks;
	char detail[160];
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

static int64_t read_file(void *user, uint64_t off, void *buf, size_t len)
{
	return read_at(((const struct avml *)user)->fd, off, buf, len);
}

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

/* Opening a pipe would wait for its writer, so what a path is comes before open. */
static int open_file(struct avml *avml, const struct sonde_host *host, const char *path,
		     struct sonde_error *err)
{
	struct stat st;
	const char *why;

	if (stat(path, &st) < 0)
		return host->error_os(err, errno, "avml: '%.300s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return host->error_set(
			err, SONDE_E_BAD_FORMAT,
			"avml: '%.300s': is neither a regular file nor a block device", path);
	avml->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t size = avml->fd < 0 ? -1 : lseek(avml->fd, 0, SEEK_END);
	if (size < 0)
		return host->error_os(err, errno, "avml: '%.300s'", path);
	avml->source = (struct source){ .read = read_file, .user = avml, .size = (uint64_t)size };
	int r = avml_chunks_read(&avml->chunks, &avml->source, &why);
	if (r < 0)
		return host->error_set(err, r, "avml: '%.300s': %s", path, why);
	describe(avml);
	return 0;
}

static void avml_close(void *conn)
{
	struct avml *avml = conn;

	blocks_destroy(avml->blocks);
	avml_chunks_finish(&avml->chunks);
	if (avml->fd >= 0)
		close(avml->fd);
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
	const char *path = host->arg(args, "path");
	uint64_t keep = KEEP_DEFAULT;

	if (!path)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "avml: no file given: write avml:FILE");
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
	avml->fd = -1;
	r = open_file(avml, host, path, err);
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
	     .args_help = "path=FILE  the image to read (required)\n"
			  "keep=MB  unpacked memory that is kept (32)\n",
	     .connector = &avml_ops);

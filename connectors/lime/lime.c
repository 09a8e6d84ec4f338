/* SPDX-License-Identifier: MIT */
/*
 * lime: images of LiME in its own format, and those that AVML writes unpacked. ranges.c reads the heads; the bytes are
 * moved by the engines, from where the extents told here lie.
 */
#include "ranges.h"
#include "../common/image_file.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>

struct lime {
	struct image_file file;
	int writable;
	struct lime_ranges ranges;
	char detail[96];
};

static void describe(struct lime *lime)
{
	const struct lime_ranges *ranges = &lime->ranges;

	snprintf(lime->detail, sizeof(lime->detail), "LiME image, %zu range%s%s", ranges->n,
		 ranges->n == 1 ? "" : "s",
		 ranges->cut        ? ", cut off"
		 : ranges->unread   ? ", what is behind the last cannot be read"
		 : ranges->trailing ? ", something else behind the last"
				    : "");
}

static int read_ranges(struct lime *lime, struct sonde_error *err)
{
	const char *why;
	int r = lime_ranges_read(&lime->ranges, image_file_some, &lime->file, lime->file.size,
				 &why);

	if (r < 0)
		return image_file_refuse(&lime->file, "lime", r, why, err);
	describe(lime);
	return 0;
}

static void lime_close(void *conn)
{
	struct lime *lime = conn;

	lime_ranges_finish(&lime->ranges);
	image_file_close(&lime->file);
	free(lime);
}

static int lime_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	struct lime *lime = calloc(1, sizeof(*lime));

	if (!lime)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	lime->writable = host->arg_write(args);
	int r = image_file_open(&lime->file, host, args, "lime", err);
	if (r == 0)
		r = read_ranges(lime, err);
	if (r < 0) {
		lime_close(lime);
		return r;
	}
	*ret_conn = lime;
	return 0;
}

static void lime_info(void *conn, struct sonde_target_info *ret)
{
	const struct lime *lime = conn;

	ret->detail = lime->detail;
	ret->flags = SONDE_TARGET_PHYSICAL | (lime->writable ? SONDE_TARGET_WRITABLE : 0);
}

/* What is there before what is not: where ranges overlap, bytes beat their lack. */
static int lime_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct lime *lime = conn;
	uint32_t flags =
		SONDE_REGION_READ | SONDE_REGION_RAM | (lime->writable ? SONDE_REGION_WRITE : 0);
	int r = 0;

	(void)err;
	for (int missing = 0; missing < 2; missing++) {
		for (size_t i = 0; r == 0 && i < lime->ranges.n; i++) {
			const struct lime_range *range = &lime->ranges.at[i];
			struct image_stretch stretch = { range->addr, range->len, range->off,
							 range->have };
			r = image_file_tell(&lime->file, &stretch, flags, missing, fn, user);
		}
	}
	return r;
}

static int lime_is(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return lime_probe(head, head_len) ? 90 : 0;
}

static const struct sonde_connector_ops lime_ops = {
	.size = sizeof(lime_ops),
	.open = lime_open,
	.close = lime_close,
	.info = lime_info,
	.extents = lime_extents,
	.probe = lime_is,
};

SONDE_PLUGIN(.name = "lime", .summary = "image of LiME, or of AVML unpacked", .main_arg = "path",
	     .args_help = "path=FILE  the image to read, or its URL (required)\n",
	     .connector = &lime_ops);

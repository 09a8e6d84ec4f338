/* SPDX-License-Identifier: MIT */
/*
 * flat: a raw image: byte i of it is byte base + i of memory, or a list by the user says where its bytes belong. It says
 * where they lie and leaves reading them to the engines. It is never sniffed, because any file could be one. files.c has
 * the files of it, regions.c the list. To write a new connector, copy this folder.
 */
#include "../common/note.h"
#include "files.h"
#include "regions.h"

#include <sonde/plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX (1 << 20) /* bytes of a list of regions in a file */

struct flat {
	struct flat_files files;
	uint64_t off;                /* of the first byte used, in the image     */
	uint64_t len;                /* bytes used, > 0                          */
	uint64_t base;               /* address of that byte; base + len <= 2^64 */
	struct flat_regions regions; /* instead of these three, where n is not 0 */
	uint32_t writable;
	char detail[80];
};

/* ---- one stretch -------------------------------------------------------------------------------- */

/* The stretch of the file that is used; all numbers come from the user. */
static int set_range(struct flat *flat, const struct sonde_host *host,
		     const struct sonde_args *args, const char *path, uint64_t file_size,
		     struct sonde_error *err)
{
	uint64_t length = 0;

	if (host->arg_u64(args, "offset", &flat->off, err) < 0 ||
	    host->arg_u64(args, "base", &flat->base, err) < 0)
		return SONDE_E_BAD_ARG;
	int given = host->arg_u64(args, "length", &length, err);
	if (given < 0)
		return given;

	if (flat->off >= file_size)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: '%.300s': offset=%llu: the file has only %llu bytes",
				       path, (unsigned long long)flat->off,
				       (unsigned long long)file_size);
	flat->len = file_size - flat->off;
	if (given && (length == 0 || length > flat->len))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"flat: '%.300s': length=%llu: from offset %llu on there are %llu bytes",
			path, (unsigned long long)length, (unsigned long long)flat->off,
			(unsigned long long)flat->len);
	if (given)
		flat->len = length;
	if (flat->len - 1 > UINT64_MAX - flat->base)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"flat: '%.300s': base=0x%llx: the image would end beyond 2^64", path,
			(unsigned long long)flat->base);
	return 0;
}

/* ---- regions by the user ------------------------------------------------------------------------ */

/* What a list says that stands in a file. To be freed; NULL with err filled. */
static char *read_list(const struct sonde_host *host, const char *path, struct sonde_error *err)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, LIST_MAX + 1) : NULL;
	size_t n = text ? fread(text, 1, LIST_MAX + 1, file) : 0;
	int failed = !text || ferror(file) ? errno : 0;

	if (file)
		fclose(file);
	if (!failed && n <= LIST_MAX)
		return text;
	free(text);
	host->error_set(err, SONDE_E_BAD_ARG, "flat: regions='%.300s': %s", path,
			failed ? strerror(failed) : "is longer than a list of regions: 1 MiB");
	return NULL;
}

/* A list that says nothing of a length stands in a file of that name. */
static int set_regions(struct flat *flat, const struct sonde_host *host,
		       const struct sonde_args *args, struct sonde_error *err)
{
	const char *list = host->arg(args, "regions"), *why = NULL;
	size_t entry = 0;

	if (host->arg(args, "offset") || host->arg(args, "base") || host->arg(args, "length"))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"flat: regions= says where all of it lies: leave out offset=, "
			"base= and length=");
	int is_file = !strchr(list, '+');
	char *text = is_file ? read_list(host, list, err) : NULL;
	if (is_file && !text)
		return SONDE_E_BAD_ARG;
	int r = flat_regions_parse(&flat->regions, text ? text : list, &entry, &why);
	free(text);
	return r < 0 ? host->error_set(err, r, "flat: regions=%.200s: region %zu: %s", list, entry,
				       why)
		     : 0;
}

/* ---- life --------------------------------------------------------------------------------------- */

static int open_files(struct flat *flat, const struct sonde_host *host,
		      const struct sonde_args *args, struct sonde_error *err)
{
	const char *path = image_file_path(host, args, "flat", err);
	const char *parts = host->arg(args, "parts");

	if (!path)
		return SONDE_E_BAD_ARG;
	if (parts && strcmp(parts, "all") != 0 && strcmp(parts, "one") != 0)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: parts=%.40s: write parts=all or parts=one", parts);
	flat->writable = host->arg_write(args) ? 1 : 0;
	int r = flat_files_open(&flat->files, host, args, path, parts && strcmp(parts, "all") == 0,
				err);
	if (r < 0)
		return r;
	return host->arg(args, "regions")
		       ? set_regions(flat, host, args, err)
		       : set_range(flat, host, args, image_file_name(&flat->files.at[0].file),
				   flat->files.size, err);
}

static void describe(struct flat *flat)
{
	char parts[40] = "";

	if (flat->files.n > 1)
		snprintf(parts, sizeof(parts), ", %zu parts", flat->files.n);
	if (flat->regions.n)
		snprintf(flat->detail, sizeof(flat->detail), "raw image, %zu region%s%s",
			 flat->regions.n, flat->regions.n == 1 ? "" : "s", parts);
	else
		snprintf(flat->detail, sizeof(flat->detail), "raw image, %llu bytes at 0x%llx%s",
			 (unsigned long long)flat->len, (unsigned long long)flat->base, parts);
}

static void flat_close(void *conn)
{
	struct flat *flat = conn;

	flat_files_close(&flat->files);
	flat_regions_finish(&flat->regions);
	free(flat);
}

static int flat_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	struct flat *flat = calloc(1, sizeof(*flat));
	if (!flat)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	int r = open_files(flat, host, args, err);
	if (r < 0) {
		flat_close(flat);
		return r;
	}
	describe(flat);
	*ret_conn = flat;
	return 0;
}

static void flat_info(void *conn, struct sonde_target_info *ret)
{
	struct flat *flat = conn;

	ret->detail = flat->detail;
	ret->flags = SONDE_TARGET_PHYSICAL | (flat->writable ? SONDE_TARGET_WRITABLE : 0);
}

static int flat_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct flat *flat = conn;
	uint32_t flags =
		SONDE_REGION_RAM | SONDE_REGION_READ | (flat->writable ? SONDE_REGION_WRITE : 0);
	int r = 0;

	(void)err;
	if (!flat->regions.n)
		return flat_files_tell(&flat->files, flat->base, flat->off, flat->len, flags, fn,
				       user);
	for (size_t i = 0; r == 0 && i < flat->regions.n; i++) {
		const struct flat_region *region = &flat->regions.at[i];
		r = flat_files_tell(&flat->files, region->addr, region->off, region->len, flags, fn,
				    user);
	}
	return r;
}

static int64_t flat_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct flat *flat = conn;

	if (strcmp(name, SONDE_NOTE_IDENTITY) != 0)
		return SONDE_E_NOT_FOUND;
	return note_text(flat->detail, buf, cap);
}

static const struct sonde_connector_ops flat_ops = {
	.size = sizeof(flat_ops),
	.open = flat_open,
	.close = flat_close,
	.info = flat_info,
	.extents = flat_extents,
	.note = flat_note,
};

SONDE_PLUGIN(.name = "flat", .summary = "raw image of memory, byte for byte", .main_arg = "path",
	     .args_help = "path=FILE  image to read: a regular file, a block device or a URL "
			  "(required)\n"
			  "offset=N  first byte used in the file (0)\n"
			  "base=ADDR  physical address of that byte (0)\n"
			  "length=N  bytes used (the rest of the file)\n"
			  "regions=LIST  ADDR+LENGTH[@OFFSET];... of an image with gaps, or a file "
			  "that holds such lines\n"
			  "parts=one|all  FILE.001 also goes on in FILE.002 and so on (one)\n",
	     .connector = &flat_ops);

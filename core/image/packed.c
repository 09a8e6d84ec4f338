/* SPDX-License-Identifier: MIT */
#include "image/packed.h"

#include <sonde/error.h>
#include <stdlib.h>

#define UNPACK_MAX_MIB 1024u /* SONDE_UNPACK_MAX has other words */

static const struct packing *const packings[] = { &packing_bzip2, &packing_gzip, &packing_lz4,
						  &packing_lzop,  &packing_xz,   &packing_zstd };
#define N_PACKINGS (sizeof(packings) / sizeof(packings[0]))

static const struct packing *packing_of(struct sonde_image *file)
{
	uint8_t head[PACKED_HEAD_MAX] = { 0 };
	int64_t n = image_read_at(file, 0, head, sizeof(head));
	uint64_t at = 0, skipped = 0;

	do {
		at += skipped;
		skipped = at + 8 <= sizeof(head) ? packed_skippable(head + at) : 0;
	} while (skipped && skipped < sizeof(head));
	for (size_t i = 0; n > 0 && at < (uint64_t)n && i < N_PACKINGS; i++) {
		if (packings[i]->is(head + at, (size_t)n - at))
			return packings[i];
	}
	return NULL;
}

/* Bytes that may be unpacked into memory. */
static uint64_t unpack_max(void)
{
	const char *text = getenv("SONDE_UNPACK_MAX");
	unsigned long mib = text ? strtoul(text, NULL, 10) : 0;

	return (uint64_t)(mib >= 1 && mib <= 1u << 20 ? mib : UNPACK_MAX_MIB) << 20;
}

/* It cannot be read at random, and is too large for memory: what to do. least: bytes it has unpacked at least. */
static int refuse(const struct packing *packing, const struct sonde_image *file, uint64_t least,
		  uint64_t limit, struct sonde_error *err)
{
	const char *name = file->shown;

	return sonde_error_set(
		err, SONDE_E_LIMIT,
		"'%.80s': is %s of more than %llu MiB, not in blocks of up to %u MiB: that "
		"cannot be read at random. Unpack it (%s -dc '%.80s' > FILE), pack it in blocks "
		"(%s -dc '%.80s' | xz -T0 --block-size=1MiB > FILE.xz), or let more be unpacked "
		"into memory (SONDE_UNPACK_MAX=MiB)",
		name, packing->name, (unsigned long long)((least > limit ? least : limit) >> 20),
		PACKED_BLOCK_MAX >> 20, packing->tool, name, packing->tool, name);
}

static int open_whole(const struct packing *packing, struct sonde_image *file, uint64_t least,
		      struct sonde_image **ret, struct sonde_error *err)
{
	uint64_t limit = unpack_max(), packed = file->size - file->size / 1000;

	/* Packing makes nothing larger by more than that. */
	least = least > packed ? least : packed;
	int r = least > limit ? SONDE_E_LIMIT : packed_whole_open(packing, file, limit, ret, err);
	return r == SONDE_E_LIMIT ? refuse(packing, file, least, limit, err) : r;
}

static int explain_walk(const struct packing *packing, const struct packed_walk *walk, int r,
			struct sonde_error *err)
{
	if (image_failure(walk->file, err) == r)
		return r;
	if (r == SONDE_E_LIMIT)
		return sonde_error_set(
			err, r,
			"'%.300s': is packed in more blocks than are believed: pack it in larger "
			"ones, of 1 MiB",
			walk->file->shown);
	if (r == SONDE_E_TRUNCATED)
		return sonde_error_set(err, r, "'%.300s': begins like %s, and has no whole block",
				       walk->file->shown, packing->name);
	return sonde_error_set(err, r, NULL);
}

/* *ret is an image of its own where there are no blocks, and else has taken the file. */
static int open_packed(const struct packing *packing, struct packed_walk *walk,
		       struct sonde_image **ret, struct sonde_error *err)
{
	struct packed_map map = { 0 };
	int r = packing->map(walk, &map);

	if (r == 0 && map.n) {
		walk->file->refs++;
		r = packed_blocks_open(packing, walk->file, &map, ret);
		return r < 0 ? sonde_error_set(err, r, NULL) : r;
	}
	uint64_t least = map.least;
	packed_map_finish(&map);
	return r < 0 ? explain_walk(packing, walk, r, err)
		     : open_whole(packing, walk->file, least, ret, err);
}

int image_unpack(const char *who, struct sonde_image **image, int write, struct sonde_error *err)
{
	struct sonde_image *file = *image;
	const struct packing *packing = packing_of(file);
	struct packed_walk walk = { 0 };

	if (!packing)
		return 0;
	int r = write ? sonde_error_set(
				err, SONDE_E_READ_ONLY,
				"'%.300s': is packed (%s) and cannot be written: put an overlay in "
				"front, 'FILE|overlay'",
				file->shown, packing->name)
		      : library_load(packing->library, err);
	if (r == 0 && packed_walk_init(&walk, file) < 0)
		r = sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (r == 0)
		r = open_packed(packing, &walk, image, err);
	packed_walk_finish(&walk);
	image_unref(file);
	if (r < 0) {
		sonde_error_prefix(err, "%s", who);
		*image = NULL;
	}
	return r;
}

/* SPDX-License-Identifier: MIT */
/* Which connector reads this file: asked of the connectors, never guessed. */
#ifndef SONDE_PLUG_SNIFF_H
#define SONDE_PLUG_SNIFF_H

#include "image/image.h"
#include "plug/load.h"

/* What a file begins with. */
struct sniff_head {
	size_t len; /* bytes in it: all of the file or 64 KiB */
	uint64_t file_size;
	uint8_t bytes[65536];
};

/* Read the beginning of an image. Returns 0; SONDE_E_BAD_FORMAT: it is empty; what reading it failed with. */
int sniff_read(struct sonde_image *image, struct sniff_head *ret, struct sonde_error *err);

/*
 * The connector that is surest the file is its own.
 *
 * Returns   0; SONDE_E_BAD_FORMAT: nobody's (err names the format where it is a known one, else the
 *           first bytes); SONDE_E_AMBIGUOUS: two are equally sure (err names both).
 * Owns      *ret: plugin_unref.
 */
int sniff_connector(const char *path, const struct sniff_head *head, struct plugin **ret,
		    struct sonde_error *err);

/* The name of a format known by its first bytes though no connector here may read it; NULL none. */
const char *sniff_known(const uint8_t *head, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* The bytes of a raw image: one file, or the parts that it was split into: image.001, image.002 and so on; each may be behind a URL. */
#ifndef FLAT_FILES_H
#define FLAT_FILES_H

#include "../common/image_file.h"

#define FLAT_FILES_MAX 999u

struct flat_files {
	struct flat_file {
		struct image_file file;
		uint64_t start; /* of the image */
	} at[FLAT_FILES_MAX];   /* [n], none empty, without gaps */
	size_t n;
	uint64_t size;
};

/* Open a file; with parts those whose names count on from its own as well. Errors as open of plugin.h. Owns *ret, zero before:
 * flat_files_close, also after an error. */
int flat_files_open(struct flat_files *ret, const struct sonde_host *host,
		    const struct sonde_args *args, const char *path, int parts,
		    struct sonde_error *err);
void flat_files_close(struct flat_files *files);

/* Tell where len bytes at off of the image lie, as the memory from addr on; behind its end they are TRUNCATED. */
int flat_files_tell(const struct flat_files *files, uint64_t addr, uint64_t off, uint64_t len,
		    uint32_t flags, sonde_extent_fn *fn, void *user);

#endif

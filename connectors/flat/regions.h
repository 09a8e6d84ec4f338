/* SPDX-License-Identifier: MIT */
/*
 * Which memory the bytes of a raw image are, where it has gaps: a list by the user. Entries stand between semicolons or
 * line ends; # begins a comment.
 *
 *	ADDRESS + LENGTH @ OFFSET     as in 0+640k;1m+127m@640k; blanks may stand for + and @
 *
 * OFFSET is in the image; left out, the bytes follow those of the entry before: an image of LiME in its format "raw" is that.
 */
#ifndef FLAT_REGIONS_H
#define FLAT_REGIONS_H

#include <stddef.h>
#include <stdint.h>

#define FLAT_REGIONS_MAX 65536u

struct flat_region {
	uint64_t addr, len, off; /* len > 0; neither addr nor off + len - 1 wraps */
};

struct flat_regions {
	struct flat_region *at; /* [n], as they were told */
	size_t n, cap;
};

/*
 * Returns   0; SONDE_E_BAD_ARG, _LIMIT, _NO_MEMORY: *ret_why says what is wrong with the *ret_entry-th entry, from 1 on.
 * Owns      *ret: flat_regions_finish, also after an error.
 */
int flat_regions_parse(struct flat_regions *ret, const char *text, size_t *ret_entry,
		       const char **ret_why);
void flat_regions_finish(struct flat_regions *regions);

#endif

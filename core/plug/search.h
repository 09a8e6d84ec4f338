/* SPDX-License-Identifier: MIT */
/* Where plugins are looked for, in order, and which of those folders are refused. */
#ifndef SONDE_PLUG_SEARCH_H
#define SONDE_PLUG_SEARCH_H

#include "base/arena.h"

#include <stddef.h>

struct search_folder {
	const char *path;
	const char *refused; /* NULL: may be used; else why not, for a person */
};

struct search {
	struct search_folder *folders; /* [n] */
	size_t n;
};

/*
 * $SONDE_PLUGIN_PATH (folders between ':'; ignored in a set-user-id program), then the
 * folder sonde was installed to. Returns 0; SONDE_E_NO_MEMORY. All of *ret lives in arena.
 */
int search_path(struct arena *arena, struct search *ret);

#endif

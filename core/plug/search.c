/* SPDX-License-Identifier: MIT */
/*
 * The search path. Never the current directory: what is empty or relative is named and
 * passed over, because a plugin found by accident runs with the rights of whoever asked.
 */
#include "plug/search.h"

#include "plug/dl.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

enum { SEARCH_FOLDERS_MAX = 64 };

static const char *refusal(struct arena *arena, const char *path)
{
	char why[256];

	if (path[0] == '\0')
		return "empty element of SONDE_PLUGIN_PATH: ignored";
	if (path[0] != '/')
		return "relative folder in SONDE_PLUGIN_PATH: ignored; write it from the root";
	if (dl_check_folder(path, why, sizeof(why)) == 1)
		return NULL;
	const char *kept = arena_strndup(arena, why, strlen(why));
	return kept ? kept : "out of memory";
}

static int add_folder(struct arena *arena, struct search *search, const char *path, size_t len)
{
	char *copy = arena_strndup(arena, path, len);

	if (!copy)
		return SONDE_E_NO_MEMORY;
	search->folders[search->n++] =
		(struct search_folder){ .path = copy, .refused = refusal(arena, copy) };
	return 0;
}

int search_path(struct arena *arena, struct search *ret)
{
	const char *env = secure_getenv("SONDE_PLUGIN_PATH");
	struct search search = { .folders = arena_array(arena, SEARCH_FOLDERS_MAX + 1,
							sizeof(*search.folders)) };
	int r = search.folders ? 0 : SONDE_E_NO_MEMORY;

	if (env && !env[0])
		env = NULL;
	while (r == 0 && env && search.n < SEARCH_FOLDERS_MAX) {
		size_t len = strcspn(env, ":");
		r = add_folder(arena, &search, env, len);
		env = env[len] ? env + len + 1 : NULL;
	}
	/* Not installed is worth a word only where nothing else was named to look in. */
	char why[256];
	int installed = dl_check_folder(SONDE_PLUGIN_DIR, why, sizeof(why)) >= 0;
	if (r == 0 && (installed || search.n == 0))
		r = add_folder(arena, &search, SONDE_PLUGIN_DIR, strlen(SONDE_PLUGIN_DIR));
	if (r == 0)
		*ret = search;
	return r;
}

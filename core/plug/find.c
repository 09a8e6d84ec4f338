/* SPDX-License-Identifier: MIT */
/*
 * Plugins by name: the first usable NAME.so of the search path wins, later ones are
 * shadowed. A lookup by name loads that one file; only sniffing and listing load them all.
 */
#include "plug/dl.h"
#include "plug/load.h"
#include "plug/search.h"

#include <stdio.h>
#include <string.h>

static int check_kind(struct plugin *plugin, uint32_t kind, struct sonde_error *err)
{
	if (plugin->kind == kind)
		return 0;
	const char *name = plugin->desc.name;
	return kind == SONDE_PLUGIN_CONNECTOR
		       ? sonde_error_set(err, SONDE_E_BAD_ARG,
					 "'%s' is a layer: it goes behind a target: TARGET|%s",
					 name, name)
		       : sonde_error_set(
				 err, SONDE_E_BAD_ARG,
				 "'%s' is a connector, not a layer: it goes in front: %s:...", name,
				 name);
}

/* The first folder whose NAME.so is usable. NOT_FOUND when none has such a file at all. */
static int find_in(struct arena *arena, const struct search *search, const char *name,
		   struct plugin **ret, struct sonde_error *err)
{
	int first_r = SONDE_E_NOT_FOUND;

	for (size_t i = 0; i < search->n; i++) {
		if (search->folders[i].refused)
			continue;
		struct sonde_error why;
		char *path = arena_printf(arena, "%s/%s" DL_SUFFIX, search->folders[i].path, name);
		if (!path)
			return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
		int r = plugin_ref(path, ret, NULL, &why);
		if (r == 0)
			return 0;
		if (r != SONDE_E_NOT_FOUND && first_r == SONDE_E_NOT_FOUND) {
			first_r = r;
			if (err)
				*err = why;
		}
	}
	return first_r;
}

/* A folder that was passed over may be why nothing was found: the first such is named. */
static int say_not_found(const struct search *search, const char *name, uint32_t kind,
			 struct sonde_error *err)
{
	char known[200], skipped[200] = "";

	plugin_names(kind, known, sizeof(known));
	for (size_t i = 0; i < search->n && !skipped[0]; i++) {
		if (search->folders[i].refused)
			snprintf(skipped, sizeof(skipped), "; folder '%.80s' not searched: %.80s",
				 search->folders[i].path, search->folders[i].refused);
	}
	return sonde_error_set(err, SONDE_E_NOT_FOUND, "no %s '%s': there are %s%s",
			       kind == SONDE_PLUGIN_LAYER ? "layer" : "connector", name, known,
			       skipped);
}

int plugin_find(const char *name, uint32_t kind, struct plugin **ret, struct sonde_error *err)
{
	struct arena arena = { 0 };
	struct search search;
	struct plugin *plugin = NULL;
	int r = search_path(&arena, &search);

	if (r < 0)
		sonde_error_set(err, r, NULL);
	else
		r = find_in(&arena, &search, name, &plugin, err);
	if (r == SONDE_E_NOT_FOUND)
		r = say_not_found(&search, name, kind, err);
	if (r == 0 && (r = check_kind(plugin, kind, err)) < 0)
		plugin_unref(plugin);
	if (r == 0)
		*ret = plugin;
	arena_finish(&arena);
	return r;
}

/* Every file of the search path in order, usable or not. */
typedef int visit_file_fn(void *user, const char *path, const struct search_folder *folder);

static int each_file(struct arena *arena, visit_file_fn *fn, void *user)
{
	struct search search;
	int r = search_path(arena, &search);

	for (size_t i = 0; r == 0 && i < search.n; i++) {
		const struct search_folder *folder = &search.folders[i];
		const char *const *names;
		int n = folder->refused ? 0 : dl_list(arena, folder->path, &names);

		if (folder->refused)
			r = fn(user, folder->path, folder);
		for (int f = 0; r == 0 && f < n; f++) {
			char *path = arena_printf(arena, "%s/%s", folder->path, names[f]);
			r = path ? fn(user, path, folder) : SONDE_E_NO_MEMORY;
		}
	}
	return r;
}

/* The winners of their names, loaded until the walk ends: a library behind several of them is loaded once. */
struct met {
	struct met *next;
	struct plugin *plugin;
};

struct walk {
	struct arena arena;
	struct met *met;
	uint32_t kind; /* plugin_each: which; NONE all */
	plugin_visit_fn *visit;
	sonde_plugin_fn *show;
	void *user;
};

static const struct plugin *met_before(const struct walk *walk, const char *name)
{
	for (const struct met *met = walk->met; met; met = met->next) {
		if (strcmp(met->plugin->desc.name, name) == 0)
			return met->plugin;
	}
	return NULL;
}

/* Takes plugin, also where it fails. */
static int remember(struct walk *walk, struct plugin *plugin)
{
	struct met *met = arena_alloc(&walk->arena, sizeof(*met));

	if (!met) {
		plugin_unref(plugin);
		return SONDE_E_NO_MEMORY;
	}
	*met = (struct met){ walk->met, plugin };
	walk->met = met;
	return 0;
}

static void walk_finish(struct walk *walk)
{
	for (struct met *met = walk->met; met; met = met->next)
		plugin_unref(met->plugin);
	arena_finish(&walk->arena);
}

static int visit_file(void *user, const char *path, const struct search_folder *folder)
{
	struct walk *walk = user;
	struct plugin *plugin;

	if (folder->refused || plugin_ref(path, &plugin, NULL, NULL) < 0)
		return 0;
	if (met_before(walk, plugin->desc.name)) {
		plugin_unref(plugin);
		return 0;
	}
	int r = remember(walk, plugin);
	if (r == 0 && (walk->kind == SONDE_PLUGIN_NONE || walk->kind == plugin->kind))
		r = walk->visit(walk->user, plugin);
	return r;
}

int plugin_each(uint32_t kind, plugin_visit_fn *fn, void *user)
{
	struct walk walk = { .kind = kind, .visit = fn, .user = user };
	int r = each_file(&walk.arena, visit_file, &walk);

	walk_finish(&walk);
	return r;
}

struct name_list {
	char *buf;
	size_t cap, used;
};

static int add_name(void *user, struct plugin *plugin)
{
	struct name_list *list = user;

	if (list->used < list->cap) {
		int n = snprintf(list->buf + list->used, list->cap - list->used, "%s%s",
				 list->used ? ", " : "", plugin->desc.name);
		list->used += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

void plugin_names(uint32_t kind, char *buf, size_t cap)
{
	struct name_list list = { .buf = buf, .cap = cap };

	snprintf(buf, cap, "none (is SONDE_PLUGIN_PATH set?)");
	plugin_each(kind, add_name, &list);
}

/* "plugin 'PATH': why" without what the listing says anyway. */
static const char *behind_path(const char *text, const char *path)
{
	static const char head[] = "plugin '", tail[] = "': ";
	size_t len = strlen(path);

	if (strncmp(text, head, sizeof(head) - 1) != 0 ||
	    strncmp(text + sizeof(head) - 1, path, len) != 0 ||
	    strncmp(text + sizeof(head) - 1 + len, tail, sizeof(tail) - 1) != 0)
		return text;
	return text + sizeof(head) - 1 + len + sizeof(tail) - 1;
}

/* A folder of the path as it is, or one file with the verdict over it. */
static int show_file(void *user, const char *path, const struct search_folder *folder)
{
	struct walk *walk = user;
	struct sonde_plugin_info info = {
		.path = path, .name = "", .summary = "", .args_help = "", .refused = folder->refused
	};
	struct plugin_glimpse glimpse = { 0 };
	struct sonde_error why;
	struct plugin *plugin = NULL;

	if (folder->refused)
		return walk->show(walk->user, &info);

	int r = plugin_ref(path, &plugin, &glimpse, &why);
	info.abi = glimpse.abi;
	info.name = glimpse.name;
	if (r < 0) {
		info.refused = behind_path(why.text, path);
		return walk->show(walk->user, &info);
	}
	const struct plugin *winner = met_before(walk, plugin->desc.name);
	info.summary = plugin->desc.summary;
	info.args_help = plugin->desc.args_help;
	info.kind = plugin->kind;
	if (!winner) {
		r = remember(walk, plugin);
		return r < 0 ? r : walk->show(walk->user, &info);
	}
	info.refused =
		arena_printf(&walk->arena, "shadowed by '%s', which comes first", winner->path);
	r = walk->show(walk->user, &info);
	plugin_unref(plugin);
	return r;
}

int sonde_plugins(sonde_plugin_fn *fn, void *user)
{
	struct walk walk = { .show = fn, .user = user };
	int r = each_file(&walk.arena, show_file, &walk);

	walk_finish(&walk);
	return r;
}

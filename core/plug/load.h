/* SPDX-License-Identifier: MIT */
/*
 * Plugins in this process: loaded once, counted, and seen only through zero-padded
 * copies of their tables. docs/plugin-abi.md has the rules that are applied here.
 */
#ifndef SONDE_PLUG_LOAD_H
#define SONDE_PLUG_LOAD_H

#include "plug/name.h"

#include <sonde/plugin.h>

/* A usable plugin. Everything is the loader's and constant until plugin_unref. */
struct plugin {
	struct sonde_plugin desc;             /* name, summary, main_arg, args_help: never NULL
						 but main_arg; the tables below replace its own */
	struct sonde_connector_ops connector; /* kind CONNECTOR  */
	struct sonde_layer_ops layer;         /* kind LAYER      */
	uint32_t kind;                        /* enum sonde_plugin_kind                 */
	unsigned refs;                        /* under the registry's lock              */
	void *handle;
	char *path;
	struct plugin *next; /* under the registry's lock */
};

/* What is known of a plugin that was refused. */
struct plugin_glimpse {
	uint32_t abi;                 /* 0 when it did not get that far */
	char name[NAME_WORD_MAX + 1]; /* "" likewise                    */
};

/*
 * Load the file at path, or count one more user of it.
 *
 * Returns   0; SONDE_E_ABI (both numbers in err), _NO_ACCESS (others may write to it),
 *           _BAD_FORMAT (no plugin, or a table without its required slots), _NOT_FOUND.
 *           glimpse (NULL allowed) is filled either way.
 * Context   any thread.
 */
int plugin_ref(const char *path, struct plugin **ret, struct plugin_glimpse *glimpse,
	       struct sonde_error *err);
void plugin_unref(struct plugin *plugin); /* NULL is allowed */

/*
 * Find a plugin by its name: the first usable NAME.so of the search path. Nothing else is loaded.
 *
 * Returns   0; SONDE_E_NOT_FOUND where no folder has such a file (err then lists the names of
 *           kind that there are); else why the first one seen was refused.
 */
int plugin_find(const char *name, uint32_t kind, struct plugin **ret, struct sonde_error *err);

/* The names of all usable plugins of a kind, "elfcore, flat", into buf; "none". */
void plugin_names(uint32_t kind, char *buf, size_t cap);

/*
 * Visit every usable plugin of the search path once, in its order. Returns 0, what fn returned to
 * stop, or SONDE_E_NO_MEMORY. plugin is borrowed: plugin_ref(plugin->path, ...) keeps it.
 */
typedef int plugin_visit_fn(void *user, struct plugin *plugin);
int plugin_each(uint32_t kind, plugin_visit_fn *fn, void *user);

#endif

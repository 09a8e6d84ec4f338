/* SPDX-License-Identifier: MIT */
/*
 * The loader: opens a shared object, checks what it says of itself, copies its tables.
 * A table is only ever read up to the size it was compiled with, and never beyond ours;
 * what an older plugin lacks is NULL, what a newer one has more is not seen.
 */
#include "plug/load.h"

#include "plug/dl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first interface as published: what every plugin of ABI 1 has at least. */
#define DESC_SIZE_MIN (offsetof(struct sonde_plugin, layer) + sizeof(void *))
#define CONNECTOR_SIZE_MIN (offsetof(struct sonde_connector_ops, submit) + sizeof(void *))
#define LAYER_SIZE_MIN (offsetof(struct sonde_layer_ops, submit) + sizeof(void *))

/* docs/plugin-abi.md prints these; appending keeps them, moving breaks every binary. */
_Static_assert(offsetof(struct sonde_plugin, abi) == 0, "abi is the first field");
_Static_assert(offsetof(struct sonde_plugin, size) == 4, "published offset");
#if UINTPTR_MAX > 0xffffffffu
_Static_assert(offsetof(struct sonde_plugin, layer) == 48, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, submit) == 48, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, probe) == 96, "published offset");
_Static_assert(offsetof(struct sonde_layer_ops, submit) == 24, "published offset");
_Static_assert(offsetof(struct sonde_host, now_ns) == 96, "published offset");
_Static_assert(offsetof(struct sonde_host, code_text) == 184, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, cancel) == 112, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, gone) == 120, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, cancel_event) == 144, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, list) == 152, "published offset");
_Static_assert(offsetof(struct sonde_listed, pid) == 40, "published offset");
_Static_assert(offsetof(struct sonde_connector_ops, snapshot) == 160, "published offset");
_Static_assert(offsetof(struct sonde_layer_ops, map) == 112, "published offset");
_Static_assert(offsetof(struct sonde_layer_ops, borrow_run) == 120, "published offset");
_Static_assert(offsetof(struct sonde_layer_ops, clone) == 136, "published offset");
_Static_assert(offsetof(struct sonde_host, borrow_run) == 192, "published offset");
_Static_assert(offsetof(struct sonde_layer_ops, tables) == 128, "published offset");
#endif

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plugin *registry; /* loaded plugins, under registry_lock */

static int refuse(struct sonde_error *err, int code, const char *path, const char *why)
{
	return sonde_error_set(err, code, "plugin '%s': %s", path, why);
}

/* Copy a table of the plugin's size into one of ours. Returns 0 or a refusal with both numbers. */
static int copy_table(void *to, size_t to_size, const void *from, size_t min, const char *what,
		      const char *path, struct sonde_error *err)
{
	uint32_t size;

	memcpy(&size, from, sizeof(size));
	if (size < min)
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"plugin '%s': its %s has %u bytes, its required slots need %zu: "
			"rebuild it",
			path, what, size, min);
	memset(to, 0, to_size);
	memcpy(to, from, size < to_size ? size : to_size);
	return 0;
}

static int take_connector(struct plugin *plugin, struct sonde_error *err)
{
	struct sonde_connector_ops *ops = &plugin->connector;
	int r = copy_table(ops, sizeof(*ops), plugin->desc.connector, CONNECTOR_SIZE_MIN,
			   "connector table", plugin->path, err);

	if (r < 0)
		return r;
	if (!ops->open || !ops->close || !ops->info)
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      "its connector lacks open, close or info");
	if (!ops->extents && !ops->transfer && !ops->submit)
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      "its connector has none of extents, transfer and submit");
	plugin->kind = SONDE_PLUGIN_CONNECTOR;
	return 0;
}

static int take_layer(struct plugin *plugin, struct sonde_error *err)
{
	struct sonde_layer_ops *ops = &plugin->layer;
	int r = copy_table(ops, sizeof(*ops), plugin->desc.layer, LAYER_SIZE_MIN, "layer table",
			   plugin->path, err);

	if (r < 0)
		return r;
	if (!ops->open || !ops->close || (!ops->submit && !ops->map))
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      "its layer lacks open, close or both of submit and map");
	plugin->kind = SONDE_PLUGIN_LAYER;
	return 0;
}

/* The name is a word, and the one the file is called by: else it could not be found by it. */
static int check_name(struct plugin *plugin, struct sonde_error *err)
{
	const char *name = plugin->desc.name;
	const char *slash = strrchr(plugin->path, '/');
	const char *file = slash ? slash + 1 : plugin->path;

	if (!name || !name_word_valid(name, strnlen(name, NAME_WORD_MAX + 1)))
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"plugin '%s': '%.40s' is no plugin name ([a-z][a-z0-9-]*, %d at most)",
			plugin->path, name ? name : "", NAME_WORD_MAX);
	size_t len = strlen(name);
	if (strncmp(file, name, len) != 0 || strcmp(file + len, DL_SUFFIX) != 0)
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"plugin '%s': calls itself '%s': its file must be %s" DL_SUFFIX,
			plugin->path, name, name);
	return 0;
}

static int take_tables(struct plugin *plugin, struct plugin_glimpse *glimpse,
		       struct sonde_error *err)
{
	struct sonde_plugin *desc = &plugin->desc;
	int r = check_name(plugin, err);

	if (r < 0)
		return r;
	snprintf(glimpse->name, sizeof(glimpse->name), "%s", desc->name);
	if (!desc->connector == !desc->layer)
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      desc->layer ? "is connector and layer at once"
					  : "is neither connector nor layer");
	desc->summary = desc->summary ? desc->summary : "";
	desc->args_help = desc->args_help ? desc->args_help : "";
	r = desc->connector ? take_connector(plugin, err) : take_layer(plugin, err);
	desc->connector = NULL;
	desc->layer = NULL;
	return r;
}

/* abi is read first and alone: nothing else of a descriptor can be trusted when it differs. */
static int take_descriptor(struct plugin *plugin, struct plugin_glimpse *glimpse,
			   struct sonde_error *err)
{
	size_t symbol_size;
	const void *at = dl_symbol(plugin->handle, "sonde_plugin", &symbol_size);

	if (!at)
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      "exports no 'sonde_plugin': not a plugin of sonde");
	uint32_t head[2] = { 0 };
	if (symbol_size && symbol_size < sizeof(head))
		return refuse(err, SONDE_E_BAD_FORMAT, plugin->path,
			      "its 'sonde_plugin' is too small to be a descriptor");
	memcpy(head, at, sizeof(head));
	glimpse->abi = head[0];
	if (head[0] != SONDE_PLUGIN_ABI)
		return sonde_error_set(
			err, SONDE_E_ABI,
			"plugin '%s': built for plugin interface %u, this library has %u: "
			"rebuild it with this library's sonde/plugin.h",
			plugin->path, head[0], SONDE_PLUGIN_ABI);
	if (symbol_size && head[1] > symbol_size)
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"plugin '%s': its descriptor claims %u bytes, the file has %zu",
			plugin->path, head[1], symbol_size);

	/* size is the second field here, the first in the ops tables: checked before the copy. */
	if (head[1] < DESC_SIZE_MIN)
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"plugin '%s': its descriptor has %u bytes, its required slots "
			"need %zu: rebuild it",
			plugin->path, head[1], DESC_SIZE_MIN);
	memcpy(&plugin->desc, at, head[1] < sizeof(plugin->desc) ? head[1] : sizeof(plugin->desc));
	return take_tables(plugin, glimpse, err);
}

static void plugin_destroy(struct plugin *plugin)
{
	if (plugin->handle)
		dl_close(plugin->handle);
	free(plugin->path);
	free(plugin);
}

static int plugin_load(const char *path, struct plugin **ret, struct plugin_glimpse *glimpse,
		       struct sonde_error *err)
{
	char why[400];
	int ok = dl_check_file(path, why, sizeof(why));
	if (ok != 1)
		return refuse(err, ok < 0 ? SONDE_E_NOT_FOUND : SONDE_E_NO_ACCESS, path, why);

	struct plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin || !(plugin->path = strdup(path))) {
		free(plugin);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	int r;
	plugin->handle = dl_open(path, &r, why, sizeof(why));
	r = plugin->handle ? take_descriptor(plugin, glimpse, err) : refuse(err, r, path, why);
	if (r < 0) {
		plugin_destroy(plugin);
		return r;
	}
	*ret = plugin;
	return 0;
}

static struct plugin *registry_find(const char *path)
{
	for (struct plugin *plugin = registry; plugin; plugin = plugin->next) {
		if (strcmp(plugin->path, path) == 0)
			return plugin;
	}
	return NULL;
}

static int registry_add(const char *path, struct plugin **ret, struct plugin_glimpse *glimpse,
			struct sonde_error *err)
{
	struct plugin *plugin = registry_find(path);

	if (!plugin) {
		int r = plugin_load(path, &plugin, glimpse, err);
		if (r < 0)
			return r;
		plugin->next = registry;
		registry = plugin;
	}
	plugin->refs++;
	glimpse->abi = plugin->desc.abi;
	snprintf(glimpse->name, sizeof(glimpse->name), "%s", plugin->desc.name);
	*ret = plugin;
	return 0;
}

int plugin_ref(const char *path, struct plugin **ret, struct plugin_glimpse *glimpse,
	       struct sonde_error *err)
{
	struct plugin_glimpse unseen;

	glimpse = glimpse ? glimpse : &unseen;
	memset(glimpse, 0, sizeof(*glimpse));
	pthread_mutex_lock(&registry_lock);
	int r = registry_add(path, ret, glimpse, err);
	pthread_mutex_unlock(&registry_lock);
	return r;
}

void plugin_unref(struct plugin *plugin)
{
	if (!plugin)
		return;
	pthread_mutex_lock(&registry_lock);
	if (--plugin->refs == 0) {
		struct plugin **link = &registry;
		while (*link != plugin)
			link = &(*link)->next;
		*link = plugin->next;
		plugin_destroy(plugin);
	}
	pthread_mutex_unlock(&registry_lock);
}

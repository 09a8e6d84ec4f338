/* SPDX-License-Identifier: MIT */
/* Layers that are linked into the program, opened by their descriptors. */
#include <sonde/bare.h>

#include "base/mem.h"
#include "plug/args.h"
#include "space/backed.h"
#include "space/space.h"

_Static_assert(sizeof(struct sonde_bare_arg) == sizeof(struct name_arg) &&
		       offsetof(struct sonde_bare_arg, value) == offsetof(struct name_arg, value),
	       "one is read as the other");
_Static_assert(sizeof(struct sonde_args) <= sizeof(((struct sonde_bare_layer *)0)->core),
	       "they are kept in the caller's struct");

static const struct sonde_host *host_table(void)
{
	static struct sonde_host host;

	host = space_host;
	host.arg = args_get;
	host.arg_u64 = args_get_u64;
	host.arg_write = args_get_write;
	host.code_name = sonde_error_name;
	host.code_text = sonde_strerror;
	return &host;
}

static int check_args(const struct sonde_bare_layer *layer, struct sonde_error *err)
{
	const struct sonde_plugin *plugin = layer->plugin;

	for (size_t i = 0; i < layer->n_args; i++) {
		const char *key = layer->args[i].key;
		size_t len = 0;
		while (key[len])
			len++;
		if (!args_key_known(plugin->args_help, key, len))
			return sonde_error_set(err, SONDE_E_BAD_ARG,
					       "%s: unknown argument '%.60s': its args_help says "
					       "what it takes",
					       plugin->name, key);
		for (size_t j = 0; j < i; j++) {
			if (mem_same_text(layer->args[j].key, key))
				return sonde_error_set(err, SONDE_E_BAD_ARG,
						       "%s: argument '%.60s' is given twice",
						       plugin->name, key);
		}
	}
	return SONDE_OK;
}

/* *ret: the zero-padded copy of its table. */
static int check_plugin(const struct sonde_plugin *plugin, struct sonde_layer_ops *ret,
			struct sonde_error *err)
{
	const struct sonde_layer_ops *given = plugin->layer;

	if (plugin->abi != SONDE_PLUGIN_ABI)
		return sonde_error_set(err, SONDE_E_ABI,
				       "built for plugin interface %u, this library has %u: build "
				       "it with this library's sonde/plugin.h",
				       plugin->abi, SONDE_PLUGIN_ABI);
	if (given)
		memcpy(ret, given, given->size < sizeof(*ret) ? given->size : sizeof(*ret));
	if (!ret->open || !ret->close || (!ret->submit && !ret->map))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "%s: no layer", plugin->name);
	if (ret->tables)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "%s: page tables: sonde_space_tables is for those",
				       plugin->name);
	return SONDE_OK;
}

int sonde_bare_layer_open(struct sonde_bare_layer *layer, struct sonde_space **ret,
			  struct sonde_error *err)
{
	struct sonde_args *args = (struct sonde_args *)(void *)layer->core;
	struct sonde_target_info info = { .flags = SONDE_TARGET_LIVE };
	struct sonde_layer_ops ops = { 0 };
	int r = check_plugin(layer->plugin, &ops, err);

	if (r < 0 || (r = check_args(layer, err)) < 0)
		return r;
	*args = (struct sonde_args){ .who = layer->plugin->name,
				     .pairs = (const struct name_arg *)(const void *)layer->args,
				     .n = layer->n_args,
				     .write = layer->write != 0 };
	r = space_from_layer(layer->below->loop, &ops, host_table(), args, layer->below, ret, err);
	if (r == SONDE_OK)
		space_layer_info(*ret, &info);
	return r;
}

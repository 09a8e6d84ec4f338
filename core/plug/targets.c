/* SPDX-License-Identifier: MIT */
/* What could be opened: each connector that can tell is asked, and its answers become names that open them. */
#include "base/arena.h"
#include "plug/host.h"
#include "plug/load.h"

#include <stdlib.h>
#include <string.h>

struct asking {
	struct sonde_host host;
	const struct plugin *plugin; /* that is asked now */
	sonde_listed_target_fn *fn;
	void *user;
};

/* The name that opens it: what would end or change it is taken as it is, and one with a '=' is no argument. */
static char *target_name(struct arena *arena, const struct sonde_plugin *desc, const char *first)
{
	const char *key = strchr(first, '=') && desc->main_arg ? desc->main_arg : NULL;
	char *escaped = arena_alloc(arena, 2 * strlen(first) + 1), *to = escaped;

	if (!escaped)
		return NULL;
	for (; *first; first++) {
		if (strchr(",|\\", *first))
			*to++ = '\\';
		*to++ = *first;
	}
	*to = '\0';
	return arena_printf(arena, "%s:%s%s%s", desc->name, key ? key : "", key ? "=" : "",
			    escaped);
}

static int tell(void *user, const struct sonde_listed *told)
{
	struct asking *asking = user;
	const struct sonde_plugin *desc = &asking->plugin->desc;
	struct sonde_listed one = { 0 };
	struct arena arena = { 0 };

	memcpy(&one, told, told->size < sizeof(one) ? told->size : sizeof(one));
	if (!one.first)
		return 0;
	const struct sonde_listed_target target = {
		.target = target_name(&arena, desc, one.first),
		.connector = desc->name,
		.name = one.name ? one.name : one.first,
		.state = one.state,
		.detail = one.detail,
		.pid = one.pid,
	};
	int r = target.target ? asking->fn(asking->user, &target) : SONDE_E_NO_MEMORY;
	arena_finish(&arena);
	return r;
}

static int ask(struct asking *asking, const struct plugin *plugin, struct sonde_error *err)
{
	asking->plugin = plugin;
	return plugin->connector.list(&asking->host, tell, asking, err);
}

/* One that cannot tell is told of, and the others still come. */
static int ask_each(void *user, struct plugin *plugin)
{
	struct asking *asking = user;
	struct sonde_error err = { 0 };

	if (!plugin->connector.list || plugin->connector.flags & SONDE_CONNECTOR_LONG_LIST)
		return 0;
	int r = ask(asking, plugin, &err);
	if (r >= 0 || r == SONDE_E_NO_MEMORY)
		return r;
	const struct sonde_listed_target failed = { .connector = plugin->desc.name,
						    .error = err.text };
	return asking->fn(asking->user, &failed);
}

static int ask_one(struct asking *asking, const char *connector, struct sonde_error *err)
{
	struct plugin *plugin;
	int r = plugin_find(connector, SONDE_PLUGIN_CONNECTOR, &plugin, err);

	if (r < 0)
		return r;
	r = plugin->connector.list
		    ? ask(asking, plugin, err)
		    : sonde_error_set(err, SONDE_E_UNSUPPORTED,
				      "%s: cannot tell what it could open", connector);
	plugin_unref(plugin);
	return r;
}

int sonde_targets(const char *connector, sonde_listed_target_fn *fn, void *user,
		  struct sonde_error *err)
{
	struct asking asking = { .fn = fn, .user = user };

	if (!fn)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "targets: fn must be given");
	host_init(&asking.host);
	if (connector)
		return ask_one(&asking, connector, err);
	int r = plugin_each(SONDE_PLUGIN_CONNECTOR, ask_each, &asking);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

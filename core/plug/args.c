/* SPDX-License-Identifier: MIT */
/*
 * args_help is the contract: a plugin lists "key=VALUE  what" lines, and what it does
 * not list is refused here by name, so that no plugin needs to look for typing errors.
 */
#include "plug/args.h"

#include <stdio.h>
#include <string.h>

/* "it takes path=FILE, offset=N" for the refusal; cut where buf ends. */
static void list_keys(const char *help, char *buf, size_t cap)
{
	size_t used = 0, len, word;

	buf[0] = '\0';
	for (const char *line = args_next_key(help, &len, &word); line && used < cap;
	     line = args_key_behind(line, &len, &word)) {
		int n = snprintf(buf + used, cap - used, "%s%.*s", used ? ", " : "", (int)word,
				 line);
		used += n > 0 ? (size_t)n : 0;
	}
}

static int refuse_key(const struct sonde_plugin *plugin, const char *key, struct sonde_error *err)
{
	char known[300];

	list_keys(plugin->args_help, known, sizeof(known));
	return sonde_error_set(err, SONDE_E_BAD_ARG, "%s: unknown argument '%.60s': it takes %s",
			       plugin->name, key, known[0] ? known : "none");
}

/* FIRST as an argument. Returns 1 and *ret, 0 where there is none. */
static int bind_first(struct arena *arena, const struct sonde_plugin *plugin, const char *first,
		      struct name_arg *ret, struct sonde_error *err)
{
	const char *equal = strchr(first, '=');

	if (!first[0])
		return 0;
	if (equal && args_key_known(plugin->args_help, first, (size_t)(equal - first))) {
		ret->key = arena_strndup(arena, first, (size_t)(equal - first));
		ret->value = equal + 1;
		return ret->key ? 1 : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	if (!plugin->main_arg)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "%s: '%.100s': takes nothing but key=value arguments",
				       plugin->name, first);
	*ret = (struct name_arg){ .key = plugin->main_arg, .value = first };
	return 1;
}

static int check_pair(const struct sonde_plugin *plugin, const struct name_arg *pairs, size_t i,
		      struct sonde_error *err)
{
	if (!args_key_known(plugin->args_help, pairs[i].key, strlen(pairs[i].key)))
		return refuse_key(plugin, pairs[i].key, err);
	for (size_t j = 0; j < i; j++) {
		if (strcmp(pairs[j].key, pairs[i].key) == 0)
			return sonde_error_set(err, SONDE_E_BAD_ARG,
					       "%s: argument '%s' is given twice", plugin->name,
					       pairs[i].key);
	}
	return 0;
}

int args_bind(struct arena *arena, const struct sonde_plugin *plugin, const struct name_part *part,
	      int write, struct sonde_args *ret, struct sonde_error *err)
{
	struct name_arg *pairs = arena_array(arena, part->n_args + 1, sizeof(*pairs));
	if (!pairs)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);

	int n = bind_first(arena, plugin, part->first, pairs, err);
	if (n < 0)
		return n;
	if (part->n_args)
		memcpy(pairs + n, part->args, part->n_args * sizeof(*pairs));
	size_t total = (size_t)n + part->n_args;
	for (size_t i = 0; i < total; i++) {
		int r = check_pair(plugin, pairs, i, err);
		if (r < 0)
			return r;
	}
	*ret = (struct sonde_args){
		.who = plugin->name, .pairs = pairs, .n = total, .write = write
	};
	return 0;
}

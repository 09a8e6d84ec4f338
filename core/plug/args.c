/* SPDX-License-Identifier: MIT */
/*
 * args_help is the contract: a plugin lists "key=VALUE  what" lines, and what it does
 * not list is refused here by name, so that no plugin needs to look for typing errors.
 */
#include "plug/args.h"

#include <stdio.h>
#include <string.h>

/* The next line of args_help whose first word holds a '='; others continue the text above. */
static const char *next_key(const char *help, size_t *ret_key_len, size_t *ret_word_len)
{
	while (help && *help) {
		size_t word = strcspn(help, " \t\n");
		const char *equal = memchr(help, '=', word);
		if (equal && equal > help) {
			*ret_key_len = (size_t)(equal - help);
			*ret_word_len = word;
			return help;
		}
		help = strchr(help, '\n');
		help = help ? help + 1 : NULL;
	}
	return NULL;
}

static const char *line_behind(const char *line)
{
	const char *newline = strchr(line, '\n');
	return newline ? newline + 1 : NULL;
}

static int key_known(const char *help, const char *key, size_t key_len)
{
	size_t len, word;

	for (const char *line = next_key(help, &len, &word); line;
	     line = next_key(line_behind(line), &len, &word)) {
		if (len == key_len && memcmp(line, key, len) == 0)
			return 1;
	}
	return 0;
}

/* "it takes path=FILE, offset=N" for the refusal; cut where buf ends. */
static void list_keys(const char *help, char *buf, size_t cap)
{
	size_t used = 0, len, word;

	buf[0] = '\0';
	for (const char *line = next_key(help, &len, &word); line && used < cap;
	     line = next_key(line_behind(line), &len, &word)) {
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
	if (equal && key_known(plugin->args_help, first, (size_t)(equal - first))) {
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
	if (!key_known(plugin->args_help, pairs[i].key, strlen(pairs[i].key)))
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

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static int suffix_shift(const char *text)
{
	static const char letters[] = "kKmMgGtT";
	const char *at = text[0] ? strchr(letters, text[0]) : NULL;

	if (!text[0])
		return 0;
	return at && !text[1] ? 10 * (int)((at - letters) / 2 + 1) : -1;
}

int args_parse_u64(const char *text, uint64_t *ret)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	const char *first = p;
	uint64_t value = 0;

	for (; digit_of(*p) < base; p++) {
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_of(*p), &value))
			return 0;
	}
	int shift = suffix_shift(p);
	if (p == first || shift < 0 || value > UINT64_MAX >> shift)
		return 0;
	*ret = value << shift;
	return 1;
}

const char *args_get(const struct sonde_args *args, const char *key)
{
	for (size_t i = 0; i < args->n; i++) {
		if (strcmp(args->pairs[i].key, key) == 0)
			return args->pairs[i].value;
	}
	return NULL;
}

int args_get_u64(const struct sonde_args *args, const char *key, uint64_t *ret,
		 struct sonde_error *err)
{
	const char *text = args_get(args, key);

	if (!text)
		return 0;
	if (!args_parse_u64(text, ret))
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"%s: '%s=%.60s': not a number: write it decimal or 0x hex, with "
			"k, M, G or T behind it",
			args->who, key, text);
	return 1;
}

int args_get_write(const struct sonde_args *args)
{
	return args->write;
}

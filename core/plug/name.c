/* SPDX-License-Identifier: MIT */
/*
 * The target-name parser: one pass, left to right. A token runs up to an unescaped
 * comma or bar; a backslash in front of ',' '|' or '\' takes that character as it is and
 * stands for itself in front of anything else. Which words are plugins is for target.c.
 */
#include "plug/name.h"

#include <string.h>

#include "image/url.h"

struct cursor {
	struct arena *arena;
	const char *name;  /* whole */
	const char *shown; /* ... for messages, of which nothing gives access to anything */
	const char *at;    /* next character      */
	struct sonde_error *err;
};

int name_word_valid(const char *word, size_t len)
{
	if (len == 0 || len > NAME_WORD_MAX || word[0] < 'a' || word[0] > 'z')
		return 0;
	for (size_t i = 1; i < len; i++) {
		char c = word[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return 0;
	}
	return 1;
}

static int key_valid(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = key[i];
		if (!(c >= 'a' && c <= 'z') && !(i && c >= '0' && c <= '9') &&
		    !(i && (c == '-' || c == '_')))
			return 0;
	}
	return len > 0 && len <= NAME_WORD_MAX;
}

static int is_special(char c)
{
	return c == ',' || c == '|' || c == '\\';
}

/* The token at the cursor, escapes resolved; the cursor then stands on ',', '|' or the end. */
static char *take_token(struct cursor *c)
{
	const char *end = c->at;

	while (*end && *end != ',' && *end != '|')
		end += end[0] == '\\' && is_special(end[1]) ? 2 : 1;

	char *token = arena_strndup(c->arena, c->at, (size_t)(end - c->at));
	if (!token)
		return NULL;
	size_t n = 0;
	for (const char *p = c->at; p < end; p++) {
		if (p[0] == '\\' && is_special(p[1]))
			p++;
		token[n++] = *p;
	}
	token[n] = '\0';
	c->at = end;
	return token;
}

static int parse_arg(struct cursor *c, struct name_arg *ret)
{
	char *token = take_token(c);
	if (!token)
		return sonde_error_set(c->err, SONDE_E_NO_MEMORY, NULL);

	char *equal = strchr(token, '=');
	if (!equal || !key_valid(token, (size_t)(equal - token)))
		return sonde_error_set(
			c->err, SONDE_E_BAD_ARG,
			"target: '%.200s': '%.60s' is not key=value; write \\, for a "
			"comma that belongs to the name",
			c->shown, strcmp(c->name, c->shown) == 0 ? token : "...");
	*equal = '\0';
	*ret = (struct name_arg){ .key = token, .value = equal + 1 };
	return 0;
}

/* ",key=value" as often as it comes. */
static int parse_args(struct cursor *c, struct name_part *part)
{
	struct name_arg args[NAME_ARGS_MAX];

	while (*c->at == ',') {
		if (part->n_args == NAME_ARGS_MAX)
			return sonde_error_set(c->err, SONDE_E_LIMIT,
					       "target: more than %d arguments", NAME_ARGS_MAX);
		c->at++;
		int r = parse_arg(c, &args[part->n_args]);
		if (r < 0)
			return r;
		part->n_args++;
	}
	part->args = arena_array(c->arena, part->n_args, sizeof(args[0]));
	if (!part->args)
		return sonde_error_set(c->err, SONDE_E_NO_MEMORY, NULL);
	memcpy(part->args, args, part->n_args * sizeof(args[0]));
	return 0;
}

/* "word:first" or a file. What looks like a word is one here; target.c may decide otherwise. */
static int parse_head(struct cursor *c, struct name_part *part)
{
	size_t len = strcspn(c->at, ":,|\\");

	part->word = "";
	if (c->at[len] == ':' && name_word_valid(c->at, len)) {
		part->word = arena_strndup(c->arena, c->at, len);
		c->at += len + 1;
	}
	part->first = take_token(c);
	if (!part->word || !part->first)
		return sonde_error_set(c->err, SONDE_E_NO_MEMORY, NULL);
	if (!part->word[0] && !part->first[0])
		return sonde_error_set(c->err, SONDE_E_BAD_ARG,
				       "target: '%.200s': names no file and no connector",
				       c->shown);
	return parse_args(c, part);
}

/* "word", a layer, or "word:first", a step into another target. */
static int parse_behind(struct cursor *c, struct name_part *part)
{
	size_t at = (size_t)(c->at - c->name) - 1;
	char *word = take_token(c);

	if (!word)
		return sonde_error_set(c->err, SONDE_E_NO_MEMORY, NULL);
	char *colon = strchr(word, ':');
	size_t len = colon ? (size_t)(colon - word) : strlen(word);
	if (!name_word_valid(word, len))
		return sonde_error_set(
			c->err, SONDE_E_BAD_ARG,
			"target: '%.200s': '%.60s' behind '|' is no layer name; write \\| "
			"for a bar that belongs to the name",
			c->shown, word);
	word[len] = '\0';
	*part = (struct name_part){
		.word = word, .first = colon ? colon + 1 : "", .at = at, .is_step = colon != NULL
	};
	return parse_args(c, part);
}

int name_parse(struct arena *arena, const char *text, struct target_name *ret,
	       struct sonde_error *err)
{
	struct cursor c = { .arena = arena, .name = text, .at = text, .err = err };
	struct name_part parts[NAME_PARTS_MAX] = { 0 };
	size_t n = 0;

	if (strnlen(text, NAME_LEN_MAX + 1) > NAME_LEN_MAX)
		return sonde_error_set(err, SONDE_E_LIMIT, "target: name longer than %d bytes",
				       NAME_LEN_MAX);
	char *shown = arena_strndup(arena, text, strlen(text));
	if (!shown)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	url_conceal(shown);
	c.shown = shown;
	int r = parse_head(&c, &parts[n++]);
	while (r == 0 && *c.at == '|') {
		if (n == NAME_PARTS_MAX)
			return sonde_error_set(err, SONDE_E_LIMIT, "target: more than %d layers",
					       NAME_PARTS_MAX - 1);
		c.at++;
		r = parse_behind(&c, &parts[n++]);
	}
	if (r < 0)
		return r;

	struct name_part *kept = arena_array(arena, n, sizeof(*kept));
	if (!kept)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	memcpy(kept, parts, n * sizeof(*kept));
	*ret = (struct target_name){ .parts = kept, .n_parts = n };
	return 0;
}

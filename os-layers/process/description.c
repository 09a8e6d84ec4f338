/* SPDX-License-Identifier: MIT */
#include "process/description.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct arena *arena;
	struct description *to;
};

/* ---- kinds of lines: what is behind the first word. Returns 1; 0: it makes no sense; SONDE_E_NO_MEMORY ---- */

static int take_system(struct reading *r, char *rest)
{
	char *blank = strchr(rest, ' ');

	if (blank) {
		*blank = '\0';
		r->to->release = blank + 1;
	}
	r->to->system = rest;
	return rest[0] != '\0';
}

static int take_number(struct description *to, const char *key, const char *value)
{
	char *end;
	unsigned long long n = strtoull(value, &end, 10);

	if (strcmp(key, "state") == 0) {
		to->state = value[0];
		return value[0] != '\0' && value[1] == '\0';
	}
	if (end == value || *end || n > UINT32_MAX)
		return 0;
	if (strcmp(key, "pid") == 0 && n <= INT32_MAX)
		to->pid = (int32_t)n;
	else if (strcmp(key, "ppid") == 0 && n <= INT32_MAX)
		to->ppid = (int32_t)n;
	else if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0)
		*(key[0] == 'u' ? &to->uid : &to->gid) = (uint32_t)n;
	else
		return 0;
	to->has_uid |= key[0] == 'u';
	return 1;
}

static int take_process(struct reading *r, char *rest)
{
	char *key, *save = NULL;
	int sound = 1;

	for (key = strtok_r(rest, " ", &save); key; key = strtok_r(NULL, " ", &save)) {
		char *equals = strchr(key, '=');
		if (equals)
			*equals = '\0';
		sound &= equals && take_number(r->to, key, equals + 1);
	}
	return sound;
}

static int take_name(struct reading *r, char *rest)
{
	maps_unescape(rest);
	r->to->name = rest;
	return 1;
}

static int take_exe(struct reading *r, char *rest)
{
	maps_unescape(rest);
	r->to->exe = rest;
	return 1;
}

static int take_args(struct reading *r, char *rest)
{
	r->to->args_len = maps_unescape(rest);
	r->to->args = rest;
	return 1;
}

static int take_register(struct sonde_register *ret, char *text)
{
	char *equals = strchr(text, '='), *end;

	if (!equals || equals == text)
		return 0;
	*equals = '\0';
	*ret = (struct sonde_register){ text, strtoull(equals + 1, &end, 16) };
	return end != equals + 1 && *end == '\0';
}

static int take_thread(struct reading *r, char *rest)
{
	struct sonde_register some[SONDE_REGISTERS_MAX], *all;
	struct described_thread thread = { 0 };
	char *save = NULL, *word = strtok_r(rest, " ", &save), *end = word;
	unsigned long tid = word ? strtoul(word, &end, 10) : 0;

	if (end == word || *end || tid > INT32_MAX)
		return 0;
	thread.tid = (int32_t)tid;
	while ((word = strtok_r(NULL, " ", &save)) && thread.n < SONDE_REGISTERS_MAX) {
		if (!take_register(&some[thread.n], word))
			return 0;
		thread.n++;
	}
	all = arena_array(r->arena, thread.n, sizeof(*all));
	if (!all)
		return SONDE_E_NO_MEMORY;
	memcpy(all, some, thread.n * sizeof(*all));
	thread.registers = all;
	r->to->threads[r->to->n_threads++] = thread;
	return 1;
}

static int take_map(struct reading *r, char *rest)
{
	if (!maps_parse(rest, &r->to->maps[r->to->n_maps]))
		return 0;
	r->to->n_maps++;
	return 1;
}

static int take_module(struct reading *r, char *rest)
{
	struct described_module *m = &r->to->modules[r->to->n_modules];
	int at = 0;

	if (sscanf(rest, "%" SCNx64 " %" SCNx64 " %n", &m->base, &m->size, &at) < 2 || at == 0)
		return 0;
	maps_unescape(rest + at);
	m->path = rest + at;
	r->to->n_modules++;
	return 1;
}

static const struct kind {
	const char *word;
	int (*take)(struct reading *r, char *rest);
} kinds[] = {
	{ "os ", take_system }, { "process ", take_process }, { "name ", take_name },
	{ "exe ", take_exe },   { "args ", take_args },       { "thread ", take_thread },
	{ "map ", take_map },   { "module ", take_module },
};

/* ---- all of it ----------------------------------------------------------------------------------- */

static size_t count_lines(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		n += strncmp(at, word, strlen(word)) == 0;
	}
	return n;
}

static int make_room(struct reading *r, const char *text)
{
	struct description *to = r->to;

	to->threads = arena_array(r->arena, count_lines(text, "thread "), sizeof(*to->threads));
	to->maps = arena_array(r->arena, count_lines(text, "map "), sizeof(*to->maps));
	to->modules = arena_array(r->arena, count_lines(text, "module "), sizeof(*to->modules));
	return to->threads && to->maps && to->modules ? 0 : SONDE_E_NO_MEMORY;
}

static int take_line(struct reading *r, char *line)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].word);
		if (strncmp(line, kinds[i].word, len) == 0)
			return kinds[i].take(r, line + len);
	}
	return 0;
}

int description_parse(char *text, struct arena *arena, struct description *ret)
{
	struct reading reading = { arena, ret };
	char *save = NULL;

	*ret = (struct description){ 0 };
	int r = make_room(&reading, text);
	for (char *line = strtok_r(text, "\n", &save); line && r >= 0;
	     line = strtok_r(NULL, "\n", &save)) {
		r = take_line(&reading, line);
		ret->n_bad += r == 0;
	}
	return r < 0 ? r : 0;
}

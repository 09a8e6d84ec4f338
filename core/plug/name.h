/* SPDX-License-Identifier: MIT */
/*
 * Target names taken apart: CONNECTOR:FIRST[,key=value...]{|LAYER[,key=value...] or |STEP:FIRST}.
 * Pure text to text: nothing is opened or asked here. sonde/target.h has the grammar.
 */
#ifndef SONDE_PLUG_NAME_H
#define SONDE_PLUG_NAME_H

#include "base/arena.h"

#include <sonde/error.h>
#include <stddef.h>

/* Bounds; a name beyond them is refused with SONDE_E_LIMIT. */
enum { NAME_LEN_MAX = 16384, NAME_PARTS_MAX = 17, NAME_ARGS_MAX = 64, NAME_WORD_MAX = 31 };

struct name_arg {
	const char *key;
	const char *value; /* escapes resolved */
};

struct name_part {
	const char *word;      /* the CONNECTOR, LAYER or STEP; "" where a file was named */
	const char *first;     /* behind "word:", up to the first comma; "" for none */
	struct name_arg *args; /* [n_args], in the order written                     */
	size_t n_args;
	size_t at;   /* where the bar in front of it stands in the name       */
	int is_step; /* "word:first" behind a bar: into what is in front of it */
};

struct target_name {
	struct name_part *parts; /* [n_parts]: the connector, then layers from below upwards */
	size_t n_parts;          /* >= 1                                                     */
};

/*
 * Returns   0; SONDE_E_BAD_ARG (err says what is wrong), SONDE_E_LIMIT, SONDE_E_NO_MEMORY.
 * Owns      all of *ret lives in arena.
 */
int name_parse(struct arena *arena, const char *text, struct target_name *ret,
	       struct sonde_error *err);

/* [a-z][a-z0-9-]*, 31 at most: what a plugin may be called. */
int name_word_valid(const char *word, size_t len);

#endif

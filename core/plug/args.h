/* SPDX-License-Identifier: MIT */
/*
 * The arguments of one opening, checked against what the plugin says it takes, and the
 * arg* slots of the host table that hand them out.
 */
#ifndef SONDE_PLUG_ARGS_H
#define SONDE_PLUG_ARGS_H

#include "plug/name.h"

#include <sonde/plugin.h>

struct image_shelf;

struct sonde_args {
	const char *who;              /* plugin name, for messages      */
	const struct name_arg *pairs; /* [n]; keys are unique and known */
	size_t n;
	int write;                  /* not 0: the target is to be written */
	struct image_shelf *images; /* those of the target; NULL: none are kept */
};

/*
 * Bind one part of a target name to a plugin: its FIRST becomes the plugin's main argument
 * (or, where it reads KEY=VALUE with a key the plugin lists, that argument).
 *
 * Returns   0; SONDE_E_BAD_ARG: unknown or repeated key, a main argument to a plugin without one.
 * Owns      *ret lives in arena and borrows part.
 */
int args_bind(struct arena *arena, const struct sonde_plugin *plugin, const struct name_part *part,
	      int write, struct sonde_args *ret, struct sonde_error *err);

/*
 * The first line of args_help whose first word holds a '=', others continue the text above.
 * NULL: there is none. ret_word_len: of KEY=VALUE.
 */
const char *args_next_key(const char *help, size_t *ret_key_len, size_t *ret_word_len);
/* ... and the one behind a line of it. */
const char *args_key_behind(const char *line, size_t *ret_key_len, size_t *ret_word_len);
int args_key_known(const char *help, const char *key, size_t key_len);

/* Decimal or 0x hex, with one suffix of k M G T (powers of 1024). Returns 1, 0 not a number. */
int args_parse_u64(const char *text, uint64_t *ret);

/* The slots of struct sonde_host. */
const char *args_get(const struct sonde_args *args, const char *key);
int args_get_u64(const struct sonde_args *args, const char *key, uint64_t *ret,
		 struct sonde_error *err);
int args_get_write(const struct sonde_args *args);

#endif

/* SPDX-License-Identifier: MIT */
/* Between types.c (handle, names, sizes, members) and types_print.c (C text). */
#ifndef SONDE_SYM_TYPES_INTERNAL_H
#define SONDE_SYM_TYPES_INTERNAL_H

#include "base/arena.h"
#include "sym/types.h"

/* Hops through typedefs, qualifiers and arrays; C code stays below ten. */
#define TYPES_MAX_HOPS 64u
/* Anonymous structures inside one another. */
#define TYPES_MAX_DEPTH 16u

/* Names of complete types; grows with the records. */
struct types_names {
	uint32_t *slots; /* type id, 0 is free              */
	uint32_t mask;
	uint32_t n_used;
	uint32_t n_indexed; /* ids below this have been looked at */
};

/* What asking changes, apart from the handle because asking is const. */
struct types_state {
	struct btf btf;
	struct types_names names;
};

struct sonde_types {
	struct arena arena; /* the BTF index, a copy of the bytes, source */
	struct types_state *state;
	const char *source;
	const struct types_resolver *resolver; /* NULL for plain BTF */
	void *user;
};

/*
 * Follow typedefs and qualifiers. Returns 1 and the type reached, 0 for a bad reference or
 * endless chain.
 */
int types_strip(const struct btf *btf, uint32_t id, uint32_t *ret_id, struct btf_type *ret);
/* As sonde_type_size. */
int64_t types_size(const struct btf *btf, uint32_t id);
/* A member with what old-style bitfields (before kflag) hide in their type. */
void types_member(const struct btf *btf, const struct btf_type *outer, uint32_t index,
		  struct btf_member *ret);

#endif

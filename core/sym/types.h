/* SPDX-License-Identifier: MIT */
/*
 * The handle behind sonde_type_*: one representation (BTF records) whatever the source.
 * Types made from a BTF blob view its bytes; types from DWARF are translated into BTF
 * records on demand (dwarf.h) by the resolver given here.
 *
 * A handle belongs to one thread at a time: the index of names is built at the first find.
 */
#ifndef SONDE_SYM_TYPES_H
#define SONDE_SYM_TYPES_H

#include "sym/btf.h"
#include <sonde/sym.h>

/*
 * From a BTF blob. bytes are borrowed until sonde_types_destroy, unless TYPES_COPY is set.
 * source (copied) is what sonde_types_source answers.
 *
 * Errors    those of btf_open.
 */
enum types_flag { TYPES_COPY = 1u << 0 };
int types_from_btf(const uint8_t *bytes, size_t len, uint32_t flags, const char *source,
		   struct sonde_types **ret, struct sonde_error *err);

/*
 * Types that are made when asked for. find is called with a C name ("struct x", or bare) that is
 * not yet known; it may add records to what view shows (and then view again). Both are called
 * only from inside sonde_type_*; close from types_destroy.
 */
struct types_resolver {
	int (*find)(void *user, const char *name);            /* 1: look again, 0: none */
	int (*find_enumerator)(void *user, const char *name); /* likewise               */
	void (*view)(void *user, struct btf *ret);            /* the records by now     */
	void (*close)(void *user);
};
int types_from_resolver(const struct types_resolver *resolver, void *user, const char *source,
			struct sonde_types **ret, struct sonde_error *err);

void types_destroy(struct sonde_types *types); /* NULL is allowed */

/*
 * What a pointer type points to, seen through typedefs and qualifiers. Returns 1, 0 when type is
 * no pointer.
 */
int types_pointee(const struct sonde_types *types, uint32_t type, uint32_t *ret);
/* The kind (enum btf_kind) behind typedefs and qualifiers; BTF_VOID for what has none. */
uint32_t types_kind(const struct sonde_types *types, uint32_t type);
/* Elements of an array type; 0 for a flexible one. Returns 1, 0 when type is no array. */
int types_array(const struct sonde_types *types, uint32_t type, uint32_t *ret_elem,
		uint32_t *ret_n);

#endif

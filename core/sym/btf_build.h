/* SPDX-License-Identifier: MIT */
/*
 * Write BTF records, one after another, in the host's byte order. dwarf.c translates DWARF
 * into them; the tests write their inputs with it.
 *
 * Failure sticks: after the first allocation that failed, ids are 0 and failed is set.
 */
#ifndef SONDE_SYM_BTF_BUILD_H
#define SONDE_SYM_BTF_BUILD_H

#include "sym/btf.h"

/* All zero is an empty builder. */
struct btf_build {
	uint8_t *types;
	char *strings;
	uint32_t *offsets; /* [n_types], [0] unused */
	size_t types_len, types_cap;
	size_t strings_len, strings_cap;
	size_t n_types, offsets_cap;
	int failed;
};

void btf_build_finish(struct btf_build *build);

/*
 * Begin a record; kind, vlen and kflag as in the format. value: size or type. Returns its id, 0
 * on failure.
 */
uint32_t btf_build_type(struct btf_build *build, uint32_t kind, const char *name, uint32_t vlen,
			uint32_t kflag, uint32_t value);
/* What follows the newest record, vlen times where the kind says so. */
void btf_build_int(struct btf_build *build, uint32_t encoding, uint32_t off, uint32_t bits);
void btf_build_array(struct btf_build *build, uint32_t elem, uint32_t index, uint32_t n);
void btf_build_member(struct btf_build *build, const char *name, uint32_t type, uint32_t offset);
void btf_build_enumerator(struct btf_build *build, const char *name, uint32_t value);
void btf_build_enumerator64(struct btf_build *build, const char *name, uint64_t value);
void btf_build_param(struct btf_build *build, const char *name, uint32_t type);

/* A view of all records by now; good until the next one is begun. */
void btf_build_view(const struct btf_build *build, uint32_t pointer_size, struct btf *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * BTF, the compact type format that kernels carry: a bounds-checked view of its bytes.
 *
 * The bytes come from a target and are hostile: btf_open checks that every record and every
 * name lies inside; references between types are checked where they are followed. What the
 * types mean (sizes, paths, C text) is types.h; this file only takes records apart.
 *
 * Source: linux v6.6 include/uapi/linux/btf.h, Documentation/bpf/btf.rst.
 */
#ifndef SONDE_SYM_BTF_H
#define SONDE_SYM_BTF_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum btf_kind {
	BTF_VOID = 0,
	BTF_INT = 1,
	BTF_PTR = 2,
	BTF_ARRAY = 3,
	BTF_STRUCT = 4,
	BTF_UNION = 5,
	BTF_ENUM = 6,
	BTF_FWD = 7,
	BTF_TYPEDEF = 8,
	BTF_VOLATILE = 9,
	BTF_CONST = 10,
	BTF_RESTRICT = 11,
	BTF_FUNC = 12,
	BTF_FUNC_PROTO = 13,
	BTF_VAR = 14,
	BTF_DATASEC = 15,
	BTF_FLOAT = 16,
	BTF_DECL_TAG = 17,
	BTF_TYPE_TAG = 18,
	BTF_ENUM64 = 19,
};

#define BTF_MAGIC 0xeB9Fu
#define BTF_HEADER_SIZE 24u
#define BTF_MAX_BYTES (256u << 20) /* a bound, far above the 6 MB seen */

/* Borrows the bytes given to btf_open until they go; offsets live in the arena. */
struct btf {
	const uint8_t *types;    /* the type section                                      */
	const char *strings;     /* starts and ends with NUL                              */
	const uint32_t *offsets; /* [n_types] of each record in types; [0] is void, unused */
	uint32_t types_len, strings_len;
	uint32_t n_types;      /* ids are 0 (void) .. n_types - 1                       */
	uint32_t swap;         /* 1 when the byte order is not the host's               */
	uint32_t pointer_size; /* 4 or 8: that of "long unsigned int"; 8 when not told  */
};

/* One record. name is never NULL ("" for none). */
struct btf_type {
	const char *name;
	const uint8_t *extra; /* what follows the record's 12 bytes                      */
	uint32_t kind;        /* enum btf_kind                                           */
	uint32_t vlen;        /* members, enumerators, parameters, variables             */
	uint32_t kflag;       /* struct: bitfield sizes in offsets; enum: signed; fwd: union */
	uint32_t ref;         /* PTR TYPEDEF CONST ... FUNC FUNC_PROTO VAR: type referred to */
	uint32_t size;        /* INT ENUM STRUCT UNION DATASEC FLOAT ENUM64: bytes       */
};

struct btf_member {
	const char *name;
	uint32_t type;
	uint32_t bit_off;
	uint32_t bit_width; /* of a bitfield; 0 for a plain member */
};

struct btf_enumerator {
	const char *name;
	int64_t value;
};

struct btf_array {
	uint32_t elem, index; /* types */
	uint32_t n;
};

/*
 * Look at a whole BTF blob and index it. Bytes after the last section are allowed.
 *
 * Errors    BAD_FORMAT (not BTF, or a version, header or kind that is not known), CORRUPT (a
 *           record or name runs out of its section), UNSUPPORTED (split BTF, that of a module),
 *           LIMIT, NO_MEMORY.
 */
int btf_open(const uint8_t *bytes, size_t len, struct arena *arena, struct btf *ret,
	     struct sonde_error *err);

/*
 * Bytes from the header on that the sections need, told by the header alone; 0 when it is
 * none. For whoever must fetch the rest.
 */
uint64_t btf_total_size(const uint8_t header[BTF_HEADER_SIZE]);

/* One record by id. Returns 1, 0 for no such type. Id 0 is void. */
int btf_type_get(const struct btf *btf, uint32_t id, struct btf_type *ret);

/*
 * The index-th member (STRUCT, UNION), enumerator (ENUM, ENUM64). index < vlen is the caller's
 * duty.
 */
void btf_member_get(const struct btf *btf, const struct btf_type *type, uint32_t index,
		    struct btf_member *ret);
void btf_enumerator_get(const struct btf *btf, const struct btf_type *type, uint32_t index,
			struct btf_enumerator *ret);
/* The type of the index-th parameter of a FUNC_PROTO; 0 as the last one means "...". */
uint32_t btf_param_type(const struct btf *btf, const struct btf_type *type, uint32_t index);
/* ... and its name. */
const char *btf_param_name(const struct btf *btf, const struct btf_type *type, uint32_t index);
void btf_array_get(const struct btf *btf, const struct btf_type *type, struct btf_array *ret);
/* How an INT is to be taken: bits of these. linux v6.6 include/uapi/linux/btf.h: BTF_INT_SIGNED, _CHAR, _BOOL. */
enum btf_int_encoding { BTF_INT_SIGNED = 1, BTF_INT_CHAR = 2, BTF_INT_BOOL = 4 };
uint32_t btf_int_encoding(const struct btf *btf, const struct btf_type *type);
/* What an INT says beyond its size: bits used, and where they start. */
void btf_int_bits(const struct btf *btf, const struct btf_type *type, uint32_t *ret_off,
		  uint32_t *ret_width);

#endif

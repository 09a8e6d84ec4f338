/* SPDX-License-Identifier: MIT */
/*
 * From records to a BTF blob as a kernel carries it: header, types, strings, in either byte
 * order. And a small world of types that several tests ask about.
 */
#ifndef SYNTH_BTF_BLOB_H
#define SYNTH_BTF_BLOB_H

#include "sym/btf_build.h"

#include <stdlib.h>
#include <string.h>

enum { BLOB_HOST_ORDER = 0, BLOB_OTHER_ORDER = 1 };

static inline uint32_t blob_word(uint32_t word, int other)
{
	return other ? __builtin_bswap32(word) : word;
}

/* malloc'ed; every field of a record is a 32-bit word, so swapping words swaps all. */
static inline uint8_t *btf_blob(const struct btf_build *b, int other, size_t *ret_len)
{
	size_t len = BTF_HEADER_SIZE + b->types_len + b->strings_len;
	uint8_t *blob = calloc(1, len);
	uint16_t magic = other ? __builtin_bswap16(BTF_MAGIC) : BTF_MAGIC;
	uint32_t words[5] = { BTF_HEADER_SIZE, 0, (uint32_t)b->types_len, (uint32_t)b->types_len,
			      (uint32_t)b->strings_len };

	memcpy(blob, &magic, 2);
	blob[2] = 1;
	for (int i = 0; i < 5; i++) {
		uint32_t word = blob_word(words[i], other);
		memcpy(blob + 4 + 4 * i, &word, 4);
	}
	for (size_t at = 0; at < b->types_len; at += 4) {
		uint32_t word;
		memcpy(&word, b->types + at, 4);
		word = blob_word(word, other);
		memcpy(blob + BTF_HEADER_SIZE + at, &word, 4);
	}
	memcpy(blob + BTF_HEADER_SIZE + b->types_len, b->strings, b->strings_len);
	*ret_len = len;
	return blob;
}

/* Ids of the world, in the order they are written. */
struct world {
	uint32_t ulong_, int_, char_, fwd_mm, ptr_mm, list_head, ptr_list, pid_t_;
	uint32_t arr4, arr2x4, flex;
	uint32_t inner_union, inner_struct, anon_enum, bits_struct, thing, color, big_enum;
	uint32_t proto, ptr_proto, typedef_anon, anon, const_char, name_array, fp;
};

/*
 *	struct list_head { struct list_head *next, *prev; };            16 bytes
 *	typedef int pid_t;
 *	struct bits { int a:3; int b:5; int c; };                       kflag, 8 bytes
 *	struct thing {                                                  136 bytes
 *		long unsigned int flags;            0
 *		struct mm_struct *mm;               8
 *		union {                             16
 *			pid_t pid;                  16
 *			struct {                    16
 *				int lo;             16
 *				int hi;             20
 *			};
 *		};
 *		struct list_head links[4];          24
 *		int grid[2][4];                     88 (32 bytes)
 *		struct bits bits;                   120
 *		const char name[4];                 128
 *		int tail[];                         132
 *	};
 *	struct ops { int (*call)(struct thing *, pid_t, ...); };        8 bytes
 *	typedef struct { int counter; } atomic_t;
 */
static inline void build_world(struct btf_build *b, struct world *w)
{
	w->ulong_ = btf_build_type(b, BTF_INT, "long unsigned int", 0, 0, 8);
	btf_build_int(b, 0, 0, 64);
	w->int_ = btf_build_type(b, BTF_INT, "int", 0, 0, 4);
	btf_build_int(b, 1, 0, 32);
	w->char_ = btf_build_type(b, BTF_INT, "char", 0, 0, 1);
	btf_build_int(b, 0, 0, 8);
	w->fwd_mm = btf_build_type(b, BTF_FWD, "mm_struct", 0, 0, 0);
	w->ptr_mm = btf_build_type(b, BTF_PTR, "", 0, 0, w->fwd_mm);
	w->list_head = w->ptr_mm + 1;
	w->ptr_list = w->list_head + 1;
	btf_build_type(b, BTF_STRUCT, "list_head", 2, 0, 16);
	btf_build_member(b, "next", w->ptr_list, 0);
	btf_build_member(b, "prev", w->ptr_list, 64);
	btf_build_type(b, BTF_PTR, "", 0, 0, w->list_head);
	w->pid_t_ = btf_build_type(b, BTF_TYPEDEF, "pid_t", 0, 0, w->int_);
	w->arr4 = btf_build_type(b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(b, w->list_head, w->int_, 4);
	w->inner_struct = btf_build_type(b, BTF_STRUCT, "", 2, 0, 8);
	btf_build_member(b, "lo", w->int_, 0);
	btf_build_member(b, "hi", w->int_, 32);
	w->inner_union = btf_build_type(b, BTF_UNION, "", 2, 0, 8);
	btf_build_member(b, "pid", w->pid_t_, 0);
	btf_build_member(b, "", w->inner_struct, 0);
	uint32_t row = btf_build_type(b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(b, w->int_, w->int_, 4);
	w->arr2x4 = btf_build_type(b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(b, row, w->int_, 2);
	w->flex = btf_build_type(b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(b, w->int_, w->int_, 0);
	w->bits_struct = btf_build_type(b, BTF_STRUCT, "bits", 3, 1, 8);
	btf_build_member(b, "a", w->int_, 3u << 24 | 0);
	btf_build_member(b, "b", w->int_, 5u << 24 | 3);
	btf_build_member(b, "c", w->int_, 32);
	w->const_char = btf_build_type(b, BTF_CONST, "", 0, 0, w->char_);
	w->name_array = btf_build_type(b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(b, w->const_char, w->int_, 4);
	w->thing = btf_build_type(b, BTF_STRUCT, "thing", 8, 0, 136);
	btf_build_member(b, "flags", w->ulong_, 0);
	btf_build_member(b, "mm", w->ptr_mm, 8 * 8);
	btf_build_member(b, "", w->inner_union, 16 * 8);
	btf_build_member(b, "links", w->arr4, 24 * 8);
	btf_build_member(b, "grid", w->arr2x4, 88 * 8);
	btf_build_member(b, "bits", w->bits_struct, 120 * 8);
	btf_build_member(b, "name", w->name_array, 128 * 8);
	btf_build_member(b, "tail", w->flex, 132 * 8);
	w->color = btf_build_type(b, BTF_ENUM, "color", 2, 1, 4);
	btf_build_enumerator(b, "RED", 7);
	btf_build_enumerator(b, "MINUS", (uint32_t)-2);
	w->big_enum = btf_build_type(b, BTF_ENUM64, "big", 1, 0, 8);
	btf_build_enumerator64(b, "HUGE", UINT64_C(0x123456789a));
	uint32_t ptr_thing = btf_build_type(b, BTF_PTR, "", 0, 0, w->thing);
	w->proto = btf_build_type(b, BTF_FUNC_PROTO, "", 3, 0, w->int_);
	btf_build_param(b, "self", ptr_thing);
	btf_build_param(b, "pid", w->pid_t_);
	btf_build_param(b, "", 0);
	w->ptr_proto = btf_build_type(b, BTF_PTR, "", 0, 0, w->proto);
	btf_build_type(b, BTF_STRUCT, "ops", 1, 0, 8);
	btf_build_member(b, "call", w->ptr_proto, 0);
	w->anon = btf_build_type(b, BTF_STRUCT, "", 1, 0, 4);
	btf_build_member(b, "counter", w->int_, 0);
	w->typedef_anon = btf_build_type(b, BTF_TYPEDEF, "atomic_t", 0, 0, w->anon);
	w->fp = btf_build_type(b, BTF_FLOAT, "double", 0, 0, 8);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The writer of BTF records: two growing buffers and the offsets of the records.
 *
 * Source: linux v6.6 include/uapi/linux/btf.h.
 */
#include "sym/btf_build.h"

#include <stdlib.h>
#include <string.h>

void btf_build_finish(struct btf_build *b)
{
	free(b->types);
	free(b->strings);
	free(b->offsets);
	*b = (struct btf_build){ 0 };
}

/* Room for so many more elements; NULL and failed when there is none. */
static void *reserve(struct btf_build *b, void *array, size_t len, size_t *cap, size_t more,
		     size_t each)
{
	if (b->failed)
		return NULL;
	if (len <= *cap && more <= *cap - len)
		return array;
	size_t grown_cap = *cap * 2 > len + more ? *cap * 2 : len + more + 256;
	void *grown = grown_cap > BTF_MAX_BYTES / each ? NULL : realloc(array, grown_cap * each);
	if (!grown) {
		b->failed = 1;
		return NULL;
	}
	*cap = grown_cap;
	return grown;
}

static uint32_t add_string(struct btf_build *b, const char *text)
{
	size_t len = strlen(text) + 1;

	if (!len || (!text[0] && b->strings_len))
		return 0;
	/* The first string is the empty one: offset 0 means no name. */
	size_t first = b->strings_len ? 0 : 1;
	char *strings = reserve(b, b->strings, b->strings_len, &b->strings_cap, len + first, 1);
	if (!strings)
		return 0;
	b->strings = strings;
	if (first)
		strings[b->strings_len++] = '\0';
	if (!text[0])
		return 0;
	uint32_t at = (uint32_t)b->strings_len;
	memcpy(strings + at, text, len);
	b->strings_len += len;
	return at;
}

static void add_word(struct btf_build *b, uint32_t word)
{
	uint8_t *types = reserve(b, b->types, b->types_len, &b->types_cap, sizeof(word), 1);

	if (!types)
		return;
	b->types = types;
	memcpy(types + b->types_len, &word, sizeof(word));
	b->types_len += sizeof(word);
}

uint32_t btf_build_type(struct btf_build *b, uint32_t kind, const char *name, uint32_t vlen,
			uint32_t kflag, uint32_t value)
{
	size_t id = b->n_types ? b->n_types : 1;
	uint32_t *offsets = reserve(b, b->offsets, id, &b->offsets_cap, 1, sizeof(*offsets));

	if (!offsets)
		return 0;
	b->offsets = offsets;
	offsets[0] = 0;
	offsets[id] = (uint32_t)b->types_len;
	add_word(b, add_string(b, name));
	add_word(b, kflag << 31 | kind << 24 | (vlen & 0xffff));
	add_word(b, value);
	if (b->failed)
		return 0;
	b->n_types = id + 1;
	return (uint32_t)id;
}

void btf_build_int(struct btf_build *b, uint32_t encoding, uint32_t off, uint32_t bits)
{
	add_word(b, encoding << 24 | off << 16 | bits);
}

void btf_build_array(struct btf_build *b, uint32_t elem, uint32_t index, uint32_t n)
{
	add_word(b, elem);
	add_word(b, index);
	add_word(b, n);
}

void btf_build_member(struct btf_build *b, const char *name, uint32_t type, uint32_t offset)
{
	add_word(b, add_string(b, name));
	add_word(b, type);
	add_word(b, offset);
}

void btf_build_enumerator(struct btf_build *b, const char *name, uint32_t value)
{
	add_word(b, add_string(b, name));
	add_word(b, value);
}

void btf_build_enumerator64(struct btf_build *b, const char *name, uint64_t value)
{
	add_word(b, add_string(b, name));
	add_word(b, (uint32_t)value);
	add_word(b, (uint32_t)(value >> 32));
}

void btf_build_param(struct btf_build *b, const char *name, uint32_t type)
{
	add_word(b, add_string(b, name));
	add_word(b, type);
}

void btf_build_view(const struct btf_build *b, uint32_t pointer_size, struct btf *ret)
{
	*ret = (struct btf){
		.types = b->types,
		.strings = b->strings ? b->strings : "",
		.offsets = b->offsets,
		.types_len = (uint32_t)b->types_len,
		.strings_len = b->strings_len ? (uint32_t)b->strings_len : 1,
		.n_types = b->n_types ? (uint32_t)b->n_types : 1,
		.pointer_size = pointer_size,
	};
}

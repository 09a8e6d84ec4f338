/* SPDX-License-Identifier: MIT */
/* Prototypes of functions, over BTF's records FUNC and FUNC_PROTO; ids may lie, and are checked where they are followed. */
#include "sym/types_internal.h"

#include <string.h>

int sonde_function_find(const struct sonde_types *types, const char *name, uint32_t *ret_function)
{
	const struct btf *btf = &types->state->btf;
	struct btf_type type;

	for (uint32_t id = 1; name[0] && id < btf->n_types; id++) {
		btf_type_get(btf, id, &type);
		if (type.kind == BTF_FUNC && strcmp(type.name, name) == 0) {
			*ret_function = id;
			return 1;
		}
	}
	return 0;
}

static uint32_t integer_kind(const struct btf *btf, const struct btf_type *type)
{
	uint32_t encoding = btf_int_encoding(btf, type);

	if (encoding & BTF_INT_BOOL)
		return SONDE_VALUE_BOOL;
	return encoding & BTF_INT_SIGNED ? SONDE_VALUE_SIGNED : SONDE_VALUE_UNSIGNED;
}

static void describe_pointer(const struct btf *btf, uint32_t to, struct sonde_parameter *ret)
{
	struct btf_type type;

	ret->kind = SONDE_VALUE_POINTER;
	if (!types_strip(btf, to, &to, &type))
		return;
	if (type.kind == BTF_INT && strcmp(type.name, "char") == 0)
		ret->kind = SONDE_VALUE_TEXT;
	else if (type.kind == BTF_STRUCT || type.kind == BTF_FWD)
		ret->points_to = type.name;
}

static void describe(const struct btf *btf, uint32_t id, struct sonde_parameter *ret)
{
	struct btf_type type;
	int64_t size = types_size(btf, id);

	ret->size = size > 0 ? (uint64_t)size : 0;
	if (!types_strip(btf, id, &id, &type))
		return;
	if (type.kind == BTF_PTR)
		describe_pointer(btf, type.ref, ret);
	else if (type.kind == BTF_ENUM || type.kind == BTF_ENUM64)
		ret->kind = SONDE_VALUE_ENUM;
	else if (type.kind == BTF_INT && type.size <= 8)
		ret->kind = integer_kind(btf, &type);
}

int sonde_function_parameter(const struct sonde_types *types, uint32_t function, uint32_t index,
			     struct sonde_parameter *ret)
{
	const struct btf *btf = &types->state->btf;
	struct btf_type type;

	if (!btf_type_get(btf, function, &type) || type.kind != BTF_FUNC ||
	    !btf_type_get(btf, type.ref, &type) || type.kind != BTF_FUNC_PROTO ||
	    index >= type.vlen)
		return 0;
	uint32_t id = btf_param_type(btf, &type, index);
	if (!id)
		return 0;
	*ret = (struct sonde_parameter){ .name = btf_param_name(btf, &type, index),
					 .points_to = "",
					 .type = id };
	describe(btf, id, ret);
	return 1;
}

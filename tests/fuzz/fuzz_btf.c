/* SPDX-License-Identifier: MIT */
/* BTF: any bytes as a blob, then every question about every type in it. */
#include "sym/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TYPES 32u
#define MAX_PRINTED 4u /* bounded, but slow under a fuzzer */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void ask(const struct sonde_types *types, uint32_t id)
{
	static const char *const paths[] = { "a", "b.c", "a[1].b", "x[0][2]", "next.prev", "" };
	struct sonde_parameter parameter;
	struct sonde_member m;
	uint32_t other, n;

	for (uint32_t i = 0; i < 8 && sonde_function_parameter(types, id, i, &parameter); i++) {
		if (strlen(parameter.name) + strlen(parameter.points_to) > BTF_MAX_BYTES)
			abort();
	}
	sonde_type_size(types, id);
	types_kind(types, id);
	types_pointee(types, id, &other);
	types_array(types, id, &other, &n);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		sonde_type_member(types, id, paths[i], &m);
}

static void print(const struct sonde_types *types, uint32_t id)
{
	char text[2048], again[16];
	int need = sonde_type_print(types, id, text, sizeof(text));
	if (need != sonde_type_print(types, id, again, sizeof(again)))
		abort();
	if (need >= 0 && (size_t)need < sizeof(text) && strlen(text) != (size_t)need)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const names[] = { "struct a", "union b", "enum c", "d", "int", "" };
	struct sonde_types *types;
	struct sonde_error err;
	uint32_t id;
	int64_t value;

	if (len >= BTF_HEADER_SIZE)
		btf_total_size(bytes);
	if (types_from_btf(bytes, len, 0, "fuzz", &types, &err) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (sonde_type_find(types, names[i], &id)) {
			ask(types, id);
			print(types, id);
		}
	}
	for (id = 0; id < MAX_TYPES; id++)
		ask(types, id);
	for (id = 0; id < MAX_PRINTED; id++)
		print(types, id);
	sonde_type_enumerator(types, "A", &value);
	if (sonde_function_find(types, "f", &id))
		ask(types, id);
	types_destroy(types);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A process with Wine: the input is its memory, from BASE on. There lie a TEB, which names the PEB; an image whose
 * headers and exports are read begins half-way.
 */
#include "native/loader.h"
#include "common/pe.h"
#include "../synth/array_space.h"

#include <sonde/loop.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define BASE UINT64_C(0x10000)
#define SIZE 0x2000u

static uint8_t memory[SIZE];

static struct array_space array = { BASE, SIZE, memory };

static struct sonde_space *space_once(void)
{
	static struct sonde_space *space;
	static struct sonde_loop *loop;

	if (!space && (sonde_loop_create(NULL, &loop, NULL) < 0 ||
		       array_space_open(&array, loop, &space) < 0))
		abort();
	return space;
}

static void read_lists(void)
{
	for (uint32_t width = LOADER_32; width <= LOADER_64; width++) {
		struct loader_list list;
		struct arena arena = { 0 };
		uint64_t peb;
		if (loader_peb(memory, BASE, width, &peb) &&
		    loader_read(space_once(), peb, width, &arena, &list) == 0) {
			for (uint32_t i = 0; i < list.n; i++)
				if (!list.modules[i].path == !list.modules[i].err)
					abort();
		}
		arena_finish(&arena);
	}
}

static int check_export(void *user, const char *name, size_t name_len, uint32_t off)
{
	const struct pe *pe = user;

	if (name_len == 0 || strlen(name) != name_len || off >= pe->size)
		abort();
	return 0;
}

/* What is exported is copied to a heap block of just that size: the first byte beyond is seen. */
static void read_image(const uint8_t *image, size_t len)
{
	struct pe pe;

	if (pe_parse(image, len, &pe) <= 0 || pe.exports_off > len ||
	    pe.exports_size > len - pe.exports_off)
		return;
	uint8_t *exports = malloc(pe.exports_size + !pe.exports_size);
	if (!exports)
		abort();
	memcpy(exports, image + pe.exports_off, pe.exports_size);
	pe_exports(&pe, exports, check_export, &pe);
	free(exports);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	memset(memory, 0, sizeof(memory));
	memcpy(memory, bytes, len < SIZE ? len : SIZE);
	read_lists();
	read_image(memory + SIZE / 2, SIZE / 2);
	return 0;
}

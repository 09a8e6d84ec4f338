/* SPDX-License-Identifier: MIT */
/*
 * What is read of this machine's kernel: any bytes as the headers of /proc/kcore, and as the texts of /proc/iomem and
 * of lockdown. The maps that come of it keep the promises of memory_map.h.
 */
#include "../../connectors/local/iomem.h"
#include "../../connectors/local/kcore_map.h"
#include "../../connectors/local/refusal.h"
#include "../synth/elf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_map(const struct memory_map *map)
{
	uint64_t end = 0;

	if (map->n == 0)
		abort();
	for (size_t i = 0; i < map->n; i++) {
		const struct memory_range *range = &map->ranges[i];
		if (range->len == 0 || range->len - 1 > UINT64_MAX - range->addr ||
		    (i && range->addr <= end) || !memchr(range->name, 0, sizeof(range->name)))
			abort();
		end = range->addr + (range->len - 1);
	}
}

static void check_kcore(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct kcore_map kcore;
	const char *why = NULL;
	int r = kcore_map_read(&kcore, synth_image_read, &file, &why);

	if (r < 0 && (!why || !why[0]))
		abort();
	if (r == 0)
		check_map(&kcore.map);
	for (size_t i = 0; r == 0 && i < kcore.map.n; i++) {
		const struct memory_range *range = &kcore.map.ranges[i];
		if (range->off > INT64_MAX || range->len > (uint64_t)INT64_MAX - range->off)
			abort();
	}
	kcore_map_finish(&kcore);
}

static void check_texts(const char *text)
{
	struct memory_map map;
	char mode[32];

	for (int take = 0; take <= (IOMEM_RAM | IOMEM_DEVICES); take++) {
		if (iomem_parse(&map, text, take) == 0)
			check_map(&map);
		memory_map_finish(&map);
	}
	refusal_parse_lockdown(text, mode, sizeof(mode));
	if (!memchr(mode, 0, sizeof(mode)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 1);

	if (!text)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	check_kcore(bytes, len);
	check_texts(text);
	free(text);
	return 0;
}

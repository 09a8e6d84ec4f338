/* SPDX-License-Identifier: MIT */
/* Lists of regions of raw images: any text; what the parser hands out must keep the promises of regions.h. */
#include "../../connectors/flat/regions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct flat_regions regions;
	const char *why = NULL;
	size_t entry = 0;
	char *text = malloc(len + 1);

	memcpy(text, bytes, len);
	text[len] = '\0';
	int r = flat_regions_parse(&regions, text, &entry, &why);
	if (r < 0 ? !why || !why[0] : !regions.n || regions.n != entry)
		abort();
	for (size_t i = 0; i < regions.n; i++) {
		const struct flat_region *region = &regions.at[i];
		if (!region->len || region->addr + (region->len - 1) < region->addr ||
		    region->off + region->len < region->off)
			abort();
	}
	flat_regions_finish(&regions);
	free(text);
	return 0;
}

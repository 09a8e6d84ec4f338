/* SPDX-License-Identifier: MIT */
/* Images of LiME: any bytes as a file; what the parser hands out must keep the promises of ranges.h. */
#include "../../connectors/lime/ranges.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct lime_ranges ranges;
	const char *why = NULL;
	int r = lime_ranges_read(&ranges, synth_image_read, &file, len, &why);

	if (r < 0 ? !why || !why[0] : !ranges.n)
		abort();
	for (size_t i = 0; i < ranges.n; i++) {
		const struct lime_range *range = &ranges.at[i];
		if (!range->len || range->have > range->len ||
		    range->addr + (range->len - 1) < range->addr || range->off > len ||
		    range->have > len - range->off)
			abort();
	}
	lime_ranges_finish(&ranges);
	return 0;
}

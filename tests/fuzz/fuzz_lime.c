/* SPDX-License-Identifier: MIT */
/* Images of LiME: any bytes as a file; what the parser hands out must keep the promises of ranges.h. */
#include "../../connectors/lime/ranges.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct file {
	const uint8_t *bytes;
	size_t len;
};

static size_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	const struct file *file = user;

	if (off >= file->len)
		return 0;
	len = len < file->len - off ? len : file->len - (size_t)off;
	memcpy(buf, file->bytes + off, len);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct file file = { bytes, len };
	struct lime_ranges ranges;
	const char *why = NULL;
	int r = lime_ranges_read(&ranges, read_bytes, &file, len, &why);

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

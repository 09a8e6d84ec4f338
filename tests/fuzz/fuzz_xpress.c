/* SPDX-License-Identifier: MIT */
/*
 * Xpress: the first byte says which kind, the next two how many bytes are to be made; the rest is packed. They are made into a
 * place that is exactly as large.
 */
#include "../../connectors/common/xpress.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct xpress_table table;

	if (len < 3)
		return 0;
	size_t size = ((size_t)bytes[1] << 8 | bytes[2]) + 1, n = len - 3;
	uint8_t *made = malloc(size), *packed = malloc(n ? n : 1);
	memcpy(packed, bytes + 3, n);
	if (bytes[0] & 1)
		xpress_huffman(&table, packed, n, made, size);
	else
		xpress_plain(packed, n, made, size);
	free(made);
	free(packed);
	return 0;
}

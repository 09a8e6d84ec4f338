/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <sonde/error.h>

int source_read(const struct source *source, uint64_t off, void *buf, size_t len)
{
	if (off > source->size || len > source->size - off)
		return SONDE_E_TRUNCATED;
	int64_t n = source->read(source->user, off, buf, len);
	if (n < 0)
		return SONDE_E_IO;
	return (uint64_t)n == len ? 0 : SONDE_E_TRUNCATED;
}

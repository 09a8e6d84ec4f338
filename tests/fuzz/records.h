/* SPDX-License-Identifier: MIT */
/*
 * A file of checked records made of an input: as it is (the first byte is even), or records of which the input has the
 * types and payloads and the harness the sums, so that what is behind the sums is reached.
 */
#ifndef TESTS_FUZZ_RECORDS_H
#define TESTS_FUZZ_RECORDS_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../plugins/common/recfile.h"

/* Each: type, length in two bytes, payload. */
static inline void records_put(int fd, uint32_t kind, const uint8_t *data, size_t size)
{
	static struct recfile_writer writer;

	recfile_continue(&writer, fd, kind, 0);
	while (size >= 3) {
		size_t len = data[1] | (size_t)data[2] << 8;
		len = len < size - 3 ? len : size - 3;
		const struct recfile_bytes part = { data + 3, len };
		recfile_put(&writer, data[0], &part, 1);
		data += 3 + len;
		size -= 3 + len;
	}
	recfile_flush(&writer);
}

/* The descriptor of such a file, to be closed; -1: the system gives none. */
static inline int records_file(uint32_t kind, const uint8_t *data, size_t size)
{
	int fd = memfd_create("records", MFD_CLOEXEC);

	if (fd >= 0 && size && data[0] & 1)
		records_put(fd, kind, data + 1, size - 1);
	else if (fd >= 0 && size && write(fd, data + 1, size - 1) < 0)
		abort();
	return fd;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Where the bytes of a dump come from: a file, a flattened one made plain, a fuzzer's memory. */
#ifndef SOURCE_H
#define SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct source {
	/* Up to len bytes at off; any thread. Returns how many came, fewer at the end only; -errno. */
	int64_t (*read)(void *user, uint64_t off, void *buf, size_t len);
	void *user;
	uint64_t size;
};

/* 0 where all of [off, off + len) came; SONDE_E_TRUNCATED, SONDE_E_IO. */
int source_read(const struct source *source, uint64_t off, void *buf, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* A kernel's memory that is the input of a fuzzer: its bytes lie from FUZZ_BASE on. */
#ifndef TESTS_FUZZ_KERNEL_MEMORY_H
#define TESTS_FUZZ_KERNEL_MEMORY_H

#include <stdlib.h>
#include <string.h>

#include "linux/linux.h"
#include "space/backed.h"

#define FUZZ_BASE UINT64_C(0xffff888000000000)

struct fuzz_memory {
	const uint8_t *bytes; /* [len] */
	size_t len;
};

static inline void fuzz_serve(const struct fuzz_memory *memory, struct sonde_io *io, uint32_t i)
{
	struct sonde_xfer *x = &io->xfers[i];
	uint64_t off = x->addr - FUZZ_BASE;
	uint32_t n = 0;

	if (x->addr >= FUZZ_BASE && off < memory->len) {
		n = memory->len - off < x->len ? (uint32_t)(memory->len - off) : x->len;
		memcpy(x->buf, memory->bytes + off, n);
		sonde_progress(&space_host, io, i, 0, n, 0);
	}
	if (n < x->len)
		sonde_progress(&space_host, io, i, n, x->len - n, SONDE_E_NOT_MAPPED);
}

static inline void fuzz_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++)
			fuzz_serve(conn, ios[i], k);
	}
}

static inline void fuzz_close(void *conn)
{
	(void)conn;
}

static inline void fuzz_info(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

/* A kernel that reads it: its loop and kernel_memory; fuzz_kernel_finish. */
static inline void fuzz_kernel_make(struct linux_os *lx, struct fuzz_memory *memory)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fuzz_close,
					   .info = fuzz_info,
					   .transfer = fuzz_transfer };

	lx->paging = paging_x86_64(4);
	if (sonde_loop_create(NULL, &lx->loop, NULL) < 0 ||
	    space_from_connector(lx->loop, &ops, memory, &lx->os.kernel_memory, NULL) < 0)
		abort();
}

static inline void fuzz_kernel_finish(struct linux_os *lx)
{
	sonde_space_close(lx->os.kernel_memory);
	sonde_loop_destroy(lx->loop);
}

#endif

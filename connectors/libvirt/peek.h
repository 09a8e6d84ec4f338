/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical memory by virDomainMemoryPeek: QEMU writes the bytes into a file of libvirtd's, which
 * sends them. A call costs 11 ms, a further MiB in it 9 ms, so pieces that lie together are one call.
 */
#ifndef LIBVIRT_PEEK_H
#define LIBVIRT_PEEK_H

#include "../common/machine.h"
#include "hypervisor.h"

/* One call: 64 KiB at most before libvirt 0.9.13, 1 MiB from then on (libvirt-domain.c, virDomainMemoryPeek). */
#define PEEK_MAX (1u << 20)
#define PEEK_BATCH 256

/* A stretch of a request, at most PEEK_MAX long. */
struct peek_piece {
	struct sonde_io *io;
	uint32_t i, off, len;
	uint64_t addr, limit; /* limit: end of the range of memory that it lies in */
};

struct peek {
	struct hypervisor *hv;
	virDomainPtr dom; /* borrowed; may be replaced between batches */
	/* 1 while the domain is the one that was opened: asked once a call, before its bytes are believed. */
	int (*same)(void *user);
	void *user;
	uint8_t *bounce;                      /* [PEEK_MAX]     */
	struct peek_piece pieces[PEEK_BATCH]; /* [n], waiting   */
	size_t n;
};

/* Returns 0; SONDE_E_NO_MEMORY. Owns: *ret, peek_finish. */
int peek_init(struct peek *ret, struct hypervisor *hv, int (*same)(void *user), void *user);
void peek_finish(struct peek *peek);

/* As machine_stretch_fn: queue a stretch for reading; writing is refused. */
void peek_add(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
	      const struct memory_range *range, uint64_t addr);
/* Tell all that waits. */
void peek_flush(struct peek *peek);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One moment of a guest's memory, in a file of ours that nobody else sees. Three ways to it, best first:
 *
 *   stream  QEMU writes its RAM while the guest runs on; a page that changes is written before (background-snapshot)
 *   clone   the file of the RAM is cloned by its file system while the guest stands still
 *   copy    all memory is copied while the guest stands still
 */
#ifndef QEMU_SNAPSHOT_H
#define QEMU_SNAPSHOT_H

#include "../common/machine.h"

enum snapshot_way { SNAPSHOT_AUTO, SNAPSHOT_STREAM, SNAPSHOT_CLONE, SNAPSHOT_COPY };

struct snapshot {
	int fd;                /* the file; -1: there is no snapshot               */
	uint64_t *at;          /* [map.n] where each range begins in it; SNAPSHOT_NONE */
	struct full_cpu *cpus; /* [n_cpus]; valid is 0 where not known     */
	struct sonde_snapshot told;
	char how[320];
};

#define SNAPSHOT_NONE UINT64_MAX /* a range that is not in the file */

void snapshot_init(struct snapshot *ret);
void snapshot_finish(struct snapshot *snapshot);

/* "stream", "clone", "copy", "auto"; NULL is auto. Returns 0; SONDE_E_BAD_ARG. */
int snapshot_parse(const struct sonde_host *host, const char *text, enum snapshot_way *ret,
		   struct sonde_error *err);

/*
 * Take one of a machine that is held, by the monitor at qmp_path. Whatever becomes of this process meanwhile, the guest
 * goes on and its QEMU is as it was.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (err says why not, each way), _LIMIT (too little memory here), _BUSY, what the monitor
 *           returned. Blocks.
 */
int snapshot_take(struct snapshot *ret, struct machine *machine, const char *qmp_path,
		  enum snapshot_way way, struct sonde_error *err);

/* The slots of a connector. */
int snapshot_extents(const struct snapshot *snapshot, const struct machine *machine,
		     sonde_extent_fn *fn, void *user);
int snapshot_regions(const struct snapshot *snapshot, const struct machine *machine,
		     sonde_region_fn *fn, void *user);
int snapshot_cpu(const struct snapshot *snapshot, const struct machine *machine, uint32_t index,
		 struct full_cpu *ret);

#endif

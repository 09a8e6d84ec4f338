/* SPDX-License-Identifier: MIT */
/*
 * The internal snapshots of a qcow2 image, and where the machine state that "savevm" put into one lies: a migration
 * stream behind the end of the disk, mapped by the snapshot's own L1 table. The disk itself is nobody's business here.
 * Layout: qemu docs/interop/qcow2.txt; where the state begins: qemu 7.2 block/qcow2.h, qcow2_vm_state_offset.
 */
#ifndef QCOW2_H
#define QCOW2_H

#include "fault.h"
#include "spans.h"

#define QCOW2_SNAPSHOTS_MAX 65536u

struct qcow2_snapshot {
	char id[64], name[256]; /* cut where they are longer                              */
	uint64_t state_len;     /* bytes of machine state; 0: a disk's snapshot, no more   */
	uint64_t disk_len;      /* of the disk at that moment                              */
	uint64_t l1_at;         /* in the file                                             */
	uint32_t l1_n;          /* entries                                                 */
	uint32_t seconds;       /* of Unix time                                            */
};

struct qcow2 {
	struct source file;
	uint32_t version, cluster_bits;
	uint32_t packing; /* enum span_kind of packed clusters */
	uint64_t disk_len;
	struct qcow2_snapshot *snapshots; /* [n] */
	size_t n;
};

int qcow2_probe(const uint8_t *head, size_t len);

/*
 * Read head and snapshot table.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _TRUNCATED, _UNSUPPORTED (encrypted, with an external data file, subclusters),
 *           _LIMIT, _IO, _NO_MEMORY: *ret_fault says what is wrong.
 * Owns      *ret: qcow2_finish, also after an error.
 */
int qcow2_open(struct qcow2 *ret, const struct source *file, struct fault *ret_fault);
void qcow2_finish(struct qcow2 *qcow2);

/* Where the state of a snapshot that has one lies, into spans, which are empty. Returns as qcow2_open. */
int qcow2_state(const struct qcow2 *qcow2, const struct qcow2_snapshot *snapshot,
		struct spans *spans, struct fault *ret_fault);

#endif

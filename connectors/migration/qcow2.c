/* SPDX-License-Identifier: MIT */
#include "qcow2.h"
#include "big_endian.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_LEN_2 72u
#define HEAD_LEN_3 104u
#define SNAPSHOT_HEAD 40u
#define EXTRA_MAX 1024u
#define L1_BYTES_MAX (32u << 20) /* qemu 7.2 block/qcow2.h, QCOW_MAX_L1_SIZE */

#define L1_OFFSET UINT64_C(0x00fffffffffffe00)
#define L2_OFFSET L1_OFFSET
#define L2_ZERO (UINT64_C(1) << 0)
#define L2_COMPRESSED (UINT64_C(1) << 62)

enum incompatible {
	DIRTY = 1u << 0,
	CORRUPT = 1u << 1,
	EXTERNAL_DATA = 1u << 2,
	COMPRESSION_TYPE = 1u << 3,
	EXTENDED_L2 = 1u << 4,
};

int qcow2_probe(const uint8_t *head, size_t len)
{
	return len >= HEAD_LEN_2 && memcmp(head, "QFI\xfb", 4) == 0 &&
	       (be32(head + 4) == 2 || be32(head + 4) == 3);
}

static uint64_t cluster_len(const struct qcow2 *qcow2)
{
	return UINT64_C(1) << qcow2->cluster_bits;
}

/* All of it, or why not. */
static int read_whole(const struct qcow2 *qcow2, uint64_t at, void *buf, size_t len,
		      const char *what, struct fault *fault)
{
	int64_t n = at < qcow2->file.size ? qcow2->file.read(qcow2->file.user, at, buf, len) : 0;

	if (n < 0)
		return fault_set(fault, (int)n, what, at);
	return (size_t)n == len ? 0 : fault_set(fault, SONDE_E_TRUNCATED, what, at);
}

/* ---- the head -------------------------------------------------------------------------------------- */

static int take_features(struct qcow2 *qcow2, const uint8_t *head, uint32_t head_len,
			 struct fault *fault)
{
	uint64_t features = be64(head + 72);
	int zstd = (features & COMPRESSION_TYPE) && head_len > HEAD_LEN_3 && head[104] == 1;

	if (features & EXTERNAL_DATA)
		return fault_set(
			fault, SONDE_E_UNSUPPORTED,
			"qcow2 head: incompatible features: its clusters are in another file", 72);
	if (features & EXTENDED_L2)
		return fault_set(fault, SONDE_E_UNSUPPORTED,
				 "qcow2 head: incompatible features: its clusters have subclusters",
				 72);
	if (features & ~(uint64_t)(DIRTY | CORRUPT | COMPRESSION_TYPE))
		return fault_set(fault, SONDE_E_UNSUPPORTED,
				 "qcow2 head: incompatible features: one is not known here", 72);
	if ((features & COMPRESSION_TYPE) && !zstd)
		return fault_set(fault, SONDE_E_UNSUPPORTED,
				 "qcow2 head: compression type: is not known here", 104);
	qcow2->packing = zstd ? SPAN_ZSTD : SPAN_DEFLATE;
	return 0;
}

static int take_head(struct qcow2 *qcow2, const uint8_t *head, size_t len, struct fault *fault)
{
	qcow2->version = be32(head + 4);
	qcow2->cluster_bits = be32(head + 20);
	qcow2->disk_len = be64(head + 24);
	qcow2->packing = SPAN_DEFLATE;
	if (qcow2->cluster_bits < 9 || qcow2->cluster_bits > 21)
		return fault_set(fault, SONDE_E_BAD_FORMAT,
				 "qcow2 head: cluster bits: are not 9 to 21", 20);
	if (be32(head + 32) != 0)
		return fault_set(fault, SONDE_E_UNSUPPORTED,
				 "qcow2 head: encryption method: it is encrypted", 32);
	if (be32(head + 60) > QCOW2_SNAPSHOTS_MAX)
		return fault_set(fault, SONDE_E_LIMIT,
				 "qcow2 head: number of snapshots: is above 65536", 60);
	if (qcow2->version == 2)
		return 0;
	if (len < HEAD_LEN_3)
		return fault_set(fault, SONDE_E_TRUNCATED, "qcow2 head: is cut off", len);
	return take_features(qcow2, head, be32(head + 100), fault);
}

/* ---- the snapshot table ---------------------------------------------------------------------------- */

static void take_text(char *ret, size_t cap, const uint8_t *from, size_t len)
{
	size_t kept = len < cap - 1 ? len : cap - 1;

	memcpy(ret, from, kept);
	ret[kept] = '\0';
}

/* Sizes of the parts behind the head of an entry. */
struct entry {
	uint32_t id_len, name_len, extra_len;
};

static int take_entry(const struct qcow2 *qcow2, uint64_t at, struct qcow2_snapshot *ret,
		      struct entry *entry, struct fault *fault)
{
	uint8_t head[SNAPSHOT_HEAD];
	int r = read_whole(qcow2, at, head, sizeof(head), "snapshot table: entry: is cut off",
			   fault);

	if (r < 0)
		return r;
	*entry = (struct entry){ be16(head + 12), be16(head + 14), be32(head + 36) };
	*ret = (struct qcow2_snapshot){ .l1_at = be64(head),
					.l1_n = be32(head + 8),
					.seconds = be32(head + 16),
					.state_len = be32(head + 32),
					.disk_len = qcow2->disk_len };
	if (entry->extra_len > EXTRA_MAX)
		return fault_set(fault, SONDE_E_BAD_FORMAT,
				 "snapshot table: entry: extra data: are above 1 KiB", at + 36);
	return 0;
}

/* Extra data and texts. The large length of the state counts where it is there. */
static int take_rest(const struct qcow2 *qcow2, uint64_t at, const struct entry *entry,
		     struct qcow2_snapshot *ret, struct fault *fault)
{
	size_t texts = (size_t)entry->id_len + entry->name_len;
	uint8_t *rest = malloc(entry->extra_len + texts + 1);
	int r = rest ? read_whole(qcow2, at, rest, entry->extra_len + texts,
				  "snapshot table: entry: extra data, id and name: are cut off",
				  fault)
		     : fault_set(fault, SONDE_E_NO_MEMORY, "snapshot table: no memory for it", at);

	if (r == 0) {
		if (entry->extra_len >= 8)
			ret->state_len = be64(rest);
		if (entry->extra_len >= 16)
			ret->disk_len = be64(rest + 8);
		take_text(ret->id, sizeof(ret->id), rest + entry->extra_len, entry->id_len);
		take_text(ret->name, sizeof(ret->name), rest + entry->extra_len + entry->id_len,
			  entry->name_len);
	}
	free(rest);
	return r;
}

static int read_table(struct qcow2 *qcow2, uint64_t at, uint32_t n, struct fault *fault)
{
	if (at > qcow2->file.size || n > (qcow2->file.size - at) / SNAPSHOT_HEAD)
		return fault_set(fault, SONDE_E_TRUNCATED,
				 "qcow2 head: snapshot table: lies beyond the end of the file", 64);
	qcow2->snapshots = calloc(n ? n : 1, sizeof(*qcow2->snapshots));
	if (!qcow2->snapshots)
		return fault_set(fault, SONDE_E_NO_MEMORY, "snapshot table: no memory for it", at);
	while (qcow2->n < n) {
		struct qcow2_snapshot *snapshot = &qcow2->snapshots[qcow2->n];
		struct entry entry;
		int r = take_entry(qcow2, at, snapshot, &entry, fault);
		if (r == 0)
			r = take_rest(qcow2, at + SNAPSHOT_HEAD, &entry, snapshot, fault);
		if (r < 0)
			return r;
		at += SNAPSHOT_HEAD + entry.extra_len + entry.id_len + entry.name_len;
		at = (at + 7) & ~UINT64_C(7);
		qcow2->n++;
	}
	return 0;
}

int qcow2_open(struct qcow2 *ret, const struct source *file, struct fault *ret_fault)
{
	uint8_t head[HEAD_LEN_3 + 8] = { 0 };

	*ret = (struct qcow2){ .file = *file };
	int64_t n = file->read(file->user, 0, head, sizeof(head));
	if (n < 0)
		return fault_set(ret_fault, (int)n, "qcow2 head: cannot be read", 0);
	if (!qcow2_probe(head, (size_t)n))
		return fault_set(ret_fault, SONDE_E_BAD_FORMAT,
				 "qcow2 head: magic, version: is no qcow2 of version 2 or 3", 0);
	int r = take_head(ret, head, (size_t)n, ret_fault);
	return r == 0 ? read_table(ret, be64(head + 64), be32(head + 60), ret_fault) : r;
}

void qcow2_finish(struct qcow2 *qcow2)
{
	free(qcow2->snapshots);
	*qcow2 = (struct qcow2){ 0 };
}

/* ---- the state ------------------------------------------------------------------------------------- */

/*
 * A walk through the tables. What it may meet is bounded by what the file has room for, so that tables that name one
 * cluster again and again come to an end.
 */
struct walk {
	const struct qcow2 *qcow2;
	struct spans *spans;
	struct fault *fault;
	uint8_t *l2;                                      /* [a cluster] */
	uint64_t left;                                    /* of the state                     */
	uint64_t tables_left, clusters_left, packed_left; /* these in bytes */
};

static int refuse(struct walk *walk, int code, const char *why, uint64_t at)
{
	return fault_set(walk->fault, code, why, at);
}

/* Bits of the sectors' count in a compressed entry begin at x = 62 - (cluster_bits - 8). */
static int take_packed(struct walk *walk, uint64_t entry, uint64_t at, struct span *span)
{
	uint32_t shift = 62 - (walk->qcow2->cluster_bits - 8);
	uint64_t sectors = (entry & (L2_COMPRESSED - 1)) >> shift;

	span->kind = walk->qcow2->packing;
	span->off = entry & ((UINT64_C(1) << shift) - 1);
	span->n_bytes = (uint32_t)((sectors + 1) * 512 - (span->off & 511));
	span->len = cluster_len(walk->qcow2);
	if (span->off >= walk->qcow2->file.size)
		return refuse(walk, SONDE_E_TRUNCATED,
			      "L2 table: compressed cluster: lies beyond the end of the file", at);
	if (walk->packed_left < span->len)
		return refuse(walk, SONDE_E_CORRUPT,
			      "L2 table: more compressed clusters than fit into the file", at);
	walk->packed_left -= span->len;
	return 0;
}

static int take_plain(struct walk *walk, uint64_t entry, uint64_t at, struct span *span)
{
	span->off = entry & L2_OFFSET;
	span->kind = span->off && !(entry & L2_ZERO && walk->qcow2->version > 2) ? SPAN_PLAIN
										 : SPAN_ZERO;
	if (span->kind == SPAN_ZERO)
		return 0;
	if (span->off % cluster_len(walk->qcow2))
		return refuse(walk, SONDE_E_CORRUPT,
			      "L2 table: cluster: does not begin where clusters do", at);
	if (span->off >= walk->qcow2->file.size)
		return refuse(walk, SONDE_E_TRUNCATED,
			      "L2 table: cluster: lies beyond the end of the file", at);
	if (walk->clusters_left < cluster_len(walk->qcow2))
		return refuse(walk, SONDE_E_CORRUPT, "L2 table: more clusters than the file has",
			      at);
	walk->clusters_left -= cluster_len(walk->qcow2);
	return 0;
}

/* The last cluster may be cut by the end of the state; a packed one is kept whole. */
static int add_span(struct walk *walk, struct span span)
{
	int r = 0;

	if (span.kind == SPAN_PLAIN || span.kind == SPAN_ZERO)
		span.len = span.len < walk->left ? span.len : walk->left;
	walk->left -= span.len < walk->left ? span.len : walk->left;
	r = spans_add(walk->spans, span);
	return r < 0 ? refuse(walk, r, "L2 table: too many clusters apart from each other",
			      span.off)
		     : 0;
}

static int take_table(struct walk *walk, uint64_t at)
{
	uint64_t len = cluster_len(walk->qcow2);
	int r = at % len ? refuse(walk, SONDE_E_CORRUPT,
				  "L1 table: L2 table: does not begin where clusters do", at)
			 : 0;

	if (r == 0 && walk->tables_left < len)
		r = refuse(walk, SONDE_E_CORRUPT, "L1 table: more L2 tables than the file has", at);
	if (r == 0)
		r = read_whole(walk->qcow2, at, walk->l2, (size_t)len, "L2 table: is cut off",
			       walk->fault);
	walk->tables_left -= len;
	for (uint64_t i = 0; r == 0 && i < len / 8 && walk->left; i++) {
		uint64_t entry = be64(walk->l2 + 8 * i);
		struct span span = { .len = len };
		r = entry & L2_COMPRESSED ? take_packed(walk, entry, at + 8 * i, &span)
					  : take_plain(walk, entry, at + 8 * i, &span);
		if (r == 0)
			r = add_span(walk, span);
	}
	return r;
}

/* Of the entries of the L1 table from first on; where there is none any more, nothing was written. */
static int take_tables(struct walk *walk, const struct qcow2_snapshot *snapshot, uint64_t first)
{
	uint32_t cluster_bits = walk->qcow2->cluster_bits;
	struct span none = { .kind = SPAN_ZERO, .len = UINT64_C(1) << (2 * cluster_bits - 3) };
	int r = 0;

	source_ahead(&walk->qcow2->file, snapshot->l1_at, UINT64_C(8) * snapshot->l1_n);
	for (uint64_t i = first; r == 0 && walk->left && i < snapshot->l1_n; i++) {
		uint8_t entry[8];
		r = read_whole(walk->qcow2, snapshot->l1_at + 8 * i, entry, sizeof(entry),
			       "L1 table: is cut off", walk->fault);
		if (r == 0)
			r = be64(entry) & L1_OFFSET ? take_table(walk, be64(entry) & L1_OFFSET)
						    : add_span(walk, none);
	}
	return r;
}

int qcow2_state(const struct qcow2 *qcow2, const struct qcow2_snapshot *snapshot,
		struct spans *spans, struct fault *ret_fault)
{
	uint64_t table_covers = UINT64_C(1) << (2 * qcow2->cluster_bits - 3);
	uint64_t first =
		snapshot->disk_len / table_covers + (snapshot->disk_len % table_covers > 0);
	struct walk walk = {
		.qcow2 = qcow2,
		.spans = spans,
		.fault = ret_fault,
		.left = snapshot->state_len,
		.tables_left = qcow2->file.size,
		.clusters_left = qcow2->file.size + cluster_len(qcow2),
		.packed_left =
			qcow2->file.size < UINT64_MAX >> 10 ? qcow2->file.size << 10 : UINT64_MAX,
	};

	if (snapshot->l1_n > L1_BYTES_MAX / 8 || snapshot->l1_at > qcow2->file.size)
		return fault_set(ret_fault, SONDE_E_BAD_FORMAT,
				 "snapshot table: entry: L1 table: cannot be that one",
				 snapshot->l1_at);
	walk.l2 = malloc((size_t)cluster_len(qcow2));
	int r = walk.l2 ? take_tables(&walk, snapshot, first)
			: fault_set(ret_fault, SONDE_E_NO_MEMORY, "L2 table: no memory for it", 0);
	free(walk.l2);
	return r;
}

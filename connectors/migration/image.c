/* SPDX-License-Identifier: MIT */
#include "image.h"

#include "../common/ram_stream.h"

#include <string.h>

enum image_kind image_probe(const uint8_t *head, size_t len)
{
	if (ram_stream_probe(head, len))
		return IMAGE_STREAM;
	if (save_image_probe(head, len))
		return IMAGE_SAVE;
	return qcow2_probe(head, len) ? IMAGE_QCOW2 : IMAGE_NONE;
}

static int one_span(struct image *image, uint64_t at, uint64_t file_len, struct fault *fault)
{
	struct span span = { .off = at, .len = file_len - at, .kind = SPAN_PLAIN };

	if (span.len == 0)
		return fault_set(fault, SONDE_E_TRUNCATED, "has no stream behind its head", at);
	return spans_add(&image->spans, span) < 0
		       ? fault_set(fault, SONDE_E_NO_MEMORY, "no memory for it", at)
		       : 0;
}

static int open_save(struct image *image, const uint8_t *head, size_t len, uint64_t file_len,
		     struct fault *fault)
{
	int r = save_image_read(&image->save, head, len, file_len, fault);

	if (r == 0 && image->save.packing != SAVE_PLAIN)
		r = fault_set(fault, SONDE_E_UNSUPPORTED,
			      "head of libvirt: compression: the stream is packed", 28);
	return r == 0 ? one_span(image, image->save.stream_at, file_len, fault) : r;
}

/* Who asks for one by name means a state, if two have that name. */
static const struct qcow2_snapshot *choose(const struct qcow2 *qcow2, const char *want)
{
	const struct qcow2_snapshot *found = NULL;

	for (size_t i = 0; i < qcow2->n; i++) {
		const struct qcow2_snapshot *one = &qcow2->snapshots[i];
		int meant = !want || strcmp(one->name, want) == 0 || strcmp(one->id, want) == 0;
		if (meant && one->state_len && (!found || !want || !found->state_len))
			found = one;
		else if (meant && want && !found)
			found = one;
	}
	return found;
}

static int open_qcow2(struct image *image, const struct source *file, const char *want,
		      struct fault *fault)
{
	struct qcow2 *qcow2 = &image->qcow2;
	int r = qcow2_open(qcow2, file, fault);

	if (r < 0)
		return r;
	image->snapshot = choose(qcow2, want);
	if (!image->snapshot)
		return fault_set(fault, SONDE_E_NOT_FOUND,
				 want ? "snapshot table: holds none of that name"
				      : "snapshot table: holds no machine's state, only disks",
				 64);
	if (!image->snapshot->state_len)
		return fault_set(fault, SONDE_E_NOT_FOUND,
				 "snapshot table: entry: this one is of the disk alone", 64);
	return qcow2_state(qcow2, image->snapshot, &image->spans, fault);
}

int image_open_unpacked(struct image *image, const struct source *file, struct fault *ret_fault)
{
	spans_finish(&image->spans);
	spans_init(&image->spans, file);
	return one_span(image, 0, file->size, ret_fault);
}

int image_open(struct image *ret, const struct source *file, const char *snapshot,
	       struct fault *ret_fault)
{
	uint8_t head[SAVE_IMAGE_HEAD];
	int64_t n = file->read(file->user, 0, head, sizeof(head));

	*ret = (struct image){ 0 };
	spans_init(&ret->spans, file);
	if (n < 0)
		return fault_set(ret_fault, (int)n, "cannot be read", 0);
	ret->kind = image_probe(head, (size_t)n);
	switch (ret->kind) {
	case IMAGE_STREAM:
		return one_span(ret, 0, file->size, ret_fault);
	case IMAGE_SAVE:
		return open_save(ret, head, (size_t)n, file->size, ret_fault);
	case IMAGE_QCOW2:
		return open_qcow2(ret, file, snapshot, ret_fault);
	default:
		return fault_set(ret_fault, SONDE_E_BAD_FORMAT,
				 "magic: is none of a migration stream, of libvirt or of qcow2", 0);
	}
}

void image_close(struct image *image)
{
	qcow2_finish(&image->qcow2);
	spans_finish(&image->spans);
}

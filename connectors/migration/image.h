/* SPDX-License-Identifier: MIT */
/*
 * A file that holds a migration stream: which kind it is, where in it the stream lies, and what its frame knows beside.
 *
 *	QEVM…                     the stream itself: migrate "file:…", "exec:cat > …", virsh dump
 *	LibvirtQemudSave…         virsh save: head, XML, stream
 *	QFI\xfb…                  a qcow2 image with internal snapshots: savevm, virsh snapshot-create
 */
#ifndef IMAGE_H
#define IMAGE_H

#include "qcow2.h"
#include "save_image.h"
#include "spans.h"

enum image_kind { IMAGE_NONE, IMAGE_STREAM, IMAGE_SAVE, IMAGE_QCOW2 };

struct image {
	enum image_kind kind;
	struct save_image save;
	struct qcow2 qcow2;
	const struct qcow2_snapshot *snapshot; /* the one that is read */
	struct spans spans;
};

enum image_kind image_probe(const uint8_t *head, size_t len);

/* The stream is all of file: what a save that is packed unpacks to. Errors as image_open. */
int image_open_unpacked(struct image *image, const struct source *file, struct fault *ret_fault);

/*
 * Open what file holds. snapshot: name or number of one in a qcow2 image, NULL the youngest with a state.
 *
 * Returns   0; SONDE_E_BAD_FORMAT, _TRUNCATED, _UNSUPPORTED (a save: packed, image_open_unpacked), _NOT_FOUND (no such snapshot), _LIMIT, _IO, _NO_MEMORY:
 *           *ret_fault says why.
 * Owns      *ret: image_close, also after an error. It does not move.
 */
int image_open(struct image *ret, const struct source *file, const char *snapshot,
	       struct fault *ret_fault);
void image_close(struct image *image);

#endif

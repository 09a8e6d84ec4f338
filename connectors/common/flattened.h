/* SPDX-License-Identifier: MIT */
/*
 * A flattened dump: what a writer that cannot seek leaves, QEMU or makedumpfile -F: pieces, each with the place where it
 * belongs. A piece that was written later stands over earlier ones. Source: makedumpfile 1.7.2 IMPLEMENTATION and makedumpfile.h
 * (makedumpfile_header, makedumpfile_data_header).
 */
#ifndef FLATTENED_H
#define FLATTENED_H

#include "source.h"

enum {
	FLAT_HEAD_SIZE = 4096, /* "makedumpfile", type, version; the rest is nothing */
	FLAT_SIGNATURE_SIZE = 16,
	FLAT_TYPE_AT = 16, /* big-endian, as all numbers of this form, 64 bits */
	FLAT_VERSION_AT = 24,
	FLAT_PIECE_HEAD = 16, /* where it belongs, how long it is; -1 and -1 the end */
};

/* Against hostile files; a piece of these takes 24 bytes here and at least 17 in the file. */
#define FLAT_PIECES_MAX (1u << 24)
#define FLAT_EMPTY_MAX (1u << 20) /* pieces of no bytes: a hole in the file is nothing else */

struct flat_piece {
	uint64_t off; /* in the dump       */
	uint64_t pos; /* in the flat file  */
	uint64_t len; /* > 0               */
};

struct flattened {
	struct source below;
	struct flat_piece *at; /* [n], by off; none overlaps another */
	size_t n;
	uint64_t size; /* of the dump                                                */
	int cut;       /* the file ends before the dump does */
};

/* Is this the beginning of one? */
int flattened_probe(const uint8_t *head, size_t len);

/*
 * Returns 0; SONDE_E_BAD_FORMAT, _TRUNCATED, _LIMIT, _IO, _NO_MEMORY: *ret_why says what is wrong.
 * Owns *ret: flattened_finish, also after an error.
 */
int flattened_open(struct flattened *ret, const struct source *below, const char **ret_why);
void flattened_finish(struct flattened *flat);

/* Index of the first piece that ends behind off; n none. */
size_t flattened_find(const struct flattened *flat, uint64_t off);

/*
 * Where in these first bytes of a file the dump itself begins: 0 where it is not flattened; len where the piece that it begins
 * with does not begin among them.
 */
size_t flattened_start(const uint8_t *head, size_t len);

/* The dump as it would lie on a disk; what no piece holds is zero. Valid while *flat stays where it is. */
struct source flattened_source(struct flattened *flat);

#endif

/* SPDX-License-Identifier: MIT */
/* One stream, unpacked once into memory. What is all zeros takes none: the file there has a hole. */
#include <errno.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/packed.h"

#define CHUNK_BYTES (256u << 10)

struct whole {
	const struct packing *packing;
	struct sonde_image *file, *made;
	void *decoder;
	uint64_t off, limit; /* off: behind what was read of the file */
	struct packed_flow flow;
	uint8_t *from, *to; /* [CHUNK_BYTES] each */
	struct sonde_error why;
};

static int is_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static int refill(struct whole *whole)
{
	int64_t n = image_read_at(whole->file, whole->off, whole->from, CHUNK_BYTES);

	if (n < 0)
		return (int)n;
	whole->off += (uint64_t)n;
	whole->flow.from = whole->from;
	whole->flow.n_from = (size_t)n;
	whole->flow.is_last = n < CHUNK_BYTES;
	return 0;
}

static int put(struct whole *whole, size_t len)
{
	struct sonde_image *made = whole->made;

	if (len > whole->limit - made->size)
		return SONDE_E_LIMIT;
	for (size_t done = 0; !is_zero(whole->to, len) && done < len;) {
		ssize_t n =
			pwrite(made->fd, whole->to + done, len - done, (off_t)(made->size + done));
		if (n < 0 && errno != EINTR)
			return sonde_error_os(&whole->why, errno, "memory for '%.300s'",
					      made->shown);
		done += n > 0 ? (size_t)n : 0;
	}
	made->size += len;
	return 0;
}

/* One chunk. Returns 0; 1: that was all; a code. */
static int step(struct whole *whole)
{
	struct packed_flow *flow = &whole->flow;

	if (flow->n_from == 0 && !flow->is_last) {
		int r = refill(whole);
		if (r < 0)
			return r;
	}
	size_t n_from = flow->n_from;
	flow->to = whole->to;
	flow->n_to = CHUNK_BYTES;
	int state = whole->packing->step(whole->decoder, flow);
	size_t n_made = CHUNK_BYTES - flow->n_to;
	int r = put(whole, n_made);
	if (r < 0 || state < 0)
		return r < 0 ? r : state;
	if (flow->n_from == 0 && flow->is_last && flow->n_to > 0)
		return state == 1 ? 1 : SONDE_E_TRUNCATED;
	return n_made || flow->n_from < n_from || !flow->is_last ? 0 : SONDE_E_CORRUPT;
}

/* What came before it went wrong is worth having: told as what became of the image. */
static int keep_what_came(struct whole *whole, int r)
{
	struct sonde_error why = { 0 };

	if ((r != SONDE_E_CORRUPT && r != SONDE_E_TRUNCATED) || whole->made->size == 0)
		return r;
	sonde_error_set(&why, r,
			"'%.300s': the %s stream %s near byte %#llx of the file: what was packed "
			"behind %#llx is missing, and what stands before it may be wrong",
			whole->made->shown, whole->packing->name,
			r == SONDE_E_CORRUPT ? "is damaged" : "ends too early",
			(unsigned long long)(whole->off - whole->flow.n_from),
			(unsigned long long)whole->made->size);
	image_failed(whole->made, &why);
	return 0;
}

static int unpack_all(struct whole *whole)
{
	int r = whole->packing->begin(whole->decoder);

	while (r == 0)
		r = step(whole);
	r = r == 1 ? 0 : keep_what_came(whole, r);
	if (r == 0 && ftruncate(whole->made->fd, (off_t)whole->made->size) < 0)
		return sonde_error_os(&whole->why, errno, "memory for '%.300s'",
				      whole->made->shown);
	return r;
}

static int explain(const struct whole *whole, int r, struct sonde_error *err)
{
	struct sonde_error why = whole->why;

	if (r == SONDE_E_LIMIT)
		return r;
	if (why.code || image_failure(whole->file, &why) == r)
		return sonde_error_set(err, r, "%s", why.text);
	if (r == SONDE_E_NO_MEMORY)
		return sonde_error_set(err, r, NULL);
	return sonde_error_set(err, r, "'%.300s': begins like %s, and %s", whole->file->shown,
			       whole->packing->name,
			       r == SONDE_E_TRUNCATED ? "ends before its first byte"
						      : "is damaged");
}

int packed_whole_open(const struct packing *packing, struct sonde_image *file, uint64_t limit,
		      struct sonde_image **ret, struct sonde_error *err)
{
	struct whole whole = { .packing = packing, .file = file, .limit = limit };
	char how[64];

	snprintf(how, sizeof(how), "%s, unpacked into memory", packing->name);
	int r = image_memory_create(file->name, how, &whole.made, err);
	if (r < 0)
		return r;
	whole.made->below = file;
	file->refs++;
	whole.decoder = packing->create();
	whole.from = malloc(CHUNK_BYTES);
	whole.to = malloc(CHUNK_BYTES);
	r = whole.decoder && whole.from && whole.to ? unpack_all(&whole) : SONDE_E_NO_MEMORY;
	packing->destroy(whole.decoder);
	free(whole.from);
	free(whole.to);
	if (r < 0) {
		image_unref(whole.made);
		return explain(&whole, r, err);
	}
	*ret = whole.made;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes of images without a descriptor: what a batch wants of them is asked for in one call, so that many
 * requests of a server are under way at once. The call blocks, as a connector's transfer does; so files beside images are read here and now.
 */
#include <sonde/error.h>
#include <stdlib.h>

#include "image/image.h"
#include "space/stretch.h"

#define READS_MAX 2048u

/* Where in a request the bytes of a read go. */
struct piece_of {
	struct sonde_io *io;
	uint32_t piece, off, len;
};

struct by_image {
	struct sonde_image *image; /* of all reads */
	struct sonde_image_read reads[READS_MAX];
	struct piece_of where[READS_MAX];
	size_t n;
};

int by_image_open(struct connector_space *cs)
{
	cs->images = calloc(1, sizeof(*cs->images));
	return cs->images ? 0 : SONDE_E_NO_MEMORY;
}

static void settle(const struct piece_of *where, const struct sonde_image_read *read)
{
	uint32_t done = read->done < where->len ? read->done : where->len;

	if (done)
		io_account(where->io, where->piece, where->off, done, SONDE_OK);
	if (done < where->len)
		io_account(where->io, where->piece, where->off + done, where->len - done,
			   read->err ? read->err : SONDE_E_TRUNCATED);
}

static void run_reads(struct by_image *images)
{
	if (images->n)
		image_read(images->image, images->reads, images->n);
	for (size_t i = 0; i < images->n; i++)
		settle(&images->where[i], &images->reads[i]);
	images->n = 0;
}

/* A page at most, so that what cannot be read costs its page. */
static void add_read(struct by_image *images, struct sonde_io *io, const struct stretch *s)
{
	uint64_t off = s->extent->off + s->in_extent;
	uint32_t len = rest_of_page(off, s->len);

	if (images->n == READS_MAX || images->image != s->extent->image)
		run_reads(images);
	images->image = s->extent->image;
	images->reads[images->n] =
		(struct sonde_image_read){ .off = off, .buf = s->buf, .len = len };
	images->where[images->n++] = (struct piece_of){
		.io = io, .piece = io_core(io)->piece, .off = io_core(io)->off, .len = len
	};
	stretch_advance(io, len);
}

static void add_request(struct connector_space *cs, struct sonde_io *io)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		int is_image = s.extent && s.extent->image;
		if (is_image && !stretch_is_denied(io, s.extent))
			add_read(cs->images, io, &s);
		else if (is_image)
			stretch_settle(io, s.len, SONDE_E_READ_ONLY);
		else if (!stretch_settle_guarded(cs, io, &s))
			stretch_settle_pread(io, &s);
	}
}

void by_image_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	for (struct sonde_io *io = list; io; io = io_core(io)->next)
		add_request(cs, io);
	run_reads(cs->images);
	while (list) {
		struct sonde_io *next = io_core(list)->next;
		io_finish(list);
		list = next;
	}
}

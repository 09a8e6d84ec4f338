/* SPDX-License-Identifier: MIT */
/* Programs and libraries in a process: those mappings that begin with an ELF header, in two trips for all of them. */
#include "common/images.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/common/elf_image.h"
#include "common/lists.h"

#define HEAD_BYTES (IMAGE_NOTES_MAX * IMAGE_NOTE_BYTES)

struct images {
	struct sonde_space *memory;
	struct sonde_modules *list;
	const struct sonde_mapping **from; /* [n] mappings that may be the first of an image */
	size_t n;
	uint8_t *heads; /* [n][HEAD_BYTES] */
	struct image *images;
	struct sonde_xfer *xfers; /* [n * IMAGE_NOTES_MAX] at least */
};

/* The kernel's own image in every process has no file; the image of a process tells no inodes. */
static bool may_begin(const struct sonde_mapping *m)
{
	return m->offset == 0 &&
	       (m->inode != 0 || m->path[0] == '/' || strcmp(m->path, "[vdso]") == 0);
}

static int prepare(struct images *all, const struct sonde_mappings *mappings)
{
	size_t most = sonde_mappings_count(mappings);

	all->from = calloc(most + 1, sizeof(const struct sonde_mapping *));
	for (size_t i = 0; all->from && i < most; i++) {
		const struct sonde_mapping *m = sonde_mappings_at(mappings, i);
		if (may_begin(m))
			all->from[all->n++] = m;
	}
	all->heads = calloc(all->n + 1, HEAD_BYTES);
	all->images = calloc(all->n + 1, sizeof(*all->images));
	all->xfers = calloc(all->n + 1, IMAGE_NOTES_MAX * sizeof(*all->xfers));
	return all->from && all->heads && all->images && all->xfers ? 0 : SONDE_E_NO_MEMORY;
}

static void read_heads(struct images *all)
{
	for (size_t i = 0; i < all->n; i++) {
		uint64_t len = all->from[i]->end - all->from[i]->start;
		all->xfers[i] =
			(struct sonde_xfer){ .addr = all->from[i]->start,
					     .buf = all->heads + i * HEAD_BYTES,
					     .len = len < HEAD_BYTES ? (uint32_t)len : HEAD_BYTES };
	}
	sonde_space_read(all->memory, all->xfers, all->n);
}

static int add_image(struct images *all, size_t i, int parsed)
{
	const struct sonde_mapping *from = all->from[i];
	const char *base = strrchr(from->path, '/');
	struct sonde_module *m = modules_add(all->list);

	if (!m)
		return SONDE_E_NO_MEMORY;
	m->base = from->start;
	m->size = parsed > 0 ? all->images[i].size : from->end - from->start;
	m->err = parsed > 0 ? 0 : parsed;
	m->path = arena_strndup(&all->list->arena, from->path, strlen(from->path));
	m->name = arena_strndup(&all->list->arena, base ? base + 1 : from->path,
				strlen(base ? base + 1 : from->path));
	return m->path && m->name ? 0 : SONDE_E_NO_MEMORY;
}

/* Those that are none are dropped: all->n and its arrays go on with the images alone. */
static int take_heads(struct images *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct sonde_xfer *x = &all->xfers[i];
		int parsed =
			x->err ? x->err
			       : image_parse(all->heads + i * HEAD_BYTES, x->len, &all->images[i]);
		/* Data that cannot be read, like a file cut off behind its map, is no image that we know of. */
		if (parsed == 0 || x->err)
			continue;
		int r = add_image(all, i, parsed);
		if (r < 0)
			return r;
		all->from[n] = all->from[i];
		all->images[n++] = all->images[i];
	}
	all->n = n;
	return 0;
}

/* Notes take the room of the heads: IMAGE_NOTE_BYTES each. */
static int read_build_ids(struct images *all)
{
	char text[2 * IMAGE_BUILD_ID_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		for (uint32_t k = 0; k < all->images[i].n_notes; k++, n++)
			all->xfers[n] = (struct sonde_xfer){
				.addr = all->from[i]->start + all->images[i].notes[k].off,
				.buf = all->heads + n * IMAGE_NOTE_BYTES,
				.len = all->images[i].notes[k].len,
			};
	}
	sonde_space_read(all->memory, all->xfers, n);
	n = 0;
	for (size_t i = 0; i < all->n; i++) {
		struct sonde_module *m = &all->list->items[i];
		for (uint32_t k = 0; k < all->images[i].n_notes; k++, n++) {
			const struct sonde_xfer *x = &all->xfers[n];
			if (m->build_id || x->err ||
			    !image_build_id(x->buf, x->len, all->images[i].order, text))
				continue;
			m->build_id = arena_strndup(&all->list->arena, text, strlen(text));
			if (!m->build_id)
				return SONDE_E_NO_MEMORY;
		}
	}
	return 0;
}

static int by_base(const void *a, const void *b)
{
	const struct sonde_module *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

void modules_sort(struct sonde_modules *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_base);
}

static void finish(struct images *all)
{
	free(all->from);
	free(all->heads);
	free(all->images);
	free(all->xfers);
}

static int find_arch(const struct images *all, uint32_t *ret)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct sonde_xfer *x = &all->xfers[i];
		const uint8_t *head = all->heads + i * HEAD_BYTES;
		if (x->err || x->len < 4 || memcmp(head, "\177ELF", 4) != 0)
			continue;
		*ret = image_arch(head, x->len);
		return 0;
	}
	return SONDE_E_NOT_FOUND;
}

int images_arch(struct sonde_space *memory, const struct sonde_mappings *mappings, uint32_t *ret)
{
	struct images all = { .memory = memory };
	int r = prepare(&all, mappings);

	if (r == 0) {
		read_heads(&all);
		r = find_arch(&all, ret);
	}
	finish(&all);
	return r;
}

int images_add(struct sonde_space *memory, const struct sonde_mappings *mappings,
	       struct sonde_modules *list)
{
	struct images all = { .memory = memory, .list = list };
	const char *damage = sonde_mappings_damage(mappings);

	if (damage)
		LIST_DAMAGE(list, "%s", damage);
	int r = prepare(&all, mappings);
	if (r == 0) {
		read_heads(&all);
		if ((r = take_heads(&all)) == 0)
			r = read_build_ids(&all);
	}
	finish(&all);
	return r;
}

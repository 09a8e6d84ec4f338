/* SPDX-License-Identifier: MIT */
/*
 * Sonde at the memory of a machine, an image in the page cache: batches of pieces at physical addresses, and at
 * virtual ones of each kind a kernel has. The reference copies the same batches from the map.
 */
#include <errno.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "arch/paging.h"
#include "space/backed.h"
#include "contenders.h"
#include "image.h"
#include "ours.h"

/* Addresses of the image's bytes, by kind. */
enum view { PHYSICAL, DIRECT, VMALLOC, USER, MIXED, UNMIXED, REMOTE, SPARSE, N_VIEWS };

struct at_image {
	const struct image *image;
	struct ours *ours;
	struct sonde_space *virtual, *space; /* space: the one that is read */
	struct sonde_xfer *xfers;            /* [depth]                     */
	const uint8_t **from;                /* [depth]: reference          */
	enum view view;
	uint32_t step; /* pieces a request                      */
};

/* ---- opening ----------------------------------------------------------------------------------------- */

/* The image in pieces of 1 MiB, spread over 64 GiB. */
#define SPREAD_BITS 20u
#define SPREAD_OVER 27u

static int tell_spread(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct image *image = conn;
	int r = 0;

	(void)err;
	for (uint64_t i = 0; i < image->size >> SPREAD_BITS && r == 0; i++)
		r = fn(user, &(struct sonde_extent){
				     .addr = i << SPREAD_OVER,
				     .len = UINT64_C(1) << SPREAD_BITS,
				     .kind = SONDE_EXTENT_MEMORY,
				     .flags = SONDE_REGION_READ,
				     .ptr = (char *)(uintptr_t)image->map + (i << SPREAD_BITS),
			     });
	return r;
}

static void close_nothing(void *conn)
{
	(void)conn;
}

static int open_spread(const struct contender *contender, struct at_image *at)
{
	static const struct sonde_connector_ops ops = { .size = sizeof(ops),
							.close = close_nothing,
							.extents = tell_spread };
	int r = ours_create(contender, "auto", "ram:size=4096", 0, &at->ours);

	if (r == 0)
		r = ours_errno(space_from_connector(
			at->ours->loop, &ops, (void *)(uintptr_t)at->image, &at->virtual, NULL));
	at->space = at->virtual;
	return r;
}

static int open_space(const struct contender *contender, struct at_image *at)
{
	char name[64];

	snprintf(name, sizeof(name), "flat:/proc/self/fd/%d%s", at->image->fd,
		 at->view == REMOTE ? "|delay,ms=1" : "");
	int r = ours_create(contender, "auto", name, 0, &at->ours);
	if (r != 0)
		return r;
	at->space = at->ours->space;
	if (at->view != REMOTE)
		r = ours_touch(at->ours, at->image->size);
	if (r != 0 || at->view == PHYSICAL)
		return r;
	r = paging_space(at->space, paging_map(paging_x86_64(4), at->image->root), 0, &at->virtual);
	at->space = at->virtual;
	return ours_errno(r);
}

static void close_image(void *state)
{
	struct at_image *at = state;

	sonde_space_close(at->virtual);
	ours_destroy(at->ours);
	free(at->xfers);
	free(at->from);
	free(at);
}

static enum view view_of(const char *name)
{
	static const char *const names[N_VIEWS] = { "physical", "direct",  "vmalloc", "user",
						    "mixed",    "unmixed", "remote",  "sparse" };
	uint32_t view = 0;

	while (view < N_VIEWS && strcmp(names[view], name) != 0)
		view++;
	return (enum view)view;
}

static int open_image(const struct contender *contender, struct work *work, void **ret)
{
	struct at_image *at = calloc(1, sizeof(*at));
	uint32_t depth = work->shape.depth;
	int r = -ENOMEM;

	if (!at)
		return r;
	at->image = image_get(work->quick ? IMAGE_SIZE_QUICK : IMAGE_SIZE);
	at->xfers = calloc(depth, sizeof(*at->xfers));
	at->from = calloc(depth, sizeof(*at->from));
	at->view = view_of(contender->arg);
	at->step = strstr(contender->name, ".by64") ? 64 : depth;
	if (at->image && at->xfers && at->from)
		r = at->view == N_VIEWS  ? 0
		    : at->view == SPARSE ? open_spread(contender, at)
					 : open_space(contender, at);
	if (r != 0) {
		close_image(at);
		return r;
	}
	work->memory = at->image->map;
	*ret = at;
	return 0;
}

/* ---- where a piece lies ---------------------------------------------------------------------------------- */

/* Page by page: the byte of the image that offset off of the view is. */
static inline uint64_t paged_off(const struct at_image *at, uint64_t off, uint32_t *ret_index)
{
	*ret_index = (uint32_t)(off / IMAGE_PAGE % at->image->n_pages);
	return at->image->pages[*ret_index] * IMAGE_PAGE + off % IMAGE_PAGE;
}

/* The address of the i'th piece of a batch, of a place in the image that *off becomes. */
static inline uint64_t address(const struct at_image *at, enum view view, uint32_t i, uint64_t *off)
{
	uint32_t index;

	switch (view) {
	case DIRECT:
		return IMAGE_DIRECT + *off;
	case VMALLOC:
	case USER:
		*off = paged_off(at, *off, &index);
		return (view == USER ? IMAGE_USER : IMAGE_VMALLOC) + image_page_va(index) +
		       *off % IMAGE_PAGE;
	case MIXED: /* the halves in turn */
		return address(at, i % 2 ? USER : DIRECT, i, off);
	case REMOTE:
	case UNMIXED: /* the same bytes, of one half */
		return address(at, i % 2 ? VMALLOC : DIRECT, i, off);
	case SPARSE:
		return *off >> SPREAD_BITS << SPREAD_OVER | (*off & ((1u << SPREAD_BITS) - 1));
	default:
		return *off;
	}
}

/* All of a batch in one request, or in several of step pieces. */
static inline int read_batch(struct at_image *at, uint32_t n, uint32_t step)
{
	for (uint32_t i = 0; i < n; i += step) {
		uint32_t some = n - i < step ? n - i : step;
		if (sonde_space_read(at->space, at->xfers + i, some) != (int)some)
			return -EIO;
	}
	return 0;
}

static int run_ours(void *state, struct work *work)
{
	struct at_image *at = state;
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth, size = work->shape.size;

	for (uint64_t done = 0; done < work->n_ops; done += depth) {
		for (uint32_t i = 0; i < depth; i++) {
			struct slot *slot = &work->slots[i];
			slot->off = walk_next(&walk);
			at->xfers[i].addr = address(at, at->view, i, &slot->off);
			at->xfers[i].buf = slot->buf;
			at->xfers[i].len = size;
		}
		int r = read_batch(at, depth, at->step);
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- far away --------------------------------------------------------------------------------------------- */

/* Trips to the memory that one batch of cold addresses takes. */
static int count_trips(void *state, struct work *work, struct sample *ret)
{
	struct at_image *at = state;
	struct sonde_space_stats before, after;
	uint32_t depth = work->shape.depth;

	work->n_ops = depth;
	sonde_space_invalidate(at->space);
	sonde_space_stats(at->ours->space, &before);
	int r = run_ours(state, work);
	sonde_space_stats(at->ours->space, &after);
	ret->wall_ns = ret->cpu_ns = (double)(after.trips - before.trips);
	return r;
}

/* ---- the reference ------------------------------------------------------------------------------------------ */

static void copy_memcpy(uint8_t *to, const uint8_t *from, uint32_t len)
{
	memcpy(to, from, len);
}

static inline int run_copies(struct at_image *at, struct work *work,
			     void (*copy)(uint8_t *to, const uint8_t *from, uint32_t len))
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth, size = work->shape.size;

	for (uint64_t done = 0; done < work->n_ops; done += depth) {
		for (uint32_t i = 0; i < depth; i++) {
			work->slots[i].off = walk_next(&walk);
			at->from[i] = at->image->map + work->slots[i].off;
		}
		for (uint32_t i = 0; i < depth; i++)
			copy(work->slots[i].buf, at->from[i], size);
	}
	return 0;
}

static int run_copy(void *state, struct work *work)
{
	return run_copies(state, work, copy_memcpy);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void copy_avx2(uint8_t *to, const uint8_t *from,
						      uint32_t len)
{
	for (; len >= 32; to += 32, from += 32, len -= 32) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)from);
		_mm256_storeu_si256((__m256i *)(void *)to, bytes);
	}
	while (len--)
		*to++ = *from++;
}

static int run_copy_avx2(void *state, struct work *work)
{
	return run_copies(state, work, copy_avx2);
}
#endif

static int open_copy(const struct contender *contender, struct work *work, void **ret)
{
#if defined(__x86_64__)
	if (strcmp(contender->name, "image.copy.avx2") == 0 && !__builtin_cpu_supports("avx2"))
		return bench_skip(contender, "this processor has no AVX2");
#endif
	return open_image(contender, work, ret);
}

#define IMAGE(label, view)                                                                         \
	{                                                                                          \
		.name = "image." label, .arg = view, .open = open_image, .run = run_ours,          \
		.close = close_image                                                               \
	}

const struct contender contenders_image[] = {
	IMAGE("physical", "physical"),
	IMAGE("direct", "direct"),
	IMAGE("vmalloc", "vmalloc"),
	IMAGE("user", "user"),
	IMAGE("mixed", "mixed"),
	IMAGE("unmixed", "unmixed"),
	IMAGE("sparse", "sparse"),
	IMAGE("physical.by64", "physical"),
	IMAGE("direct.by64", "direct"),
	{ .name = "image.remote",
	  .arg = "remote",
	  .open = open_image,
	  .measure = count_trips,
	  .close = close_image,
	  .n_rounds = 3 },
	{ .name = "image.copy",
	  .arg = "",
	  .open = open_copy,
	  .run = run_copy,
	  .close = close_image },
#if defined(__x86_64__)
	{ .name = "image.copy.avx2",
	  .arg = "",
	  .open = open_copy,
	  .run = run_copy_avx2,
	  .close = close_image },
#endif
	{ 0 },
};

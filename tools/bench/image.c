/* SPDX-License-Identifier: MIT */
/* Making the image: bytes, an order of its pages, and tables. Layout of entries: Intel SDM 3A, 4.5. */
#include "image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 16384u               /* mapped page by page */
#define TABLES_MAX 256u            /* pages               */
#define ENTRY_TABLE UINT64_C(0x67) /* present, writable, user, accessed, dirty */
#define ENTRY_PAGE UINT64_C(0x67)
#define ENTRY_LARGE UINT64_C(0xe7) /* ... and a page though it is no last level */

struct maker {
	uint8_t *bytes;
	uint64_t size, next; /* next: a page for one more table */
};

/* xorshift64* (Vigna 2016). */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* The entry of va in a table, level 3 the root's. */
static uint64_t *entry_of(struct maker *maker, uint64_t table, unsigned level, uint64_t va)
{
	return (uint64_t *)(void *)(maker->bytes + table) + (va >> (12 + 9 * level) & 511);
}

static void map_page(struct maker *maker, uint64_t va, uint64_t pa, bool large)
{
	uint64_t table = maker->size; /* the root is the first */

	for (unsigned level = 3; level > (large ? 1 : 0); level--) {
		uint64_t *entry = entry_of(maker, table, level, va);
		if (!*entry) {
			*entry = maker->next | ENTRY_TABLE;
			maker->next += IMAGE_PAGE;
		}
		table = *entry & ~UINT64_C(0xfff);
	}
	*entry_of(maker, table, large, va) = pa | (large ? ENTRY_LARGE : ENTRY_PAGE);
}

/* Each frame at most once, as an allocator after a while. */
static void choose_pages(struct image *image, uint32_t *pages, uint64_t *state)
{
	uint32_t stride = (uint32_t)(image->size / IMAGE_PAGE / image->n_pages);

	for (uint32_t i = 0; i < image->n_pages; i++)
		pages[i] = i * stride + (uint32_t)(draw(state) % stride);
	for (uint32_t i = image->n_pages; i-- > 1;) {
		uint32_t k = (uint32_t)(draw(state) % (i + 1)), page = pages[i];
		pages[i] = pages[k];
		pages[k] = page;
	}
	image->pages = pages;
}

static void map_all(struct maker *maker, const struct image *image)
{
	for (uint64_t at = 0; at < image->size; at += UINT64_C(2) << 20)
		map_page(maker, IMAGE_DIRECT + at, at, true);
	for (uint32_t i = 0; i < image->n_pages; i++) {
		uint64_t pa = image->pages[i] * IMAGE_PAGE;
		map_page(maker, IMAGE_VMALLOC + image_page_va(i), pa, false);
		map_page(maker, IMAGE_USER + image_page_va(i), pa, false);
	}
}

static int make(struct image *image, uint64_t size)
{
	uint64_t all = size + TABLES_MAX * IMAGE_PAGE, state = UINT64_C(0x853c49e6748fea9b);
	uint32_t *pages = calloc(PAGES, sizeof(*pages));

	image->fd = memfd_create("bench-image", MFD_CLOEXEC);
	if (!pages || image->fd < 0 || ftruncate(image->fd, (off_t)all) < 0)
		return -1;
	uint8_t *bytes =
		mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, image->fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	for (uint64_t at = 0; at < size; at += 8)
		*(uint64_t *)(void *)(bytes + at) = draw(&state);
	image->map = bytes;
	image->size = image->root = size;
	image->n_pages = size / IMAGE_PAGE < PAGES ? (uint32_t)(size / IMAGE_PAGE) : PAGES;
	choose_pages(image, pages, &state);
	map_all(&(struct maker){ bytes, size, size + IMAGE_PAGE }, image);
	return 0;
}

const struct image *image_get(uint64_t size)
{
	static struct image image;

	if (!image.map && make(&image, size) < 0)
		return NULL;
	return &image;
}

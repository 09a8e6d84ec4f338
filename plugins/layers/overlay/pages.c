/* SPDX-License-Identifier: MIT */
/* The pages of an overlay; pages.h says what is asked of them. */
#include "pages.h"

#include "../common/memory.h"

enum { SLOTS_FEW = 64 };

int pages_init(struct overlay_pages *pages, uint64_t max)
{
	*pages = (struct overlay_pages){ .n_slots = SLOTS_FEW, .max = max };
	pages->slots = mem_alloc(SLOTS_FEW, sizeof(struct overlay_page *));
	return pages->slots ? 0 : -1;
}

void pages_finish(struct overlay_pages *pages)
{
	for (uint64_t i = 0; pages->slots && i < pages->n_slots; i++) {
		while (pages->slots[i]) {
			struct overlay_page *next = pages->slots[i]->next;
			mem_release(pages->slots[i]);
			pages->slots[i] = next;
		}
	}
	mem_release(pages->slots);
}

/* Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4. */
static struct overlay_page **slot_of(const struct overlay_pages *pages, uint64_t number)
{
	uint64_t hash = number * UINT64_C(0x9e3779b97f4a7c15);

	return &pages->slots[(hash >> 32) & (pages->n_slots - 1)];
}

struct overlay_page *pages_find(const struct overlay_pages *pages, uint64_t number)
{
	struct overlay_page *page = *slot_of(pages, number);

	while (page && page->number != number)
		page = page->next;
	return page;
}

static void add(struct overlay_pages *pages, struct overlay_page *page)
{
	struct overlay_page **slot = slot_of(pages, page->number);

	page->next = *slot;
	*slot = page;
}

/* Without memory for a larger table the chains grow longer, nothing else. */
static void grow(struct overlay_pages *pages)
{
	struct overlay_page **old = pages->slots;
	uint64_t n_old = pages->n_slots;
	struct overlay_page **slots = mem_alloc(2 * n_old, sizeof(struct overlay_page *));

	if (!slots)
		return;
	pages->slots = slots;
	pages->n_slots = 2 * n_old;
	for (uint64_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct overlay_page *page = old[i];
			old[i] = page->next;
			add(pages, page);
		}
	}
	mem_release(old);
}

static struct overlay_page *make(struct overlay_pages *pages, uint64_t number)
{
	struct overlay_page *page = pages->n < pages->max ? mem_alloc(1, sizeof(*page)) : NULL;

	if (!page)
		return NULL;
	if (pages->n >= pages->n_slots && pages->n_slots < UINT64_C(1) << 31)
		grow(pages);
	page->number = number;
	add(pages, page);
	pages->n++;
	return page;
}

/* Bits from at on, at most to the end of their word: [at, at + n). */
static uint64_t bits_of(uint32_t at, uint32_t n)
{
	return (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << (at & 63);
}

/* Without the processor's own instruction the compiler's would be a call of its library. */
static uint64_t count(uint64_t bits)
{
	uint64_t n = 0;

	for (; bits; bits &= bits - 1)
		n++;
	return n;
}

int pages_store(struct overlay_pages *pages, uint64_t addr, const void *bytes, uint32_t len)
{
	struct overlay_page *page = pages_find(pages, addr / OVERLAY_PAGE);
	uint32_t at = (uint32_t)(addr % OVERLAY_PAGE), end = at + len;

	if (!page && !(page = make(pages, addr / OVERLAY_PAGE)))
		return -1;
	memcpy(page->bytes + at, bytes, len);
	while (at < end) {
		uint32_t n = 64 - (at & 63) < end - at ? 64 - (at & 63) : end - at;
		uint64_t bits = bits_of(at, n), *word = &page->mask[at / 64];
		pages->n_bytes += count(bits & ~*word);
		*word |= bits;
		at += n;
	}
	return 0;
}

uint32_t page_run(const struct overlay_page *page, uint32_t at, uint32_t end, int *ret_written)
{
	int written = page->mask[at / 64] >> (at & 63) & 1;
	uint32_t i = at;

	*ret_written = written;
	while (i < end) {
		uint64_t word = page->mask[i / 64];
		uint64_t others = (written ? ~word : word) >> (i & 63);
		if (others) {
			i += (uint32_t)__builtin_ctzll(others);
			break;
		}
		i = (i | 63) + 1;
	}
	return (i < end ? i : end) - at;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *pages_sorted(const struct overlay_pages *pages)
{
	uint64_t *numbers = pages->n ? mem_resize(NULL, pages->n, sizeof(*numbers)) : NULL, n = 0;

	if (!numbers)
		return NULL;
	for (uint64_t i = 0; i < pages->n_slots; i++) {
		for (const struct overlay_page *page = pages->slots[i]; page; page = page->next)
			numbers[n++] = page->number;
	}
	sort_items(numbers, n, sizeof(*numbers), by_number);
	return numbers;
}

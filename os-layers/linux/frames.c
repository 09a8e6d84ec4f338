/* SPDX-License-Identifier: MIT */
/*
 * What page frames are used for, by the kernel's array of struct page. It lies in pieces, a section's each:
 *
 *	mem_section[root] ──▶ struct mem_section[per_root]
 *	                        .section_mem_map = address of frame 0's struct page, were they all one array, and flags
 *
 * A frame of several (compound) is what its first one, the head, is; a free block is what its first one says. Which is
 * asked as makedumpfile does, but that nothing counts as free that has users. What a live guest changes meanwhile, and
 * what contradicts itself, is SONDE_FRAME_OTHER.
 *
 * Source: linux v6.1 and v6.12 include/linux/mmzone.h (SECTION_HAS_MEM_MAP, __section_mem_map_addr), mm_types.h,
 * page-flags.h (PAGE_MAPPING_ANON, compound_head, page types), kernel/crash_core.c, vmcore_info.c; makedumpfile 1.7.2
 * makedumpfile.c (__exclude_unnecessary_pages).
 */
#include <stdlib.h>
#include <string.h>

#include "linux/linux.h"

#define ROOTS_MAX (UINT64_C(1) << 24)
#define ORDER_MAX 16u           /* log2 of the frames of the largest free block       */
#define WINDOW 16384u           /* frames that are looked at in one trip              */
#define COMPOUND_MAX (1u << 24) /* frames of one page: 64 GiB of them, of 4 KiB       */
#define PAGE_MAX 256u  /* bytes of a struct page: 64, more in kernels that check themselves */
#define HAS_MEM_MAP 2u /* of section_mem_map                                 */
#define MAP_FLAGS UINT64_C(0xfff) /* ... what is no address: arrays begin with a page */
#define IS_TAIL 1u                /* of compound_head: the rest is the head's address   */
#define MAPPING_ANON 1u           /* of mapping                                         */

/*
 * What the kernel's build decided: X(field, the NUMBER() of vmcoreinfo or else an enumerator, need). PG_ are bits of flags;
 * MAPCOUNT_VALUEs stand in _mapcount, which processes that map the page do not count in then.
 */
#define FRAME_NUMBERS(X)                                                                           \
	X(lru, "PG_lru", 1)                                                                        \
	X(private, "PG_private", 1)                                                                \
	X(swapcache, "PG_swapcache", 1)                                                            \
	X(swapbacked, "PG_swapbacked", 1)                                                          \
	X(head, "PG_head", 1)                                                                      \
	X(reserved, "PG_reserved", 1)                                                              \
	X(buddy, "PAGE_BUDDY_MAPCOUNT_VALUE", 1)                                                   \
	X(slab, "PG_slab", 0) /* until v6.9; the value of _mapcount later */                       \
	X(slab_type, "PAGE_SLAB_MAPCOUNT_VALUE", 0)                                                \
	X(hugetlb_dtor, "HUGETLB_PAGE_DTOR", 0) /* until v6.5 */                                   \
	X(hugetlb_type, "PAGE_HUGETLB_MAPCOUNT_VALUE", 0)                                          \
	X(hwpoison, "PG_hwpoison", 0) /* some builds have no such pages */                         \
	X(offline, "PAGE_OFFLINE_MAPCOUNT_VALUE", 0)

struct number {
	int64_t value;
	bool is_known;
};

struct linux_frames {
	struct sonde_frames frames;
	struct linux_os *lx;
#define X(field, name, need) struct number field;
	FRAME_NUMBERS(X)
#undef X
	uint64_t roots, n_roots; /* mem_section: its address, how many pointers  */
	uint32_t per_root;       /* sections behind each                         */
	uint32_t section_shift;  /* log2 of the frames of a section              */
	uint32_t max_order;
	uint64_t root;     /* the one whose sections are here; UINT64_MAX: none  */
	uint8_t *sections; /* [per_root]                                         */
	uint8_t *pages;    /* [WINDOW] struct page                               */
	uint8_t *far_head; /* [2] those of a head in front of the window, and behind it */
};

/* Frames whose struct page are at hand, of one section. */
struct window {
	uint64_t first, n;
	uint64_t array;    /* address of the struct page of frame 0, were they one array */
	uint64_t far_head; /* the frame that is in far_head; UINT64_MAX: none */
};

/* ---- one struct page ---------------------------------------------------------------------------------- */

static const uint8_t *page_of(const struct linux_frames *f, const struct window *w, uint64_t frame)
{
	return f->pages + (frame - w->first) * f->lx->layout.page_size;
}

static uint64_t page_word(const uint8_t *page, struct field field)
{
	return sonde_le64(page + field.off);
}

static uint32_t page_half(const uint8_t *page, struct field field)
{
	return sonde_le32(page + field.off);
}

static bool has_flag(uint64_t flags, struct number bit)
{
	return bit.is_known && (flags >> (bit.value & 63) & 1);
}

static bool is_type(const struct linux_frames *f, const uint8_t *page, struct number type)
{
	return type.is_known &&
	       page_half(page, f->lx->layout.page_mapcount) == (uint32_t)type.value;
}

static bool is_slab(const struct linux_frames *f, const uint8_t *page)
{
	return has_flag(page_word(page, f->lx->layout.page_flags), f->slab) ||
	       is_type(f, page, f->slab_type);
}

static bool is_anonymous(const struct linux_frames *f, const uint8_t *page)
{
	return page_word(page, f->lx->layout.page_mapping) & MAPPING_ANON && !is_slab(f, page);
}

/* second: the struct page behind it, NULL where it has none. */
static bool is_hugetlb(const struct linux_frames *f, const uint8_t *page, const uint8_t *second)
{
	if (is_type(f, page, f->hugetlb_type))
		return true;
	return second && f->hugetlb_dtor.is_known &&
	       second[f->lx->layout.page_compound_dtor.off] == f->hugetlb_dtor.value;
}

static bool is_cache(const struct linux_frames *f, uint64_t flags)
{
	return has_flag(flags, f->lru) ||
	       (has_flag(flags, f->swapbacked) && has_flag(flags, f->swapcache));
}

/* Of one that is neither free nor a tail. */
static uint8_t use_of(const struct linux_frames *f, const uint8_t *page, const uint8_t *second)
{
	const uint64_t flags = page_word(page, f->lx->layout.page_flags);

	if (has_flag(flags, f->hwpoison))
		return SONDE_FRAME_POISONED;
	if (has_flag(flags, f->reserved))
		return SONDE_FRAME_RESERVED;
	if (is_anonymous(f, page) || is_hugetlb(f, page, second))
		return SONDE_FRAME_USER;
	if (is_cache(f, flags))
		return has_flag(flags, f->private) ? SONDE_FRAME_CACHE_PRIVATE : SONDE_FRAME_CACHE;
	return is_type(f, page, f->offline) && !is_slab(f, page) ? SONDE_FRAME_OFFLINE
								 : SONDE_FRAME_OTHER;
}

static bool is_used(const struct linux_frames *f, const uint8_t *page)
{
	return page_half(page, f->lx->layout.page_refcount) != 0;
}

/* How many frames of a free block begin here; 0: none does. */
static uint64_t free_block(const struct linux_frames *f, const struct window *w, uint64_t frame)
{
	const uint8_t *page = page_of(f, w, frame);
	const uint64_t order = page_word(page, f->lx->layout.page_private);

	if (!is_type(f, page, f->buddy) || is_slab(f, page) || order > f->max_order)
		return 0;
	const uint64_t n = UINT64_C(1) << order;
	return frame & (n - 1) ? 0 : n;
}

/* ---- the array ---------------------------------------------------------------------------------------- */

/* Sections of a root that cannot be read are none. */
static void load_root(struct linux_frames *f, uint64_t root)
{
	struct sonde_space *kernel = f->lx->os.kernel_memory;
	const size_t len = (size_t)f->per_root * f->lx->layout.section_size;
	uint64_t at = 0;

	f->root = root;
	if (sonde_space_u64(kernel, f->roots + 8 * root, &at) < 0 ||
	    !linux_pointer_plausible(f->lx, at) ||
	    sonde_space_get(kernel, at, f->sections, len) < 0)
		memset(f->sections, 0, len);
}

/* The array that tells of a frame: where frame 0 would be in it. 0: there is none. */
static uint64_t array_of(struct linux_frames *f, uint64_t frame)
{
	const struct layout *l = &f->lx->layout;
	const uint64_t section = frame >> f->section_shift, root = section / f->per_root;

	if (root >= f->n_roots)
		return 0;
	if (root != f->root)
		load_root(f, root);
	const uint64_t map = page_word(f->sections + section % f->per_root * l->section_size,
				       l->section_mem_map);
	return map & HAS_MEM_MAP ? map & ~MAP_FLAGS : 0;
}

static int read_pages(struct linux_frames *f, const struct window *w, uint64_t frame, uint8_t *to,
		      uint64_t n)
{
	const uint32_t size = f->lx->layout.page_size;
	struct sonde_xfer piece = { .addr = w->array + frame * size,
				    .buf = to,
				    .len = (uint32_t)(n * size) };
	int r = sonde_space_read(f->lx->os.kernel_memory, &piece, 1);

	return r < 0                       ? r
	       : piece.err == SONDE_E_GONE ? SONDE_E_GONE
					   : 0; /* else zeros, which say nothing */
}

/* The frame whose struct page a tail points to; UINT64_MAX: to none. */
static uint64_t head_of(const struct linux_frames *f, const struct window *w, uint64_t frame)
{
	const uint32_t size = f->lx->layout.page_size;
	const uint64_t at =
		page_word(page_of(f, w, frame), f->lx->layout.page_compound_head) - IS_TAIL;
	const uint64_t back = w->array + frame * size - at;

	if (back % size || back / size == 0 || back / size > COMPOUND_MAX || back / size > frame)
		return UINT64_MAX;
	return frame - back / size;
}

static bool is_tail(const struct linux_frames *f, const uint8_t *page)
{
	return page_word(page, f->lx->layout.page_compound_head) & IS_TAIL;
}

/* ---- windows ------------------------------------------------------------------------------------------ */

/* Only pages larger than the largest free block begin in front of a window. */
static int load_window(struct linux_frames *f, struct window *w)
{
	w->far_head = UINT64_MAX;
	int r = read_pages(f, w, w->first, f->pages, w->n);
	if (r < 0 || !is_tail(f, f->pages))
		return r;
	w->far_head = head_of(f, w, w->first);
	return w->far_head == UINT64_MAX ? 0 : read_pages(f, w, w->far_head, f->far_head, 2);
}

static uint8_t use_of_tail(const struct linux_frames *f, const struct window *w, uint64_t frame)
{
	const uint64_t head = head_of(f, w, frame);
	const uint8_t *page;

	if (head == UINT64_MAX)
		return SONDE_FRAME_OTHER;
	if (head >= w->first)
		page = page_of(f, w, head);
	else if (head == w->far_head)
		page = f->far_head;
	else
		return SONDE_FRAME_OTHER;
	if (is_tail(f, page) || !has_flag(page_word(page, f->lx->layout.page_flags), f->head))
		return SONDE_FRAME_OTHER;
	return use_of(f, page, page + f->lx->layout.page_size);
}

/* Of a frame that no free block holds. A window ends with a pair: there is one behind each that may be a head. */
static uint8_t use_in(const struct linux_frames *f, const struct window *w, uint64_t frame)
{
	const uint8_t *page = page_of(f, w, frame);

	if (is_tail(f, page))
		return use_of_tail(f, w, frame);
	const bool is_head = has_flag(page_word(page, f->lx->layout.page_flags), f->head);
	return use_of(f, page, is_head && !(frame & 1) ? page + f->lx->layout.page_size : NULL);
}

/* ret: of those from first on, n of them; the window begins in front of it where a block may. */
static void tell_window(const struct linux_frames *f, const struct window *w, uint64_t first,
			uint8_t *ret, uint64_t n)
{
	uint64_t free_end = 0;

	for (uint64_t frame = w->first; frame < first + n; frame++) {
		const uint64_t block = frame < free_end ? 0 : free_block(f, w, frame);
		if (block)
			free_end = frame + block;
		if (frame < first)
			continue;
		if (frame >= free_end)
			ret[frame - first] = use_in(f, w, frame);
		else if (!is_used(f, page_of(f, w, frame)))
			ret[frame - first] = SONDE_FRAME_FREE;
	}
}

static uint64_t window_frames(const struct linux_frames *f)
{
	const uint64_t section = UINT64_C(1) << f->section_shift;

	return section < WINDOW ? section : WINDOW;
}

static int frames_read(struct sonde_frames *frames, uint64_t first, uint8_t *ret, size_t n)
{
	struct linux_frames *f = (struct linux_frames *)(void *)frames;
	const uint64_t most = window_frames(f), block = UINT64_C(1) << f->max_order;
	const uint64_t end = first + n < first ? UINT64_MAX : first + n;
	int r = 0;

	for (uint64_t at = first, next; r == 0 && at < end; at = next) {
		struct window w = { .first = at & ~(block - 1), .array = array_of(f, at) };
		next = (at & ~(most - 1)) + most;
		next = next < end && next > at ? next : end;
		w.n = ((next + 1) & ~UINT64_C(1)) - w.first;
		if (!w.array)
			continue;
		r = load_window(f, &w);
		if (r == 0)
			tell_window(f, &w, at, ret + (at - first), next - at);
	}
	return r;
}

/* ---- open --------------------------------------------------------------------------------------------- */

static void frames_close(struct sonde_frames *frames)
{
	struct linux_frames *f = (struct linux_frames *)(void *)frames;

	free(f->sections);
	free(f->pages);
	free(f->far_head);
	free(f);
}

static int lacks(const char *what, struct sonde_error *err)
{
	return sonde_error_set(
		err, SONDE_E_UNSUPPORTED,
		"linux: what page frames are used for is not known: the kernel tells no %s", what);
}

static struct number find_number(const struct linux_os *lx, const char *name)
{
	struct number number = { 0 };

	number.is_known = vmcoreinfo_number(&lx->info, name, &number.value) ||
			  sonde_type_enumerator(lx->os.types, name, &number.value);
	return number;
}

static int find_numbers(struct linux_frames *f, struct sonde_error *err)
{
#define X(field, name, need)                                                                       \
	f->field = find_number(f->lx, name);                                                       \
	if (need && !f->field.is_known)                                                            \
		return lacks(name, err);
	FRAME_NUMBERS(X)
#undef X
	const struct field dtor = f->lx->layout.page_compound_dtor;
	if (dtor.size != 1 || dtor.off >= f->lx->layout.page_size)
		f->hugetlb_dtor.is_known = false;
	return f->slab.is_known || f->slab_type.is_known ? 0 : lacks("PG_slab", err);
}

static int find_members(const struct linux_frames *f, struct sonde_error *err)
{
	const struct layout *l = &f->lx->layout;
	const struct {
		struct field field;
		uint32_t size, of;
		const char *name;
	} members[] = {
		{ l->page_flags, 8, l->page_size, "page.flags" },
		{ l->page_mapping, 8, l->page_size, "page.mapping" },
		{ l->page_private, 8, l->page_size, "page.private" },
		{ l->page_compound_head, 8, l->page_size, "page.compound_head" },
		{ l->page_mapcount, 4, l->page_size, "page._mapcount" },
		{ l->page_refcount, 4, l->page_size, "page._refcount" },
		{ l->section_mem_map, 8, l->section_size, "mem_section.section_mem_map" },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (members[i].field.size != members[i].size ||
		    members[i].field.off + members[i].size > members[i].of ||
		    members[i].of > PAGE_MAX)
			return lacks(members[i].name, err);
	}
	return 0;
}

/* Sections of sections (SPARSEMEM_EXTREME), as many as the architecture's addresses take. */
static int find_sections(struct linux_frames *f, struct sonde_error *err)
{
	const struct linux_os *lx = f->lx;
	const uint32_t shift = linux_page_shift(lx);
	int64_t section_bits, phys_bits;
	uint64_t n_orders;

	if (!vmcoreinfo_symbol(&lx->info, "mem_section", &f->roots) ||
	    !vmcoreinfo_length(&lx->info, "mem_section", &f->n_roots))
		return lacks("mem_section", err);
	if (!vmcoreinfo_number(&lx->info, "SECTION_SIZE_BITS", &section_bits) ||
	    !vmcoreinfo_number(&lx->info, "MAX_PHYSMEM_BITS", &phys_bits))
		return lacks("SECTION_SIZE_BITS", err);
	if (!vmcoreinfo_length(&lx->info, "zone.free_area", &n_orders))
		return lacks("LENGTH(zone.free_area)", err);
	if (n_orders == 0 || n_orders > ORDER_MAX + 1 || section_bits < shift ||
	    section_bits > phys_bits || phys_bits > 52 || f->n_roots > ROOTS_MAX ||
	    section_bits - shift < (int64_t)n_orders - 1)
		return sonde_error_set(
			err, SONDE_E_CORRUPT,
			"linux: vmcoreinfo: sections of 2^%lld bytes of 2^%lld, %llu sizes "
			"of free blocks",
			(long long)section_bits, (long long)phys_bits,
			(unsigned long long)n_orders);
	f->section_shift = (uint32_t)section_bits - shift;
	f->max_order = (uint32_t)n_orders - 1;
	f->per_root = (1u << shift) / lx->layout.section_size;
	const uint64_t n = UINT64_C(1) << (phys_bits - section_bits);
	return f->n_roots == (n + f->per_root - 1) / f->per_root
		       ? 0
		       : lacks("mem_section of two levels (SPARSEMEM_EXTREME)", err);
}

/* The frame of the kernel's own code is reserved, as no page is that anybody could be given. */
static int prove(struct linux_frames *f, struct sonde_error *err)
{
	const struct linux_os *lx = f->lx;
	const uint64_t frame = (lx->kernel.text_start - lx->image_slide) >> linux_page_shift(lx);
	const struct window w = { .first = frame, .n = 1, .array = array_of(f, frame) };
	int r = w.array ? read_pages(f, &w, frame, f->pages, 1) : 0;

	if (r < 0)
		return sonde_error_set(err, r, "linux: struct page: %s", sonde_strerror(r));
	if (!w.array || !has_flag(page_word(f->pages, lx->layout.page_flags), f->reserved) ||
	    !is_used(f, f->pages))
		return sonde_error_set(
			err, SONDE_E_CORRUPT,
			"linux: what page frames are used for is not known: mem_section "
			"leads to no array in which the kernel's code is reserved");
	return 0;
}

static int allocate(struct linux_frames *f, struct sonde_error *err)
{
	const struct layout *l = &f->lx->layout;

	f->root = UINT64_MAX;
	f->sections = calloc(f->per_root, l->section_size);
	f->pages = calloc(WINDOW + (UINT64_C(1) << f->max_order), l->page_size);
	f->far_head = calloc(2, l->page_size);
	return f->sections && f->pages && f->far_head
		       ? 0
		       : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
}

int linux_frames(struct sonde_os *os, struct sonde_frames **ret, struct sonde_error *err)
{
	struct linux_frames *f = calloc(1, sizeof(*f));

	if (!f)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	f->lx = linux_of(os);
	f->frames = (struct sonde_frames){ UINT32_C(1) << linux_page_shift(f->lx), frames_read,
					   frames_close };
	int r = find_members(f, err);
	if (r == 0)
		r = find_numbers(f, err);
	if (r == 0)
		r = find_sections(f, err);
	if (r == 0)
		r = allocate(f, err);
	if (r == 0)
		r = prove(f, err);
	if (r < 0)
		frames_close(&f->frames);
	else
		*ret = &f->frames;
	return r;
}

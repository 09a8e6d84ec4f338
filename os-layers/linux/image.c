/* SPDX-License-Identifier: MIT */
/* The image: its stretches in the page tables, its symbol tables, its BTF, its banner. */
#include "linux/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "linux/arch.h"
#include "linux/kallsyms.h"
#include "sym/btf.h"
#include "sym/symbols.h"
#include "sym/types.h"

#define RO_MAX (UINT64_C(192) << 20) /* read-only data of a kernel; 10 MB are usual */

#define REACH (UINT64_C(512) << 20) /* no kernel has a larger image */

struct search {
	struct image image;
	uint64_t slide; /* virtual minus physical of the first run, or of text */
	bool has_slide;
};

/* The image is one physical stretch: runs elsewhere (modules, fixmap) have another distance. */
static int see_run(void *user, const struct sonde_page_run *run)
{
	struct search *search = user;
	struct image *image = &search->image;
	bool constant = !(run->flags & (SONDE_REGION_WRITE | SONDE_REGION_EXEC));

	if (!search->has_slide) {
		search->has_slide = true;
		search->slide = run->va - run->pa;
	}
	if (run->va - run->pa != search->slide)
		return 0;
	if (!image->end)
		image->text = run->va;
	image->end = run->va + run->len;
	if (constant && run->len > image->ro_end - image->ro) {
		image->ro = run->va;
		image->ro_end = image->end;
	}
	return 0;
}

struct text {
	uint64_t pa, va;
};

static int see_text(void *user, const struct sonde_page_run *run)
{
	struct text *text = user;

	if (text->pa < run->pa || text->pa - run->pa >= run->len)
		return 0;
	text->va = run->va + (text->pa - run->pa);
	return 1;
}

int image_find_text(struct linux_os *lx, uint64_t from)
{
	const struct paging_map map = linux_kernel_map(lx);
	struct sonde_translation at;
	int r = paging_translate(lx->phys, map, lx->image_text, &at);

	if (r < 0)
		return r;
	struct text text = { .pa = at.pa };
	r = paging_visit(lx->phys, map, from, UINT64_MAX, PAGING_RIGHTS, see_text, &text);
	if (r <= 0)
		return r < 0 ? r : SONDE_E_NOT_FOUND;
	lx->image_text = text.va;
	return SONDE_OK;
}

/* Around the text, where modules and much else may lie too: the image is what is as far from its place in RAM. */
static int search_around(struct linux_os *lx, struct search *search, uint64_t *ret_first,
			 uint64_t *ret_last)
{
	const uint64_t text = lx->image_text;
	struct sonde_translation at;
	int r = paging_translate(lx->phys, linux_kernel_map(lx), text, &at);

	if (r < 0)
		return r;
	search->slide = text - at.pa;
	search->has_slide = true;
	*ret_first = text > REACH ? text - REACH : 0;
	*ret_last = text < UINT64_MAX - REACH ? text + REACH : UINT64_MAX;
	return SONDE_OK;
}

int image_find(struct linux_os *lx, struct image *ret)
{
	struct search search = { 0 };
	uint64_t first, last;
	int r = SONDE_OK;

	if (lx->image_text)
		r = search_around(lx, &search, &first, &last);
	else
		lx->arch->image_range(lx, &first, &last);
	if (r == SONDE_OK)
		r = paging_visit(lx->phys, linux_kernel_map(lx), first, last, PAGING_RIGHTS,
				 see_run, &search);

	if (r < 0)
		return r;
	/* User tables under page-table isolation map a few pages of entry code and no data. */
	if (search.image.ro_end == search.image.ro)
		return SONDE_E_NOT_FOUND;
	*ret = search.image;
	lx->image_slide = search.slide;
	return SONDE_OK;
}

/* ---- symbols ------------------------------------------------------------------------------ */

static int read_kernel(void *user, struct sonde_xfer *xfers, size_t n)
{
	struct linux_os *lx = user;

	return sonde_space_read(lx->os.kernel_memory, xfers, n);
}

static int fetch_tables(struct linux_os *lx, struct arena *arena, struct kallsyms_tables *ret,
			struct sonde_error *err)
{
	struct kallsyms_addresses where;

	if (!kallsyms_from_vmcoreinfo(&lx->info, &where))
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "vmcoreinfo does not tell where kallsyms lies");
	return kallsyms_fetch(&where, 8, read_kernel, lx, arena, ret, err);
}

/* A table found in mapped memory, copied by a read that survives whatever becomes of the map. */
static int copy_table(struct linux_os *lx, const struct image *image, const uint8_t *base,
		      const uint8_t **table, size_t len, struct arena *arena)
{
	uint8_t *copy = arena_alloc(arena, len);

	if (!copy)
		return SONDE_E_NO_MEMORY;
	if (len)
		sonde_space_get(lx->os.kernel_memory, image->ro + (uint64_t)(*table - base), copy,
				len);
	*table = copy;
	return SONDE_OK;
}

#define TOKEN_INDEX_SIZE 512u /* 256 offsets of 2 bytes */

static int copy_tables(struct linux_os *lx, const struct image *image, const uint8_t *base,
		       struct kallsyms_tables *t, struct arena *arena)
{
	int r = copy_table(lx, image, base, &t->names, t->names_len, arena);

	if (r == SONDE_OK)
		r = copy_table(lx, image, base, &t->addresses, t->addresses_len, arena);
	if (r == SONDE_OK)
		r = copy_table(lx, image, base, &t->token_index, TOKEN_INDEX_SIZE, arena);
	if (r == SONDE_OK)
		r = copy_table(lx, image, base, &t->token_table, t->token_table_len, arena);
	return r;
}

/* Search in place where the image is mapped: its read-only data need not be copied to be searched. */
static int find_in_map(struct linux_os *lx, const struct image *image, struct arena *arena,
		       struct kallsyms_tables *ret, struct sonde_error *err)
{
	size_t len = (size_t)(image->ro_end - image->ro);
	const uint8_t *base = sonde_space_borrow(lx->phys, image->ro - lx->image_slide, len);
	volatile int r = SONDE_E_NOT_FOUND;
	struct guard guard;

	if (!base)
		return SONDE_E_NOT_FOUND;
	if (!GUARD_ENTER(&guard))
		r = kallsyms_find(base, len, image->ro, 8, ret, err);
	guard_leave(&guard);
	return r == SONDE_OK ? copy_tables(lx, image, base, ret, arena) : r;
}

/* Unreadable pages are zero in buf, as kallsyms_find wants it. */
static int find_in_copy(struct linux_os *lx, const struct image *image, struct arena *arena,
			struct kallsyms_tables *ret, struct sonde_error *err)
{
	size_t len = (size_t)(image->ro_end - image->ro);
	uint8_t *buf = arena_alloc(arena, len);

	if (!buf)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	sonde_space_get(lx->os.kernel_memory, image->ro, buf, len);
	return kallsyms_find(buf, len, image->ro, 8, ret, err);
}

static int find_tables(struct linux_os *lx, const struct image *image, struct arena *arena,
		       struct kallsyms_tables *ret, struct sonde_error *err)
{
	uint64_t len = image->ro_end - image->ro;

	if (len > RO_MAX)
		return sonde_error_set(err, SONDE_E_LIMIT,
				       "the image maps %llu MB of read-only data: not a kernel",
				       (unsigned long long)(len >> 20));
	if (find_in_map(lx, image, arena, ret, err) == SONDE_OK)
		return SONDE_OK;
	return find_in_copy(lx, image, arena, ret, err);
}

static int locate_tables(struct linux_os *lx, const struct image *image, struct arena *arena,
			 struct kallsyms_tables *ret, struct sonde_error *err)
{
	struct image own;

	if (lx->info.len && fetch_tables(lx, arena, ret, err) == SONDE_OK)
		return SONDE_OK;
	if (!image && image_find(lx, &own) < 0)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "the page tables map no kernel image");
	return find_tables(lx, image ? image : &own, arena, ret, err);
}

int image_symbols(struct linux_os *lx, const struct image *image, struct sonde_error *err)
{
	struct kallsyms_tables tables = { 0 };
	struct arena arena = { 0 };
	int r = locate_tables(lx, image, &arena, &tables, err);

	if (r == SONDE_OK) {
		symbols_destroy(lx->os.symbols);
		lx->os.symbols = NULL;
		r = kallsyms_decode(&tables, &lx->os.symbols, err);
	}
	arena_finish(&arena);
	/* A damaged table still gives what came before the damage. */
	return lx->os.symbols && r == SONDE_E_CORRUPT ? SONDE_OK : r;
}

/* ---- types ---------------------------------------------------------------------------------- */

int image_types(struct linux_os *lx, struct sonde_error *err)
{
	uint64_t start, stop;

	if (!linux_symbol(lx, "__start_BTF", &start) || !linux_symbol(lx, "__stop_BTF", &stop) ||
	    stop <= start)
		return sonde_error_set(err, SONDE_E_NO_TYPES,
				       "this kernel was built without BTF (CONFIG_DEBUG_INFO_BTF)");
	if (stop - start > BTF_MAX_BYTES)
		return sonde_error_set(err, SONDE_E_LIMIT, "BTF of %llu bytes",
				       (unsigned long long)(stop - start));
	size_t len = (size_t)(stop - start);
	free(lx->btf);
	lx->btf = malloc(len);
	if (!lx->btf)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = sonde_space_get(lx->os.kernel_memory, start, lx->btf, len);
	if (r < 0)
		return sonde_error_set(err, r, "BTF at 0x%llx: %s", (unsigned long long)start,
				       sonde_strerror(r));
	return types_from_btf(lx->btf, len, 0, "BTF in the kernel's memory", &lx->os.types, err);
}

/* ---- banner ----------------------------------------------------------------------------------- */

const char *image_banner(struct linux_os *lx, struct sonde_error *err)
{
	char text[512];
	uint64_t at;

	if (!linux_symbol(lx, "linux_banner", &at)) {
		sonde_error_set(err, SONDE_E_NOT_FOUND, "no symbol linux_banner");
		return NULL;
	}
	int len = sonde_space_string(lx->os.kernel_memory, at, text, sizeof(text));
	if (len == SONDE_E_LIMIT)
		len = (int)strlen(text);
	if (len < 0 || strncmp(text, "Linux version ", 14) != 0) {
		sonde_error_set(err, len < 0 ? len : SONDE_E_CORRUPT,
				"no banner at linux_banner (0x%llx)", (unsigned long long)at);
		return NULL;
	}
	return arena_strndup(&lx->arena, text, strcspn(text, "\n"));
}

/* SPDX-License-Identifier: MIT */
/* Page tables of the kernel and of processes: one address, all that is mapped, and who maps a physical page. */
#include <inttypes.h>
#include <stdlib.h>

#include "linux/linux.h"
#include "linux/swap_entry.h"

#define KERNEL_HALF ((uint64_t)INT64_MIN)

/* ---- one address ----------------------------------------------------------------------------------- */

/* Swap entries are in the two lowest levels; an OS that keeps PROT_NONE there has been asked before. */
static void explain_absent(const struct linux_os *lx, struct sonde_translation *t)
{
	struct swap_types types;

	swap_types_of(lx, &types);
	t->kind = swap_entry_kind(&lx->swap, &types, t->entry[t->levels - 1], &t->swap_type,
				  &t->swap_offset);
}

int linux_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		    struct sonde_error *err)
{
	struct linux_os *lx = linux_of(os);
	uint64_t root;
	int r = pid ? linux_process_root(lx, pid, &root, err) : SONDE_OK;

	*ret = (struct sonde_translation){ .kind = SONDE_ENTRY_NO_TABLES };
	if (r < 0)
		return r;
	r = paging_translate(lx->phys, pid ? linux_user_map(lx, root) : linux_kernel_map(lx), va,
			     ret);
	if (r == SONDE_E_PAGED_OUT)
		explain_absent(lx, ret);
	if (r < 0)
		sonde_error_set(err, r, "0x%" PRIx64 ": %s after %u of %u levels: %s", va,
				sonde_strerror(r), ret->levels, lx->paging->n_levels,
				sonde_entry_kind_text(ret->kind));
	return r;
}

/* ---- all that is mapped -------------------------------------------------------------------------------- */

int linux_pages(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
		struct sonde_error *err)
{
	struct linux_os *lx = linux_of(os);
	uint64_t root, first = pid ? 0 : KERNEL_HALF;
	int r = pid ? linux_process_root(lx, pid, &root, err) : SONDE_OK;

	if (r < 0)
		return r;
	r = paging_pages(lx->phys, pid ? linux_user_map(lx, root) : linux_kernel_map(lx), first,
			 first | INT64_MAX, care, ret);
	return r < 0 ? sonde_error_set(err, r, NULL) : r;
}

/* ---- who maps it --------------------------------------------------------------------------------------- */

struct owner {
	uint64_t root;
	int32_t pid;
};

struct search {
	uint64_t *pas; /* [n_pas], rising */
	size_t n_pas;
	struct owner *owners; /* [n_owners], by root; those of one root share its tables */
	size_t n_owners;
	struct paging_root *roots; /* [n_roots], the kernel's first */
	size_t *first_owner;       /* [n_roots] */
	uint32_t n_roots;
	sonde_reverse_fn *fn;
	void *user;
};

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int by_root(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void search_finish(struct search *s)
{
	free(s->pas);
	free(s->owners);
	free(s->roots);
	free(s->first_owner);
}

/* The kernel's half is the same in all tables: it is looked at once, under the kernel's own root. */
static int collect_owners(struct linux_os *lx, struct search *s, struct sonde_error *err)
{
	struct sonde_processes *list;
	int r = sonde_os_processes(&lx->os, SONDE_PROCESS_MEMORY, &list, err);

	if (r < 0)
		return r;
	size_t n = sonde_processes_count(list);
	s->owners = calloc(n + 1, sizeof(*s->owners));
	s->roots = calloc(n + 1, sizeof(*s->roots));
	s->first_owner = calloc(n + 1, sizeof(*s->first_owner));
	for (size_t i = 0; i < n && s->owners; i++) {
		const struct sonde_process *p = sonde_processes_at(list, i);
		if (p->page_table)
			s->owners[s->n_owners++] = (struct owner){ p->page_table, p->pid };
	}
	sonde_processes_destroy(list);
	if (!s->owners || !s->roots || !s->first_owner)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	qsort(s->owners, s->n_owners, sizeof(*s->owners), by_root);
	return SONDE_OK;
}

static void collect_roots(const struct linux_os *lx, struct search *s)
{
	const bool halves = lx->paging->range == PAGING_HALVES;
	const uint64_t base = halves ? UINT64_MAX << lx->paging->va_bits : 0;

	s->roots[s->n_roots++] = (struct paging_root){ lx->root, base, KERNEL_HALF, UINT64_MAX };
	for (size_t i = 0; i < s->n_owners; i++) {
		if (i && s->owners[i].root == s->owners[i - 1].root)
			continue;
		s->first_owner[s->n_roots] = i;
		s->roots[s->n_roots++] = (struct paging_root){ s->owners[i].root, 0, 0, INT64_MAX };
	}
}

/* Once for the kernel, or for each process that has these tables. */
static int tell(const struct search *s, uint32_t root, struct sonde_reverse *at)
{
	if (root == 0)
		return s->fn(s->user, at);
	for (size_t i = s->first_owner[root];
	     i < s->n_owners && s->owners[i].root == s->roots[root].pa; i++) {
		at->pid = s->owners[i].pid;
		int r = s->fn(s->user, at);
		if (r)
			return r;
	}
	return 0;
}

static size_t first_at_or_behind(const struct search *s, uint64_t pa)
{
	size_t low = 0, high = s->n_pas;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->pas[mid] < pa)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int see_run(const struct search *s, uint32_t root, const struct sonde_page_run *run)
{
	const bool same = run->flags & SONDE_PAGE_SAME;
	const uint64_t span = same ? run->page_size : run->len;

	for (size_t i = first_at_or_behind(s, run->pa); i < s->n_pas && s->pas[i] - run->pa < span;
	     i++) {
		struct sonde_reverse at = {
			.pa = s->pas[i],
			.va = run->va + (s->pas[i] - run->pa),
			.page_size = run->page_size,
			.n_pages = same ? run->len / run->page_size : 1,
			.flags = run->flags & ~(uint32_t)SONDE_PAGE_SAME,
		};
		int r = tell(s, root, &at);
		if (r)
			return r;
	}
	return 0;
}

#define CARE                                                                                       \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC | SONDE_PAGE_USER |                  \
	 SONDE_PAGE_GLOBAL | SONDE_PAGE_ACCESSED | SONDE_PAGE_DIRTY | SONDE_PAGE_PRESENT |         \
	 SONDE_PAGE_SIZES)

static int look(struct linux_os *lx, const struct search *s, struct sonde_error *err)
{
	struct sonde_page_run run;
	struct sonde_pages *pages;
	uint32_t root;
	int r = paging_pages_of(lx->phys, lx->paging, s->roots, s->n_roots, CARE, &pages);

	if (r < 0)
		return sonde_error_set(err, r, NULL);
	while ((r = paging_pages_next(pages, &run, &root)) > 0) {
		int stop = see_run(s, root, &run);
		if (stop) {
			sonde_pages_close(pages);
			return stop;
		}
	}
	sonde_pages_close(pages);
	return r < 0 ? sonde_error_set(err, r, "page tables: %s", sonde_strerror(r)) : r;
}

int linux_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		  void *user, struct sonde_error *err)
{
	struct linux_os *lx = linux_of(os);
	struct search s = { .n_pas = n, .fn = fn, .user = user };
	int r;

	s.pas = calloc(n + 1, sizeof(*s.pas));
	if (!s.pas)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	for (size_t i = 0; i < n; i++)
		s.pas[i] = pas[i];
	qsort(s.pas, n, sizeof(*s.pas), by_value);
	r = collect_owners(lx, &s, err);
	if (r == SONDE_OK) {
		collect_roots(lx, &s);
		r = look(lx, &s, err);
	}
	search_finish(&s);
	return r;
}

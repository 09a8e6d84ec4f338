/* SPDX-License-Identifier: MIT */
/*
 * Finding the mappings of a process: in the maple tree (from v6.1), else in the red-black tree of
 * the same mappings, else along their list. The trees are read breadth-first, a trip a level; the
 * list costs a trip a mapping and is followed only for what a damaged tree did not give.
 *
 * Source: linux v6.1 and v5.10 include/linux/mm_types.h, include/linux/rbtree.h.
 */
#include <stdlib.h>

#include "linux/maple.h"
#include "linux/mm.h"

#define VMAS_MAX MAPLE_ENTRIES_MAX

/* Note the address of a mapping to be read; one known already is only found. Returns 1, 0,
 * NO_MEMORY. */
static int add_vma(struct mm *mm, uint64_t addr, uint32_t *ret)
{
	if (!linux_pointer_plausible(mm->lx, addr) || mm->n == VMAS_MAX) {
		LIST_DAMAGE(mm->list, "the tree of mappings has a pointer to 0x%llx: %s",
			    (unsigned long long)addr,
			    mm->n == VMAS_MAX ? "too many mappings" : "no address of the kernel");
		return 0;
	}
	int r = addr_map_add(&mm->map, addr, ret);
	if (r < 0)
		return SONDE_E_NO_MEMORY;
	if (r == 0)
		return 1;
	if (mm->n == mm->cap) {
		uint32_t cap = mm->cap ? 2 * mm->cap : 64;
		struct vma *grown = realloc(mm->vmas, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		mm->vmas = grown;
		mm->cap = cap;
	}
	mm->vmas[mm->n++] = (struct vma){ .addr = addr };
	return 1;
}

static struct plan vma_plan(const struct layout *l)
{
	struct plan plan = { 0 };

	plan_add(&plan, l->vma_start);
	plan_add(&plan, l->vma_end);
	plan_add(&plan, l->vma_flags);
	plan_add(&plan, l->vma_pgoff);
	plan_add(&plan, l->vma_file);
	plan_add(&plan, l->vma_ops);
	plan_add(&plan, l->vma_private);
	plan_add(&plan, l->vma_anon_name);
	plan_add(&plan, l->vma_mm);
	plan_add(&plan, l->vma_rb);
	plan_add(&plan, l->vma_next);
	return plan;
}

/* A member that older or newer kernels do not have stays 0. */
static void optional(struct vma *v, const struct rows *rows, size_t row, struct field field,
		     uint64_t *ret)
{
	if (has(field))
		first_error(&v->err, rows_u64(rows, row, field, ret));
}

static void take_vma(struct mm *mm, struct vma *v, const struct rows *rows, size_t row)
{
	const struct layout *l = &mm->lx->layout;
	struct field left = l->rb_left, right = l->rb_right;

	first_error(&v->err, rows_u64(rows, row, l->vma_start, &v->start));
	first_error(&v->err, rows_u64(rows, row, l->vma_end, &v->end));
	first_error(&v->err, rows_u64(rows, row, l->vma_flags, &v->flags));
	first_error(&v->err, rows_u64(rows, row, l->vma_pgoff, &v->pgoff));
	first_error(&v->err, rows_u64(rows, row, l->vma_file, &v->file));
	optional(v, rows, row, l->vma_ops, &v->ops);
	optional(v, rows, row, l->vma_private, &v->private);
	optional(v, rows, row, l->vma_anon_name, &v->anon_name);
	optional(v, rows, row, l->vma_mm, &v->mm);
	if (has(l->vma_rb)) {
		left.off += l->vma_rb.off;
		right.off += l->vma_rb.off;
		optional(v, rows, row, left, &v->left);
		optional(v, rows, row, right, &v->right);
	}
	optional(v, rows, row, l->vma_next, &v->next);
	if (v->err)
		mm->n_lost++;
	else if (v->start >= v->end || (has(l->vma_mm) && v->mm && v->mm != mm->addr))
		v->err = SONDE_E_CORRUPT;
}

/* Read the mappings noted since the last trip. */
static int read_vmas(struct mm *mm)
{
	struct plan plan = vma_plan(&mm->lx->layout);
	struct rows rows;
	size_t n = mm->n - mm->n_read;
	int r = rows_init(&rows, &plan, n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, mm->vmas[mm->n_read + i].addr, mm->lx->os.kernel_memory,
			      mm->batch);
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (size_t i = 0; i < n && r == SONDE_OK; i++)
		take_vma(mm, &mm->vmas[mm->n_read + i], &rows, i);
	mm->n_read = mm->n;
	rows_finish(&rows);
	return r;
}

static int collect_maple(struct mm *mm)
{
	struct maple_entries found;
	uint32_t index;
	int r = maple_collect(mm->lx->loop, mm->lx->os.kernel_memory, &mm->lx->layout, mm->root,
			      &found);

	if (r == SONDE_OK && found.err)
		LIST_DAMAGE(mm->list,
			    "%u nodes of the tree of mappings could not be followed, the first at "
			    "0x%llx: %s",
			    found.n_damaged, (unsigned long long)found.err_addr,
			    sonde_strerror(found.err));
	for (size_t i = 0; i < found.n && r == SONDE_OK; i++) {
		r = add_vma(mm, found.items[i], &index);
		r = r < 0 ? r : SONDE_OK;
	}
	free(found.items);
	return r < 0 ? r : read_vmas(mm);
}

/* The mapping that holds a node of the red-black tree; 0 stays 0. */
static int add_rb(struct mm *mm, uint64_t node)
{
	uint32_t index, off = mm->lx->layout.vma_rb.off;
	/* Checked before: a small pointer less off would look like an address of the kernel. */
	bool plausible = linux_pointer_plausible(mm->lx, node);
	int r = node ? add_vma(mm, plausible ? node - off : node, &index) : 0;

	return r < 0 ? r : SONDE_OK;
}

/* Breadth-first: each trip reads the children of all that the trip before brought. */
static int collect_rb(struct mm *mm)
{
	int r = add_rb(mm, mm->rb);

	while (r == SONDE_OK && mm->n_read < mm->n) {
		uint32_t first = mm->n_read;
		r = read_vmas(mm);
		for (uint32_t i = first, end = mm->n_read; i < end && r == SONDE_OK; i++) {
			r = add_rb(mm, mm->vmas[i].left);
			if (r == SONDE_OK)
				r = add_rb(mm, mm->vmas[i].right);
		}
	}
	return r;
}

/* For what the tree did not give: a trip for each mapping that is not known yet. */
static int collect_list(struct mm *mm)
{
	uint64_t at = mm->first;

	while (at) {
		uint32_t index;
		int r = add_vma(mm, at, &index);
		if (r <= 0)
			return r;
		if (mm->n_read < mm->n && (r = read_vmas(mm)) < 0)
			return r;
		if (mm->vmas[index].in_list) {
			LIST_DAMAGE(mm->list, "the list of mappings runs in a circle at 0x%llx",
				    (unsigned long long)at);
			return SONDE_OK;
		}
		mm->vmas[index].in_list = true;
		at = mm->vmas[index].next;
	}
	return SONDE_OK;
}

int mm_collect(struct mm *mm)
{
	const struct layout *l = &mm->lx->layout;
	int r;

	if (has(l->mm_mt))
		return collect_maple(mm);
	r = has(l->vma_rb) ? collect_rb(mm) : SONDE_OK;
	if (r == SONDE_OK && (!has(l->vma_rb) || mm->n_lost || mm->n != mm->map_count))
		r = collect_list(mm);
	return r;
}

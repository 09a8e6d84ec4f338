/* SPDX-License-Identifier: MIT */
/*
 * Mappings of a process, as its /proc/PID/maps shows them. Trips: one for the process, one a level
 * of the tree of mappings, one for the mappings, three for what names them, and those of path.c.
 *
 * Source: linux v6.1 and v6.12 fs/proc/task_mmu.c (show_map_vma), include/linux/mm.h,
 * arch/x86/entry/vsyscall/vsyscall_64.c.
 */
#include "linux/mm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/mm.h */
#define VM_READ 0x1u
#define VM_WRITE 0x2u
#define VM_EXEC 0x4u
#define VM_MAYSHARE 0x80u

#define VSYSCALL_NONE 2u          /* enum in vsyscall_64.c: EMULATE, XONLY, NONE        */
#define CONTEXT_HAS_VSYSCALL 0x2u /* MM_CONTEXT_HAS_VSYSCALL, arch/x86/include/asm/mmu.h */
#define KERNEL_MINOR_BITS 20      /* include/linux/kdev_t.h                             */

/* v6.7, and v6.6 since its stable releases, no longer count a mapping that only touches the heap.
 */
static bool heap_is_strict(const struct linux_os *lx)
{
	return linux_since(lx, 6, 6);
}

static bool is_heap(const struct mm *mm, const struct vma *v)
{
	if (!mm->brk)
		return false;
	return heap_is_strict(mm->lx) ? v->start < mm->brk && v->end > mm->start_brk
				      : v->start <= mm->brk && v->end >= mm->start_brk;
}

static const char *label_text(const struct mm *mm, const struct vma *v, const struct label *label)
{
	struct arena *arena = &mm->list->arena;
	size_t len = strnlen(label->text, sizeof(label->text));

	if (v->ops && len)
		return arena_strndup(arena, label->text, len);
	if (is_heap(mm, v))
		return "[heap]";
	if (v->start <= mm->start_stack && v->end >= mm->start_stack)
		return "[stack]";
	if (mm_has_name(mm, v) && len)
		return arena_printf(arena, "[anon:%s]", label->text);
	return "";
}

static void name_file(const struct mm *mm, const struct vma *v, const struct label *label,
		      struct sonde_mapping *item)
{
	const struct file *f = &mm->files[v->file_index];
	const struct linux_path *path = &mm->paths[v->file_index];

	item->offset = v->pgoff << linux_page_shift(mm->lx);
	item->inode = f->ino;
	item->dev_major = (uint32_t)(f->dev >> KERNEL_MINOR_BITS);
	item->dev_minor = (uint32_t)f->dev & ((1u << KERNEL_MINOR_BITS) - 1);
	first_error(&item->err, f->err ? f->err : path->err);
	item->path = path->text ? path->text : "";
	if (mm_has_name(mm, v) && label->text[0])
		item->path = arena_printf(&mm->list->arena, "[anon_shmem:%s]", label->text);
}

static uint32_t region_flags(uint64_t flags)
{
	return (flags & VM_READ ? SONDE_REGION_READ : 0) |
	       (flags & VM_WRITE ? SONDE_REGION_WRITE : 0) |
	       (flags & VM_EXEC ? SONDE_REGION_EXEC : 0) |
	       (flags & VM_MAYSHARE ? SONDE_REGION_SHARED : 0);
}

static int list_vma(struct mm *mm, uint32_t i)
{
	const struct vma *v = &mm->vmas[i];
	struct sonde_mapping *item = mappings_add(mm->list);

	if (!item)
		return SONDE_E_NO_MEMORY;
	item->start = v->start;
	item->end = v->end;
	item->flags = region_flags(v->flags);
	item->err = v->err;
	item->path = "";
	if (!v->err && v->file)
		name_file(mm, v, &mm->labels[i], item);
	else if (!v->err)
		item->path = label_text(mm, v, &mm->labels[i]);
	return item->path ? SONDE_OK : SONDE_E_NO_MEMORY;
}

static int by_start(const void *a, const void *b)
{
	const struct sonde_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int list_all(struct mm *mm)
{
	int r = SONDE_OK;

	for (uint32_t i = 0; i < mm->n && r == SONDE_OK; i++)
		r = list_vma(mm, i);
	if (mm->list->n)
		qsort(mm->list->items, mm->list->n, sizeof(*mm->list->items), by_start);
	return r;
}

/*
 * The page of vsyscalls, one for all processes: /proc shows it in each, though no tree has it. Its
 * mapping is the variable gate_vma. Kernels without it, or with vsyscall=none, give nothing.
 */
struct gate {
	struct rows rows;
	struct plan plan;
	uint8_t mode[4];
	int32_t mode_err;
};

static int want_gate(struct linux_os *lx, struct gate *gate, struct sonde_batch *batch)
{
	uint64_t mode, vma;

	gate->mode_err = SONDE_E_NOT_FOUND;
	plan_add(&gate->plan, lx->layout.vma_start);
	plan_add(&gate->plan, lx->layout.vma_end);
	plan_add(&gate->plan, lx->layout.vma_flags);
	int r = rows_init(&gate->rows, &gate->plan, 1);
	if (r < 0 || !linux_symbol(lx, "vsyscall_mode", &mode) ||
	    !linux_symbol(lx, "gate_vma", &vma))
		return r;
	r = rows_want(&gate->rows, 0, vma, lx->os.kernel_memory, batch);
	return r < 0 ? r
		     : sonde_batch_add(batch, lx->os.kernel_memory, mode, gate->mode,
				       sizeof(gate->mode), &gate->mode_err);
}

static int list_gate(struct mm *mm, const struct gate *gate)
{
	const struct layout *l = &mm->lx->layout;
	uint64_t start, end, flags;

	if (gate->mode_err || sonde_le32(gate->mode) >= VSYSCALL_NONE ||
	    rows_u64(&gate->rows, 0, l->vma_start, &start) ||
	    rows_u64(&gate->rows, 0, l->vma_end, &end) ||
	    rows_u64(&gate->rows, 0, l->vma_flags, &flags) || start >= end)
		return SONDE_OK;
	struct sonde_mapping *item = mappings_add(mm->list);
	if (!item)
		return SONDE_E_NO_MEMORY;
	item->start = start;
	item->end = end;
	item->flags = region_flags(flags);
	item->path = "[vsyscall]";
	return SONDE_OK;
}

/* The mm_struct itself. Returns the first error of a member without which there is no list. */
static int take_mm(struct mm *mm, const struct rows *rows, bool *ret_gate)
{
	const struct layout *l = &mm->lx->layout;
	uint64_t flags = CONTEXT_HAS_VSYSCALL;
	int r = has(l->mm_mmap) ? SONDE_OK : SONDE_E_NO_TYPES;

	if (has(l->mm_mt))
		r = rows_u64(rows, 0, inside(l->mm_mt, l->mt_root), &mm->root);
	else if (has(l->mm_rb))
		r = rows_u64(rows, 0, l->mm_rb, &mm->rb);
	if (r == SONDE_OK && has(l->mm_mmap))
		r = rows_u64(rows, 0, l->mm_mmap, &mm->first);
	/* Absent, these leave names out, no mappings. */
	rows_u64(rows, 0, l->mm_start_brk, &mm->start_brk);
	rows_u64(rows, 0, l->mm_brk, &mm->brk);
	rows_u64(rows, 0, l->mm_start_stack, &mm->start_stack);
	rows_u64(rows, 0, l->mm_context_flags, &flags);
	mm->has_count = rows_u64(rows, 0, l->mm_map_count, &mm->map_count) == SONDE_OK;
	*ret_gate = flags & CONTEXT_HAS_VSYSCALL;
	return r;
}

static int read_mm(struct mm *mm, struct gate *gate)
{
	const struct layout *l = &mm->lx->layout;
	struct plan plan = { 0 };
	struct rows rows;
	bool wants_gate;

	if (has(l->mm_mt) && has(l->mt_root))
		plan_add(&plan, inside(l->mm_mt, l->mt_root));
	plan_add(&plan, l->mm_rb);
	plan_add(&plan, l->mm_mmap);
	plan_add(&plan, l->mm_start_brk);
	plan_add(&plan, l->mm_brk);
	plan_add(&plan, l->mm_start_stack);
	plan_add(&plan, l->mm_context_flags);
	plan_add(&plan, l->mm_map_count);
	int r = rows_init(&rows, &plan, 1);
	if (r == SONDE_OK)
		r = rows_want(&rows, 0, mm->addr, mm->lx->os.kernel_memory, mm->batch);
	if (r == SONDE_OK)
		r = want_gate(mm->lx, gate, mm->batch);
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	if (r == SONDE_OK)
		r = take_mm(mm, &rows, &wants_gate);
	if (r == SONDE_OK && !wants_gate)
		gate->mode_err = SONDE_E_NOT_FOUND;
	rows_finish(&rows);
	return r;
}

static int list_mappings(struct mm *mm, struct gate *gate)
{
	int r = read_mm(mm, gate);

	if (r == SONDE_OK)
		r = mm_collect(mm);
	if (r == SONDE_OK)
		r = mm_read_names(mm);
	if (r == SONDE_OK)
		r = list_all(mm);
	if (r == SONDE_OK)
		r = list_gate(mm, gate);
	if (mm->n_lost)
		LIST_DAMAGE(mm->list, "%u mappings could not be read", mm->n_lost);
	if (mm->has_count && mm->map_count != mm->n)
		LIST_DAMAGE(mm->list, "the kernel counts %llu mappings, %u were found",
			    (unsigned long long)mm->map_count, mm->n);
	return r;
}

/* The mm_struct of a process; it must have one of its own. */
static int find_mm(struct linux_os *lx, int32_t pid, uint64_t *ret, struct sonde_error *err)
{
	uint64_t task;
	int r = linux_find_task(lx, pid, &task, err);

	if (r < 0)
		return r;
	r = sonde_space_u64(lx->os.kernel_memory, task + lx->layout.task_mm.off, ret);
	if (r < 0)
		return sonde_error_set(err, r, "linux: process %d: its task at 0x%llx: %s", pid,
				       (unsigned long long)task, sonde_strerror(r));
	if (!*ret)
		return sonde_error_set(
			err, SONDE_E_NOT_MAPPED,
			"linux: process %d has no memory of its own: it is a kernel thread, "
			"or has ended and waits for its parent (zombie)",
			pid);
	if (!linux_pointer_plausible(lx, *ret))
		return sonde_error_set(
			err, SONDE_E_CORRUPT,
			"linux: process %d: its mm points to 0x%llx, which is no address of "
			"the kernel",
			pid, (unsigned long long)*ret);
	return SONDE_OK;
}

int linux_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		   struct sonde_error *err)
{
	struct mm mm = { .lx = linux_of(os), .list = list };
	struct gate gate = { 0 };
	int r = find_mm(mm.lx, pid, &mm.addr, err);

	if (r < 0)
		return r;
	mm.batch = sonde_batch_create(mm.lx->loop);
	r = mm.batch ? list_mappings(&mm, &gate) : SONDE_E_NO_MEMORY;
	sonde_batch_destroy(mm.batch);
	rows_finish(&gate.rows);
	addr_map_finish(&mm.map);
	addr_map_finish(&mm.file_map);
	free(mm.vmas);
	free(mm.files);
	free(mm.paths);
	free(mm.labels);
	if (r < 0)
		return sonde_error_set(err, r, "linux: process %d: mappings: mm at 0x%llx: %s", pid,
				       (unsigned long long)mm.addr, sonde_strerror(r));
	return SONDE_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Mappings of a process, as its /proc/PID/maps shows them: found in the maple tree (from v6.1), else in the
 * red-black tree of the same mappings, else along their list; then named. Trips: one for the
 * process, one a level of the tree, one for the mappings, three for what names them, and those of path.c.
 *
 * Source: linux v6.1 and v6.12 fs/proc/task_mmu.c (show_map_vma), include/linux/mm.h, v5.10 include/linux/mm_types.h,
 * arch/x86/entry/vsyscall/vsyscall_64.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/addr_map.h"
#include "linux/linux.h"
#include "linux/maple.h"

#define VMAS_MAX	MAPLE_ENTRIES_MAX
#define ANON_NAME_BYTES 80u /* ANON_VMA_NAME_MAX_LEN, terminator included */
#define SPECIAL_BYTES	32u /* "[vvar_vclock]" is the longest today       */

/* include/linux/mm.h */
#define VM_READ	    0x1u
#define VM_WRITE    0x2u
#define VM_EXEC	    0x4u
#define VM_MAYSHARE 0x80u

#define VSYSCALL_NONE	     2u    /* enum in vsyscall_64.c: EMULATE, XONLY, NONE        */
#define CONTEXT_HAS_VSYSCALL 0x2u  /* MM_CONTEXT_HAS_VSYSCALL, arch/x86/include/asm/mmu.h */
#define KERNEL_MINOR_BITS    20    /* include/linux/kdev_t.h                             */

struct vma {
	uint64_t addr, start, end, flags, pgoff, file, ops, private, anon_name, mm;
	uint64_t left, right, next; /* before v6.1                    */
	int32_t err;
	bool in_list;               /* met along vm_next              */
	uint32_t file_index;        /* of files, when file is not 0   */
};

/* A struct file that is mapped, however often. */
struct file {
	uint64_t addr, inode, sb, ino, dev;
	int32_t err;
};

/* What names a mapping without a file. */
struct label {
	uint8_t ops_name[8], special[8]; /* vm_ops->name; vm_special_mapping.name, if it is one */
	char text[ANON_NAME_BYTES];
	int32_t ops_err, special_err, text_err;
};

struct mm {
	struct linux_os *lx;
	struct sonde_batch *batch;
	struct sonde_mappings *list;
	uint64_t addr, start_brk, brk, start_stack, map_count;
	uint64_t root, rb, first; /* of the maple tree, of the red-black tree, of the list */
	bool has_count;
	struct addr_map map;
	struct vma *vmas; /* [n], the first n_read of them filled */
	uint32_t n, cap, n_read;
	uint32_t n_lost;  /* mappings that could not be read      */
	struct addr_map file_map;
	struct file *files; /* [file_map.n] */
	struct linux_path *paths;
	struct label *labels; /* [n] */
};

static void first_error(int32_t *err, int32_t r)
{
	if (!*err)
		*err = r;
}

/* Note the address of a mapping to be read; one known already is only found. Returns 1, 0, NO_MEMORY. */
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
		optional(v, rows, row, l->vma_next, &v->next);
	}
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
	uint32_t index;
	int r = node ? add_vma(mm, node - mm->lx->layout.vma_rb.off, &index) : 0;

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

static int collect(struct mm *mm)
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

/* Files: each once. */
static int collect_files(struct mm *mm)
{
	for (uint32_t i = 0; i < mm->n; i++) {
		struct vma *v = &mm->vmas[i];
		if (v->err || !v->file)
			continue;
		if (!linux_pointer_plausible(mm->lx, v->file)) {
			v->err = SONDE_E_CORRUPT;
			v->file = 0;
			continue;
		}
		if (addr_map_add(&mm->file_map, v->file, &v->file_index) < 0)
			return SONDE_E_NO_MEMORY;
	}
	mm->files = calloc(mm->file_map.n + 1, sizeof(*mm->files));
	mm->paths = calloc(mm->file_map.n + 1, sizeof(*mm->paths));
	mm->labels = calloc(mm->n + 1, sizeof(*mm->labels));
	if (!mm->files || !mm->paths || !mm->labels)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < mm->n; i++) {
		if (!mm->vmas[i].err && mm->vmas[i].file)
			mm->files[mm->vmas[i].file_index].addr = mm->vmas[i].file;
	}
	return SONDE_OK;
}

static int want(struct mm *mm, uint64_t base, struct field field, void *buf, size_t len,
		int32_t *ret_err)
{
	*ret_err = SONDE_E_NOT_MAPPED;
	if (!has(field) || !linux_pointer_plausible(mm->lx, base))
		return SONDE_OK;
	return sonde_batch_add(mm->batch, mm->lx->os.kernel_memory, base + field.off, buf, len,
			       ret_err);
}

/*
 * True when anon_name lies in memory of its own; before v6.2 it shared its place with what links mappings of
 * files, and meant something only in those without.
 */
static bool names_shared_memory(const struct layout *l)
{
	return has(l->vma_anon_name) && l->vma_anon_name.off != l->vma_shared.off;
}

static bool may_have_name(const struct mm *mm, const struct vma *v)
{
	return !v->err && v->anon_name && (!v->file || names_shared_memory(&mm->lx->layout));
}

static int want_labels(struct mm *mm)
{
	const struct layout *l = &mm->lx->layout;
	int r = SONDE_OK;

	for (uint32_t i = 0; i < mm->n && r == SONDE_OK; i++) {
		const struct vma *v = &mm->vmas[i];
		struct label *label = &mm->labels[i];
		if (may_have_name(mm, v))
			r = want(mm, v->anon_name, l->anon_name_text, label->text,
				 sizeof(label->text) - 1, &label->text_err);
		if (v->err || v->file || !v->ops || r < 0)
			continue;
		r = want(mm, v->ops, l->vmops_name, label->ops_name, 8, &label->ops_err);
		if (r == SONDE_OK)
			r = want(mm, v->private, l->mapping_name, label->special, 8,
				 &label->special_err);
	}
	return r;
}

static struct field inside(struct field outer, struct field inner)
{
	inner.off += outer.off;
	return inner;
}

/* First trip: where the files lie, and what names the mappings that have none. */
static int read_files(struct mm *mm)
{
	const struct layout *l = &mm->lx->layout;
	struct field mnt = inside(l->file_path, l->path_mnt);
	struct field dentry = inside(l->file_path, l->path_dentry);
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, mnt);
	plan_add(&plan, dentry);
	plan_add(&plan, l->file_inode);
	int r = rows_init(&rows, &plan, mm->file_map.n);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, mm->files[i].addr, mm->lx->os.kernel_memory, mm->batch);
	if (r == SONDE_OK)
		r = want_labels(mm);
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct file *f = &mm->files[i];
		first_error(&f->err, rows_u64(&rows, i, mnt, &mm->paths[i].mnt));
		first_error(&f->err, rows_u64(&rows, i, dentry, &mm->paths[i].dentry));
		first_error(&f->err, rows_u64(&rows, i, l->file_inode, &f->inode));
	}
	rows_finish(&rows);
	return r;
}

static bool is_function(const struct linux_os *lx, uint64_t addr, const char *name)
{
	struct sonde_symbol symbol;

	return lx->os.symbols && sonde_symbol_at(lx->os.symbols, addr, &symbol) &&
	       strcmp(symbol.name, name) == 0;
}

/* Ask for the text of a special mapping; its function is known by its symbol. */
static int want_special(struct mm *mm, struct label *label, bool *ret_special)
{
	*ret_special = !label->ops_err &&
		       is_function(mm->lx, sonde_le64(label->ops_name), "special_mapping_name");
	if (!*ret_special || label->special_err)
		return SONDE_OK;
	return sonde_batch_add(mm->batch, mm->lx->os.kernel_memory, sonde_le64(label->special),
			       label->text, SPECIAL_BYTES, &label->text_err);
}

static int want_specials(struct mm *mm)
{
	for (uint32_t i = 0; i < mm->n; i++) {
		struct vma *v = &mm->vmas[i];
		bool special;
		if (v->err || v->file || !v->ops)
			continue;
		int r = want_special(mm, &mm->labels[i], &special);
		if (r < 0)
			return r;
		/* What is left of ops says whether text is a special mapping's. */
		if (!special)
			v->ops = 0;
	}
	return SONDE_OK;
}

/* Second trip: inodes, and texts of special mappings. */
static int read_inodes(struct mm *mm)
{
	const struct layout *l = &mm->lx->layout;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, l->inode_ino);
	plan_add(&plan, l->inode_sb);
	int r = rows_init(&rows, &plan, mm->file_map.n);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, mm->files[i].inode, mm->lx->os.kernel_memory, mm->batch);
	if (r == SONDE_OK)
		r = want_specials(mm);
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct file *f = &mm->files[i];
		first_error(&f->err, rows_u64(&rows, i, l->inode_ino, &f->ino));
		first_error(&f->err, rows_u64(&rows, i, l->inode_sb, &f->sb));
	}
	rows_finish(&rows);
	return r;
}

/* Third trip: devices. */
static int read_devices(struct mm *mm)
{
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, mm->lx->layout.sb_dev);
	int r = rows_init(&rows, &plan, mm->file_map.n);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, mm->files[i].sb, mm->lx->os.kernel_memory, mm->batch);
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct file *f = &mm->files[i];
		first_error(&f->err, rows_u64(&rows, i, mm->lx->layout.sb_dev, &f->dev));
	}
	rows_finish(&rows);
	return r;
}

/* v6.6 no longer counts a mapping that only touches the heap. */
static bool heap_is_strict(const struct linux_os *lx)
{
	unsigned major = 0, minor = 0;

	if (!lx->kernel.release || sscanf(lx->kernel.release, "%u.%u", &major, &minor) != 2)
		return true;
	return major > 6 || (major == 6 && minor >= 6);
}

static bool is_heap(const struct mm *mm, const struct vma *v)
{
	if (!mm->brk)
		return false;
	return heap_is_strict(mm->lx) ? v->start < mm->brk && v->end > mm->start_brk :
					v->start <= mm->brk && v->end >= mm->start_brk;
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
	if (may_have_name(mm, v) && len)
		return arena_printf(arena, "[anon:%s]", label->text);
	return "";
}

static void name_file(const struct mm *mm, const struct vma *v, const struct label *label,
		      struct sonde_mapping *item)
{
	const struct file *f = &mm->files[v->file_index];
	const struct linux_path *path = &mm->paths[v->file_index];

	item->offset = v->pgoff << SONDE_PAGE_SHIFT;
	item->inode = f->ino;
	item->dev_major = (uint32_t)(f->dev >> KERNEL_MINOR_BITS);
	item->dev_minor = (uint32_t)f->dev & ((1u << KERNEL_MINOR_BITS) - 1);
	first_error(&item->err, f->err ? f->err : path->err);
	item->path = path->text ? path->text : "";
	if (may_have_name(mm, v) && label->text[0])
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
 * The page of vsyscalls, one for all processes: /proc shows it in each, though no tree has it. Its mapping is the
 * variable gate_vma. Kernels without it, or with vsyscall=none, give nothing.
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
	return r < 0 ? r :
		       sonde_batch_add(batch, lx->os.kernel_memory, mode, gate->mode,
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
	int r = SONDE_OK;

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
		r = collect(mm);
	if (r == SONDE_OK)
		r = collect_files(mm);
	if (r == SONDE_OK)
		r = read_files(mm);
	if (r == SONDE_OK)
		r = read_inodes(mm);
	if (r == SONDE_OK)
		r = read_devices(mm);
	if (r == SONDE_OK)
		r = linux_paths(mm->lx, mm->paths, mm->file_map.n, &mm->list->arena);
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
		return sonde_error_set(err, SONDE_E_NOT_MAPPED,
				       "linux: process %d has no memory of its own: it is a kernel thread, "
				       "or has ended and waits for its parent (zombie)", pid);
	if (!linux_pointer_plausible(lx, *ret))
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "linux: process %d: its mm points to 0x%llx, which is no address of "
				       "the kernel", pid, (unsigned long long)*ret);
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

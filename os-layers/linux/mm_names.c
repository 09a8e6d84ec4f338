/* SPDX-License-Identifier: MIT */
/*
 * What mappings are called: the path, inode and device of a file; the name of a special mapping
 * ([vdso]); the name that a process gave. Each file once, all in three trips and those of path.c.
 *
 * Source: linux v6.1 and v6.12 fs/proc/task_mmu.c (show_map_vma), v5.17 and v6.2
 * include/linux/mm_types.h (anon_name).
 */
#include <stdlib.h>
#include <string.h>

#include "linux/mm.h"

/*
 * include/linux/fs.h. The flag of a backing file moved from bit 25 to 24 with v6.14 and in stable
 * releases before; what else bit 24 meant (parallel direct writes, until v6.10) never came together
 * with FMODE_NOACCOUNT.
 */
#define FMODE_BACKING 0x3000000u
#define FMODE_NOACCOUNT 0x20000000u

#define SPECIAL_BYTES 32u /* "[vvar_vclock]" is the longest today */

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
 * True when anon_name lies in memory of its own; before v6.2 it shared its place with what links
 * mappings of files, and meant something only in those without.
 */
static bool names_shared_memory(const struct layout *l)
{
	return has(l->vma_anon_name) && l->vma_anon_name.off != l->vma_shared.off;
}

bool mm_has_name(const struct mm *mm, const struct vma *v)
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
		if (mm_has_name(mm, v))
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
	plan_add(&plan, l->file_mode);
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
		/* Only overlays ask for it; a kernel without it has none of their kind. */
		rows_u64(&rows, i, l->file_mode, &f->mode);
	}
	rows_finish(&rows);
	return r;
}

static bool is_backing(const struct mm *mm, const struct file *f)
{
	return !f->err && f->mode & FMODE_BACKING && f->mode & FMODE_NOACCOUNT &&
	       has(mm->lx->layout.backing_user_path);
}

/* What points nowhere was no backing file, whatever its flags say. */
static int32_t take_user_path(struct mm *mm, struct file *f, struct linux_path *path,
			      const struct rows *rows, size_t row)
{
	const struct layout *l = &mm->lx->layout;
	uint64_t mnt = 0, dentry = 0;
	int32_t err = rows_u64(rows, row, inside(l->backing_user_path, l->path_mnt), &mnt);

	first_error(&err,
		    rows_u64(rows, row, inside(l->backing_user_path, l->path_dentry), &dentry));
	if (err)
		return err;
	if (!linux_pointer_plausible(mm->lx, mnt) || !linux_pointer_plausible(mm->lx, dentry)) {
		f->mode = 0;
		return SONDE_OK;
	}
	path->mnt = mnt;
	path->dentry = dentry;
	return SONDE_OK;
}

/* Where the user opened the backing files, in place of where the layer below has them. */
static int read_user_paths(struct mm *mm)
{
	const struct layout *l = &mm->lx->layout;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, inside(l->backing_user_path, l->path_mnt));
	plan_add(&plan, inside(l->backing_user_path, l->path_dentry));
	int r = rows_init(&rows, &plan, mm->file_map.n);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		if (is_backing(mm, &mm->files[i]))
			r = rows_want(&rows, i, mm->files[i].addr, mm->lx->os.kernel_memory,
				      mm->batch);
	}
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct file *f = &mm->files[i];
		if (!is_backing(mm, f))
			continue;
		f->err = take_user_path(mm, f, &mm->paths[i], &rows, i);
	}
	rows_finish(&rows);
	return r;
}

/* The inodes of those paths. */
static int read_user_inodes(struct mm *mm)
{
	struct field inode = mm->lx->layout.dentry_inode;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, inode);
	int r = rows_init(&rows, &plan, mm->file_map.n);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		if (is_backing(mm, &mm->files[i]))
			r = rows_want(&rows, i, mm->paths[i].dentry, mm->lx->os.kernel_memory,
				      mm->batch);
	}
	int run = sonde_batch_run(mm->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct file *f = &mm->files[i];
		if (is_backing(mm, f))
			f->err = rows_u64(&rows, i, inode, &f->inode);
	}
	rows_finish(&rows);
	return r;
}

/*
 * A file of an overlay is mapped as the file of the layer below; since v6.7 the kernel keeps beside
 * it which path was opened, and /proc shows that one. Two trips, where there is such a file.
 */
static int follow_backing(struct mm *mm)
{
	bool any = false;

	for (uint32_t i = 0; i < mm->file_map.n; i++)
		any |= is_backing(mm, &mm->files[i]);
	if (!any)
		return SONDE_OK;
	int r = read_user_paths(mm);
	return r < 0 ? r : read_user_inodes(mm);
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

int mm_read_names(struct mm *mm)
{
	int r = collect_files(mm);

	if (r == SONDE_OK)
		r = read_files(mm);
	if (r == SONDE_OK)
		r = follow_backing(mm);
	if (r == SONDE_OK)
		r = read_inodes(mm);
	if (r == SONDE_OK)
		r = read_devices(mm);
	return r == SONDE_OK ? linux_paths(mm->lx, mm->paths, mm->file_map.n, &mm->list->arena) : r;
}

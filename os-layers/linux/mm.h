/* SPDX-License-Identifier: MIT */
/*
 * Between mm.c (the process, the list handed out), vma.c (finds its mappings) and mm_names.c (what
 * they are called).
 */
#ifndef SONDE_LINUX_MM_H
#define SONDE_LINUX_MM_H

#include "linux/addr_map.h"
#include "linux/linux.h"

#define ANON_NAME_BYTES 80u /* ANON_VMA_NAME_MAX_LEN, terminator included */

struct vma {
	uint64_t addr, start, end, flags, pgoff, file, ops, private, anon_name, mm;
	uint64_t left, right, next; /* before v6.1                    */
	int32_t err;
	bool in_list;        /* met along vm_next              */
	uint32_t file_index; /* of files, when file is not 0   */
};

/* A struct file that is mapped, however often. */
struct file {
	uint64_t addr, inode, sb, ino, dev, mode; /* mode: FMODE_ flags */
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
	uint32_t n_lost; /* mappings that could not be read      */
	struct addr_map file_map;
	struct file *files; /* [file_map.n] */
	struct linux_path *paths;
	struct label *labels; /* [n] */
};

/* vma.c: find and read all mappings. Returns 0 or NO_MEMORY, BUSY; what was lost is noted in
 * mm->list. */
int mm_collect(struct mm *mm);
/* mm_names.c: files, paths and labels. Likewise. */
int mm_read_names(struct mm *mm);
/* True when the label's text is the name that a process gave to v (prctl PR_SET_VMA_ANON_NAME). */
bool mm_has_name(const struct mm *mm, const struct vma *v);

static inline void first_error(int32_t *err, int32_t r)
{
	if (!*err)
		*err = r;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A Linux kernel, found and understood. detect.c makes one; each other file of this
 * folder answers one kind of question with it.
 *
 *   detect.c      which kernel lies in this memory: candidates, validation
 *   vmcoreinfo.c kallsyms.c layout.c   what it says of itself: notes, symbols, offsets
 *   data_symbols.c ksymtab.c           symbols of data where kallsyms has none
 *   rows.c        many structures in one trip
 *   task.c        processes and threads    path.c  file names    mm.c  mappings
 *   module.c      modules                  log.c   the kernel's log
 *   tables.c      page tables              swap_entry.c  what an entry that is not present says
 *   current.c     who runs on a processor  frames.c  what page frames are used for
 *   arch.h arch_*.c  what depends on the processor's architecture
 */
#ifndef SONDE_LINUX_LINUX_H
#define SONDE_LINUX_LINUX_H

#include <sonde/sonde.h>

#include "arch/paging.h"
#include "base/arena.h"
#include "common/lists.h"
#include "common/os.h"
#include "linux/data_symbols.h"
#include "linux/layout.h"
#include "linux/rows.h"
#include "linux/swap_entry.h"
#include "linux/vmcoreinfo.h"

struct linux_arch;

struct linux_os {
	struct sonde_os os; /* symbols, types, kernel_memory */
	struct sonde_target *target;
	struct sonde_loop *loop;
	struct sonde_space *phys;
	struct vmcoreinfo info;
	const struct linux_arch *arch;
	const struct paging *paging; /* the architecture's, or own_paging              */
	struct paging own_paging;    /* ... with this kernel's conventions             */
	uint64_t root;               /* physical address of the kernel's root table             */
	uint64_t image_slide;        /* virtual minus physical of the kernel image (text, data) */
	uint64_t image_text;         /* where a processor says that its text is; 0: it does not */
	uint64_t direct_map;         /* virtual address of physical 0 in the map of all RAM      */
	uint64_t tlb_ns;             /* for spaces made of this kernel's tables                 */
	struct swap_layout swap;
	struct data_symbols data_symbols; /* what kallsyms has not */
	struct layout layout;
	struct sonde_kernel kernel; /* strings in arena */
	struct arena arena;
	bool by_cpu;   /* a processor's state led to it      */
	bool is_live;  /* the guest may run while it is read */
	bool doubtful; /* init_task is no member of its own list: damage, or a remnant */
	uint8_t *btf;
	struct vmlinux *vmlinux; /* types from outside, NULL */
};

static inline struct linux_os *linux_of(struct sonde_os *os)
{
	return (struct linux_os *)(void *)os;
}

/* log2 of the size of this kernel's pages. */
static inline uint32_t linux_page_shift(const struct linux_os *lx)
{
	return lx->paging->levels[0].shift;
}

/* The kernel's tables in use. Where they have a half of their own, the other maps nothing. */
static inline struct paging_map linux_kernel_map(const struct linux_os *lx)
{
	bool halves = lx->paging->range == PAGING_HALVES;

	return (struct paging_map){ lx->paging, halves ? PAGING_NO_ROOT : lx->root, lx->root };
}

/* Those of a process with that root. */
static inline struct paging_map linux_user_map(const struct linux_os *lx, uint64_t root)
{
	return (struct paging_map){ lx->paging, root, lx->root };
}

/* True when the release is major.minor or later, or cannot be read. */
bool linux_since(const struct linux_os *lx, unsigned major, unsigned minor);

/* The address of a kernel symbol. Returns 1, 0 none. */
int linux_symbol(const struct linux_os *lx, const char *name, uint64_t *ret);

/* True for what may be the address of a kernel object: high half, canonical, aligned to 8. */
bool linux_pointer_plausible(const struct linux_os *lx, uint64_t pointer);

/*
 * detect.c: of a live target, whether a processor still runs this kernel. After a reset RAM holds it for as long as nobody
 * writes over it, and half of it would be believed. Returns 0, also where nobody tells; SONDE_E_GONE.
 */
int linux_check_runs(struct linux_os *lx, struct sonde_error *err);

/* task.c: the task_struct of a pid. Returns 0; SONDE_E_NOT_FOUND. */
int linux_find_task(struct linux_os *lx, int32_t pid, uint64_t *ret_task, struct sonde_error *err);
int linux_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		struct sonde_processes *list, struct sonde_error *err);
/* The root table (physical) of a process. SONDE_E_NOT_FOUND; SONDE_E_NOT_MAPPED: it has no memory of its own. */
int linux_process_root(struct linux_os *lx, int32_t pid, uint64_t *ret_root,
		       struct sonde_error *err);
/* The root table (physical) that mm->pgd points to. false: it is none. */
bool linux_root_of_pgd(const struct linux_os *lx, uint64_t pgd, uint64_t *ret);
/* A space for the user memory behind mm's root table (physical). */
int linux_user_space(struct linux_os *lx, uint64_t root, struct sonde_space **ret);

/* path.c: names of files, many at a time: as many trips as the deepest path has components. */
struct linux_path {
	uint64_t mnt, dentry; /* in: struct path, kernel addresses                        */
	const char *text; /* out: in the arena; " (deleted)" appended for unlinked; NULL on error */
	int32_t err;      /* out                                                      */
};
int linux_paths(struct linux_os *lx, struct linux_path *paths, size_t n, struct arena *arena);

/* mm.c, module.c, log.c, tables.c: as the slots of os_layer. */
int linux_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		   struct sonde_error *err);
int linux_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err);
/*
 * Add the symbols of all modules to add_to, which must not be sealed yet; lx->os.symbols must know
 * the kernel's own. Modules whose tables cannot be read are left out. Returns how many were added;
 * SONDE_E_NO_TYPES, what reading the list said, SONDE_E_LIMIT, SONDE_E_NO_MEMORY.
 */
int linux_module_symbols(struct linux_os *lx, struct sonde_symbols *add_to);
int linux_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		    struct sonde_error *err);
int linux_pages(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
		struct sonde_error *err);
int linux_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		  void *user, struct sonde_error *err);
/* current.c: as the slot of os_layer. */
int linux_current(struct sonde_os *os, const struct sonde_event *event, struct sonde_current *ret,
		  struct sonde_error *err);
int linux_log(struct sonde_os *os, struct sonde_log *list, struct sonde_error *err);
/* frames.c: as the slot of os_layer. */
int linux_frames(struct sonde_os *os, struct sonde_frames **ret, struct sonde_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads. All of them at once, one kind of structure a trip:
 *
 *   pid tree ─▶ task_structs ─▶ cred, mm, signal, kthread, parent ─▶ command lines, names, exe files ─▶ paths
 *
 * so the number of trips does not depend on how many there are.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "linux/pid_tree.h"
#include "linux/recheck.h"
#include "linux/task.h"

/* linux v6.6 include/linux/sched.h */
#define PF_KTHREAD UINT64_C(0x00200000)
#define TASK_REPORT 0x7fu
#define TASK_IDLE 0x402u
#define TASK_RTLOCK_WAIT 0x1000u
#define TASK_FROZEN 0x8000u
#define TASK_UNINTERRUPTIBLE 0x2u

/* ---- identity ------------------------------------------------------------------------------------ */

/* linux v6.6 include/linux/sched.h __task_state_index, fs/proc/array.c task_state_array. */
static char state_letter(uint64_t state, uint64_t exit_state)
{
	static const char letters[] = "RSDTtXZPI";
	uint32_t report = (uint32_t)(state | exit_state) & TASK_REPORT;

	if ((state & TASK_IDLE) == TASK_IDLE)
		return 'I';
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		report = TASK_UNINTERRUPTIBLE;
	if (!report)
		return 'R';
	return letters[32 - __builtin_clz(report)];
}

static void plan_tasks(struct tasks *f)
{
	const struct layout *l = &f->lx->layout;
	struct plan *plan = &f->task_plan;

	plan_add(plan, l->task_state);
	plan_add(plan, l->task_exit_state);
	plan_add(plan, l->task_flags);
	plan_add(plan, l->task_pid);
	plan_add(plan, l->task_tgid);
	plan_add(plan, l->task_real_parent);
	plan_add(plan, l->task_mm);
	plan_add(plan, l->task_comm);
	if (f->fields & SONDE_PROCESS_TIMES)
		plan_add(plan, l->task_start_boottime);
	if (f->fields & SONDE_PROCESS_CRED)
		plan_add(plan, l->task_real_cred);
	plan_add(plan, l->task_signal);
	plan_add(plan, l->task_kthread);
	plan_add(plan, l->task_thread_pid);
}

static void set_name(struct tasks *f, size_t i, struct sonde_process *p)
{
	int32_t err;
	struct field comm = f->lx->layout.task_comm;
	const uint8_t *bytes = rows_bytes(&f->task, i, comm, &err);

	if (!bytes) {
		task_fail(p, SONDE_PROCESS_IDENTITY, err);
		return;
	}
	p->name = arena_strndup(&f->list->arena, (const char *)bytes,
				strnlen((const char *)bytes, comm.size));
}

static void set_identity(struct tasks *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t pid = 0, tgid = 0, state = 0, exit_state = 0, flags = 0;
	uint32_t bit = SONDE_PROCESS_IDENTITY;

	p->state = '?';
	if (task_take(&f->task, i, l->task_pid, p, bit, &pid))
		p->pid = (int32_t)pid;
	if (task_take(&f->task, i, l->task_tgid, p, bit, &tgid))
		p->tgid = (int32_t)tgid;
	if (task_take(&f->task, i, l->task_state, p, bit, &state) &&
	    task_take(&f->task, i, l->task_exit_state, p, bit, &exit_state))
		p->state = state_letter(state, exit_state);
	if (task_take(&f->task, i, l->task_flags, p, bit, &flags))
		p->kernel_thread = !!(flags & PF_KTHREAD);
	if (f->fields & SONDE_PROCESS_TIMES)
		task_take(&f->task, i, l->task_start_boottime, p, SONDE_PROCESS_TIMES,
			  &p->start_ns);
	task_take(&f->task, i, l->task_real_parent, p, bit, &p->parent_addr);
	set_name(f, i, p);
}

static int fetch_tasks(struct tasks *f, const struct task_addrs *addrs)
{
	int r;

	plan_tasks(f);
	r = rows_init(&f->task, &f->task_plan, f->n);
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++) {
		struct sonde_process *p = processes_add(f->list);
		if (!p)
			return SONDE_E_NO_MEMORY;
		p->addr = addrs->at[i];
		r = rows_want(&f->task, i, p->addr, f->lx->os.kernel_memory, f->batch);
	}
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < f->n && r >= 0; i++)
		set_identity(f, i, &f->list->items[i]);
	return r;
}

/* ---- what the task points to ------------------------------------------------------------------------ */

static void plan_others(struct tasks *f)
{
	const struct layout *l = &f->lx->layout;

	plan_add(&f->cred_plan, l->cred_uid);
	plan_add(&f->cred_plan, l->cred_gid);
	plan_add(&f->cred_plan, l->cred_euid);
	plan_add(&f->cred_plan, l->cred_egid);
	plan_add(&f->signal_plan, l->signal_nr_threads);
	plan_add(&f->kthread_plan, l->kthread_data);
	plan_add(&f->kthread_plan, l->kthread_full_name);
	plan_add(&f->worker_plan, l->worker_desc);
	plan_add(&f->worker_plan, l->worker_pool);
	plan_add(&f->worker_plan, l->worker_current_work);
	plan_add(&f->mm_plan, l->mm_pgd);
	plan_add(&f->mm_plan, l->mm_total_vm);
	if (f->fields & SONDE_PROCESS_MEMORY)
		plan_add(&f->mm_plan, l->mm_rss_stat);
	if (f->fields & SONDE_PROCESS_CMDLINE) {
		plan_add(&f->mm_plan, l->mm_arg_start);
		plan_add(&f->mm_plan, l->mm_arg_end);
	}
	if (f->fields & SONDE_PROCESS_EXE)
		plan_add(&f->mm_plan, l->mm_exe_file);
}

uint64_t task_pointer(const struct tasks *f, size_t i, struct field field)
{
	uint64_t value;

	if (rows_u64(&f->task, i, field, &value) < 0 || !linux_pointer_plausible(f->lx, value))
		return 0;
	return value;
}

static int want_others(struct tasks *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	struct sonde_space *memory = f->lx->os.kernel_memory;
	int r = SONDE_OK;

	if (f->fields & SONDE_PROCESS_CRED)
		r = rows_want(&f->cred, i, task_pointer(f, i, l->task_real_cred), memory, f->batch);
	if (r == SONDE_OK)
		r = rows_want(&f->signal, i, task_pointer(f, i, l->task_signal), memory, f->batch);
	if (r == SONDE_OK && task_pointer(f, i, l->task_mm))
		r = rows_want(&f->mm, i, task_pointer(f, i, l->task_mm), memory, f->batch);
	if (r == SONDE_OK && p->kernel_thread && task_pointer(f, i, l->task_kthread))
		r = rows_want(&f->kthread, i, task_pointer(f, i, l->task_kthread), memory,
			      f->batch);
	f->parent_err[i] = SONDE_E_NOT_MAPPED;
	if (r == SONDE_OK && linux_pointer_plausible(f->lx, p->parent_addr) && p->parent_addr)
		r = sonde_batch_add(f->batch, memory, p->parent_addr + l->task_tgid.off,
				    &f->parent_tgid[i], 4, &f->parent_err[i]);
	return r;
}

static void set_cred(struct tasks *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t value;
	uint32_t bit = SONDE_PROCESS_CRED;

	if (task_take(&f->cred, i, l->cred_uid, p, bit, &value))
		p->uid = (uint32_t)value;
	if (task_take(&f->cred, i, l->cred_gid, p, bit, &value))
		p->gid = (uint32_t)value;
	if (task_take(&f->cred, i, l->cred_euid, p, bit, &value))
		p->euid = (uint32_t)value;
	if (task_take(&f->cred, i, l->cred_egid, p, bit, &value))
		p->egid = (uint32_t)value;
}

bool linux_root_of_pgd(const struct linux_os *lx, uint64_t pgd, uint64_t *ret)
{
	const uint32_t top = lx->paging->n_levels - 1;
	const uint64_t table = paging_n_entries(lx->paging, top) * lx->paging->entry_size;

	if (pgd < lx->direct_map || (pgd & (table - 1)))
		return false;
	*ret = pgd - lx->direct_map;
	return *ret < UINT64_C(1) << 52;
}

static void set_others(struct tasks *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t value, pgd;

	if (f->parent_err[i] == SONDE_OK)
		p->ppid = (int32_t)sonde_le32(&f->parent_tgid[i]);
	else
		task_fail(p, SONDE_PROCESS_IDENTITY, f->parent_err[i]);
	if (rows_u64(&f->signal, i, l->signal_nr_threads, &value) == SONDE_OK)
		p->n_threads = (uint32_t)value;
	if (f->fields & SONDE_PROCESS_CRED)
		set_cred(f, i, p);
	if (!task_pointer(f, i, l->task_mm)) {
		if (rows_u64(&f->task, i, l->task_mm, &value) == SONDE_OK && value)
			task_fail(p, SONDE_PROCESS_MEMORY, SONDE_E_CORRUPT);
		return;
	}
	if (task_take(&f->mm, i, l->mm_pgd, p, SONDE_PROCESS_MEMORY, &pgd) &&
	    !linux_root_of_pgd(f->lx, pgd, &p->page_table))
		task_fail(p, SONDE_PROCESS_MEMORY, SONDE_E_CORRUPT);
}

static int fetch_others(struct tasks *f)
{
	int r;

	plan_others(f);
	f->parent_tgid = calloc(f->n + 1, sizeof(*f->parent_tgid));
	f->parent_err = calloc(f->n + 1, sizeof(*f->parent_err));
	if (!f->parent_tgid || !f->parent_err)
		return SONDE_E_NO_MEMORY;
	if ((r = rows_init(&f->cred, &f->cred_plan, f->n)) < 0 ||
	    (r = rows_init(&f->mm, &f->mm_plan, f->n)) < 0 ||
	    (r = rows_init(&f->kthread, &f->kthread_plan, f->n)) < 0 ||
	    (r = rows_init(&f->worker, &f->worker_plan, f->n)) < 0 ||
	    (r = rows_init(&f->signal, &f->signal_plan, f->n)) < 0)
		return r;
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++)
		r = want_others(f, i, &f->list->items[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < f->n && r >= 0; i++)
		set_others(f, i, &f->list->items[i]);
	return r;
}

/* ---- executables ------------------------------------------------------------------------------------- */

static int fetch_files(struct tasks *f)
{
	const struct layout *l = &f->lx->layout;
	int r;

	plan_add(&f->file_plan, inside(l->file_path, l->path_mnt));
	plan_add(&f->file_plan, inside(l->file_path, l->path_dentry));
	r = rows_init(&f->file, &f->file_plan, f->n);
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++) {
		uint64_t file;
		if (rows_u64(&f->mm, i, l->mm_exe_file, &file) == SONDE_OK &&
		    linux_pointer_plausible(f->lx, file))
			r = rows_want(&f->file, i, file, f->lx->os.kernel_memory, f->batch);
	}
	return r < 0 ? r : sonde_batch_run(f->batch);
}

static int take_path(const struct tasks *f, size_t i, struct linux_path *ret)
{
	const struct layout *l = &f->lx->layout;
	int r = rows_u64(&f->file, i, inside(l->file_path, l->path_mnt), &ret->mnt);

	return r < 0 ? r
		     : rows_u64(&f->file, i, inside(l->file_path, l->path_dentry), &ret->dentry);
}

static int fetch_exes(struct tasks *f)
{
	struct linux_path *paths = calloc(f->n + 1, sizeof(*paths));
	size_t *owner = calloc(f->n + 1, sizeof(*owner)), n = 0;
	int r = paths && owner ? fetch_files(f) : SONDE_E_NO_MEMORY;

	for (size_t i = 0; i < f->n && r >= 0; i++) {
		int32_t err = take_path(f, i, &paths[n]);
		if (err < 0) {
			/* Never asked for: a kernel thread, or a process without an executable. */
			if (err != SONDE_E_NOT_FOUND)
				task_fail(&f->list->items[i], SONDE_PROCESS_EXE, err);
			continue;
		}
		owner[n++] = i;
	}
	if (r >= 0)
		r = linux_paths(f->lx, paths, n, &f->list->arena);
	for (size_t k = 0; k < n && r >= 0; k++) {
		struct sonde_process *p = &f->list->items[owner[k]];
		p->exe = paths[k].text;
		if (paths[k].err)
			task_fail(p, SONDE_PROCESS_EXE, paths[k].err);
	}
	free(paths);
	free(owner);
	return r;
}

/* ---- all together -------------------------------------------------------------------------------------- */

static void fetch_finish(struct tasks *f)
{
	sonde_batch_destroy(f->batch);
	rows_finish(&f->task);
	rows_finish(&f->cred);
	rows_finish(&f->mm);
	rows_finish(&f->signal);
	rows_finish(&f->kthread);
	rows_finish(&f->worker);
	rows_finish(&f->file);
	free(f->parent_tgid);
	free(f->parent_err);
	free(f->percpu.off);
	free(f->shares);
	free(f->share_errs);
}

static int fetch_all(struct tasks *f, const struct task_addrs *addrs)
{
	f->batch = sonde_batch_create(f->lx->loop);
	int r = f->batch ? fetch_tasks(f, addrs) : SONDE_E_NO_MEMORY;

	if (r >= 0)
		r = fetch_others(f);
	if (r >= 0 && (f->fields & SONDE_PROCESS_MEMORY))
		r = task_memory(f);
	if (r >= 0)
		r = task_names(f);
	if (r >= 0 && (f->fields & SONDE_PROCESS_CMDLINE))
		r = task_cmdlines(f);
	if (r >= 0 && (f->fields & SONDE_PROCESS_EXE))
		r = fetch_exes(f);
	if (r >= 0 && f->lx->is_live)
		r = linux_recheck(f->lx, &f->task, f->list->items, f->n,
				  f->fields | SONDE_PROCESS_IDENTITY);
	return r;
}

static int by_pid(const void *a, const void *b)
{
	const struct sonde_process *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool is_task(const struct sonde_process *p)
{
	return p->pid > 0 && p->tgid > 0 && p->pid <= (int32_t)TASKS_MAX;
}

/* Keep what was asked for; a record that is no task at all is damage, not a process. */
static void keep(struct sonde_processes *list, enum os_tasks what, int32_t pid)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct sonde_process *p = &list->items[i];
		bool unreadable = p->missing & SONDE_PROCESS_IDENTITY && !p->pid;
		if (!unreadable && !is_task(p)) {
			LIST_DAMAGE(list, "the record at 0x%" PRIx64 " is no task (pid %d)",
				    p->addr, p->pid);
			continue;
		}
		if (unreadable)
			LIST_DAMAGE(list, "the task at 0x%" PRIx64 " cannot be read: %s", p->addr,
				    sonde_strerror(p->err));
		if (what == OS_PROCESSES && p->pid != p->tgid)
			continue;
		if (pid && (what == OS_PROCESSES ? p->pid : p->tgid) != pid)
			continue;
		list->items[n++] = *p;
	}
	list->n = n;
	if (n)
		qsort(list->items, n, sizeof(*list->items), by_pid);
}

/* Where it is not, there is reason to ask whether this kernel still runs. */
static bool is_whole(const struct sonde_processes *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].missing)
			return false;
	}
	return !list->damage;
}

static int collect_addrs(struct linux_os *lx, enum os_tasks what, int32_t pid,
			 struct task_addrs *addrs, struct sonde_processes *list,
			 struct sonde_error *err)
{
	uint64_t task;

	if (pid && what == OS_PROCESSES && pid_tree_find(lx, pid, &task) == SONDE_OK) {
		addrs->at = malloc(sizeof(*addrs->at));
		if (!addrs->at)
			return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
		addrs->at[0] = task;
		addrs->n = addrs->cap = 1;
		return SONDE_OK;
	}
	return pid_tree_tasks(lx, what, addrs, list, err);
}

int linux_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		struct sonde_processes *list, struct sonde_error *err)
{
	struct tasks f = { .lx = linux_of(os), .list = list, .fields = fields };
	struct task_addrs addrs = { 0 };
	int r = collect_addrs(f.lx, what, pid, &addrs, list, err);

	if (r == SONDE_OK) {
		f.n = addrs.n;
		r = fetch_all(&f, &addrs);
		if (r < 0)
			sonde_error_set(err, r, "linux: reading tasks: %s", sonde_strerror(r));
	}
	fetch_finish(&f);
	task_addrs_finish(&addrs);
	if (r < 0)
		return r;
	keep(list, what, pid);
	if (!is_whole(list) && (r = linux_check_runs(f.lx, err)) < 0)
		return r;
	if (pid && !list->n)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "linux: no process has pid %d", pid);
	return SONDE_OK;
}

int linux_find_task(struct linux_os *lx, int32_t pid, uint64_t *ret_task, struct sonde_error *err)
{
	int r = pid > 0 ? pid_tree_find(lx, pid, ret_task) : SONDE_E_NOT_FOUND;

	if (r == SONDE_OK || r == SONDE_E_NOT_FOUND)
		return r ? sonde_error_set(err, r, "linux: no process has pid %d", pid) : r;
	/* The tree is damaged: the task may still be in the list. */
	struct sonde_processes list = { 0 };
	r = linux_tasks(&lx->os, OS_PROCESSES, pid, SONDE_PROCESS_IDENTITY, &list, err);
	if (r == SONDE_OK)
		*ret_task = list.items[0].addr;
	arena_finish(&list.arena);
	free(list.items);
	return r;
}

int linux_user_space(struct linux_os *lx, uint64_t root, struct sonde_space **ret)
{
	return paging_space(lx->phys, linux_user_map(lx, root), lx->tlb_ns, ret);
}

int linux_process_root(struct linux_os *lx, int32_t pid, uint64_t *ret_root,
		       struct sonde_error *err)
{
	uint64_t task, mm, pgd;
	int r = linux_find_task(lx, pid, &task, err);

	if (r < 0)
		return r;
	r = sonde_space_u64(lx->os.kernel_memory, task + lx->layout.task_mm.off, &mm);
	if (r == SONDE_OK && !mm)
		return sonde_error_set(
			err, SONDE_E_NOT_MAPPED,
			"linux: pid %d has no memory of its own: a kernel thread or a "
			"zombie",
			pid);
	if (r == SONDE_OK)
		r = sonde_space_u64(lx->os.kernel_memory, mm + lx->layout.mm_pgd.off, &pgd);
	if (r < 0)
		return sonde_error_set(err, r, "linux: pid %d: its mm: %s", pid, sonde_strerror(r));
	if (!linux_root_of_pgd(lx, pgd, ret_root))
		return sonde_error_set(err, SONDE_E_CORRUPT,
				       "linux: pid %d: its page table is at 0x%" PRIx64, pid, pgd);
	return SONDE_OK;
}

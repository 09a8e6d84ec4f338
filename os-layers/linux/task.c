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

#include "linux/linux.h"
#include "linux/percpu.h"
#include "linux/pid_tree.h"
#include "linux/recheck.h"

/* linux v6.6 include/linux/sched.h */
#define PF_KTHREAD UINT64_C(0x00200000)
#define PF_WQ_WORKER UINT64_C(0x00000020)
#define TASK_REPORT 0x7fu
#define TASK_IDLE 0x402u
#define TASK_RTLOCK_WAIT 0x1000u
#define TASK_FROZEN 0x8000u
#define TASK_UNINTERRUPTIBLE 0x2u

#define CMDLINE_MAX (UINT64_C(1) << 20)    /* of one process             */
#define CMDLINES_MAX (UINT64_C(256) << 20) /* of all together            */
#define PAGES_MAX (UINT64_C(1) << 40)      /* more than 52 bits of bytes */

/* linux v6.6 include/linux/mm_types_task.h: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
enum { MM_FILE = 0, MM_ANON = 1, MM_SHMEM = 3 };
static const uint32_t rss_counters[] = { MM_FILE, MM_ANON, MM_SHMEM };
#define N_RSS (sizeof(rss_counters) / sizeof(rss_counters[0]))
#define SHARES_MAX (UINT64_C(1) << 22) /* more: rss without them, as older kernels show it */

/* What is fetched of each task, row i of each belonging to item i. */
struct fetch {
	struct linux_os *lx;
	struct sonde_processes *list;
	uint32_t fields;
	size_t n;
	struct sonde_batch *batch;
	struct plan task_plan, cred_plan, mm_plan, signal_plan, kthread_plan, worker_plan,
		file_plan;
	struct rows task, cred, mm, signal, kthread, worker, file;
	uint32_t *parent_tgid;
	int32_t *parent_err;
	struct percpu percpu;
	uint8_t *
		shares; /* [n * N_RSS * percpu.n] of 4: what each processor has yet to add to rss */
	int32_t *share_errs;    /* as many; both NULL where rss_stat has no shares */
	uint64_t cmdline_bytes; /* so far */
};

static void fail(struct sonde_process *p, uint32_t field, int32_t err)
{
	p->missing |= field;
	if (!p->err)
		p->err = err;
}

/* A number of a row into *ret; a failure marks the item. */
static bool take(const struct rows *rows, size_t i, struct field field, struct sonde_process *p,
		 uint32_t missing, uint64_t *ret)
{
	int r = rows_u64(rows, i, field, ret);

	if (r < 0)
		fail(p, missing, r);
	return r == SONDE_OK;
}

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

static void plan_tasks(struct fetch *f)
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

static void set_name(struct fetch *f, size_t i, struct sonde_process *p)
{
	int32_t err;
	struct field comm = f->lx->layout.task_comm;
	const uint8_t *bytes = rows_bytes(&f->task, i, comm, &err);

	if (!bytes) {
		fail(p, SONDE_PROCESS_IDENTITY, err);
		return;
	}
	p->name = arena_strndup(&f->list->arena, (const char *)bytes,
				strnlen((const char *)bytes, comm.size));
}

static void set_identity(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t pid = 0, tgid = 0, state = 0, exit_state = 0, flags = 0;
	uint32_t bit = SONDE_PROCESS_IDENTITY;

	p->state = '?';
	if (take(&f->task, i, l->task_pid, p, bit, &pid))
		p->pid = (int32_t)pid;
	if (take(&f->task, i, l->task_tgid, p, bit, &tgid))
		p->tgid = (int32_t)tgid;
	if (take(&f->task, i, l->task_state, p, bit, &state) &&
	    take(&f->task, i, l->task_exit_state, p, bit, &exit_state))
		p->state = state_letter(state, exit_state);
	if (take(&f->task, i, l->task_flags, p, bit, &flags))
		p->kernel_thread = !!(flags & PF_KTHREAD);
	if (f->fields & SONDE_PROCESS_TIMES)
		take(&f->task, i, l->task_start_boottime, p, SONDE_PROCESS_TIMES, &p->start_ns);
	take(&f->task, i, l->task_real_parent, p, bit, &p->parent_addr);
	set_name(f, i, p);
}

static int fetch_tasks(struct fetch *f, const struct task_addrs *addrs)
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

static void plan_others(struct fetch *f)
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

static uint64_t pointer_of(const struct fetch *f, size_t i, struct field field)
{
	uint64_t value;

	if (rows_u64(&f->task, i, field, &value) < 0 || !linux_pointer_plausible(f->lx, value))
		return 0;
	return value;
}

static int want_others(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	struct sonde_space *memory = f->lx->os.kernel_memory;
	int r = SONDE_OK;

	if (f->fields & SONDE_PROCESS_CRED)
		r = rows_want(&f->cred, i, pointer_of(f, i, l->task_real_cred), memory, f->batch);
	if (r == SONDE_OK)
		r = rows_want(&f->signal, i, pointer_of(f, i, l->task_signal), memory, f->batch);
	if (r == SONDE_OK && pointer_of(f, i, l->task_mm))
		r = rows_want(&f->mm, i, pointer_of(f, i, l->task_mm), memory, f->batch);
	if (r == SONDE_OK && p->kernel_thread && pointer_of(f, i, l->task_kthread))
		r = rows_want(&f->kthread, i, pointer_of(f, i, l->task_kthread), memory, f->batch);
	f->parent_err[i] = SONDE_E_NOT_MAPPED;
	if (r == SONDE_OK && linux_pointer_plausible(f->lx, p->parent_addr) && p->parent_addr)
		r = sonde_batch_add(f->batch, memory, p->parent_addr + l->task_tgid.off,
				    &f->parent_tgid[i], 4, &f->parent_err[i]);
	return r;
}

static void set_cred(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t value;
	uint32_t bit = SONDE_PROCESS_CRED;

	if (take(&f->cred, i, l->cred_uid, p, bit, &value))
		p->uid = (uint32_t)value;
	if (take(&f->cred, i, l->cred_gid, p, bit, &value))
		p->gid = (uint32_t)value;
	if (take(&f->cred, i, l->cred_euid, p, bit, &value))
		p->euid = (uint32_t)value;
	if (take(&f->cred, i, l->cred_egid, p, bit, &value))
		p->egid = (uint32_t)value;
}

/* Counter k of process i without what its processors keep: where it is in rss_stat, NULL if
 * nowhere. */
static const uint8_t *rss_counter(const struct fetch *f, size_t i, size_t k, struct field field,
				  int32_t *ret_err)
{
	const struct layout *l = &f->lx->layout;
	uint32_t stride = l->rss_percpu ? l->rss_counter_size : 8;
	uint32_t at = rss_counters[k] * stride + field.off;
	const uint8_t *stat = rows_bytes(&f->mm, i, l->mm_rss_stat, ret_err);

	if (stat && at + 8 > l->mm_rss_stat.size) {
		*ret_err = SONDE_E_NO_TYPES;
		return NULL;
	}
	return stat ? stat + at : NULL;
}

/*
 * From v6.2 on a processor keeps up to a few dozen pages of a counter to itself (linux v6.6
 * lib/percpu_counter.c). Small processes would show next to nothing without them.
 */
static int want_shares(struct fetch *f, size_t i)
{
	struct field field = f->lx->layout.percpu_counters;
	int32_t err;
	int r = SONDE_OK;

	for (size_t k = 0; k < N_RSS; k++) {
		const uint8_t *counter = rss_counter(f, i, k, field, &err);
		for (uint32_t cpu = 0; counter && cpu < f->percpu.n && r == SONDE_OK; cpu++) {
			size_t at = (i * N_RSS + k) * f->percpu.n + cpu;
			r = sonde_batch_add(f->batch, f->lx->os.kernel_memory,
					    sonde_le64(counter) + f->percpu.off[cpu],
					    f->shares + 4 * at, 4, &f->share_errs[at]);
		}
	}
	return r;
}

static int fetch_shares(struct fetch *f)
{
	int r = percpu_read(f->lx, &f->percpu);
	size_t n = f->n * N_RSS * f->percpu.n;

	if (r < 0 || !n || n > SHARES_MAX)
		return r;
	f->shares = calloc(n, 4);
	f->share_errs = calloc(n, sizeof(*f->share_errs));
	if (!f->shares || !f->share_errs)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++)
		r = want_shares(f, i);
	return r < 0 ? r : sonde_batch_run(f->batch);
}

/* One counter in pages; the kernel shows a negative one as 0 as well. */
static int add_rss(const struct fetch *f, size_t i, size_t k, uint64_t *pages)
{
	struct field first =
		f->lx->layout.rss_percpu ? f->lx->layout.percpu_count : (struct field){ 0 };
	int32_t err;
	const uint8_t *counter = rss_counter(f, i, k, first, &err);

	if (!counter)
		return err;
	uint64_t sum = sonde_le64(counter);
	for (uint32_t cpu = 0; f->shares && cpu < f->percpu.n; cpu++) {
		size_t at = (i * N_RSS + k) * f->percpu.n + cpu;
		if (f->share_errs[at])
			return f->share_errs[at];
		sum += (uint64_t)(int64_t)(int32_t)sonde_le32(f->shares + 4 * at);
	}
	*pages += sum < PAGES_MAX ? sum : 0;
	return SONDE_OK;
}

static void set_memory(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t vsize, rss = 0;

	if (take(&f->mm, i, l->mm_total_vm, p, SONDE_PROCESS_MEMORY, &vsize) && vsize < PAGES_MAX)
		p->vsize = vsize << linux_page_shift(f->lx);
	for (size_t k = 0; k < N_RSS; k++) {
		int r = add_rss(f, i, k, &rss);
		if (r < 0) {
			fail(p, SONDE_PROCESS_MEMORY, r);
			return;
		}
	}
	p->rss = rss << linux_page_shift(f->lx);
}

/* Sizes of all, once their rss_stat is there. A processor's share that is lost costs the sizes
 * only. */
static int fetch_memory(struct fetch *f)
{
	const struct layout *l = &f->lx->layout;
	int r = l->rss_percpu && has(l->percpu_counters) ? fetch_shares(f) : SONDE_OK;

	for (size_t i = 0; i < f->n && r != SONDE_E_NO_MEMORY; i++) {
		struct sonde_process *p = &f->list->items[i];
		if (!pointer_of(f, i, l->task_mm))
			continue;
		set_memory(f, i, p);
		if (r < 0)
			fail(p, SONDE_PROCESS_MEMORY, r);
	}
	return r == SONDE_E_NO_MEMORY ? r : SONDE_OK;
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

static void set_others(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t value, pgd;

	if (f->parent_err[i] == SONDE_OK)
		p->ppid = (int32_t)sonde_le32(&f->parent_tgid[i]);
	else
		fail(p, SONDE_PROCESS_IDENTITY, f->parent_err[i]);
	if (rows_u64(&f->signal, i, l->signal_nr_threads, &value) == SONDE_OK)
		p->n_threads = (uint32_t)value;
	if (f->fields & SONDE_PROCESS_CRED)
		set_cred(f, i, p);
	if (!pointer_of(f, i, l->task_mm)) {
		if (rows_u64(&f->task, i, l->task_mm, &value) == SONDE_OK && value)
			fail(p, SONDE_PROCESS_MEMORY, SONDE_E_CORRUPT);
		return;
	}
	if (take(&f->mm, i, l->mm_pgd, p, SONDE_PROCESS_MEMORY, &pgd) &&
	    !linux_root_of_pgd(f->lx, pgd, &p->page_table))
		fail(p, SONDE_PROCESS_MEMORY, SONDE_E_CORRUPT);
}

static int fetch_others(struct fetch *f)
{
	int r;

	plan_others(f);
	f->parent_tgid = calloc(f->n + 1, sizeof(*f->parent_tgid));
	f->parent_err = calloc(f->n + 1, sizeof(*f->parent_err));
	if (!f->parent_tgid || !f->parent_err || rows_init(&f->cred, &f->cred_plan, f->n) < 0 ||
	    rows_init(&f->mm, &f->mm_plan, f->n) < 0 ||
	    rows_init(&f->kthread, &f->kthread_plan, f->n) < 0 ||
	    rows_init(&f->worker, &f->worker_plan, f->n) < 0 ||
	    rows_init(&f->signal, &f->signal_plan, f->n) < 0)
		return SONDE_E_NO_MEMORY;
	r = SONDE_OK;
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++)
		r = want_others(f, i, &f->list->items[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < f->n && r >= 0; i++)
		set_others(f, i, &f->list->items[i]);
	return r;
}

/* ---- names of kernel threads -------------------------------------------------------------------------- */

#define FULL_NAME_MAX 64u /* linux v6.6 fs/proc/array.c proc_task_name */

static bool is_worker(const struct fetch *f, size_t i)
{
	uint64_t flags;

	return rows_u64(&f->task, i, f->lx->layout.task_flags, &flags) == SONDE_OK &&
	       (flags & PF_WQ_WORKER);
}

/*
 * The kernel shows more of its threads than the 15 bytes of comm: a worker's "-" or "+" and what it does
 * (linux v6.6 kernel/workqueue.c wq_worker_comm), and the full name (kernel/kthread.c get_kthread_comm).
 */
static int want_name(struct fetch *f, size_t i, char *full, int32_t *err)
{
	const struct layout *l = &f->lx->layout;
	struct sonde_space *memory = f->lx->os.kernel_memory;
	uint64_t at;

	*err = SONDE_E_NOT_FOUND;
	if (is_worker(f, i))
		return rows_u64(&f->kthread, i, l->kthread_data, &at) < 0
			       ? SONDE_OK
			       : rows_want(&f->worker, i, at, memory, f->batch);
	if (rows_u64(&f->kthread, i, l->kthread_full_name, &at) < 0 || (int64_t)at >= 0)
		return SONDE_OK;
	return sonde_batch_add(f->batch, memory, at, full, FULL_NAME_MAX, err);
}

static void set_worker_name(struct fetch *f, size_t i, struct sonde_process *p)
{
	const struct layout *l = &f->lx->layout;
	uint64_t pool, work;
	int32_t err;
	const uint8_t *desc = rows_bytes(&f->worker, i, l->worker_desc, &err);

	if (!desc || !desc[0] || !p->name || rows_u64(&f->worker, i, l->worker_pool, &pool) < 0 ||
	    !pool || rows_u64(&f->worker, i, l->worker_current_work, &work) < 0)
		return;
	const char *name = arena_printf(&f->list->arena, "%s%c%.*s", p->name, work ? '+' : '-',
					(int)strnlen((const char *)desc, l->worker_desc.size),
					(const char *)desc);
	if (name)
		p->name = name;
}

/* A name that does not go on where comm ends is not this thread's. */
static void set_full_name(struct fetch *f, struct sonde_process *p, const char *full)
{
	size_t len = strnlen(full, FULL_NAME_MAX - 1);

	if (!p->name || strncmp(full, p->name, strlen(p->name)) != 0)
		return;
	const char *name = arena_strndup(&f->list->arena, full, len);
	if (name)
		p->name = name;
}

static int fetch_names(struct fetch *f)
{
	char(*full)[FULL_NAME_MAX] = calloc(f->n + 1, sizeof(*full));
	int32_t *errs = calloc(f->n + 1, sizeof(*errs));
	int r = full && errs ? SONDE_OK : SONDE_E_NO_MEMORY;

	for (size_t i = 0; i < f->n && r == SONDE_OK; i++)
		r = want_name(f, i, full[i], &errs[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < f->n && r >= 0; i++) {
		struct sonde_process *p = &f->list->items[i];
		if (is_worker(f, i))
			set_worker_name(f, i, p);
		else if (errs[i] == SONDE_OK)
			set_full_name(f, p, full[i]);
	}
	free(full);
	free(errs);
	return r;
}

/* ---- command lines --------------------------------------------------------------------------------- */

/* One process's arguments on their way. */
struct cmdline {
	struct sonde_process *p;
	struct sonde_space *space;
	uint64_t start, len;
	char *bytes;  /* [len], then [one page] of the second try */
	bool title;   /* may end within its last page, where the stack does */
	bool settled; /* read twice, and the same */
	int32_t err, again_err;
};

static bool arg_range(struct fetch *f, size_t i, struct sonde_process *p, struct cmdline *c)
{
	const struct layout *l = &f->lx->layout;
	uint64_t start, end;

	if (!p->page_table || !take(&f->mm, i, l->mm_arg_start, p, SONDE_PROCESS_CMDLINE, &start) ||
	    !take(&f->mm, i, l->mm_arg_end, p, SONDE_PROCESS_CMDLINE, &end))
		return false;
	if (end <= start)
		return false;
	if (end - start > CMDLINE_MAX || f->cmdline_bytes + (end - start) > CMDLINES_MAX) {
		fail(p, SONDE_PROCESS_CMDLINE, SONDE_E_LIMIT);
		return false;
	}
	f->cmdline_bytes += end - start;
	c->start = start;
	c->len = end - start;
	c->p = p;
	return true;
}

static int want_cmdline(struct fetch *f, struct cmdline *c)
{
	int r = linux_user_space(f->lx, c->p->page_table, &c->space);

	if (r < 0)
		return r;
	c->bytes = arena_alloc(&f->list->arena, (size_t)c->len + 1);
	if (!c->bytes)
		return SONDE_E_NO_MEMORY;
	return sonde_batch_add(f->batch, c->space, c->start, c->bytes, (size_t)c->len, &c->err);
}

/*
 * A process that wrote over its arguments, the last byte included, has set a title: one string, which
 * may go on behind them (linux v6.6 fs/proc/base.c get_mm_proctitle).
 */
static bool is_title(const struct cmdline *c)
{
	return !c->err && c->bytes[c->len - 1] != 0;
}

static int want_title(struct fetch *f, struct cmdline *c)
{
	const size_t page = (size_t)1 << linux_page_shift(f->lx);

	c->bytes = arena_alloc(&f->list->arena, page + 1);
	if (!c->bytes)
		return SONDE_E_NO_MEMORY;
	c->len = page;
	/* The stack may end within the page: what is not there reads as the zero that ends the title. */
	return sonde_batch_add(f->batch, c->space, c->start, c->bytes, page, NULL);
}

static void set_cmdline(struct cmdline *c)
{
	struct sonde_process *p = c->p;

	if (c->err) {
		fail(p, SONDE_PROCESS_CMDLINE, c->err);
		return;
	}
	p->cmdline = c->bytes;
	p->cmdline_len = c->title ? strnlen(c->bytes, c->len) : c->len;
	if (c->title && p->cmdline_len < c->len)
		p->cmdline_len++;
}

/*
 * Of a guest that runs a page may have changed hands between its entry and its bytes: a process that forks keeps copies of what
 * it writes to, and the page it had becomes the child's, and then anybody's. What is found twice in a row counts.
 */
static int read_again(struct fetch *f, struct cmdline *c, size_t n, char *again)
{
	int r = SONDE_OK;

	for (size_t i = 0; i < n && r >= 0; again += c[i++].len) {
		if (c[i].settled)
			continue;
		sonde_space_invalidate(c[i].space);
		r = sonde_batch_add(f->batch, c[i].space, c[i].start, again, (size_t)c[i].len,
				    c[i].title ? NULL : &c[i].again_err);
	}
	return r < 0 ? r : sonde_batch_run(f->batch);
}

/* Returns how many were found changed. */
static size_t compare_again(struct cmdline *c, size_t n, const char *again)
{
	size_t n_changed = 0;

	for (size_t i = 0; i < n; again += c[i++].len) {
		if (c[i].settled)
			continue;
		c[i].settled = !c[i].again_err && memcmp(c[i].bytes, again, c[i].len) == 0;
		if (!c[i].settled && !c[i].again_err)
			memcpy(c[i].bytes, again, c[i].len);
		n_changed += !c[i].settled;
	}
	return n_changed;
}

static int check_cmdlines(struct fetch *f, struct cmdline *c, size_t n)
{
	enum { TRIES = 3 };
	size_t total = 0, left = n;
	int r = SONDE_OK;

	for (size_t i = 0; i < n; i++) {
		total += c[i].len;
		c[i].settled = c[i].err != 0;
	}
	char *again = malloc(total + 1);
	if (!again)
		return SONDE_E_NO_MEMORY;
	for (int i = 0; i < TRIES && left > 0 && r >= 0; i++) {
		r = read_again(f, c, n, again);
		left = r < 0 ? 0 : compare_again(c, n, again);
	}
	free(again);
	for (size_t i = 0; i < n && r >= 0; i++)
		c[i].err = c[i].settled ? c[i].err : SONDE_E_CHANGED;
	return r;
}

static int run_cmdlines(struct fetch *f, struct cmdline *c, size_t n)
{
	int r = SONDE_OK;

	for (size_t i = 0; i < n && r == SONDE_OK; i++)
		r = want_cmdline(f, &c[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < n && r >= 0; i++) {
		c[i].title = is_title(&c[i]);
		if (c[i].title)
			r = want_title(f, &c[i]);
	}
	if (r >= 0)
		r = sonde_batch_run(f->batch);
	if (r >= 0 && f->lx->is_live)
		r = check_cmdlines(f, c, n);
	for (size_t i = 0; i < n && r >= 0; i++)
		set_cmdline(&c[i]);
	return r;
}

static int fetch_cmdlines(struct fetch *f)
{
	struct cmdline *c = calloc(f->n + 1, sizeof(*c));
	size_t n = 0;

	if (!c)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < f->n; i++) {
		struct sonde_process *p = &f->list->items[i];
		if (arg_range(f, i, p, &c[n]))
			n++;
	}
	int r = run_cmdlines(f, c, n);
	for (size_t i = 0; i < n; i++)
		sonde_space_close(c[i].space);
	free(c);
	return r;
}

/* ---- executables ------------------------------------------------------------------------------------- */

static int fetch_files(struct fetch *f)
{
	const struct layout *l = &f->lx->layout;
	int r;

	plan_add(&f->file_plan, l->file_path);
	r = rows_init(&f->file, &f->file_plan, f->n);
	for (size_t i = 0; i < f->n && r == SONDE_OK; i++) {
		uint64_t file;
		if (rows_u64(&f->mm, i, l->mm_exe_file, &file) == SONDE_OK &&
		    linux_pointer_plausible(f->lx, file))
			r = rows_want(&f->file, i, file, f->lx->os.kernel_memory, f->batch);
	}
	return r < 0 ? r : sonde_batch_run(f->batch);
}

static int fetch_exes(struct fetch *f)
{
	const struct layout *l = &f->lx->layout;
	struct linux_path *paths = calloc(f->n + 1, sizeof(*paths));
	size_t *owner = calloc(f->n + 1, sizeof(*owner)), n = 0;
	int r = paths && owner ? fetch_files(f) : SONDE_E_NO_MEMORY;

	for (size_t i = 0; i < f->n && r >= 0; i++) {
		int32_t err;
		const uint8_t *path = rows_bytes(&f->file, i, l->file_path, &err);
		if (!path) {
			/* Never asked for: a kernel thread, or a process without an executable. */
			if (err != SONDE_E_NOT_FOUND)
				fail(&f->list->items[i], SONDE_PROCESS_EXE, err);
			continue;
		}
		paths[n].mnt = sonde_le64(path + l->path_mnt.off);
		paths[n].dentry = sonde_le64(path + l->path_dentry.off);
		owner[n++] = i;
	}
	if (r >= 0)
		r = linux_paths(f->lx, paths, n, &f->list->arena);
	for (size_t k = 0; k < n && r >= 0; k++) {
		struct sonde_process *p = &f->list->items[owner[k]];
		p->exe = paths[k].text;
		if (paths[k].err)
			fail(p, SONDE_PROCESS_EXE, paths[k].err);
	}
	free(paths);
	free(owner);
	return r;
}

/* ---- all together -------------------------------------------------------------------------------------- */

static void fetch_finish(struct fetch *f)
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

static int fetch_all(struct fetch *f, const struct task_addrs *addrs)
{
	f->batch = sonde_batch_create(f->lx->loop);
	int r = f->batch ? fetch_tasks(f, addrs) : SONDE_E_NO_MEMORY;

	if (r >= 0)
		r = fetch_others(f);
	if (r >= 0 && (f->fields & SONDE_PROCESS_MEMORY))
		r = fetch_memory(f);
	if (r >= 0)
		r = fetch_names(f);
	if (r >= 0 && (f->fields & SONDE_PROCESS_CMDLINE))
		r = fetch_cmdlines(f);
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
	struct fetch f = { .lx = linux_of(os), .list = list, .fields = fields };
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

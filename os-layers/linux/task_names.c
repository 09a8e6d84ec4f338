/* SPDX-License-Identifier: MIT */
/*
 * Names of kernel threads. The kernel shows more of them than the 15 bytes of comm: a worker's "-" or "+" and what it does (linux v6.6
 * kernel/workqueue.c wq_worker_comm), and the full name (kernel/kthread.c get_kthread_comm).
 */
#include <stdlib.h>
#include <string.h>

#include "linux/task.h"

#define PF_WQ_WORKER UINT64_C(0x00000020) /* linux v6.6 include/linux/sched.h */
#define FULL_NAME_MAX 64u                 /* linux v6.6 fs/proc/array.c proc_task_name */

static bool is_worker(const struct tasks *f, size_t i)
{
	uint64_t flags;

	return rows_u64(&f->task, i, f->lx->layout.task_flags, &flags) == SONDE_OK &&
	       (flags & PF_WQ_WORKER);
}

static int want_name(struct tasks *f, size_t i, char *full, int32_t *err)
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

static void set_worker_name(struct tasks *f, size_t i, struct sonde_process *p)
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
static void set_full_name(struct tasks *f, struct sonde_process *p, const char *full)
{
	size_t len = strnlen(full, FULL_NAME_MAX - 1);

	if (!p->name || strncmp(full, p->name, strlen(p->name)) != 0)
		return;
	const char *name = arena_strndup(&f->list->arena, full, len);
	if (name)
		p->name = name;
}

int task_names(struct tasks *f)
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

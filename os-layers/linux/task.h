/* SPDX-License-Identifier: MIT */
/*
 * Between task.c (who there is, and what the task points to), task_memory.c, task_names.c (of kernel threads) and
 * task_cmdlines.c.
 */
#ifndef SONDE_LINUX_TASK_H
#define SONDE_LINUX_TASK_H

#include "linux/linux.h"
#include "linux/percpu.h"
#include "linux/rows.h"

/* What is fetched of each task, row i of each belonging to item i. */
struct tasks {
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
	/* [n * counters * percpu.n] of 4 bytes: what each processor has yet to add to rss. Both NULL where rss_stat has none. */
	uint8_t *shares;
	int32_t *share_errs;
	uint64_t cmdline_bytes; /* so far */
};

/* What of fields a process was to have is missing, for err. */
static inline void task_fail(struct sonde_process *p, uint32_t field, int32_t err)
{
	p->missing |= field;
	if (!p->err)
		p->err = err;
}

/* A number of a row into *ret; a failure marks the item. */
static inline bool task_take(const struct rows *rows, size_t i, struct field field,
			     struct sonde_process *p, uint32_t missing, uint64_t *ret)
{
	int r = rows_u64(rows, i, field, ret);

	if (r < 0)
		task_fail(p, missing, r);
	return r == SONDE_OK;
}

/* A pointer of the task's; 0 where it is none, or could not be read. */
uint64_t task_pointer(const struct tasks *f, size_t i, struct field field);

/*
 * Each fills in its part of all items, once the rows it looks at are there: mm, kthread, mm. What could not be read is
 * marked there. Returns 0; SONDE_E_NO_MEMORY, SONDE_E_BUSY.
 */
int task_memory(struct tasks *f);
int task_names(struct tasks *f);
int task_cmdlines(struct tasks *f);

#endif

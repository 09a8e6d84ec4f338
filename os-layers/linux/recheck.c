/* SPDX-License-Identifier: MIT */
/*
 * What decides is the struct pid: an exit takes the task out of it before anything of the task is freed (linux v6.6
 * kernel/exit.c __unhash_process), a fork puts it in when all of it is made (kernel/fork.c copy_process). A task whose
 * pointers are the same before and after, and that is in its struct pid after, is one and the same all the time.
 */
#include "linux/recheck.h"

#include <stdlib.h>
#include <string.h>

struct recheck {
	struct linux_os *lx;
	const struct rows *before;
	const struct sonde_process *items;
	struct plan plan;
	struct rows now;
	uint64_t *members; /* [n] first link of the struct pid that the task names */
	int32_t *errs;     /* [n] of members                                       */
	struct sonde_batch *batch;
};

/* State and flags are left out: they change all the time, and each is whole by itself. */
static bool is_same(const struct recheck *c, size_t i)
{
	const struct layout *l = &c->lx->layout;
	const struct field fields[] = { l->task_pid,       l->task_tgid,   l->task_real_parent,
					l->task_mm,        l->task_comm,   l->task_start_boottime,
					l->task_real_cred, l->task_signal, l->task_thread_pid };
	int32_t err;

	for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
		const uint8_t *was = rows_bytes(c->before, i, fields[k], &err);
		const uint8_t *is = was ? rows_bytes(&c->now, i, fields[k], &err) : NULL;
		if (was && (!is || memcmp(was, is, fields[k].size) != 0))
			return false;
	}
	return true;
}

/* The list of type PIDTYPE_PID, which is 0, has the one task and begins at its first link. */
static bool is_member(const struct recheck *c, size_t i)
{
	uint64_t link = c->items[i].addr + c->lx->layout.task_pid_links.off;

	return c->errs[i] == SONDE_OK && sonde_le64(&c->members[i]) == link;
}

static bool has_members(const struct layout *l)
{
	return has(l->task_thread_pid) && has(l->task_pid_links) && has(l->pid_tasks);
}

/* Row i again, and who is in the struct pid that it named before. */
static int want(struct recheck *c, size_t i)
{
	const struct layout *l = &c->lx->layout;
	struct sonde_space *memory = c->lx->os.kernel_memory;
	uint64_t pid;
	int r = rows_want(&c->now, i, c->items[i].addr, memory, c->batch);

	c->errs[i] = SONDE_E_NOT_MAPPED;
	if (r < 0 || !has_members(l) || rows_u64(c->before, i, l->task_thread_pid, &pid) < 0 ||
	    !linux_pointer_plausible(c->lx, pid))
		return r;
	return sonde_batch_add(c->batch, memory, pid + l->pid_tasks.off, &c->members[i], 8,
			       &c->errs[i]);
}

static int look_again(struct recheck *c, size_t n)
{
	int r = rows_init(&c->now, &c->plan, n);

	if (r == SONDE_OK && (!c->batch || !c->members || !c->errs))
		r = SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < n && r == SONDE_OK; i++)
		r = want(c, i);
	return r < 0 ? r : sonde_batch_run(c->batch);
}

int linux_recheck(struct linux_os *lx, const struct rows *task, struct sonde_process *items,
		  size_t n, uint32_t fields)
{
	struct recheck c = { .lx = lx, .before = task, .items = items, .plan = *task->plan };

	c.batch = sonde_batch_create(lx->loop);
	c.members = calloc(n + 1, sizeof(*c.members));
	c.errs = calloc(n + 1, sizeof(*c.errs));
	int r = look_again(&c, n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		if (is_same(&c, i) && (!has_members(&lx->layout) || is_member(&c, i)))
			continue;
		items[i].missing |= fields;
		items[i].err = items[i].err ? items[i].err : SONDE_E_CHANGED;
	}
	rows_finish(&c.now);
	sonde_batch_destroy(c.batch);
	free(c.members);
	free(c.errs);
	return r == SONDE_E_NO_MEMORY ? r : SONDE_OK;
}

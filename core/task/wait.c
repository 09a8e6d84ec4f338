/* SPDX-License-Identifier: MIT */
/* What tasks wait for besides requests: the end of others, and time. */
#include <sonde/error.h>

#include "task/inside.h"

/* ---- join -------------------------------------------------------------------------------- */

struct join {
	struct task_wait wait;
	struct sonde_task *task;
};

/* What it works on may lie on the joiner's stack, so its end is waited for. */
static void stop_join(struct task_wait *wait, int code)
{
	(void)code;
	task_cancel_tree(((struct join *)(void *)wait)->task);
}

static void add_waiting(struct sonde_task ***tail, struct sonde_task *task)
{
	if (!task || task->listed)
		return;
	task->listed = true;
	task->next_asked = NULL;
	**tail = task;
	*tail = &task->next_asked;
}

/*
 * Would task, by what it waits for or is made of, wait for self? Whoever joins a task waits for it, and so does its
 * parent; what waits for those does, too.
 */
static bool waits_for(const struct sonde_task *task, struct sonde_task *self)
{
	struct sonde_task *first = NULL, **tail = &first;
	bool found = false;

	add_waiting(&tail, self);
	for (const struct sonde_task *at = first; at; at = at->next_asked) {
		found |= at == task;
		add_waiting(&tail, at->parent);
		add_waiting(&tail, at->joiner ? at->joiner->task : NULL);
	}
	for (; first; first = first->next_asked)
		first->listed = false;
	return found;
}

static int join_from_task(struct sonde_task *self, struct join *join)
{
	if (sonde_task_check(self) < 0)
		task_cancel_tree(join->task);
	int r = task_wait(self->loop, &join->wait);
	int why = sonde_task_check(self);
	return r == SONDE_E_CANCELLED && why < 0 ? why : r;
}

int sonde_task_join(struct sonde_task *self, struct sonde_task *task)
{
	struct join join = { .wait.stop = stop_join, .task = task };
	struct sonde_loop *loop = task->loop;
	int r = task->result;

	if (task->detached || task->joined)
		return SONDE_E_BAD_ARG;
	if (self && (!task_is_running(self) || self->loop != loop || waits_for(task, self)))
		return SONDE_E_BAD_ARG;
	if (!task->ended && !self && (loop->current || loop->inside))
		return SONDE_E_BUSY;
	if (!task->ended) {
		task->joined = true;
		task->joiner = &join.wait;
		r = self ? join_from_task(self, &join) : task_wait(loop, &join.wait);
	}
	task_free(task);
	return r;
}

/* ---- sleep ------------------------------------------------------------------------------- */

struct sleep {
	struct task_wait wait;
	struct sonde_timer timer;
};

static void sleep_over(struct sonde_timer *timer)
{
	task_wake(timer->user, SONDE_OK);
}

static void stop_sleep(struct task_wait *wait, int code)
{
	sonde_timer_stop(wait->task->loop, &((struct sleep *)(void *)wait)->timer);
	task_wake(wait, code);
}

int sonde_task_sleep_until(struct sonde_task *self, uint64_t at_ns)
{
	struct sleep sleep = { .wait.stop = stop_sleep,
			       .timer = { .at_ns = at_ns, .fire = sleep_over } };

	if (!task_is_running(self))
		return SONDE_E_BAD_ARG;
	int r = sonde_task_check(self);
	if (r < 0)
		return r;
	sleep.timer.user = &sleep.wait;
	sonde_timer_start(self->loop, &sleep.timer);
	return task_wait(self->loop, &sleep.wait);
}

int sonde_task_sleep(struct sonde_task *self, uint64_t ns)
{
	uint64_t now = sonde_now_ns();

	return sonde_task_sleep_until(self, ns > UINT64_MAX - now ? UINT64_MAX : now + ns);
}

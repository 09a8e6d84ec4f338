/* SPDX-License-Identifier: MIT */
/*
 * Ends that were asked for: of a tree of tasks, or of all that a task does inside a timeout. Both
 * stop what the task is parked in, and every wait after it; neither takes the processor from anyone.
 */
#include <sonde/error.h>

#include "task/inside.h"

/* ---- the tree ---------------------------------------------------------------------------- */

void task_add_child(struct sonde_task *parent, struct sonde_task *child)
{
	if (!parent)
		return;
	child->parent = parent;
	child->cancelled = parent->cancelled;
	child->next = parent->children;
	if (child->next)
		child->next->prev = child;
	parent->children = child;
}

void task_remove_child(struct sonde_task *child)
{
	if (!child->parent)
		return;
	if (child->prev)
		child->prev->next = child->next;
	else
		child->parent->children = child->next;
	if (child->next)
		child->next->prev = child->prev;
}

/* The next one after task in the tree of root: the parent first, then what is below it. */
static struct sonde_task *after(const struct sonde_task *root, struct sonde_task *task, bool below)
{
	if (below && task->children)
		return task->children;
	while (task != root && !task->next)
		task = task->parent;
	return task == root ? NULL : task->next;
}

/* What is below a cancelled task is cancelled already. */
static int mark(struct sonde_task *root)
{
	struct task_side *side = task_side(root);
	int n = 0;

	for (struct sonde_task *at = root; at;) {
		bool fresh = !at->cancelled;
		if (fresh) {
			at->cancelled = true;
			at->next_asked = side->asked;
			side->asked = at;
			n++;
		}
		at = after(root, at, fresh);
	}
	return n;
}

static void stop(struct sonde_task *task, int code)
{
	if (task->wait && !task->wait->over)
		task->wait->stop(task->wait, code);
}

/* Telling one may ask for the end of others (a join does): they join the list, so nothing recurs. */
int task_cancel_tree(struct sonde_task *task)
{
	struct task_side *side = task_side(task);
	int n = mark(task);

	if (side->telling)
		return n;
	side->telling = true;
	while (side->asked) {
		struct sonde_task *at = side->asked;
		side->asked = at->next_asked;
		stop(at, SONDE_E_CANCELLED);
	}
	side->telling = false;
	return n;
}

int sonde_task_cancel(struct sonde_task *task)
{
	return !task->ended && task_cancel_tree(task) > 0;
}

int sonde_task_check(struct sonde_task *self)
{
	if (self->cancelled)
		return SONDE_E_CANCELLED;
	if (self->deadline_ns != UINT64_MAX && sonde_now_ns() >= self->deadline_ns)
		return SONDE_E_TIMED_OUT;
	return SONDE_OK;
}

/* ---- timeouts ---------------------------------------------------------------------------- */

static void timeout_passed(struct sonde_timer *timer)
{
	stop(timer->user, SONDE_E_TIMED_OUT);
}

/* The clock says whether a deadline has passed; the timer only ends the wait it passes in. */
int sonde_task_timeout(struct sonde_task *self, uint64_t at_ns, sonde_task_fn *fn, void *arg)
{
	struct sonde_timer timer = { .at_ns = at_ns, .fire = timeout_passed, .user = self };

	if (!task_is_running(self) || !fn)
		return SONDE_E_BAD_ARG;
	uint64_t outer = self->deadline_ns;
	if (at_ns >= outer)
		return fn(self, arg);
	self->deadline_ns = at_ns;
	sonde_timer_start(self->loop, &timer);
	int r = fn(self, arg);
	sonde_timer_stop(self->loop, &timer);
	self->deadline_ns = outer;
	return r;
}

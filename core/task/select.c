/* SPDX-License-Identifier: MIT */
/*
 * Select: look whether anything is there; if not, leave a watch with each, and take them all back when
 * the first one fires, in the very call that fires it: nobody else is told of what has gone.
 */
#include <sonde/error.h>
#include <sonde/select.h>

#include "io/fd_core.h"
#include "io/request.h"
#include "task/channel.h"

/* What an entry keeps in its core while it is waited for. */
struct entry_core {
	struct channel_waiter waiter;
	struct selecting *selecting;
};
_Static_assert(sizeof(struct entry_core) <= sizeof(((struct sonde_select *)0)->core),
	       "struct sonde_select keeps room for entry_core");

/* One call, on its caller's stack. */
struct selecting {
	struct task_wait wait;
	struct sonde_loop *loop;
	struct sonde_select *entries; /* [n] */
	size_t n;
	size_t soonest; /* of the TIME entries; n: there is none */
	struct sonde_timer timer;
};

static struct entry_core *core(struct sonde_select *entry)
{
	return (struct entry_core *)(void *)entry->core;
}

/* ---- checking ---------------------------------------------------------------------------- */

static bool task_ok(const struct selecting *s, const struct sonde_task *task)
{
	return task && task->loop == s->loop && !task->detached && task != s->loop->current;
}

static bool channel_ok(const struct selecting *s, const struct sonde_select *entry)
{
	return entry->channel && entry->channel->loop == s->loop &&
	       channel_takes(entry->channel, entry->item);
}

static bool entry_ok(const struct selecting *s, const struct sonde_select *entry)
{
	switch (entry->kind) {
	case SONDE_SELECT_NONE:
	case SONDE_SELECT_TIME:
		return true;
	case SONDE_SELECT_TASK:
		return task_ok(s, entry->task);
	case SONDE_SELECT_IO:
		return entry->io != NULL;
	case SONDE_SELECT_FD:
		return entry->fd_io != NULL;
	case SONDE_SELECT_RECV:
	case SONDE_SELECT_SEND:
		return channel_ok(s, entry);
	default:
		return false;
	}
}

static int check(struct selecting *s)
{
	bool any = false;

	s->soonest = s->n;
	if (!s->n || s->n > SONDE_SELECT_MAX || !s->entries)
		return SONDE_E_BAD_ARG;
	for (size_t i = 0; i < s->n; i++) {
		struct sonde_select *entry = &s->entries[i];
		if (!entry_ok(s, entry))
			return SONDE_E_BAD_ARG;
		any |= entry->kind != SONDE_SELECT_NONE;
		if (entry->kind == SONDE_SELECT_TIME &&
		    (s->soonest == s->n || entry->at_ns < s->entries[s->soonest].at_ns))
			s->soonest = i;
	}
	return any ? SONDE_OK : SONDE_E_BAD_ARG;
}

/* ---- what is there already ----------------------------------------------------------------- */

static enum channel_end end_of(const struct sonde_select *entry)
{
	return entry->kind == SONDE_SELECT_SEND ? CHANNEL_SEND : CHANNEL_RECV;
}

/* Take it if it is there. Returns 0: it is not; 1 or the code it comes with. */
static int take(struct sonde_select *entry, uint64_t now)
{
	switch (entry->kind) {
	case SONDE_SELECT_TASK:
		return entry->task->ended;
	case SONDE_SELECT_IO:
		return entry->io->state == SONDE_IO_IDLE;
	case SONDE_SELECT_FD:
		return entry->fd_io->state == SONDE_IO_IDLE;
	case SONDE_SELECT_TIME:
		return now >= entry->at_ns;
	case SONDE_SELECT_RECV:
	case SONDE_SELECT_SEND:
		return channel_move(entry->channel, end_of(entry), entry->item);
	default:
		return 0;
	}
}

/* Numerical Recipes' generator: whoever selects in turns with others must not see the same few numbers. */
static size_t chance(struct sonde_loop *loop, size_t n)
{
	loop->select_seed = loop->select_seed * 1664525u + 1013904223u;
	return (size_t)((uint64_t)(loop->select_seed >> 8) * n >> 24);
}

/* The first that is there, looked for from a place left to chance; n: none. */
static size_t take_first(struct selecting *s)
{
	uint64_t now = s->soonest < s->n ? sonde_now_ns() : 0;
	size_t i = chance(s->loop, s->n);

	for (size_t left = s->n; left > 0; left--) {
		int r = take(&s->entries[i], now);
		if (r) {
			s->entries[i].result = r < 0 ? r : SONDE_OK;
			return i;
		}
		i = i + 1 < s->n ? i + 1 : 0;
	}
	return s->n;
}

/* ---- waiting ----------------------------------------------------------------------------- */

static void join(struct sonde_select *entry)
{
	switch (entry->kind) {
	case SONDE_SELECT_RECV:
	case SONDE_SELECT_SEND:
		channel_wait(entry->channel, end_of(entry), &core(entry)->waiter);
		break;
	case SONDE_SELECT_TASK:
		loop_watch_add(&entry->task->watches, &core(entry)->waiter.watch);
		break;
	case SONDE_SELECT_IO:
		io_watch(entry->io, &core(entry)->waiter.watch);
		break;
	case SONDE_SELECT_FD:
		loop_watch_add(&fd_core(entry->fd_io)->watches, &core(entry)->waiter.watch);
		break;
	}
}

static void leave(struct sonde_select *entry)
{
	switch (entry->kind) {
	case SONDE_SELECT_RECV:
	case SONDE_SELECT_SEND:
		channel_leave(entry->channel, end_of(entry), &core(entry)->waiter);
		break;
	case SONDE_SELECT_TASK:
		loop_watch_remove(&entry->task->watches, &core(entry)->waiter.watch);
		break;
	case SONDE_SELECT_IO:
		loop_watch_remove(&io_core(entry->io)->watches, &core(entry)->waiter.watch);
		break;
	case SONDE_SELECT_FD:
		loop_watch_remove(&fd_core(entry->fd_io)->watches, &core(entry)->waiter.watch);
		break;
	}
}

/* That one has left by itself. */
static void leave_all_but(struct selecting *s, const struct sonde_select *fired)
{
	for (size_t i = 0; i < s->n; i++) {
		if (&s->entries[i] != fired)
			leave(&s->entries[i]);
	}
	if (s->soonest < s->n)
		sonde_timer_stop(s->loop, &s->timer);
}

static void over(struct selecting *s, struct sonde_select *fired, int result)
{
	leave_all_but(s, fired);
	fired->result = result;
	task_wake(&s->wait, (int)(fired - s->entries));
}

static void fire(struct loop_watch *watch, int result)
{
	struct entry_core *at = (struct entry_core *)(void *)watch;
	struct sonde_select *entry =
		(struct sonde_select *)((char *)at - offsetof(struct sonde_select, core));

	over(at->selecting, entry, result);
}

static void time_has_come(struct sonde_timer *timer)
{
	struct selecting *s = timer->user;

	over(s, &s->entries[s->soonest], SONDE_OK);
}

static void stop_selecting(struct task_wait *wait, int code)
{
	leave_all_but((struct selecting *)(void *)wait, NULL);
	task_wake(wait, code);
}

static void join_all(struct selecting *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct sonde_select *entry = &s->entries[i];
		*core(entry) = (struct entry_core){
			.waiter = { .watch.fire = fire, .item = entry->item },
			.selecting = s,
		};
		join(entry);
	}
	if (s->soonest == s->n)
		return;
	s->timer.at_ns = s->entries[s->soonest].at_ns;
	s->timer.fire = time_has_come;
	s->timer.user = s;
	sonde_timer_start(s->loop, &s->timer);
}

static int first_of(struct sonde_loop *loop, struct sonde_task *self, struct sonde_select *entries,
		    size_t n)
{
	struct selecting s = {
		.wait.stop = stop_selecting, .loop = loop, .entries = entries, .n = n
	};
	int r = task_may_begin(loop, self);

	if (r < 0)
		return r;
	r = check(&s);
	if (r < 0)
		return r;
	size_t first = take_first(&s);
	if (first < n)
		return (int)first;
	join_all(&s);
	return task_wait(loop, &s.wait);
}

int sonde_task_select(struct sonde_task *self, struct sonde_select *entries, size_t n)
{
	return self ? first_of(self->loop, self, entries, n) : SONDE_E_BAD_ARG;
}

int sonde_loop_select(struct sonde_loop *loop, struct sonde_select *entries, size_t n)
{
	return first_of(loop, NULL, entries, n);
}

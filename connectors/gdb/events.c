/* SPDX-License-Identifier: MIT */
#include "events.h"

#include "registers.h"

#include <stdio.h>
#include <string.h>

/* ---- who waits -------------------------------------------------------------------------------- */

static void end_wait(struct events *events, int32_t err)
{
	struct sonde_io *io = events->waiter;

	sonde_progress(events->stub->host, io, 0, 0, io->xfers[0].len, err);
	events->over = io;
	events->waiter = NULL;
}

/* The caller's struct may be of another version than ours. */
static void hand_over(struct events *events)
{
	struct sonde_xfer *x = &events->waiter->xfers[0];
	size_t size = sizeof(events->event);

	if (!events->err) {
		memset(x->buf, 0, x->len);
		memcpy(x->buf, &events->event, size < x->len ? size : x->len);
	}
	events->state = EVENTS_STANDS;
	end_wait(events, events->err);
}

/* The link's thread, no lock held. */
static void settle(void *user)
{
	struct events *events = user;

	pthread_mutex_lock(&events->stub->link->lock);
	struct sonde_io *over = events->over;
	events->over = NULL;
	pthread_mutex_unlock(&events->stub->link->lock);
	if (over)
		events->stub->host->io_done(over);
}

/* ---- what has happened ------------------------------------------------------------------------ */

static int is_breakpoint(const struct events *events, uint64_t pc)
{
	for (uint32_t i = 0; i < events->n_breakpoints; i++) {
		if (events->breakpoints[i].kind <= SONDE_BREAK_HARDWARE &&
		    events->breakpoints[i].addr == pc)
			return 1;
	}
	return 0;
}

static uint32_t kind_of(const struct events *events)
{
	if (events->stop.watch)
		return SONDE_EVENT_WATCH;
	if (events->stop.signal != STOP_SIGNAL_TRAP)
		return SONDE_EVENT_STOP;
	if (events->is_step)
		return SONDE_EVENT_STEP;
	return events->event.registers.valid & SONDE_CPU_GENERAL &&
			       is_breakpoint(events, events->event.registers.pc)
		       ? SONDE_EVENT_BREAK
		       : SONDE_EVENT_STOP;
}

static void step(struct events *events)
{
	char packet[32];

	snprintf(packet, sizeof(packet), "vCont;s:%llx", (unsigned long long)events->thread);
	link_go(events->stub->link, packet);
}

/* Past the breakpoint, or it cannot be told: all go on. Else once more. */
static void land(struct events *events)
{
	int is_there = !events->err && events->event.registers.pc == events->breakpoint;

	if (is_there && events->n_passes < EVENTS_PASSES_MAX) {
		events->n_passes++;
		events->state = EVENTS_PASSES;
		step(events);
		return;
	}
	events->state = EVENTS_RUNS;
	link_go(events->stub->link, "c");
}

/* All that was asked of the stop has been answered. */
static void complete(struct events *events)
{
	struct sonde_event *event = &events->event;

	if (events->state == EVENTS_LANDS) {
		land(events);
		return;
	}
	event->kind = kind_of(events);
	event->signal = events->stop.signal;
	event->addr = events->stop.watch ? events->stop.addr : event->registers.pc;
	events->at_breakpoint = event->kind == SONDE_EVENT_BREAK;
	events->breakpoint = event->registers.pc;
	events->by_other = event->kind == SONDE_EVENT_STOP;
	events->state = EVENTS_HAS;
	if (events->waiter)
		hand_over(events);
}

static void fail(struct events *events, int32_t err)
{
	events->err = events->err ? events->err : err;
}

/* sp_el0 is no register of "g": it comes by "p", alone, lowest byte first. */
static void take_task(struct events *events, const uint8_t *data, size_t len)
{
	uint8_t bytes[8];

	if (len == 2 * sizeof(bytes) && hex_read(bytes, data, sizeof(bytes)) == 0)
		events->event.task = sonde_load(bytes, sizeof(bytes), SONDE_LITTLE);
}

static void take_registers(struct events *events, const uint8_t *data, size_t len)
{
	const struct description *description = events->stub->description;
	struct sonde_event *event = &events->event;
	struct full_cpu cpu;

	if (registers_take(description, data, len, NULL, NULL, &cpu))
		event->registers = cpu.cpu;
	else
		fail(events, SONDE_E_CORRUPT);
	if (description->arch == SONDE_ARCH_RISCV64)
		registers_value(description, "tp", data, len, &event->task);
}

static enum exchange_verdict take_answer(struct exchange *exchange, int err, const uint8_t *data,
					 size_t len)
{
	struct question *question = (struct question *)exchange;
	struct events *events = question->events;

	if (err)
		fail(events, err);
	else if (question->text[0] == 'H' && (len != 2 || memcmp(data, "OK", 2) != 0))
		fail(events, SONDE_E_UNSUPPORTED); /* the registers are another processor's */
	else if (question->text[0] == 'g')
		take_registers(events, data, len);
	else if (question->text[0] == 'p')
		take_task(events, data, len);
	if (--events->n_asked == 0)
		complete(events);
	return EXCHANGE_DONE;
}

static size_t write_question(struct exchange *exchange, uint8_t *out)
{
	const char *text = ((struct question *)exchange)->text;
	size_t len = strlen(text);

	memcpy(out, text, len);
	return len;
}

static void ask(struct events *events, const char *letter, uint64_t number, int with_number)
{
	struct question *question = &events->questions[events->n_asked++];

	snprintf(question->text, sizeof(question->text), with_number ? "%s%llx" : "%s", letter,
		 (unsigned long long)number);
	link_ask(events->stub->link, &question->exchange);
}

/* Which processor; -1: a thread that the stub has never spoken of. */
static int index_of(const struct stub *stub, const struct stop_reply *stop)
{
	if (!stop->has_thread)
		return stub->n_threads == 1 ? 0 : -1;
	for (uint32_t i = 0; i < stub->n_threads; i++) {
		if (stub->threads[i] == stop->thread)
			return (int)i;
	}
	return -1;
}

/* One trip: each of the questions is on its way before the first is answered. */
static void look(struct events *events, const struct stop_reply *stop)
{
	const struct stub *stub = events->stub;
	int index = index_of(stub, stop);

	events->is_step = events->state == EVENTS_STEPS;
	events->state = EVENTS_ASKS;
	events->stop = *stop;
	events->err = 0;
	events->event = (struct sonde_event){ .time_ns = stub->host->now_ns() };
	link_stay(stub->link);
	if (index < 0) {
		fail(events, SONDE_E_CORRUPT);
		complete(events);
		return;
	}
	events->event.cpu = (uint32_t)index;
	events->thread = stub->threads[index];
	const struct description_register *task =
		stub->description ? description_find(stub->description, "SP_EL0") : NULL;
	if (!stub->description) {
		complete(events);
		return;
	}
	ask(events, "Hg", events->thread, 1);
	ask(events, "g", 0, 0);
	if (task)
		ask(events, "p", task->number, 1);
}

/* Where has the step past the breakpoint led? */
static void look_where(struct events *events)
{
	events->state = EVENTS_LANDS;
	events->err = 0;
	events->event = (struct sonde_event){ 0 };
	link_stay(events->stub->link);
	ask(events, "Hg", events->thread, 1);
	ask(events, "g", 0, 0);
}

/*
 * A stop that we asked for, so that the stub would listen, is nobody's business: who was to run goes on. A step that
 * it cut short, or that was over already, is done once more, alone.
 */
static void stopped(void *user, int asked, const uint8_t *data, size_t len)
{
	struct events *events = user;
	struct stop_reply stop;

	if (events->state == EVENTS_STANDS || events->state == EVENTS_ASKS ||
	    events->state == EVENTS_LANDS || events->state == EVENTS_HAS ||
	    !stop_parse(data, len, &stop))
		return;
	if (asked && stop.signal == STOP_SIGNAL_INTERRUPT) {
		if (events->state != EVENTS_RUNS && link_is_kept(events->stub->link))
			step(events);
	} else if (events->state == EVENTS_PASSES && stop.signal == STOP_SIGNAL_TRAP &&
		   !stop.watch) {
		look_where(events);
	} else {
		look(events, &stop);
	}
}

static void broken(void *user, int err)
{
	struct events *events = user;

	if (events->waiter)
		end_wait(events, err);
}

/* ---- requests -------------------------------------------------------------------------------------- */

/* Returns 0, or why it does not go on. */
static int go_on(struct events *events, uint64_t what)
{
	const struct stub *stub = events->stub;
	int passes = events->at_breakpoint && is_breakpoint(events, events->breakpoint);

	if (what != SONDE_EVENT_NEXT && what - 1 >= stub->n_threads)
		return SONDE_E_NOT_FOUND;
	events->at_breakpoint = events->by_other = 0;
	events->n_passes = 0;
	if (what != SONDE_EVENT_NEXT)
		events->thread = stub->threads[what - 1];
	events->state = what != SONDE_EVENT_NEXT ? EVENTS_STEPS
			: passes                 ? EVENTS_PASSES
						 : EVENTS_RUNS;
	if (events->state == EVENTS_RUNS)
		link_go(stub->link, "c");
	else
		step(events);
	return 0;
}

static void begin_wait(struct events *events, struct sonde_io *io)
{
	int r = events->stub->link->err;

	events->waiter = io;
	if (!r && events->state == EVENTS_STANDS)
		r = go_on(events, io->xfers[0].addr);
	if (r)
		end_wait(events, r);
	else if (events->state == EVENTS_HAS)
		hand_over(events);
}

size_t events_submit(struct events *events, struct sonde_io *const *ios, size_t n)
{
	size_t taken = 0;

	pthread_mutex_lock(&events->stub->link->lock);
	if (n && !events->waiter && !events->over) {
		begin_wait(events, ios[0]);
		taken = 1;
	}
	pthread_mutex_unlock(&events->stub->link->lock);
	link_wake(events->stub->link);
	return taken;
}

void events_cancel(struct events *events, struct sonde_io *io, int32_t why)
{
	pthread_mutex_lock(&events->stub->link->lock);
	if (events->waiter == io)
		end_wait(events, why);
	pthread_mutex_unlock(&events->stub->link->lock);
	link_wake(events->stub->link);
}

int events_resume(struct events *events)
{
	int has_breakpoints;

	pthread_mutex_lock(&events->stub->link->lock);
	has_breakpoints = events->n_breakpoints > 0;
	if (has_breakpoints && events->state == EVENTS_STANDS)
		go_on(events, SONDE_EVENT_NEXT);
	pthread_mutex_unlock(&events->stub->link->lock);
	link_wake(events->stub->link);
	return has_breakpoints;
}

/* ---- breakpoints ----------------------------------------------------------------------------------- */

static struct sonde_breakpoint *find(struct events *events, const struct sonde_breakpoint *like)
{
	for (uint32_t i = 0; i < events->n_breakpoints; i++) {
		struct sonde_breakpoint *at = &events->breakpoints[i];
		if (at->addr == like->addr && at->kind == like->kind && at->len == like->len)
			return at;
	}
	return NULL;
}

/* Without steps nobody would come past a breakpoint, without registers nobody knows who is at one. */
static int check_steps(struct events *events, struct sonde_error *err)
{
	struct stub *stub = events->stub;

	if (events->knows_steps)
		return 0;
	int r = link_call(stub->link, "vCont?", &stub->reply, err);
	if (r < 0)
		return r;
	events->knows_steps =
		stub->description && strstr((const char *)stub->reply.data, ";s") != NULL;
	if (events->knows_steps)
		return 0;
	return stub->host->error_set(err, SONDE_E_UNSUPPORTED,
				     "gdb: '%s': this stub does not %s, without which there are no "
				     "breakpoints",
				     stub->link->where,
				     stub->description ? "step one processor (vCont;s)"
						       : "describe its registers");
}

/* The third number: of an x86 the length of int3, of the others that of an instruction, of memory its own. */
static uint32_t length_of(const struct stub *stub, const struct sonde_breakpoint *breakpoint)
{
	if (breakpoint->len)
		return breakpoint->len;
	switch (stub->description ? stub->description->arch : SONDE_ARCH_NONE) {
	case SONDE_ARCH_X86_64:
	case SONDE_ARCH_I386:
		return 1;
	default:
		return 4;
	}
}

static int order(struct events *events, char letter, const struct sonde_breakpoint *breakpoint,
		 struct sonde_error *err)
{
	struct stub *stub = events->stub;
	char text[48];

	snprintf(text, sizeof(text), "%c%u,%llx,%x", letter, breakpoint->kind,
		 (unsigned long long)breakpoint->addr, length_of(stub, breakpoint));
	int r = link_call(stub->link, text, &stub->reply, err);
	if (r < 0 || strcmp((const char *)stub->reply.data, "OK") == 0)
		return r;
	return stub->host->error_set(
		err, SONDE_E_UNSUPPORTED,
		"gdb: '%s': breakpoint at 0x%llx: the stub %s it (%s: '%.40s')", stub->link->where,
		(unsigned long long)breakpoint->addr,
		letter == 'Z' ? "does not set" : "does not remove", text,
		(const char *)stub->reply.data);
}

static int add(struct events *events, const struct sonde_breakpoint *breakpoint,
	       struct sonde_error *err)
{
	int r = check_steps(events, err);

	if (r < 0 || find(events, breakpoint))
		return r;
	if (events->n_breakpoints == EVENTS_BREAKPOINTS)
		return events->stub->host->error_set(err, SONDE_E_LIMIT,
						     "gdb: '%s': %u breakpoints are set: no more",
						     events->stub->link->where, EVENTS_BREAKPOINTS);
	if ((r = order(events, 'Z', breakpoint, err)) < 0)
		return r;
	pthread_mutex_lock(&events->stub->link->lock);
	events->breakpoints[events->n_breakpoints++] = *breakpoint;
	if (events->state == EVENTS_STANDS && link_is_kept(events->stub->link))
		events->state = EVENTS_RUNS;
	pthread_mutex_unlock(&events->stub->link->lock);
	return 0;
}

static int take_away(struct events *events, const struct sonde_breakpoint *breakpoint,
		     struct sonde_error *err)
{
	struct sonde_breakpoint *at = find(events, breakpoint);

	if (!at)
		return events->stub->host->error_set(
			err, SONDE_E_NOT_FOUND, "gdb: '%s': no such breakpoint at 0x%llx",
			events->stub->link->where, (unsigned long long)breakpoint->addr);
	int r = order(events, 'z', breakpoint, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&events->stub->link->lock);
	*at = events->breakpoints[--events->n_breakpoints];
	pthread_mutex_unlock(&events->stub->link->lock);
	return 0;
}

int events_breakpoint(struct events *events, int on, const struct sonde_breakpoint *breakpoint,
		      struct sonde_error *err)
{
	return on ? add(events, breakpoint, err) : take_away(events, breakpoint, err);
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

void events_init(struct events *events, struct stub *stub)
{
	events->stub = stub;
	for (uint32_t i = 0; i < EVENTS_QUESTIONS; i++)
		events->questions[i] = (struct question){ .exchange = { .write = write_question,
									.answer = take_answer },
							  .events = events };
	link_listen(stub->link, (struct link_listener){ .stopped = stopped,
							.broken = broken,
							.settle = settle,
							.user = events });
}

void events_finish(struct events *events)
{
	for (uint32_t i = 0; i < events->n_breakpoints; i++)
		order(events, 'z', &events->breakpoints[i], NULL);
	events->n_breakpoints = 0;
}

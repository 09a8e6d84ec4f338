/* SPDX-License-Identifier: MIT */
#include "link.h"

#include "api.h"
#include "regions.h"
#include "replies.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Few are told at once: what their owner asks for next is on its way while the rest comes in. Where each answer takes
 * 5 ms, 16 instead cost a tenth of the speed. While there is more to ask for than the pace allows there is no such haste,
 * and who is woken less often leaves the processor to the others: on two of them, a quarter faster.
 */
enum { GOODBYE_NS = 200000000, TOLD_AT_ONCE = 4, TOLD_WHILE_MORE_WAIT = 32 };

/*
 * Taken by submit, cut from the front, over when it is cut to its end and none of its commands is in flight. The thread's,
 * but for io and why, which are under lock.
 */
struct order {
	struct sonde_io *io; /* NULL: unused                                */
	struct order *next;
	uint32_t piece, off; /* where the next command begins               */
	uint32_t n_flight;   /* commands                                    */
	int32_t why;         /* 0, or why the rest is not to be asked for   */
};

struct part {
	struct part *next; /* idle */
	struct link *link;
	struct order *order; /* NULL: idle            */
	uint32_t piece, off, len;
	struct replies replies;
};

int32_t link_code(int os_code)
{
	switch (os_code) {
	case EPERM:
	case EACCES:
		return SONDE_E_NO_ACCESS;
	case ENOMEM:
		return SONDE_E_NO_MEMORY;
	case ENOTSUP:
		return SONDE_E_UNSUPPORTED;
	case ESHUTDOWN:
	case ENOTCONN:
	case ECONNRESET:
	case EPIPE:
		return SONDE_E_GONE;
	case ETIMEDOUT:
		return SONDE_E_TIMED_OUT;
	default:
		return SONDE_E_IO;
	}
}

int link_pump(struct nbd_handle *nbd, const struct sonde_host *host, int wake, uint64_t by_ns)
{
	unsigned direction = nbd ? api.nbd_aio_get_direction(nbd) : 0;
	struct pollfd fds[2] = {
		{ .fd = wake, .events = POLLIN },
		{ .fd = nbd ? api.nbd_aio_get_fd(nbd) : -1,
		  .events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
			    (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0) },
	};
	uint64_t now = host->now_ns(), left = by_ns > now ? by_ns - now : 0;
	uint64_t ignored;

	int n = poll(fds, 2, by_ns == UINT64_MAX ? -1 : (int)((left + 999999) / 1000000));
	if (n <= 0)
		return n == 0 || errno == EINTR ? 0 : -1;
	if (fds[0].revents && read(wake, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		return -1;
	int r = !fds[1].revents ? 0
		: fds[1].revents & (POLLIN | POLLHUP | POLLERR) &&
				direction & LIBNBD_AIO_DIRECTION_READ
			? api.nbd_aio_notify_read(nbd)
			: api.nbd_aio_notify_write(nbd);
	return r < 0 ? -1 : 1;
}

/* ---- orders ------------------------------------------------------------------------------------------- */

static int is_cut(const struct order *order)
{
	return order->piece == order->io->n;
}

/* Its owner is told with others: he wakes once for all that have come together, and asks for as many at once. */
static void finish(struct link *link, struct order *order)
{
	order->next = link->over;
	link->over = order;
	link->n_over++;
}

/* Unused before its owner hears of it: who then has the next one finds room. */
static void tell_owners(struct link *link)
{
	struct sonde_io *ios[TOLD_WHILE_MORE_WAIT];

	while (link->over) {
		size_t n = 0;
		pthread_mutex_lock(&link->lock);
		for (struct order *order; n < TOLD_WHILE_MORE_WAIT && (order = link->over); n++) {
			link->over = order->next;
			ios[n] = order->io;
			order->io = NULL;
			order->next = link->free;
			link->free = order;
		}
		pthread_mutex_unlock(&link->lock);
		sonde_ios_done(link->host, ios, n);
	}
	link->n_over = 0;
}

/* A server refuses a write as a whole: what of it has no memory is cut off here. */
static int32_t limit_write(const struct link *link, uint64_t addr, uint32_t *len)
{
	if (link->regions && !regions_run(link->regions, addr, *len, len))
		return SONDE_E_NOT_MAPPED;
	return link->writable ? 0 : SONDE_E_READ_ONLY;
}

/* Take the next stretch off an order: of what is one answer. Returns its error, 0: it is in the export. */
static int32_t cut(const struct link *link, struct order *order, struct part *ret)
{
	const struct sonde_xfer *x = &order->io->xfers[order->piece];
	uint64_t addr = x->addr + order->off;
	uint32_t left = x->len - order->off;
	int32_t err = addr < x->addr || addr >= link->size ? SONDE_E_NOT_MAPPED : 0;

	ret->piece = order->piece;
	ret->off = order->off;
	ret->len = left;
	if (!err && left > link->size - addr)
		ret->len = (uint32_t)(link->size - addr);
	if (!err && order->io->op == SONDE_IO_WRITE)
		err = limit_write(link, addr, &ret->len);
	if (!err && ret->len > link->command_max)
		ret->len = link->command_max;
	order->off += ret->len;
	if (order->off == x->len) {
		order->piece++;
		order->off = 0;
	}
	return err;
}

static void tell(const struct part *part, uint32_t off, uint32_t len, int32_t err)
{
	sonde_progress(part->link->host, part->order->io, part->piece, part->off + off, len, err);
}

static void tell_missing(void *user, uint32_t off, uint32_t len, int32_t err)
{
	tell(user, off, len, err);
}

/* A command is over: err is of what has no error of its own. */
static void settle(struct part *part, int32_t err)
{
	struct link *link = part->link;
	struct order *order = part->order;

	replies_end(&part->replies, part->len, err, tell_missing, part);
	part->order = NULL;
	part->next = link->idle;
	link->idle = part;
	link->n_flight--;
	if (--order->n_flight == 0 && is_cut(order))
		finish(link, order);
}

/* ---- commands: libnbd calls these on the thread ------------------------------------------------------ */

static int came(void *user, const void *buf, size_t len, uint64_t addr, unsigned status, int *error)
{
	struct part *part = user;
	const struct sonde_xfer *x = &part->order->io->xfers[part->piece];
	struct mark mark = { .off = (uint32_t)(addr - x->addr - part->off), .len = (uint32_t)len };

	(void)buf;
	if (status == LIBNBD_READ_ERROR)
		mark = (struct mark){ .off = mark.off, .err = link_code(*error) };
	if (mark.off > part->len || mark.len > part->len - mark.off ||
	    replies_add(&part->replies, mark) < 0) {
		*error = EPROTO;
		return -1;
	}
	if (mark.len)
		tell(part, mark.off, mark.len,
		     status == LIBNBD_READ_HOLE && part->link->holes_are_none ? SONDE_E_NOT_MAPPED
									      : 0);
	return 0;
}

static int was_read(void *user, int *error)
{
	settle(user, *error ? link_code(*error) : SONDE_E_IO);
	return 1; /* libnbd forgets it */
}

static int was_written(void *user, int *error)
{
	struct part *part = user;

	tell(part, 0, part->len, *error ? link_code(*error) : 0);
	replies_add(&part->replies, (struct mark){ .len = part->len });
	settle(part, 0);
	return 1;
}

static int64_t dispatch(struct part *part)
{
	struct nbd_handle *nbd = part->link->nbd;
	const struct sonde_io *io = part->order->io;
	const struct sonde_xfer *x = &io->xfers[part->piece];
	uint8_t *buf = (uint8_t *)x->buf + part->off;
	uint64_t addr = x->addr + part->off;

	if (io->op == SONDE_IO_WRITE)
		return api.nbd_aio_pwrite(
			nbd, buf, part->len, addr,
			(nbd_completion_callback){ .callback = was_written, .user_data = part }, 0);
	return api.nbd_aio_pread_structured(
		nbd, buf, part->len, addr,
		(nbd_chunk_callback){ .callback = came, .user_data = part },
		(nbd_completion_callback){ .callback = was_read, .user_data = part }, 0);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static uint64_t worked_ns(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void answers_came(struct link *link, uint32_t n)
{
	link->heard_ns = link->host->now_ns();
	if (pace_count(&link->pace, n))
		pace_weigh(&link->pace, link->heard_ns, worked_ns());
}

/* Ask for the next stretch of an order, or tell why not. */
static void go_on(struct link *link, struct order *order)
{
	struct part *part = link->idle;
	int32_t err = cut(link, order, part);
	int32_t why = __atomic_load_n(&order->why, __ATOMIC_RELAXED);

	if (link->err || why)
		err = link->err ? link->err : why;
	link->idle = part->next;
	part->order = order;
	order->n_flight++;
	if (link->n_flight++ == 0) {
		link->heard_ns = link->host->now_ns();
		pace_rest(&link->pace);
	}
	if (err || dispatch(part) < 0)
		settle(part, err ? err : link_code(api.nbd_get_errno()));
}

/* Then a part is idle too. */
static int has_room(const struct link *link)
{
	return link->n_flight < link->pace.window;
}

/* The first order that is not cut to its end; it stays the first until it is. */
static struct order *next_order(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	struct order *order = link->first;
	pthread_mutex_unlock(&link->lock);
	return order;
}

static void drop_first(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	link->first = link->first->next;
	if (!link->first)
		link->last = NULL;
	pthread_mutex_unlock(&link->lock);
}

/* An order is held while it is cut, so that it is not over before it has left the list. */
static void send_all(struct link *link)
{
	struct order *order;

	while (has_room(link) && (order = next_order(link))) {
		order->n_flight++;
		while (has_room(link) && !is_cut(order))
			go_on(link, order);
		int whole = is_cut(order);
		if (whole)
			drop_first(link);
		if (--order->n_flight == 0 && whole)
			finish(link, order);
	}
	link->more_wait = !has_room(link) && next_order(link);
}

/* libnbd lets go of the buffers first. */
static void break_off(struct link *link, int32_t err)
{
	__atomic_store_n(&link->err, err, __ATOMIC_RELAXED);
	api.nbd_close(link->nbd);
	link->nbd = NULL;
	for (uint32_t i = 0; i < link->depth; i++)
		if (link->parts[i].order)
			settle(&link->parts[i], err);
}

static int is_to_stop(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	int stop = link->stop;
	pthread_mutex_unlock(&link->lock);
	return stop;
}

/* Until when to wait: not at all while an owner is to be told, if nothing else comes with it. */
static uint64_t patience(const struct link *link)
{
	return link->over ? 0 : link->n_flight ? link->heard_ns + link->timeout_ns : UINT64_MAX;
}

/* As patience; from here until it is woken, or wakes, who brings an order that can be sent has to wake the thread. */
static uint64_t fall_asleep(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	int busy = link->stop || (link->first && has_room(link));
	link->asleep = !busy;
	pthread_mutex_unlock(&link->lock);
	return busy ? 0 : patience(link);
}

static void wake_up(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	link->asleep = 0;
	pthread_mutex_unlock(&link->lock);
}

static uint32_t told_at_once(const struct link *link)
{
	return link->more_wait ? TOLD_WHILE_MORE_WAIT : TOLD_AT_ONCE;
}

/* Behind an answer that ended a command there is often the next one: it is looked for without waiting. */
static int take_answers(struct link *link)
{
	uint32_t before = link->n_flight;
	int r = link_pump(link->nbd, link->host, link->wake, fall_asleep(link));

	wake_up(link);
	while (r > 0 && link->n_flight && link->n_flight < before &&
	       link->n_over < told_at_once(link) &&
	       api.nbd_aio_get_direction(link->nbd) == LIBNBD_AIO_DIRECTION_READ) {
		before = link->n_flight;
		r = api.nbd_aio_notify_read(link->nbd) < 0 ? -1 : 1;
	}
	return r;
}

static void *run(void *arg)
{
	struct link *link = arg;

	while (!is_to_stop(link)) {
		send_all(link);
		uint32_t n_flight = link->n_flight;
		int r = take_answers(link);
		if (link->n_flight < n_flight)
			answers_came(link, n_flight - link->n_flight);
		if (r <= 0 || link->n_over >= told_at_once(link))
			tell_owners(link);
		if (!link->nbd)
			continue;
		if (r < 0 || api.nbd_aio_is_dead(link->nbd) || api.nbd_aio_is_closed(link->nbd))
			break_off(link, SONDE_E_GONE);
		else if (link->n_flight &&
			 link->host->now_ns() >= link->heard_ns + link->timeout_ns)
			break_off(link, SONDE_E_TIMED_OUT);
	}
	tell_owners(link);
	return NULL;
}

/* ---- the link ------------------------------------------------------------------------------------------- */

static int make_lists(struct link *link)
{
	link->orders = calloc(LINK_ORDERS, sizeof(*link->orders));
	link->parts = calloc(link->depth, sizeof(*link->parts));
	if (!link->orders || !link->parts)
		return -1;
	for (uint32_t i = 0; i < LINK_ORDERS; i++) {
		link->orders[i].next = link->free;
		link->free = &link->orders[i];
	}
	for (uint32_t i = 0; i < link->depth; i++) {
		link->parts[i].link = link;
		link->parts[i].next = link->idle;
		link->idle = &link->parts[i];
	}
	return 0;
}

int link_init(struct link *link, struct sonde_error *err)
{
	pthread_mutex_init(&link->lock, NULL);
	link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return link->wake < 0 ? link->host->error_os(err, errno, "nbd: eventfd") : 0;
}

int link_start(struct link *link, struct sonde_error *err)
{
	pace_init(&link->pace, link->depth);
	if (make_lists(link) < 0)
		return link->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	int os_code = pthread_create(&link->thread, NULL, run, link);
	if (os_code)
		return link->host->error_os(err, os_code, "nbd: thread");
	link->has_thread = 1;
	return 0;
}

int32_t link_failure(struct link *link)
{
	return __atomic_load_n(&link->err, __ATOMIC_RELAXED);
}

static void wake(struct link *link)
{
	const uint64_t one = 1;
	ssize_t ignored = write(link->wake, &one, sizeof(one));

	(void)ignored; /* it is full: the thread is awake */
}

/* A server that does not listen any more is not waited for. */
static void say_goodbye(struct link *link)
{
	uint64_t by_ns = link->host->now_ns() + GOODBYE_NS;
	int r = api.nbd_aio_disconnect(link->nbd, 0);

	while (r >= 0 && !api.nbd_aio_is_closed(link->nbd) && !api.nbd_aio_is_dead(link->nbd) &&
	       link->host->now_ns() < by_ns)
		r = link_pump(link->nbd, link->host, link->wake, by_ns);
}

void link_close(struct link *link)
{
	if (link->has_thread) {
		pthread_mutex_lock(&link->lock);
		link->stop = 1;
		pthread_mutex_unlock(&link->lock);
		wake(link);
		pthread_join(link->thread, NULL);
	}
	if (link->nbd && api.nbd_aio_is_ready(link->nbd))
		say_goodbye(link);
	if (link->nbd)
		api.nbd_close(link->nbd);
	for (uint32_t i = 0; link->parts && i < link->depth; i++)
		replies_finish(&link->parts[i].replies);
	free(link->parts);
	free(link->orders);
	if (link->wake >= 0)
		close(link->wake);
	pthread_mutex_destroy(&link->lock);
}

size_t link_submit(struct link *link, struct sonde_io *const *ios, size_t n)
{
	size_t taken = 0;

	pthread_mutex_lock(&link->lock);
	int idle = !link->first;
	for (struct order *order; taken < n && (order = link->free); taken++) {
		link->free = order->next;
		*order = (struct order){ .io = ios[taken] };
		*(link->last ? &link->last->next : &link->first) = order;
		link->last = order;
	}
	int asleep = link->asleep && idle && taken;
	if (asleep)
		link->asleep = 0;
	pthread_mutex_unlock(&link->lock);
	if (asleep)
		wake(link);
	return taken;
}

/* What was sent is waited for: its buffers are the server's to fill. */
void link_cancel(struct link *link, struct sonde_io *io, int32_t why)
{
	pthread_mutex_lock(&link->lock);
	for (uint32_t i = 0; i < LINK_ORDERS; i++)
		if (link->orders[i].io == io)
			__atomic_store_n(&link->orders[i].why, why, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&link->lock);
	wake(link);
}

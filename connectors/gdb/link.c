/* SPDX-License-Identifier: MIT */
/*
 * One round of the thread: send what may be sent, wait for the socket or a call, take what came apart.
 * Answers belong to packets by their order alone. Where packets are acknowledged a '-' says that the first one
 * not acknowledged was not understood; it is sent again, behind the others. Without an answer for the time that
 * was given, or after too much nonsense, the order is lost, and with it the link: everything on it fails.
 */
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FIRST_PACKET_SIZE = 400, /* gdb 13 remote.c, before it is told */
	TRIES_MAX = 4,
	LINGER_MS = 20,  /* stopping and going on costs more than a few turns of who asks */
	OUT_SPARE = 256, /* for what is sent between packets */
};

/* ---- queues -------------------------------------------------------------------------------- */

static void queue_add(struct exchange_queue *queue, struct exchange *exchange)
{
	exchange->next = NULL;
	if (queue->last)
		queue->last->next = exchange;
	else
		queue->first = exchange;
	queue->last = exchange;
	queue->n++;
}

static void queue_add_first(struct exchange_queue *queue, struct exchange *exchange)
{
	exchange->next = queue->first;
	queue->first = exchange;
	if (!queue->last)
		queue->last = exchange;
	queue->n++;
}

static void queue_remove(struct exchange_queue *queue, struct exchange *exchange)
{
	struct exchange **at = &queue->first, *before = NULL;

	while (*at != exchange) {
		before = *at;
		at = &before->next;
	}
	*at = exchange->next;
	if (queue->last == exchange)
		queue->last = before;
	queue->n--;
}

static struct exchange *queue_take(struct exchange_queue *queue)
{
	struct exchange *first = queue->first;

	if (first)
		queue_remove(queue, first);
	return first;
}

/* ---- the end of a link --------------------------------------------------------------------- */

static void fail_all(struct link *link)
{
	struct exchange *exchange;

	while ((exchange = queue_take(&link->sent)) || (exchange = queue_take(&link->waiting)))
		exchange->answer(exchange, link->err, NULL, 0);
	if (link->source.broken)
		link->source.broken(link->source.user, link->err);
	if (link->listener.broken)
		link->listener.broken(link->listener.user, link->err);
	pthread_cond_broadcast(&link->called);
}

static void __attribute__((format(printf, 3, 4)))
break_link(struct link *link, int code, const char *fmt, ...)
{
	va_list args;

	if (link->err)
		return;
	link->err = code;
	va_start(args, fmt);
	vsnprintf(link->why, sizeof(link->why), fmt, args);
	va_end(args);
	fail_all(link);
}

/* ---- out ------------------------------------------------------------------------------------- */

static void out_raw(struct link *link, const char *bytes)
{
	size_t len = strlen(bytes);

	if (len > sizeof(link->out) - link->out_len)
		return; /* only when the stub takes nothing, and then its time runs out */
	memcpy(link->out + link->out_len, bytes, len);
	link->out_len += len;
}

static int out_has_room(struct link *link)
{
	return sizeof(link->out) - link->out_len >= packet_room(link->packet_size) + OUT_SPARE;
}

static void post(struct link *link, struct exchange *exchange)
{
	size_t len = exchange->write(exchange, link->text);

	link->out_len += packet_write(link->out + link->out_len, link->text, len);
	if (link->sent.n == 0)
		link->heard_ns = link->host->now_ns();
	exchange->acked = 0;
	exchange->n_tries++;
	queue_add(&link->sent, exchange);
}

static struct exchange *next_exchange(struct link *link)
{
	struct exchange *exchange = queue_take(&link->waiting);

	if (!exchange && link->source.next) {
		exchange = link->source.next(link->source.user);
		if (exchange)
			exchange->n_tries = 0;
	}
	return exchange;
}

static void interrupt(struct link *link)
{
	if (link->run != LINK_RUNNING)
		return;
	out_raw(link, "\003");
	link->run = LINK_STOPPING;
	link->heard_ns = link->host->now_ns();
}

static void send_more(struct link *link)
{
	struct exchange *exchange;

	while (link->sent.n < link->depth && out_has_room(link) &&
	       (exchange = next_exchange(link))) {
		if (link->run != LINK_STOPPED && !link->nonstop) {
			queue_add_first(&link->waiting, exchange);
			interrupt(link);
			return;
		}
		post(link, exchange);
	}
}

/* Milliseconds until the target may run again; -1 it is not to, or runs, or has something to answer. */
static int until_going_on(struct link *link)
{
	uint64_t idle_ns = link->host->now_ns() - link->heard_ns;

	if (!link->keep_running || link->nonstop || link->run != LINK_STOPPED || link->sent.n)
		return -1;
	if (idle_ns >= LINGER_MS * UINT64_C(1000000) || link->stop || link->at_once)
		return 0;
	return LINGER_MS - (int)(idle_ns / 1000000);
}

static void let_run(struct link *link)
{
	const char *data = link->go_on[0] ? link->go_on : "c";
	char packet[sizeof(link->go_on) + PACKET_FRAME + 1];
	uint8_t sum = 0;

	for (const char *at = data; *at; at++)
		sum = (uint8_t)(sum + (uint8_t)*at);
	snprintf(packet, sizeof(packet), "$%s#%02x", data, sum);
	out_raw(link, packet);
	link->go_on[0] = '\0';
	link->at_once = 0;
	link->run = LINK_RUNNING;
}

static void flush(struct link *link)
{
	while (!link->err && link->out_at < link->out_len) {
		ssize_t n = send(link->fd, link->out + link->out_at, link->out_len - link->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			break_link(link, SONDE_E_GONE, "the connection was closed");
		else
			link->out_at += (size_t)n;
	}
	if (link->out_at == link->out_len)
		link->out_at = link->out_len = 0;
}

/* ---- in -------------------------------------------------------------------------------------- */

/* "O" and hex: what the target prints. "OK" is an answer. */
static int is_console(const uint8_t *data, size_t len)
{
	return len >= 3 && data[0] == 'O' && hex_digit(data[1]) >= 0 && len % 2 == 1;
}

/* A stop, an exit, a death: "T05...", "S05", "W00", "X09". Of what is asked here only "?" is answered so. */
static int is_stop(const uint8_t *data, size_t len)
{
	return len >= 3 && memchr("TSWX", data[0], 4) && hex_digit(data[1]) >= 0;
}

static void take_stop(struct link *link, const uint8_t *data, size_t len)
{
	enum link_run was = link->run;

	if (data[0] == 'W' || data[0] == 'X')
		break_link(link, SONDE_E_GONE, "the target has ended");
	link->run = LINK_STOPPED;
	link->heard_ns = link->host->now_ns();
	pthread_cond_broadcast(&link->called);
	if (!link->err && was != LINK_STOPPED && link->listener.stopped)
		link->listener.stopped(link->listener.user, was == LINK_STOPPING, data, len);
}

static void send_again(struct link *link, struct exchange *exchange)
{
	if (exchange->n_tries >= TRIES_MAX) {
		break_link(link, SONDE_E_IO, "packets do not come through undamaged");
		return;
	}
	queue_remove(&link->sent, exchange);
	queue_add(&link->waiting, exchange);
}

static void take_answer(struct link *link, const uint8_t *data, size_t len)
{
	struct exchange *exchange = link->sent.first;

	if (is_stop(data, len)) {
		take_stop(link, data, len);
		if (link->err || !exchange || !exchange->stop)
			return;
	}
	if (!exchange || (is_console(data, len) && !exchange->console))
		return;
	link->heard_ns = link->host->now_ns();
	queue_take(&link->sent);
	switch (exchange->answer(exchange, 0, data, len)) {
	case EXCHANGE_MORE:
		queue_add_first(&link->sent, exchange);
		break;
	case EXCHANGE_AGAIN:
		exchange->n_tries = 0;
		queue_add(&link->waiting, exchange);
		break;
	case EXCHANGE_DONE:
		break;
	}
}

/* A stub sends its last packet again when asked to; with several on their way, which one is that? */
static void take_damaged(struct link *link)
{
	struct exchange *exchange = link->sent.first;

	if (link->acks && link->sent.n <= 1) {
		out_raw(link, "-");
		if (exchange && ++exchange->n_tries > TRIES_MAX)
			break_link(link, SONDE_E_IO, "packets do not come through undamaged");
		return;
	}
	if (link->acks)
		out_raw(link, "+");
	if (exchange)
		send_again(link, exchange);
}

static struct exchange *first_not_acked(const struct link *link)
{
	struct exchange *exchange = link->sent.first;

	while (exchange && exchange->acked)
		exchange = exchange->next;
	return exchange;
}

static void take_event(struct link *link, enum packet_event event)
{
	struct exchange *exchange = first_not_acked(link);

	switch (event) {
	case PACKET_ACK:
		if (exchange)
			exchange->acked = 1;
		break;
	case PACKET_NAK:
		if (exchange && link->acks)
			send_again(link, exchange);
		break;
	case PACKET_DATA:
		if (link->acks)
			out_raw(link, "+");
		take_answer(link, link->reader.data, link->reader.len);
		break;
	case PACKET_BAD:
		take_damaged(link);
		break;
	case PACKET_NOTICE: /* of non-stop mode: a thread has stopped; nothing is asked of it */
	case PACKET_NONE:
		break;
	}
}

static void receive(struct link *link)
{
	ssize_t n = recv(link->fd, link->in, sizeof(link->in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		break_link(link, SONDE_E_GONE, "the connection was closed");
	for (size_t at = 0; n > 0 && at < (size_t)n && !link->err;) {
		enum packet_event event;
		at += packet_take(&link->reader, link->in + at, (size_t)n - at, &event);
		take_event(link, event);
	}
}

/* ---- the thread -------------------------------------------------------------------------------- */

/* Milliseconds until the stub has been silent for too long; -1: nothing is expected of it. */
static int until_timeout(const struct link *link)
{
	uint64_t silent_ns = link->host->now_ns() - link->heard_ns;

	if (link->err ||
	    (!link->sent.n && link->run != LINK_STOPPING && link->out_at == link->out_len))
		return -1;
	if (silent_ns >= link->timeout_ns)
		return 0;
	return (int)((link->timeout_ns - silent_ns) / 1000000) + 1;
}

static void check_time(struct link *link)
{
	if (until_timeout(link) == 0)
		break_link(link, SONDE_E_TIMED_OUT, "no answer within %llu ms",
			   (unsigned long long)(link->timeout_ns / 1000000));
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Everything that can be done now; what to wait for then is in *ret. */
static int work(struct link *link, struct pollfd *ret)
{
	send_more(link);
	int going_on = until_going_on(link);
	if (going_on == 0) {
		let_run(link);
		going_on = -1;
	}
	flush(link);
	if (link->err)
		fail_all(link);
	ret->fd = link->err ? -1 : link->fd;
	ret->events = (short)(POLLIN | (link->out_at < link->out_len ? POLLOUT : 0));
	return sooner(until_timeout(link), going_on);
}

static int is_over(const struct link *link)
{
	if (!link->stop)
		return 0;
	return link->err || (!link->waiting.n && !link->sent.n && link->out_at == link->out_len &&
			     !(link->keep_running && link->run == LINK_STOPPED && !link->nonstop));
}

static void *link_main(void *arg)
{
	struct link *link = arg;

	pthread_mutex_lock(&link->lock);
	while (!is_over(link)) {
		struct pollfd fds[2] = { { .fd = link->wake, .events = POLLIN } };
		int wait_ms = work(link, &fds[1]);
		struct link_listener listener = link->listener; /* one may come meanwhile */
		uint64_t n;
		pthread_mutex_unlock(&link->lock);

		if (link->source.settle)
			link->source.settle(link->source.user);
		if (listener.settle)
			listener.settle(listener.user);
		poll(fds, 2, wait_ms);
		if (fds[0].revents && read(link->wake, &n, sizeof(n)) < 0)
			n = 0; /* another round does no harm */
		pthread_mutex_lock(&link->lock);
		if (!link->err && fds[1].revents)
			receive(link);
		check_time(link);
	}
	pthread_mutex_unlock(&link->lock);
	return NULL;
}

void link_wake(struct link *link)
{
	uint64_t one = 1;

	while (write(link->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- opening and closing ------------------------------------------------------------------------ */

int link_open(struct link *ret, const struct sonde_host *host, int fd, const char *where,
	      uint64_t timeout_ms, struct sonde_error *err)
{
	ret->host = host;
	ret->where = where;
	ret->fd = fd;
	ret->timeout_ns = timeout_ms * 1000000;
	ret->depth = 1;
	ret->packet_size = FIRST_PACKET_SIZE;
	ret->acks = 1;
	ret->heard_ns = host->now_ns();
	pthread_mutex_init(&ret->lock, NULL);
	pthread_cond_init(&ret->called, NULL);
	ret->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ret->wake < 0)
		return host->error_os(err, errno, "gdb: '%s': eventfd", where);
	int os_code = pthread_create(&ret->thread, NULL, link_main, ret);
	if (os_code)
		return host->error_os(err, os_code, "gdb: '%s': thread", where);
	ret->has_thread = 1;
	return 0;
}

void link_close(struct link *link, const char *last_words)
{
	if (link->has_thread) {
		pthread_mutex_lock(&link->lock);
		link->stop = 1;
		pthread_mutex_unlock(&link->lock);
		link_wake(link);
		pthread_join(link->thread, NULL);
	}
	if (last_words && link->err && link->err != SONDE_E_GONE &&
	    send(link->fd, last_words, strlen(last_words), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		last_words = NULL; /* nothing more can be done for it */
	if (link->wake >= 0)
		close(link->wake);
	close(link->fd);
	pthread_cond_destroy(&link->called);
	pthread_mutex_destroy(&link->lock);
}

void link_allow(struct link *link, uint32_t packet_size, int acks, uint32_t depth)
{
	pthread_mutex_lock(&link->lock);
	link->packet_size = packet_size;
	link->acks = acks;
	link->depth = depth;
	pthread_mutex_unlock(&link->lock);
}

void link_nonstop(struct link *link)
{
	pthread_mutex_lock(&link->lock);
	link->nonstop = 1;
	pthread_mutex_unlock(&link->lock);
}

/* ---- calls ---------------------------------------------------------------------------------------- */

void reply_finish(struct reply *reply)
{
	free(reply->data);
	*reply = (struct reply){ 0 };
}

int reply_add(struct reply *reply, const void *bytes, size_t len)
{
	if (len > LINK_CALL_MAX - reply->len)
		return SONDE_E_LIMIT;
	if (reply->len + len + 1 > reply->cap) {
		size_t cap = 2 * (reply->len + len) + 256;
		uint8_t *data = realloc(reply->data, cap);
		if (!data)
			return SONDE_E_NO_MEMORY;
		reply->data = data;
		reply->cap = cap;
	}
	if (len)
		memcpy(reply->data + reply->len, bytes, len);
	reply->len += len;
	reply->data[reply->len] = '\0';
	return 0;
}

struct call {
	struct exchange exchange; /* first */
	struct link *link;
	const char *text;
	struct reply *reply;
	int over, err;
};

static size_t call_write(struct exchange *exchange, uint8_t *out)
{
	struct call *call = (struct call *)exchange;
	size_t len = strlen(call->text);

	memcpy(out, call->text, len);
	return len;
}

static enum exchange_verdict end_call(struct call *call, int err)
{
	call->err = err;
	call->over = 1;
	pthread_cond_broadcast(&call->link->called);
	return EXCHANGE_DONE;
}

static enum exchange_verdict call_answer(struct exchange *exchange, int err, const uint8_t *data,
					 size_t len)
{
	struct call *call = (struct call *)exchange;

	if (!err)
		err = reply_add(call->reply, data, len);
	return end_call(call, err);
}

/* Output comes in hex, a line or less a packet; too much of it is dropped, up to the end, and then told. */
static enum exchange_verdict monitor_answer(struct exchange *exchange, int err, const uint8_t *data,
					    size_t len)
{
	struct call *call = (struct call *)exchange;

	if (err)
		return end_call(call, err);
	if (len == 2 && memcmp(data, "OK", 2) == 0)
		return end_call(call, call->err);
	if (!is_console(data, len))
		return end_call(call, SONDE_E_UNSUPPORTED);
	for (size_t i = 1; i < len && !call->err; i += 2) {
		uint8_t byte;
		if (hex_read(&byte, data + i, 1) < 0)
			call->err = SONDE_E_BAD_FORMAT;
		else
			call->err = reply_add(call->reply, &byte, 1);
	}
	return EXCHANGE_MORE;
}

/* Lock held. What a failure of the link says of itself is kept in it. */
static int tell_failure(struct link *link, int code, struct sonde_error *err)
{
	const char *why = link->err ? link->why : link->host->code_text(code);

	return link->host->error_set(err, code, "gdb: '%s': %s", link->where, why);
}

static int run_call(struct call *call, struct sonde_error *err)
{
	struct link *link = call->link;

	call->reply->len = 0;
	call->err = reply_add(call->reply, "", 0); /* so that there are bytes to look at */
	pthread_mutex_lock(&link->lock);
	if (call->err)
		end_call(call, call->err);
	else if (strlen(call->text) > link->packet_size)
		end_call(call, SONDE_E_LIMIT);
	else if (link->err)
		end_call(call, link->err);
	else
		queue_add(&link->waiting, &call->exchange);
	link_wake(link);
	while (!call->over)
		pthread_cond_wait(&link->called, &link->lock);
	int r = call->err ? tell_failure(link, call->err, err) : 0;
	pthread_mutex_unlock(&link->lock);
	return r;
}

int link_call(struct link *link, const char *text, struct reply *ret, struct sonde_error *err)
{
	struct call call = { .exchange = { .write = call_write,
					   .answer = call_answer,
					   .stop = strcmp(text, "?") == 0 },
			     .link = link,
			     .text = text,
			     .reply = ret };

	return run_call(&call, err);
}

int link_monitor(struct link *link, const char *command, struct reply *ret, struct sonde_error *err)
{
	char text[256] = "qRcmd,";
	size_t len = strlen(command);
	struct call call = {
		.exchange = { .write = call_write, .answer = monitor_answer, .console = 1 },
		.link = link,
		.text = text,
		.reply = ret
	};

	if (2 * len >= sizeof(text) - strlen(text))
		return link->host->error_set(err, SONDE_E_LIMIT, NULL);
	hex_write((uint8_t *)text + strlen(text), (const uint8_t *)command, len);
	return run_call(&call, err);
}

int link_keep_running(struct link *link, int on, struct sonde_error *err)
{
	pthread_mutex_lock(&link->lock);
	link->keep_running = on;
	if (!on && !link->err)
		interrupt(link);
	link_wake(link);
	while (!on && link->run != LINK_STOPPED && !link->err)
		pthread_cond_wait(&link->called, &link->lock);
	int r = link->err ? tell_failure(link, link->err, err) : 0;
	pthread_mutex_unlock(&link->lock);
	return r;
}

/* ---- a target that runs and stops ----------------------------------------------------------------- */

void link_listen(struct link *link, struct link_listener listener)
{
	pthread_mutex_lock(&link->lock);
	link->listener = listener;
	pthread_mutex_unlock(&link->lock);
}

void link_go(struct link *link, const char *packet)
{
	snprintf(link->go_on, sizeof(link->go_on), "%s", packet);
	link->keep_running = link->at_once = 1;
}

void link_stay(struct link *link)
{
	link->keep_running = link->at_once = 0;
}

int link_is_kept(const struct link *link)
{
	return link->keep_running;
}

void link_ask(struct link *link, struct exchange *exchange)
{
	exchange->n_tries = 0;
	queue_add(&link->waiting, exchange);
}

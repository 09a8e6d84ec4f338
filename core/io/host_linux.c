/* SPDX-License-Identifier: MIT */
/*
 * A loop on Linux: an eventfd ends its sleep, posts and fragments come from other threads, and in a foreign
 * loop one epoll descriptor stands for all there is to wait for.
 */
#include "io/host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sonde/error.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "io/engine.h"
#include "io/loop.h"
#include "io/request.h"

#define LOST_MAX 64u

struct loop_host {
	pthread_t owner;
	_Atomic(struct loop_post *) posts; /* from any thread, newest first */
	pthread_mutex_t fragments_lock;
	struct loop_fragment *fragments; /* [n_fragments], room for cap_fragments */
	size_t n_fragments, cap_fragments;
	struct loop_fragment *spare_fragments; /* the other buffer, [cap_spare]        */
	size_t cap_spare;
	struct sonde_io *lost[LOST_MAX]; /* [n_lost] whose fragments found no room              */
	size_t n_lost;
	atomic_bool has_fragments;
	atomic_bool asleep; /* or about to be: who posts must end it                     */
	int wake_fd;        /* eventfd: something was posted                            */
	int poll_fd;        /* epoll over wake, engine and timer descriptors; -1 unused */
	int timer_fd;
	bool looks; /* embedded, and a ring may complete something without a word */
};

int host_open(struct sonde_loop *loop, struct sonde_error *err)
{
	struct loop_host *host = calloc(1, sizeof(*host));

	if (!host)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "loop: out of memory");
	loop->host = host;
	host->owner = pthread_self();
	host->poll_fd = host->timer_fd = -1;
	pthread_mutex_init(&host->fragments_lock, NULL);
	host->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (host->wake_fd < 0)
		return sonde_error_os(err, errno, "loop: eventfd");
	return SONDE_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void host_close(struct sonde_loop *loop)
{
	struct loop_host *host = loop->host;

	if (!host)
		return;
	close_fd(host->wake_fd);
	close_fd(host->poll_fd);
	close_fd(host->timer_fd);
	pthread_mutex_destroy(&host->fragments_lock);
	free(host->fragments);
	free(host->spare_fragments);
	free(host);
}

/* ---- from other threads ------------------------------------------------------------------ */

bool loop_is_here(const struct sonde_loop *loop)
{
	return pthread_equal(loop->host->owner, pthread_self());
}

static void signal_work(struct loop_host *host)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t r = write(host->wake_fd, &one, sizeof(one));

	(void)r; /* EAGAIN: the counter is full, so it is readable already */
	errno = saved;
}

void sonde_loop_wake(struct sonde_loop *loop)
{
	atomic_store(&loop->woken, true);
	signal_work(loop->host);
}

/*
 * A loop that is awake looks at its posts before it sleeps. Everything here is in one order that all threads
 * agree on, so either it sees the post or we see that it sleeps.
 */
static void signal_if_asleep(struct sonde_loop *loop)
{
	if (atomic_load(&loop->host->asleep) || atomic_load(&loop->embedded))
		signal_work(loop->host);
}

void loop_post_list(struct sonde_loop *loop, struct loop_post *newest, struct loop_post *oldest)
{
	struct loop_host *host = loop->host;
	struct loop_post *head = atomic_load_explicit(&host->posts, memory_order_relaxed);

	do {
		oldest->next = head;
	} while (!atomic_compare_exchange_weak(&host->posts, &head, newest));
	if (!head)
		signal_if_asleep(loop);
}

void loop_post(struct sonde_loop *loop, struct loop_post *post)
{
	loop_post_list(loop, post, post);
}

static bool make_room(struct loop_host *host)
{
	size_t cap = host->cap_fragments ? 2 * host->cap_fragments : 64;
	void *grown = realloc(host->fragments, cap * sizeof(*host->fragments));

	if (grown) {
		host->fragments = grown;
		host->cap_fragments = cap;
	}
	return grown;
}

/* Its piece ends as an error, since nobody hears of the stretch: this is for the right code. */
static void lose(struct loop_host *host, struct sonde_io *io)
{
	if (host->n_lost && host->lost[host->n_lost - 1] == io)
		return;
	if (host->n_lost < LOST_MAX)
		host->lost[host->n_lost++] = io;
}

void loop_post_fragment(struct sonde_loop *loop, const struct loop_fragment *fragment)
{
	struct loop_host *host = loop->host;

	pthread_mutex_lock(&host->fragments_lock);
	if (host->n_fragments < host->cap_fragments || make_room(host))
		host->fragments[host->n_fragments++] = *fragment;
	else
		lose(host, fragment->io);
	bool first = !atomic_exchange(&host->has_fragments, true);
	pthread_mutex_unlock(&host->fragments_lock);
	if (first)
		signal_if_asleep(loop);
}

/* ---- at home ------------------------------------------------------------------------------- */

/* Two buffers change places, so that no lock is held while watchers are told. */
int loop_run_fragments(struct sonde_loop *loop)
{
	struct loop_host *host = loop->host;

	if (!atomic_load_explicit(&host->has_fragments, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&host->fragments_lock);
	struct loop_fragment *told = host->fragments;
	size_t n = host->n_fragments, cap = host->cap_fragments;
	host->fragments = host->spare_fragments;
	host->cap_fragments = host->cap_spare;
	host->n_fragments = 0;
	for (; host->n_lost; host->n_lost--)
		io_core(host->lost[host->n_lost - 1])->flags |= IO_NO_ROOM;
	atomic_store_explicit(&host->has_fragments, false, memory_order_relaxed);
	pthread_mutex_unlock(&host->fragments_lock);
	host->spare_fragments = told;
	host->cap_spare = cap;
	for (size_t i = 0; i < n; i++)
		io_account(told[i].io, told[i].piece, told[i].off, told[i].len, told[i].err);
	return n > 0;
}

static struct loop_post *take_posts(struct loop_host *host)
{
	struct loop_post *newest, *oldest = NULL;

	if (!atomic_load_explicit(&host->posts, memory_order_relaxed))
		return NULL;
	newest = atomic_exchange_explicit(&host->posts, NULL, memory_order_acquire);
	while (newest) {
		struct loop_post *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

int loop_run_posts(struct sonde_loop *loop)
{
	struct loop_post *post = take_posts(loop->host);
	/* A request's fragments were told before it was posted, so they are all here. */
	int ran = loop_run_fragments(loop);

	while (post) {
		struct loop_post *next = post->next;
		post->run(post);
		post = next;
		ran++;
	}
	return ran;
}

/* ---- waiting ------------------------------------------------------------------------------- */

static int engine_fd(const struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	return ops && ops->fd && loop_engine_has(loop) ? ops->fd(loop->engine) : -1;
}

static int source_fd(const struct sonde_loop *loop)
{
	return loop->source && loop->source->n_waits ? loop->source->fd : -1;
}

void loop_disarm(struct sonde_loop *loop)
{
	uint64_t count;
	ssize_t r = read(loop->host->wake_fd, &count, sizeof(count));

	(void)r; /* EAGAIN: nobody woke us */
}

static void sleep_now(struct sonde_loop *loop, uint64_t timeout_ns)
{
	const struct engine_ops *ops = loop->engine_ops;
	struct pollfd fds[3] = { { .fd = loop->host->wake_fd, .events = POLLIN },
				 { .fd = engine_fd(loop), .events = POLLIN },
				 { .fd = source_fd(loop), .events = POLLIN } };
	struct timespec ts, *limit = NULL;
	bool woken = false;

	if (ops && ops->wait && loop_engine_has(loop) && source_fd(loop) < 0 &&
	    ops->wait(loop->engine, loop->host->wake_fd, timeout_ns, &woken)) {
		if (woken)
			loop_disarm(loop);
		return;
	}
	if (source_fd(loop) >= 0 && engine_fd(loop) < 0 &&
	    loop->source->sleep(loop->source, timeout_ns, &woken)) {
		if (woken)
			loop_disarm(loop);
		return;
	}
	if (timeout_ns != UINT64_MAX) {
		ts.tv_sec = (time_t)(timeout_ns / 1000000000u);
		ts.tv_nsec = (long)(timeout_ns % 1000000000u);
		limit = &ts;
	}
	ppoll(fds, 3, limit, NULL);
	if (fds[0].revents & POLLIN)
		loop_disarm(loop);
	if (fds[2].revents & POLLIN)
		loop->source->due = true;
}

void loop_sleep(struct sonde_loop *loop, uint64_t timeout_ns)
{
	struct loop_host *host = loop->host;

	atomic_store(&host->asleep, true);
	if (!atomic_load(&host->posts) && !atomic_load(&host->has_fragments))
		sleep_now(loop, timeout_ns);
	atomic_store(&host->asleep, false);
}

/* ---- embedding ---------------------------------------------------------------------------- */

static int watch(int poll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* 0 or -errno; what is half open sonde_loop_fd closes. */
static int poll_open(struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;
	struct loop_host *host = loop->host;

	host->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (host->timer_fd < 0)
		return -errno;
	host->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (host->poll_fd < 0)
		return -errno;
	if (watch(host->poll_fd, host->wake_fd) || watch(host->poll_fd, host->timer_fd))
		return -errno;
	bool signals = ops && ops->embed && ops->embed(loop->engine, host->wake_fd);
	host->looks = ops && ops->fd && !signals;
	if (host->looks && watch(host->poll_fd, ops->fd(loop->engine)))
		return -errno;
	if (signals && loop_engine_has(loop))
		signal_work(host); /* for what has completed already */
	if (loop->source && loop->source->fd >= 0 && watch(host->poll_fd, loop->source->fd))
		return -errno;
	return 0;
}

int loop_wake_fd(const struct sonde_loop *loop)
{
	return loop->host->wake_fd;
}

int loop_source_opened(struct sonde_loop *loop)
{
	return loop->embedded && watch(loop->host->poll_fd, loop->source->fd) ? -errno : 0;
}

void loop_arm(struct sonde_loop *loop)
{
	uint64_t next = timers_next(loop), soon;
	struct itimerspec when = { 0 };

	/* What was not sent, or completes only when somebody asks (IORING_SETUP_DEFER_TASKRUN), is seen to soon. */
	if (loop->unsent || (loop->host->looks && loop_engine_has(loop))) {
		soon = sonde_now_ns() + LOOP_RETRY_NS;
		next = soon < next ? soon : next;
	}
	if (next != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(next / 1000000000u);
		when.it_value.tv_nsec = (long)(next % 1000000000u);
		if (next == 0)
			when.it_value.tv_nsec = 1; /* all zero would disarm it */
	}
	timerfd_settime(loop->host->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
	if (loop_has_work(loop))
		signal_work(loop->host);
}

int sonde_loop_fd(struct sonde_loop *loop)
{
	struct loop_host *host = loop->host;
	int r = loop->embedded ? 0 : poll_open(loop);

	if (r < 0) {
		close_fd(host->timer_fd);
		close_fd(host->poll_fd);
		host->timer_fd = host->poll_fd = -1;
		return sonde_error_os(NULL, -r, "loop");
	}
	loop->embedded = true;
	loop_arm(loop);
	return host->poll_fd;
}

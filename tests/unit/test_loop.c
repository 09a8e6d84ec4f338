/* SPDX-License-Identifier: MIT */
/* The loop: waking, embedding in a foreign poll, refusing to block inside itself, engine names. */
#include <poll.h>
#include <pthread.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <unistd.h>

#include "fake.h"
#include "io/loop.h"

static int setup(void **state)
{
	*state = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

static int teardown(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

static void engines_have_names(void **state)
{
	static const char *const names[] = { "auto",     "sync",    "direct",
					     "io_uring", "threads", "epoll" };
	uint32_t kind = 99;

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(sonde_engine_parse(names[i], &kind), 0);
		assert_int_equal(kind, i);
	}
	assert_int_equal(sonde_engine_parse("warp", &kind), SONDE_E_NOT_FOUND);
	assert_int_equal(kind, 5);
}

static void an_unknown_engine_is_refused(void **state)
{
	struct sonde_loop_options options = { .size = sizeof(options), .engine = 17 };
	struct sonde_loop *loop = (void *)1;
	struct sonde_error err = { 0 };

	(void)state;
	assert_int_equal(sonde_loop_create(&options, &loop, &err), SONDE_E_BAD_ARG);
	assert_ptr_equal(loop, (void *)1);
	assert_non_null(strstr(err.text, "17"));
}

/* Options of an older, shorter caller: what it does not know is default. */
static void options_grow(void **state)
{
	struct sonde_loop_options options = { .size = 8, .engine = SONDE_ENGINE_SYNC, .depth = 7 };
	struct sonde_loop *loop;
	const char *why = NULL;

	(void)state;
	assert_int_equal(sonde_loop_create(&options, &loop, NULL), 0);
	assert_int_equal(loop->depth, 256);
	assert_string_equal(sonde_loop_engine(loop, &why), "sync");
	assert_non_null(why);
	sonde_loop_destroy(loop);
	options.size = sizeof(options);
	options.depth = UINT32_MAX;
	assert_int_equal(sonde_loop_create(&options, &loop, NULL), 0);
	assert_int_equal(loop->depth, 4096);
	sonde_loop_destroy(loop);
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	sonde_loop_destroy(loop);
}

static void an_idle_loop_does_nothing(void **state)
{
	assert_int_equal(sonde_loop_turn(*state), 0);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(sonde_loop_wait(*state, 0), 0);
	uint64_t before = sonde_now_ns();
	assert_int_equal(sonde_loop_wait(*state, 2000000), 0);
	assert_true(sonde_now_ns() - before >= 2000000);
}

static void *wake(void *loop)
{
	sonde_loop_wake(loop);
	return NULL;
}

static void a_wake_ends_a_wait(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wake, *state), 0);
	assert_int_equal(sonde_loop_wait(*state, UINT64_MAX), 0);
	pthread_join(thread, NULL);
}

static void a_wake_before_the_wait_is_not_lost(void **state)
{
	sonde_loop_fd(*state); /* embedded loops read their wake descriptor in every turn */
	sonde_loop_wake(*state);
	assert_int_equal(sonde_loop_wait(*state, UINT64_MAX), 0);
	uint64_t before = sonde_now_ns();
	sonde_loop_wait(*state, 1000000);
	assert_true(sonde_now_ns() - before >= 1000000); /* and it counts once */
}

static int readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

static int n_done;

static void done(struct sonde_io *io)
{
	n_done++;
	assert_int_equal(io->state, SONDE_IO_IDLE);
}

static void the_descriptor_follows_what_is_submitted(void **state)
{
	struct fake fake = { 0 };
	uint8_t byte;
	struct sonde_xfer x = { .addr = 32, .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };
	int fd = sonde_loop_fd(*state);

	assert_true(fd >= 0);
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(readable(fd, 0), 0);
	n_done = 0;
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(readable(fd, 0), 1);
	while (readable(fd, 0))
		assert_true(sonde_loop_turn(*state) >= 0);
	assert_int_equal(n_done, 1);
	assert_int_equal(byte, 2);
	fake_close(&fake);
}

static void fire(struct sonde_timer *timer)
{
	(void)timer;
	n_done++;
}

static void the_descriptor_follows_timers(void **state)
{
	struct sonde_timer late = { .at_ns = UINT64_MAX, .fire = fire };
	struct sonde_timer soon = { .at_ns = sonde_now_ns() + 2000000, .fire = fire };
	int fd = sonde_loop_fd(*state);

	n_done = 0;
	sonde_timer_start(*state, &late);
	assert_int_equal(readable(fd, 0), 0);
	sonde_timer_start(*state, &soon);
	while (n_done == 0) {
		assert_int_equal(readable(fd, 10000), 1);
		sonde_loop_turn(*state);
	}
	assert_int_equal(n_done, 1);
	assert_int_equal(readable(fd, 0), 0);
	sonde_timer_stop(*state, &late);
}

static int yield_twice(struct sonde_task *task, void *arg)
{
	sonde_task_yield(task);
	sonde_task_yield(task);
	*(int *)arg = 1;
	return 0;
}

static void the_descriptor_follows_tasks(void **state)
{
	int ended = 0, fd = sonde_loop_fd(*state);

	sonde_task_spawn(*state, yield_twice, &ended, NULL);
	assert_int_equal(readable(fd, 0), 1);
	while (readable(fd, 0))
		sonde_loop_turn(*state);
	assert_int_equal(ended, 1);
}

/* What another thread has posted makes the descriptor readable too. */
struct poster {
	struct loop_post post;
	struct sonde_loop *loop;
	int ran;
};

static void post_run(struct loop_post *post)
{
	((struct poster *)(void *)post)->ran++;
}

static void *post_one(void *arg)
{
	struct poster *poster = arg;

	poster->post.run = post_run;
	loop_post(poster->loop, &poster->post);
	return NULL;
}

static void the_descriptor_follows_posts(void **state)
{
	struct poster poster = { .loop = *state };
	int fd = sonde_loop_fd(*state);
	pthread_t thread;

	pthread_create(&thread, NULL, post_one, &poster);
	assert_int_equal(readable(fd, 10000), 1);
	sonde_loop_turn(*state);
	assert_int_equal(poster.ran, 1);
	pthread_join(thread, NULL);
}

enum { POSTS = 2000, POSTERS = 4 };

static void *post_many(void *arg)
{
	struct poster *posters = arg;

	for (int i = 0; i < POSTS; i++)
		post_one(&posters[i]);
	return NULL;
}

static void posts_of_many_threads_all_arrive_once(void **state)
{
	struct poster *posters = calloc(POSTERS * POSTS, sizeof(*posters));
	pthread_t threads[POSTERS];
	int ran = 0;

	for (int i = 0; i < POSTERS * POSTS; i++)
		posters[i].loop = *state;
	for (int i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, post_many, posters + i * POSTS);
	while (ran < POSTERS * POSTS)
		ran += sonde_loop_wait(*state, UINT64_MAX);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ran, POSTERS * POSTS);
	for (int i = 0; i < POSTERS * POSTS; i++)
		assert_int_equal(posters[i].ran, 1);
	free(posters);
}

static struct sonde_loop *inside_loop;

static void block_inside(struct sonde_timer *timer)
{
	struct fake *fake = timer->user;
	uint8_t byte;

	assert_int_equal(sonde_loop_turn(inside_loop), SONDE_E_BUSY);
	assert_int_equal(sonde_loop_run(inside_loop), SONDE_E_BUSY);
	assert_int_equal(sonde_loop_wait(inside_loop, 0), SONDE_E_BUSY);
	assert_int_equal(sonde_space_get(fake->space, 0, &byte, 1), SONDE_E_BUSY);
	n_done++;
}

static void blocking_inside_the_loop_is_refused(void **state)
{
	struct fake fake = { 0 };
	struct sonde_timer timer = { .at_ns = 1, .fire = block_inside, .user = &fake };

	inside_loop = *state;
	n_done = 0;
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	sonde_timer_start(*state, &timer);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(n_done, 1);
	fake_close(&fake);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(engines_have_names),
		TEST(an_unknown_engine_is_refused),
		TEST(options_grow),
		TEST(an_idle_loop_does_nothing),
		TEST(a_wake_ends_a_wait),
		TEST(a_wake_before_the_wait_is_not_lost),
		TEST(the_descriptor_follows_what_is_submitted),
		TEST(the_descriptor_follows_timers),
		TEST(the_descriptor_follows_tasks),
		TEST(the_descriptor_follows_posts),
		TEST(posts_of_many_threads_all_arrive_once),
		TEST(blocking_inside_the_loop_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The threads engine by itself: what comes home when, and no thread to be had. */
#include <pthread.h>
#include <semaphore.h>
#include <sonde/io.h>

#include "fake.h"
#include "io/engine.h"
#include "io/loop.h"
#include "io/request.h"

/* ---- the order in which things come home -------------------------------------------------------- */

static struct {
	struct sonde_loop *loop;
	struct sonde_io io;
	struct sonde_xfer x;
	struct loop_post first;
	struct file_op ops[3];
	sem_t began[3], go_on;
	uint32_t told;
	bool over;
} stage;

static unsigned number_of(const struct file_op *op)
{
	return (unsigned)(op - stage.ops);
}

/* The second one tells a fragment, but not before it may. */
static void work(struct file_op *op)
{
	struct loop_fragment fragment = { .io = &stage.io, .len = 1 };

	sem_post(&stage.began[number_of(op)]);
	if (number_of(op) != 1)
		return;
	sem_wait(&stage.go_on);
	loop_post_fragment(stage.loop, &fragment);
}

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	(void)io;
	stage.told += f->len;
}

static void op_done(struct file_op *op)
{
	if (number_of(op) == 1)
		assert_int_equal(stage.told, 1);
	stage.over |= number_of(op) == 2;
}

/* Runs when the posts are, in front of the engine's: the second operation ends only now. */
static void let_go_on(struct loop_post *post)
{
	(void)post;
	sem_post(&stage.go_on);
	sem_wait(&stage.began[2]);
}

static void start(unsigned i)
{
	stage.ops[i] = (struct file_op){ .work = work, .done = op_done };
	stage.loop->engine_ops->submit(stage.loop->engine, &stage.ops[i]);
}

/* What ends while others come home comes with them, and what it told comes before it. */
static void fragments_come_before_the_end_of_what_told_them(void **state)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_THREADS,
					      .n_threads = 1 };
	uint8_t byte;

	(void)state;
	assert_int_equal(sonde_loop_create(&options, &stage.loop, NULL), 0);
	stage.x = (struct sonde_xfer){ .buf = &byte, .len = 1 };
	stage.io = (struct sonde_io){ .xfers = &stage.x, .n = 1, .fragment = tell };
	for (unsigned i = 0; i < 3; i++)
		sem_init(&stage.began[i], 0, 0);
	sem_init(&stage.go_on, 0, 0);
	stage.first.run = let_go_on;
	loop_post(stage.loop, &stage.first);
	start(0);
	sem_wait(&stage.began[0]);
	start(1);
	sem_wait(&stage.began[1]); /* so the first one is home */
	start(2);
	while (!stage.over)
		sonde_loop_wait(stage.loop, UINT64_MAX);
	sonde_loop_destroy(stage.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_come_before_the_end_of_what_told_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The threads engine by itself: what comes home when, and no thread to be had. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sonde/io.h>
#include <sys/mman.h>
#include <unistd.h>

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
	stage.ops[i] = (struct file_op){ .work = work, .works = true, .done = op_done };
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

/* ---- no thread to be had ------------------------------------------------------------------------ */

static unsigned n_threads_left = UINT32_MAX;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	if (n_threads_left == 0)
		return EAGAIN;
	n_threads_left--;
	return __real_pthread_create(thread, attr, fn, arg);
}

#define FILE_LEN UINT64_C(0x40000)

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = FILE_LEN,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = *(int *)conn };

	(void)err;
	return fn(user, &e);
}

enum { PIECES = 48 };

static void end(struct sonde_io *io)
{
	*(bool *)io->user = true;
}

/* A batch of scattered reads, or writes of what is there already. */
static void move(struct sonde_loop *loop, struct sonde_space *space, uint32_t op)
{
	static uint8_t bytes[PIECES][32];
	struct sonde_xfer x[PIECES];
	bool over = false;
	struct sonde_io io = { .xfers = x, .n = PIECES, .op = op, .done = end, .user = &over };

	for (uint32_t i = 0; i < PIECES; i++) {
		x[i] = (struct sonde_xfer){ .addr = i * UINT64_C(4700),
					    .buf = bytes[i],
					    .len = 32 };
		for (uint32_t k = 0; k < 32; k++)
			bytes[i][k] = op == SONDE_IO_READ ? 0xee : fake_byte(x[i].addr + k);
	}
	assert_int_equal(sonde_io_submit(space, &io), 0);
	assert_false(over); /* never inside submit */
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_true(over);
	assert_int_equal(io.result, PIECES);
	for (uint32_t i = 0; i < PIECES; i++) {
		for (uint32_t k = 0; k < 32; k++)
			assert_int_equal(bytes[i][k], fake_byte(x[i].addr + k));
	}
}

static void with_threads(unsigned most)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = file_extents };
	int fd = memfd_create("threads", MFD_CLOEXEC);
	struct fake fake = { 0 };
	struct sonde_space *file = NULL;

	n_threads_left = most;
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_THREADS, 0);
	fake_open(&fake, loop, FILE_LEN, SONDE_WAY_TRANSFER);
	assert_int_equal(pwrite(fd, fake.bytes, FILE_LEN, 0), FILE_LEN);
	assert_int_equal(space_from_connector(loop, &ops, &fd, &file, NULL), 0);
	for (uint32_t op = SONDE_IO_READ; op <= SONDE_IO_WRITE; op++) {
		move(loop, file, op);
		move(loop, fake.space, op); /* a blocking connector goes to the threads as well */
	}
	n_threads_left = UINT32_MAX;
	move(loop, file, SONDE_IO_READ);
	sonde_space_close(file);
	fake_close(&fake);
	sonde_loop_destroy(loop);
	close(fd);
}

static void without_threads_the_loop_does_their_work(void **state)
{
	(void)state;
	with_threads(0);
}

static void one_thread_will_do(void **state)
{
	(void)state;
	with_threads(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_come_before_the_end_of_what_told_them),
		cmocka_unit_test(without_threads_the_loop_does_their_work),
		cmocka_unit_test(one_thread_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

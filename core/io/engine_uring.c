/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine. N operations go down and N completions come up in one call each; short
 * moves are continued here. Set-up flags are probed, newest first, and none is needed.
 */
#include "io/engine.h"

#include <errno.h>
#include <liburing.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

struct engine {
	struct io_uring ring;
	struct file_op *backlog, **backlog_tail; /* no submission entry was free, or a short move */
	uint32_t unsent;                         /* prepared, not yet given to the kernel         */
};

static const unsigned setup_flags[] = {
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_COOP_TASKRUN)
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
#endif
#ifdef IORING_SETUP_COOP_TASKRUN
	IORING_SETUP_COOP_TASKRUN,
#endif
	0,
};

static const char *remedy(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		return " (refused by a sandbox or by sysctl kernel.io_uring_disabled)";
	case ENOSYS:
		return " (this kernel or sandbox has no io_uring)";
	case ENOMEM:
		return " (raise the locked-memory limit: ulimit -l)";
	case EMFILE:
	case ENFILE:
		return " (out of file descriptors: ulimit -n)";
	default:
		return "";
	}
}

static int setup(struct io_uring *ring, unsigned depth)
{
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(setup_flags) / sizeof(setup_flags[0]) && r == -EINVAL; i++)
		r = io_uring_queue_init(depth, ring, setup_flags[i]);
	return r;
}

/* Plain reads and writes came with linux 5.6, rings with 5.1. */
static bool has_moves(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, IORING_OP_READ) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITE);

	io_uring_free_probe(probe);
	return has;
}

static int uring_open(struct sonde_loop *loop, const struct sonde_loop_options *options,
		      struct engine **ret, struct sonde_error *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	(void)loop;
	if (!engine)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "io_uring: out of memory");
	int r = setup(&engine->ring, options->depth);
	if (r < 0) {
		free(engine);
		return sonde_error_set(
			err, r == -EPERM || r == -EACCES ? SONDE_E_NO_ACCESS : SONDE_E_UNSUPPORTED,
			"io_uring refused: %s%s", strerror(-r), remedy(-r));
	}
	if (!has_moves(&engine->ring)) {
		io_uring_queue_exit(&engine->ring);
		free(engine);
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"io_uring refused: this kernel's rings cannot read and write "
			"(needs 5.6)");
	}
	engine->backlog_tail = &engine->backlog;
	*ret = engine;
	return SONDE_OK;
}

static void uring_close(struct engine *engine)
{
	io_uring_queue_exit(&engine->ring);
	free(engine);
}

static void add_backlog(struct engine *engine, struct file_op *op)
{
	op->next = NULL;
	*engine->backlog_tail = op;
	engine->backlog_tail = &op->next;
}

/* op->result counts what earlier, short moves brought. */
static bool prepare(struct engine *engine, struct file_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);
	uint32_t done = (uint32_t)op->result;

	if (!sqe)
		return false;
	if (op->write)
		io_uring_prep_write(sqe, op->fd, (char *)op->buf + done, op->len - done,
				    op->off + done);
	else
		io_uring_prep_read(sqe, op->fd, (char *)op->buf + done, op->len - done,
				   op->off + done);
	io_uring_sqe_set_data(sqe, op);
	engine->unsent++;
	return true;
}

static bool uring_kick(struct engine *engine)
{
	while (engine->backlog && prepare(engine, engine->backlog)) {
		engine->backlog = engine->backlog->next;
		if (!engine->backlog)
			engine->backlog_tail = &engine->backlog;
	}
	if (engine->unsent == 0)
		return false;
	/* EAGAIN, EBUSY: the kernel is short of something; what is prepared goes with the next kick. */
	int r;
	do
		r = io_uring_submit(&engine->ring);
	while (r == -EINTR);
	if (r > 0)
		engine->unsent -= (uint32_t)r < engine->unsent ? (uint32_t)r : engine->unsent;
	return engine->unsent || engine->backlog;
}

static void uring_submit(struct engine *engine, struct file_op *list)
{
	while (list) {
		struct file_op *next = list->next;
		list->result = 0;
		if (engine->backlog || !prepare(engine, list))
			add_backlog(engine, list);
		list = next;
	}
}

static void completed(struct engine *engine, struct file_op *op, int32_t moved)
{
	uint32_t done = (uint32_t)op->result;

	/* EAGAIN: this descriptor does not wait for us. Asking again could go on for ever; the reference knows. */
	if (moved == -EAGAIN)
		moved = file_move(op->fd, op->write, op->off + done, (char *)op->buf + done,
				  op->len - done);
	if (moved == -EINTR)
		moved = 0;
	else if (moved <= 0 || (uint32_t)moved >= op->len - done) {
		/* An error behind bytes that came: report those, the issuer meets the error next. */
		op->result =
			moved < 0 && op->result == 0 ? moved : op->result + (moved > 0 ? moved : 0);
		op->done(op);
		return;
	}
	op->result += moved;
	add_backlog(engine, op);
}

static int uring_reap(struct engine *engine)
{
	struct io_uring_cqe *cqe;
	int n = 0;

	/* Each is freed before done runs: done may submit more. */
	while (io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
		struct file_op *op = io_uring_cqe_get_data(cqe);
		int32_t moved = cqe->res;
		io_uring_cqe_seen(&engine->ring, cqe);
		completed(engine, op, moved);
		n++;
	}
	return n;
}

static int uring_fd(struct engine *engine)
{
	return engine->ring.ring_fd;
}

const struct engine_ops engine_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.submit = uring_submit,
	.reap = uring_reap,
	.kick = uring_kick,
	.fd = uring_fd,
};

/* SPDX-License-Identifier: MIT */
/*
 * Steps on descriptors by ring. What is started in one turn leaves with the loop's flush, as one
 * submission. An operation waits in one list at a time:
 *
 *   start ──▶ fresh ──flush──▶ unsent ──entry──▶ SENT ──▶ done
 *               └─────stop: taken out─┘             └─stop──▶ stops ──entry──▶ STOPPED ──▶ done
 */
#include "io/uring_fd.h"

#include <errno.h>
#include <sys/socket.h>

/* Source: linux v6.18 include/uapi/linux/fs.h and io_uring.h. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif
#ifndef IORING_ACCEPT_MULTISHOT
#define IORING_ACCEPT_MULTISHOT (1U << 0)
#endif

enum { UNSENT = 0, SENT, STOPS, STOPPED, BACK };

/* ---- lists ----------------------------------------------------------------------------------- */

static void append(struct fd_op ***tail, struct fd_op *op)
{
	op->next = NULL;
	op->prev = *tail;
	**tail = op;
	*tail = &op->next;
}

static void unlink_op(struct fd_op ***tail, struct fd_op *op)
{
	*op->prev = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		*tail = op->prev;
}

/*
 * Which of the two lists of what was not sent it is in, nobody needs to know: only who is last
 * does.
 */
static void unlink_unsent(struct uring_fd *fds, struct fd_op *op)
{
	unlink_op(fds->fresh_tail == &op->next ? &fds->fresh_tail : &fds->unsent_tail, op);
}

static void flush(struct loop_flush *node)
{
	struct uring_fd *fds =
		(struct uring_fd *)(void *)((char *)node - offsetof(struct uring_fd, flush));

	if (!fds->fresh)
		return;
	*fds->unsent_tail = fds->fresh;
	fds->fresh->prev = fds->unsent_tail;
	fds->unsent_tail = fds->fresh_tail;
	fds->fresh = NULL;
	fds->fresh_tail = &fds->fresh;
}

/* ---- down ------------------------------------------------------------------------------------ */

static const uint8_t opcodes[FD_STEPS] = {
	[FD_READ] = IORING_OP_READ,     [FD_WRITE] = IORING_OP_WRITE,
	[FD_RECV] = IORING_OP_RECV,     [FD_SEND] = IORING_OP_SEND,
	[FD_ACCEPT] = IORING_OP_ACCEPT, [FD_ACCEPT_MANY] = IORING_OP_ACCEPT,
	[FD_POLL] = IORING_OP_POLL_ADD,
};

static void prepare(struct uring_fd *fds, struct io_uring_sqe *sqe, struct fd_op *op)
{
	switch (op->step) {
	case FD_ACCEPT:
	case FD_ACCEPT_MANY:
		io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
		op->many = op->step == FD_ACCEPT_MANY && fds->many != MANY_UNKNOWN;
		sqe->ioprio = op->many ? IORING_ACCEPT_MULTISHOT : 0;
		break;
	case FD_POLL:
		io_uring_prep_poll_add(sqe, op->fd, op->len);
		break;
	default:
		/* Offset -1: none, or the file's position. */
		io_uring_prep_rw(opcodes[op->step], sqe, op->fd, op->buf, op->len,
				 op->step <= FD_WRITE ? UINT64_MAX : 0);
		if (op->step == FD_SEND)
			sqe->msg_flags = MSG_NOSIGNAL;
		if (op->step == FD_WRITE)
			sqe->rw_flags = RWF_NOSIGNAL;
	}
	sqe->user_data = (uint64_t)(uintptr_t)op | URING_FD_TAG;
	op->stage = SENT;
}

/* The call for an end is counted as in use: its own completion has to be reaped as well. */
static void prepare_stop(struct uring_fd *fds, struct io_uring_sqe *sqe, struct fd_op *op)
{
	io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, -1, NULL, 0, 0);
	sqe->addr = (uint64_t)(uintptr_t)op | URING_FD_TAG;
	sqe->user_data = URING_FD_TAG;
	op->stage = STOPPED;
	fds->loop->n_steps++;
}

bool uring_fd_fill(struct uring_fd *fds)
{
	struct io_uring_sqe *sqe;

	while (fds->unsent || fds->stops) {
		struct fd_op *op = fds->stops ? fds->stops : fds->unsent;
		sqe = io_uring_get_sqe(fds->ring);
		if (!sqe)
			return true;
		unlink_op(op == fds->stops ? &fds->stops_tail : &fds->unsent_tail, op);
		if (op->stage == STOPS)
			prepare_stop(fds, sqe, op);
		else
			prepare(fds, sqe, op);
	}
	return false;
}

void uring_fd_start(struct uring_fd *fds, struct fd_op *op)
{
	op->stage = UNSENT;
	op->more = false;
	append(&fds->fresh_tail, op);
	fds->loop->n_steps++;
	loop_add_flush(fds->loop, &fds->flush);
}

bool uring_fd_stop(struct uring_fd *fds, struct fd_op *op)
{
	if (op->stage == UNSENT) {
		unlink_unsent(fds, op);
		op->stage = BACK;
		fds->loop->n_steps--;
		return true;
	}
	if (op->stage == SENT) {
		op->stage = STOPS;
		append(&fds->stops_tail, op);
		loop_add_flush(fds->loop, &fds->flush);
	}
	return false;
}

/* ---- up -------------------------------------------------------------------------------------- */

/*
 * Multishot accept came with linux 5.19; before, EINVAL. But so says a socket that does not listen.
 */
static bool again_one_by_one(struct uring_fd *fds, struct fd_op *op, int32_t result)
{
	if (op->step != FD_ACCEPT_MANY)
		return false;
	if (op->many && result >= 0)
		fds->many = MANY_KNOWN;
	else if (!op->many && result == -EINVAL)
		fds->many = MANY_UNTRIED;
	if (!op->many || result != -EINVAL || fds->many == MANY_KNOWN)
		return false;
	fds->many = MANY_UNKNOWN;
	return true;
}

int uring_fd_completed(struct uring_fd *fds, uint64_t user_data, int32_t result, uint32_t flags)
{
	struct fd_op *op = (struct fd_op *)(uintptr_t)(user_data & ~URING_FD_TAG);
	bool more = flags & IORING_CQE_F_MORE;

	if (!op) {
		fds->loop->n_steps--;
		return 0;
	}
	if (!more) {
		if (op->stage == STOPS)
			unlink_op(&fds->stops_tail, op);
		op->stage = BACK;
		fds->loop->n_steps--;
	}
	if (again_one_by_one(fds, op, result)) {
		uring_fd_start(fds, op);
		return 1;
	}
	op->result = result;
	op->more = more;
	op->done(op);
	return 1;
}

/* ---- what there is --------------------------------------------------------------------------- */

void uring_fd_open(struct uring_fd *fds, struct sonde_loop *loop, struct io_uring *ring,
		   const struct io_uring_probe *probe)
{
	fds->loop = loop;
	fds->ring = ring;
	fds->flush.flush = flush;
	fds->fresh_tail = &fds->fresh;
	fds->unsent_tail = &fds->unsent;
	fds->stops_tail = &fds->stops;
	/* What cannot be called off must not be started. */
	if (!io_uring_opcode_supported(probe, IORING_OP_ASYNC_CANCEL))
		return;
	for (uint32_t step = 0; step < FD_STEPS; step++) {
		if (io_uring_opcode_supported(probe, opcodes[step]))
			fds->steps |= 1u << step;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine. N operations go down and N completions come up in one call each; short
 * moves are continued here. Everything beyond plain reads and writes is probed, and none of it is needed:
 * set-up flags (newest first), the table of descriptors, waiting with a limit.
 */
#include "io/engine.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/request.h"
#include "io/uring_fd.h"
#include "io/uring_path.h"
#include "io/uring_tables.h"

struct engine {
	struct io_uring ring;
	struct file_op *backlog, **backlog_tail; /* no submission entry was free, or a short move */
	struct uring_tables tables;              /* files and memory the kernel keeps at hand     */
	struct uring_fd fds;                     /* descriptors without offsets                   */
	struct uring_path paths;                 /* operations on files that are no moves         */
	bool wake_armed;                         /* the ring watches wake_fd */
	bool woken;                              /* ... and has seen it      */
};

/*
 * One issuer, completions only when asked for: the kernel interrupts nobody. TASKRUN_FLAG shows in shared
 * memory that there is something to ask for.
 */
static const unsigned setup_flags[] = {
#if defined(IORING_SETUP_DEFER_TASKRUN) && defined(IORING_SETUP_TASKRUN_FLAG)
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
#endif
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_COOP_TASKRUN)
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
#endif
#ifdef IORING_SETUP_COOP_TASKRUN
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
#endif
	0,
};

/* What the kernel says when it makes no ring, and what can be done about it. */
static int refusal(int error, const char **ret_remedy)
{
	switch (error) {
	case EPERM:
	case EACCES:
		*ret_remedy = " (refused by a sandbox or by sysctl kernel.io_uring_disabled)";
		return SONDE_E_NO_ACCESS;
	case ENOSYS:
		*ret_remedy = " (this kernel or sandbox has no io_uring)";
		return SONDE_E_UNSUPPORTED;
	case ENOMEM:
		*ret_remedy = " (raise the locked-memory limit: ulimit -l)";
		return SONDE_E_NO_MEMORY;
	case EMFILE:
	case ENFILE:
		*ret_remedy = " (out of file descriptors: ulimit -n)";
		return SONDE_E_EXHAUSTED;
	default:
		*ret_remedy = "";
		return SONDE_E_UNSUPPORTED;
	}
}

static int refuse(struct sonde_error *err, int error)
{
	const char *remedy;
	int code = refusal(error, &remedy);

	sonde_error_set(err, code, "io_uring refused: %s%s", strerror(error), remedy);
	if (err)
		err->os_code = error;
	return code;
}

static int setup(struct io_uring *ring, unsigned depth)
{
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(setup_flags) / sizeof(setup_flags[0]) && r == -EINVAL; i++)
		r = io_uring_queue_init(depth, ring, setup_flags[i]);
	return r;
}

/* Plain reads and writes came with linux 5.6 and the way to ask for them, rings with 5.1. */
static const char *probe_ring(struct engine *engine, struct sonde_loop *loop)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&engine->ring);
	const char *refused = NULL;

	if (!probe)
		refused = "its rings cannot be asked what they can do (needs linux 5.6, and a "
			  "sandbox that lets io_uring_register through)";
	else if (!io_uring_opcode_supported(probe, IORING_OP_READ) ||
		 !io_uring_opcode_supported(probe, IORING_OP_WRITE))
		refused = "this kernel's rings cannot read and write (needs 5.6)";
	else
		uring_fd_open(&engine->fds, loop, &engine->ring, probe);
	if (!refused)
		uring_path_open(&engine->paths, &engine->ring, probe);
	io_uring_free_probe(probe);
	return refused;
}

static int uring_open(struct sonde_loop *loop, const struct sonde_loop_options *options,
		      struct engine **ret, struct sonde_error *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "io_uring: out of memory");
	int r = setup(&engine->ring, options->depth);
	if (r < 0) {
		free(engine);
		return refuse(err, -r);
	}
	const char *refused = probe_ring(engine, loop);
	if (refused) {
		io_uring_queue_exit(&engine->ring);
		free(engine);
		return sonde_error_set(err, SONDE_E_UNSUPPORTED, "io_uring refused: %s", refused);
	}
	engine->backlog_tail = &engine->backlog;
	uring_tables_open(&engine->tables, &engine->ring);
	io_uring_register_ring_fd(&engine->ring); /* linux before 5.18: found by its descriptor */
	*ret = engine;
	return SONDE_OK;
}

static void uring_close(struct engine *engine)
{
	io_uring_queue_exit(&engine->ring);
	free(engine);
}

/* What user_data is beside the address of a file operation; URING_FD_TAG and URING_PATH_TAG are others. */
#define WAKE_TAG UINT64_C(1)
#define LONE_TAG (UINT64_C(1) << 63) /* of a request; no address has this bit */

static void add_backlog(struct engine *engine, struct file_op *op)
{
	op->next = NULL;
	*engine->backlog_tail = op;
	engine->backlog_tail = &op->next;
}

static const uint8_t opcodes[2][2] = {
	/* [of registered memory][a write] */
	{ IORING_OP_READ, IORING_OP_WRITE },
	{ IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED },
};

/* op->result counts what earlier, short moves brought. */
static inline __attribute__((always_inline)) bool prepare(struct engine *engine, struct file_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);
	uint32_t done = (uint32_t)op->result;

	if (!sqe)
		return false;
	int32_t memory = uring_tables_find_memory(&engine->tables, op->buf, op->len);
	*sqe = (struct io_uring_sqe){
		.opcode = opcodes[memory >= 0][op->write],
		.flags = op->slot < 0 ? 0 : IOSQE_FIXED_FILE,
		.fd = op->slot < 0 ? op->fd : op->slot,
		.off = op->off + done,
		.addr = (uintptr_t)op->buf + done,
		.len = op->len - done,
		.user_data = (uintptr_t)op,
		.buf_index = memory < 0 ? 0 : (uint16_t)memory,
	};
	return true;
}

/* True: some found no submission entry. */
static bool fill(struct engine *engine)
{
	while (engine->backlog && prepare(engine, engine->backlog)) {
		engine->backlog = engine->backlog->next;
		if (!engine->backlog)
			engine->backlog_tail = &engine->backlog;
	}
	return uring_fd_fill(&engine->fds) || engine->backlog;
}

static bool uring_kick(struct engine *engine)
{
	for (;;) {
		bool left = fill(engine);
		int r;
		if (io_uring_sq_ready(&engine->ring) == 0)
			return false;
		/* EAGAIN, EBUSY: the kernel is short of something; what is prepared goes with the next kick. */
		do
			r = io_uring_submit(&engine->ring);
		while (r == -EINTR);
		if (!left || io_uring_sq_ready(&engine->ring))
			return left || io_uring_sq_ready(&engine->ring);
	}
}

/* As io_uring_get_sqe of a ring with entries of one size and no thread of its own in the kernel. */
static inline struct io_uring_sqe *next_sqe(struct io_uring_sq *sq)
{
	unsigned tail = sq->sqe_tail;

	if (tail - IO_URING_READ_ONCE(*sq->khead) >= sq->ring_entries)
		return NULL;
	sq->sqe_tail = tail + 1;
	return &sq->sqes[tail & sq->ring_mask];
}

static inline __attribute__((always_inline)) bool fill_lone(struct engine *engine,
							    struct sonde_io *io, int32_t fd,
							    int32_t slot, uint64_t off,
							    uint8_t opcode, uint32_t memory)
{
	const struct sonde_xfer *x = io->xfers;
	struct io_uring_sqe *sqe = next_sqe(&engine->ring.sq);

	if (!sqe)
		return false;
	*sqe = (struct io_uring_sqe){
		.opcode = opcode,
		.flags = slot < 0 ? 0 : IOSQE_FIXED_FILE,
		.fd = slot < 0 ? fd : slot,
		.off = off,
		.addr = (uintptr_t)x->buf,
		.len = x->len,
		.user_data = (uintptr_t)io | LONE_TAG,
		.buf_index = (uint16_t)memory,
	};
	return true;
}

/* Apart, for a call in between would cost the other way as much as a quarter of it. */
static __attribute__((noinline)) bool read_lone_elsewhere(struct engine *engine,
							  struct sonde_io *io, int32_t fd,
							  int32_t slot, uint64_t off)
{
	int32_t memory = uring_tables_find_memory(&engine->tables, io->xfers->buf, io->xfers->len);

	return memory < 0 ? fill_lone(engine, io, fd, slot, off, IORING_OP_READ, 0)
			  : fill_lone(engine, io, fd, slot, off, IORING_OP_READ_FIXED,
				      (uint32_t)memory);
}

static bool uring_read_lone(struct engine *engine, struct sonde_io *io, int32_t fd, int32_t slot,
			    uint64_t off)
{
	const struct uring_tables *tables = &engine->tables;

	if (slot < 0 || !uring_memory_has(&tables->last, io->xfers->buf, io->xfers->len))
		return read_lone_elsewhere(engine, io, fd, slot, off);
	return fill_lone(engine, io, -1, slot, off, IORING_OP_READ_FIXED, tables->last_index);
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

	if (moved == (int32_t)op->len) { /* nearly always */
		op->result = moved;
		op->done(op);
		return;
	}
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

/* Work that the kernel put off until somebody asks, or completions that found no room. */
static void fetch_deferred(struct engine *engine)
{
	unsigned flags = IO_URING_READ_ONCE(*engine->ring.sq.kflags);

	if (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))
		io_uring_get_events(&engine->ring);
}

/* A multishot poll that ends, as on kernels that know only one shot, is armed anew by the next wait. */
static void wake_seen(struct engine *engine, const struct io_uring_cqe *cqe)
{
	engine->woken = true;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		engine->wake_armed = false;
}

/* How many completions before it is looked at a request is fetched, and then its piece. */
#define FETCH_REQUEST 8u
#define FETCH_PIECE 4u

static inline const struct io_uring_cqe *cqe_at(const struct engine *engine, unsigned head)
{
	return &engine->ring.cq.cqes[head & engine->ring.cq.ring_mask];
}

/* Most operations are lone requests, which are looked at here and then in the callback. */
static inline struct sonde_io *lone_of(const struct io_uring_cqe *cqe)
{
	return cqe->user_data & LONE_TAG
		       ? (struct sonde_io *)(uintptr_t)(cqe->user_data & ~LONE_TAG)
		       : NULL;
}

/* Both of its lines: io_core. */
static inline void fetch_request(const struct io_uring_cqe *cqe)
{
	const char *io = (const char *)lone_of(cqe);

	if (io) {
		__builtin_prefetch(io, 1);
		__builtin_prefetch(io + 64, 1);
	}
}

static inline void fetch_piece(const struct io_uring_cqe *cqe)
{
	const struct sonde_io *io = lone_of(cqe);

	if (io)
		__builtin_prefetch(io->xfers, 1);
}

/* Returns how many operations that ended. */
static unsigned take_other(struct engine *engine, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data == WAKE_TAG) {
		wake_seen(engine, cqe);
		return 0;
	}
	if (cqe->user_data & URING_FD_TAG)
		return (unsigned)uring_fd_completed(&engine->fds, cqe->user_data, cqe->res,
						    cqe->flags);
	if (cqe->user_data & URING_PATH_TAG)
		uring_path_completed(cqe->user_data, cqe->res);
	else
		completed(engine, io_uring_cqe_get_data(cqe), cqe->res);
	return 1;
}

static int uring_reap(struct engine *engine)
{
	unsigned head, ready, n, ran = 0;

	fetch_deferred(engine);
	head = *engine->ring.cq.khead;
	ready = io_uring_smp_load_acquire(engine->ring.cq.ktail) - head;
	n = ready < ENGINE_LOT ? ready : ENGINE_LOT;
	/* What is called may submit more: that fills submission entries, not completions. */
	for (unsigned i = 0; i < n; i++) {
		const struct io_uring_cqe *cqe = cqe_at(engine, head + i);
		struct sonde_io *io = lone_of(cqe);
		if (i + FETCH_REQUEST < ready)
			fetch_request(cqe_at(engine, head + i + FETCH_REQUEST));
		if (i + FETCH_PIECE < ready)
			fetch_piece(cqe_at(engine, head + i + FETCH_PIECE));
		if (!io) {
			ran += take_other(engine, cqe);
			continue;
		}
		io_core(io)->moved(io, cqe->res);
		ran++;
	}
	io_uring_cq_advance(&engine->ring, n);
	return (int)ran;
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* One poll that stays, for other threads' posts. It is armed with the first wait, not for rings that never wait. */
static void arm_wake(struct engine *engine, int wake_fd)
{
	struct io_uring_sqe *sqe = engine->wake_armed ? NULL : io_uring_get_sqe(&engine->ring);

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, wake_fd, POLLIN);
	sqe->user_data = WAKE_TAG;
	engine->wake_armed = true;
}

/* Kernels without a limit for waiting would spend a submission on it; without the poll nobody could end it. */
static bool uring_wait(struct engine *engine, int wake_fd, uint64_t timeout_ns, bool *ret_woken)
{
	struct __kernel_timespec ts, *limit = NULL;
	struct io_uring_cqe *cqe;

	if (!(engine->ring.features & IORING_FEAT_EXT_ARG))
		return false;
	fill(engine);
	arm_wake(engine, wake_fd);
	if (!engine->wake_armed)
		return false;
	if (timeout_ns != UINT64_MAX) {
		ts.tv_sec = (int64_t)(timeout_ns / 1000000000u);
		ts.tv_nsec = (int64_t)(timeout_ns % 1000000000u);
		limit = &ts;
	}
	if (!engine->woken)
		io_uring_submit_and_wait_timeout(&engine->ring, &cqe, 1, limit, NULL);
	*ret_woken = engine->woken;
	engine->woken = false;
	return true;
}

/* Where completions are put off until somebody asks, poll(2) on the ring wakes nobody: an eventfd does. */
static bool uring_embed(struct engine *engine, int wake_fd)
{
	return io_uring_register_eventfd(&engine->ring, wake_fd) == 0;
}

/* ---- the kernel's tables -------------------------------------------------------------------------- */

static int32_t uring_add_file(struct engine *engine, int32_t fd)
{
	return uring_tables_add_file(&engine->tables, fd);
}

static void uring_remove_file(struct engine *engine, int32_t slot)
{
	uring_tables_remove_file(&engine->tables, slot);
}

static int uring_add_memory(struct engine *engine, void *base, size_t len)
{
	return uring_tables_add_memory(&engine->tables, base, len);
}

static void uring_remove_memory(struct engine *engine, void *base)
{
	uring_tables_remove_memory(&engine->tables, base);
}

static int uring_fd(struct engine *engine)
{
	return engine->ring.ring_fd;
}

/* ---- descriptors without offsets -------------------------------------------------------------- */

static uint32_t fd_steps(struct engine *engine)
{
	return engine->fds.steps;
}

static void fd_start(struct engine *engine, struct fd_op *op)
{
	uring_fd_start(&engine->fds, op);
}

static bool fd_stop(struct engine *engine, struct fd_op *op)
{
	return uring_fd_stop(&engine->fds, op);
}

/* ---- operations on files -------------------------------------------------------------------------- */

/* Where no entry is free, what is prepared is sent first. */
static bool path_start(struct engine *engine, struct path_op *op)
{
	return uring_path_start(&engine->paths, op) ||
	       (!io_uring_sq_space_left(&engine->ring) && !uring_kick(engine) &&
		uring_path_start(&engine->paths, op));
}

const struct engine_ops engine_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.submit = uring_submit,
	.read_lone = uring_read_lone,
	.reap = uring_reap,
	.kick = uring_kick,
	.fd = uring_fd,
	.wait = uring_wait,
	.embed = uring_embed,
	.add_file = uring_add_file,
	.remove_file = uring_remove_file,
	.add_memory = uring_add_memory,
	.remove_memory = uring_remove_memory,
	.fd_steps = fd_steps,
	.fd_start = fd_start,
	.fd_stop = fd_stop,
	.path_start = path_start,
};

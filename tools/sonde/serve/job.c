/* SPDX-License-Identifier: MIT */
#include "job.h"

#include "proto.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

enum { ZEROES = 256 << 10 }; /* bytes of zeros that are written at once */

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t job_weight(const struct request *request)
{
	switch (request->command) {
	case NBD_CMD_READ:
	case NBD_CMD_CACHE: /* a hint: of the rest nothing is prepared */
	case NBD_CMD_WRITE:
		return least(request->len, EXPORT_PAYLOAD_MAX);
	case NBD_CMD_WRITE_ZEROES:
		return least(request->len, ZEROES);
	case NBD_CMD_BLOCK_STATUS:
		return EXPORT_CONTEXTS * (REPLY_HEAD_MAX + 8 * STATUS_EXTENTS_MAX);
	default:
		return 0;
	}
}

void job_begin(struct job *job, const struct request *request, uint32_t error)
{
	uint32_t weight = error && !request_payload(request) ? 0 : job_weight(request);

	job->request = *request;
	job->error = error;
	job->n_zeroed = 0;
	job->buf_len = weight;
	job->buf = weight ? malloc(weight) : NULL;
	if (weight && !job->buf) {
		job->buf_len = 0;
		job->error = NBD_ENOMEM;
	}
}

void job_finish(struct job *job)
{
	free(job->buf);
	job->buf = NULL;
	job->buf_len = 0;
	failures_finish(&job->failures);
}

/* ---- doing it ------------------------------------------------------------------------------------- */

static void job_is_done(struct job *job)
{
	sonde_channel_try_send(job->done, &job);
}

static void submit(struct job *job, uint32_t op, uint64_t addr, uint32_t len, sonde_done_fn *done,
		   sonde_fragment_fn *fragment)
{
	job->xfer = (struct sonde_xfer){ .addr = addr, .buf = job->buf, .len = len };
	job->io = (struct sonde_io){ .xfers = &job->xfer,
				     .n = 1,
				     .op = op,
				     .done = done,
				     .fragment = fragment,
				     .user = job };
	int r = sonde_io_submit(job->export->space, &job->io);
	if (r == 0)
		return;
	job->error = request_error(r);
	job_is_done(job);
}

static void note_fragment(struct sonde_io *io, const struct sonde_fragment *fragment)
{
	struct job *job = io->user;

	if (fragment->err < 0)
		failures_add(&job->failures, fragment->off, fragment->len, fragment->err);
}

static void was_read(struct sonde_io *io)
{
	struct job *job = io->user;

	failures_seal(&job->failures, job->xfer.len, job->xfer.done);
	job_is_done(job);
}

static void was_written(struct sonde_io *io)
{
	struct job *job = io->user;

	job->error = request_error(job->xfer.err);
	job_is_done(job);
}

static void zero_next(struct job *job);

static void was_zeroed(struct sonde_io *io)
{
	struct job *job = io->user;

	job->error = request_error(job->xfer.err);
	job->n_zeroed += job->xfer.len;
	if (job->error || job->n_zeroed == job->request.len)
		job_is_done(job);
	else
		zero_next(job);
}

static void zero_next(struct job *job)
{
	submit(job, SONDE_IO_WRITE, job->request.off + job->n_zeroed,
	       least(job->request.len - job->n_zeroed, job->buf_len), was_zeroed, NULL);
}

void job_start(struct job *job)
{
	const struct request *request = &job->request;

	if (job->error) {
		job_is_done(job);
		return;
	}
	switch (request->command) {
	case NBD_CMD_READ:
	case NBD_CMD_CACHE:
		submit(job, SONDE_IO_READ, request->off, job->buf_len, was_read, note_fragment);
		break;
	case NBD_CMD_WRITE:
		submit(job, SONDE_IO_WRITE, request->off, request->len, was_written, NULL);
		break;
	case NBD_CMD_WRITE_ZEROES:
		memset(job->buf, 0, job->buf_len);
		zero_next(job);
		break;
	default:
		job_is_done(job);
	}
}

/* ---- answering ---------------------------------------------------------------------------------------- */

/* Where an answer goes to. */
struct answer {
	struct sonde_task *self;
	struct job *job;
	struct wire *wire;
	uint64_t sends_ns;
};

static int put(const struct answer *a, const void *bytes, size_t len)
{
	return wire_put(a->self, a->wire, bytes, len, a->sends_ns);
}

static int put_simple(const struct answer *a, uint32_t error)
{
	uint8_t head[REPLY_HEAD_MAX];

	return put(a, head, reply_simple(head, &a->job->request, error));
}

static int put_error(const struct answer *a, uint32_t error, const char *text)
{
	const struct request *request = &a->job->request;
	bool chunks = request->command == NBD_CMD_READ || request->command == NBD_CMD_BLOCK_STATUS;
	uint8_t head[REPLY_HEAD_MAX];

	if (!a->job->terms->structured || !chunks)
		return put_simple(a, error);
	return put(a, head, reply_error(head, request, true, error, text, NULL));
}

static int put_stretch(const struct answer *a, const struct stretch *s, bool last)
{
	const struct request *request = &a->job->request;
	uint64_t off = request->off + s->off;
	uint8_t head[REPLY_HEAD_MAX];

	if (s->err == SONDE_E_NOT_MAPPED)
		return put(a, head, reply_hole(head, request, last, off, s->len));
	if (s->err < 0)
		return put(a, head,
			   reply_error(head, request, last, request_error(s->err),
				       sonde_strerror(s->err), &off));
	int r = put(a, head, reply_data(head, request, last, off, s->len));
	return r < 0 ? r : put(a, a->job->buf + s->off, s->len);
}

static int put_stretches(const struct answer *a)
{
	uint32_t len = a->job->request.len, next = 0;
	int r = 0;

	for (uint32_t off = 0; off < len && r == 0;) {
		struct stretch s = failures_stretch(&a->job->failures, off, len, &next);
		off += s.len;
		r = put_stretch(a, &s, off == len);
	}
	return r;
}

/* All of it in one piece, where a hole is zeros and nothing else may be missing. */
static int put_whole(const struct answer *a)
{
	const struct job *job = a->job;
	struct stretch all = { .len = job->request.len };

	for (uint32_t i = 0; i < job->failures.n; i++) {
		int32_t err = job->failures.at[i].err;
		if (err != SONDE_E_NOT_MAPPED)
			return put_error(a, request_error(err), sonde_strerror(err));
	}
	if (job->terms->structured)
		return put_stretch(a, &all, true);
	int r = put_simple(a, NBD_SUCCESS);
	return r < 0 ? r : put(a, job->buf, all.len);
}

static int answer_read(const struct answer *a)
{
	const struct job *job = a->job;

	if (job->failures.is_lost)
		return put_error(a, NBD_EIO, "what could be read of it is not known");
	if (!job->terms->structured || job->request.flags & NBD_CMD_FLAG_DF)
		return put_whole(a);
	return put_stretches(a);
}

/* A chunk for each context, lowest first; extents are made at the end of the buffer, where no chunk reaches before. */
static int answer_status(const struct answer *a)
{
	struct job *job = a->job;
	const struct request *request = &job->request;
	size_t cap = request->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : STATUS_EXTENTS_MAX;
	struct export_extent *extents = (struct export_extent *)(void *)job->buf;
	uint8_t *out = job->buf + cap * sizeof(*extents);
	uint32_t left = job->terms->contexts;
	int r = 0;

	for (uint32_t context = 1; left && r == 0; context <<= 1) {
		if (!(left & context))
			continue;
		left &= ~context;
		size_t n = export_status(job->export, context, request->off, request->len, extents,
					 cap);
		r = put(a, out, reply_status(out, request, left == 0, context, extents, n));
	}
	return r;
}

int job_answer(struct sonde_task *self, struct job *job, struct wire *wire, uint64_t sends_ns)
{
	const struct answer a = { self, job, wire, sends_ns };

	if (job->error)
		return put_error(&a, job->error, "the request cannot be served");
	switch (job->request.command) {
	case NBD_CMD_READ:
		return answer_read(&a);
	case NBD_CMD_BLOCK_STATUS:
		return answer_status(&a);
	default:
		return put_simple(&a, NBD_SUCCESS);
	}
}

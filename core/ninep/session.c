/* SPDX-License-Identifier: MIT */
/*
 * A session: its task reads messages and starts a task for each; what that answers leaves by a write
 * of its own, in the order in which they end. Memory is that of SESSION_DEPTH jobs: none free,
 * nothing more is read.
 *
 *   home ──message──▶ task ──answer──▶ write ──▶ home
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "ninep/server.h"

void ninep_session_cut(struct ninep_session *s)
{
	s->is_cut = true;
	shutdown(s->fd, SHUT_RDWR);
	for (size_t i = 0; i < SESSION_DEPTH; i++) {
		if (s->jobs[i].task)
			sonde_task_cancel(s->jobs[i].task);
	}
}

/* ---- answers ------------------------------------------------------------------------------------- */

/* Answers leave one after the other: each has that long from when the one before has left. */
static void give_time(struct ninep_session *s)
{
	struct sonde_loop *loop = s->server->loop;

	sonde_timer_stop(loop, &s->stall);
	if (s->n_leaving == 0)
		return;
	s->stall.at_ns = sonde_now_ns() + s->server->stall_ns;
	sonde_timer_start(loop, &s->stall);
}

static void stalled(struct sonde_timer *timer)
{
	ninep_session_cut(timer->user);
}

static void written(struct sonde_fd_io *io)
{
	struct ninep_job *job = io->user;

	job->session->n_leaving--;
	give_time(job->session);
	if (io->result < 0 && !job->session->is_cut)
		ninep_session_cut(job->session);
	mem_release(job->in);
	mem_release(job->out);
	job->in = job->out = NULL;
	job->is_busy = false;
	sonde_channel_try_send(job->session->home, &job);
}

/* len 0: there was no memory for it, and a client that is owed an answer waits in vain. */
static void write_answer(struct ninep_job *job, size_t len)
{
	struct ninep_session *s = job->session;

	job->write = (struct sonde_fd_io){
		.fd = s->fd,
		.op = SONDE_FD_WRITE_ALL,
		.buf = job->out,
		.len = (uint32_t)len,
		.done = written,
		.user = job,
	};
	if (s->n_leaving++ == 0)
		give_time(s);
	if (len == 0)
		ninep_session_cut(s);
	if (len == 0 || sonde_fd_submit(s->server->loop, &job->write) < 0) {
		job->write.result = SONDE_E_NO_MEMORY;
		written(&job->write);
	}
}

/* A request that was flushed is answered first: it may have won. */
static void answer(struct ninep_job *job, size_t len)
{
	struct ninep_job *flush = job->flushes;

	job->flushes = NULL;
	write_answer(job, len);
	while (flush) {
		struct ninep_job *next = flush->next_flush;
		write_answer(flush, ninep_request_short_answer(flush, 0));
		flush = next;
	}
}

/* ---- requests ------------------------------------------------------------------------------------ */

static int run_job(struct sonde_task *self, void *arg)
{
	struct ninep_job *job = arg;
	size_t len = ninep_request_run(self, job);

	ninep_request_end(self, job);
	job->task = NULL;
	answer(job, len);
	return SONDE_OK;
}

static void start(struct sonde_task *self, struct ninep_job *job)
{
	int32_t r = ninep_request_begin(self, job);

	if (r == 0 && sonde_task_spawn(job->session->server->loop, run_job, job, &job->task) < 0)
		r = -ENOMEM;
	if (r == 0) {
		sonde_task_detach(job->task);
		return;
	}
	ninep_request_end(self, job);
	answer(job, ninep_request_short_answer(job, r));
}

/* Answered behind the request it is about: once that has ended, or at once where it has. */
static void flush(struct ninep_job *job)
{
	struct ninep_session *s = job->session;

	for (size_t i = 0; i < SESSION_DEPTH; i++) {
		struct ninep_job *old = &s->jobs[i];
		if (!old->is_busy || !old->task || old->msg.tag != job->msg.old_tag)
			continue;
		struct ninep_job **last = &old->flushes;
		while (*last)
			last = &(*last)->next_flush;
		*last = job;
		sonde_task_cancel(old->task);
		return;
	}
	answer(job, ninep_request_short_answer(job, 0));
}

/* Once, and first of all. */
static int32_t agree(struct ninep_job *job)
{
	struct ninep_session *s = job->session;
	struct ninep_msg *msg = &job->msg;
	static const struct ninep_text ours = { NINEP_VERSION, sizeof(NINEP_VERSION) - 1 };
	bool known = msg->name.len >= ours.len && !memcmp(msg->name.at, ours.at, ours.len);

	if (s->msize || msg->msize < NINEP_MSIZE_MIN)
		return -EPROTO;
	msg->msize = msg->msize < NINEP_MSIZE_MAX ? msg->msize : NINEP_MSIZE_MAX;
	msg->name = known ? ours : (struct ninep_text){ "unknown", 7 };
	msg->type++;
	s->msize = known ? msg->msize : 0;
	job->out = mem_alloc(1, NINEP_MSIZE_MIN);
	answer(job, job->out ? ninep_encode(msg, job->out, NINEP_MSIZE_MIN) : 0);
	return 0;
}

/* A message that is none costs an answer, one without a frame or out of order the session. */
static int32_t dispatch(struct sonde_task *self, struct ninep_job *job, bool decoded)
{
	struct ninep_session *s = job->session;
	uint8_t type = job->msg.type;

	if (type % 2 || (!s->msize && (!decoded || type != NINEP_TVERSION)))
		return -EPROTO;
	if (!decoded)
		answer(job, ninep_request_short_answer(job, -EOPNOTSUPP));
	else if (type == NINEP_TVERSION)
		return agree(job);
	else if (type == NINEP_TFLUSH)
		flush(job);
	else
		start(self, job);
	return 0;
}

/* ---- messages in --------------------------------------------------------------------------------- */

static int receive(struct sonde_task *self, struct ninep_session *s, uint32_t op, void *buf,
		   size_t len, uint64_t by_ns)
{
	struct sonde_fd_io io = {
		.fd = s->fd, .op = op, .buf = buf, .len = (uint32_t)len, .deadline_ns = by_ns
	};

	return sonde_fd_run(self, s->server->loop, &io);
}

/* len bytes: what was read ahead, then the rest. */
static int take(struct sonde_task *self, struct ninep_session *s, uint8_t *to, size_t len,
		uint64_t by_ns)
{
	size_t ready = s->in_len - s->in_at, n = ready < len ? ready : len;

	memcpy(to, s->in + s->in_at, n);
	s->in_at += n;
	return n == len ? 0 : receive(self, s, SONDE_FD_READ_ALL, to + n, len - n, by_ns);
}

/* Something is there to be taken: a client that has attached may think as long as it likes. */
static int await(struct sonde_task *self, struct ninep_session *s)
{
	bool was_attached = s->is_attached;

	if (s->in_at < s->in_len)
		return 0;
	int n = receive(self, s, SONDE_FD_READ, s->in, SESSION_IN,
			was_attached ? 0 : s->attach_by_ns);
	s->in_at = 0;
	s->in_len = n < 0 ? 0 : (size_t)n;
	if (n == SONDE_E_TIMED_OUT && s->is_attached && !was_attached) /* it did meanwhile */
		return await(self, s);
	return n > 0 ? 0 : n < 0 ? n : SONDE_E_TRUNCATED;
}

/* It has as long as it takes to come, once there is a job for it: others may have had all of them. */
static int take_whole(struct sonde_task *self, struct ninep_session *s, struct ninep_job *job)
{
	uint64_t by = s->is_attached ? sonde_now_ns() + s->server->stall_ns : s->attach_by_ns;
	uint8_t head[4];
	int r = take(self, s, head, sizeof(head), by);
	uint32_t size = r < 0 ? 0 : ninep_size(head), most = s->msize ? s->msize : NINEP_MSIZE_MIN;

	if (r < 0)
		return r;
	if (size < NINEP_HEAD || size > most)
		return SONDE_E_BAD_FORMAT;
	job->in = mem_alloc(1, size);
	if (!job->in)
		return SONDE_E_NO_MEMORY;
	memcpy(job->in, head, 4);
	r = take(self, s, job->in + 4, size - 4, by);
	if (r < 0)
		return r;
	bool decoded = ninep_decode(job->in, size, &job->msg);
	job->is_busy = true;
	return dispatch(self, job, decoded) < 0 ? SONDE_E_BAD_FORMAT : 0;
}

static int take_message(struct sonde_task *self, struct ninep_session *s)
{
	struct ninep_job *job;
	int r = await(self, s);

	if (r == 0)
		r = sonde_channel_recv(self, s->home, &job);
	if (r < 0)
		return r;
	r = take_whole(self, s, job);
	if (r < 0) {
		mem_release(job->in);
		job->in = NULL;
		job->is_busy = false;
		sonde_channel_try_send(s->home, &job);
	}
	return r;
}

/* ---- the session --------------------------------------------------------------------------------- */

static int prepare(struct ninep_session *s)
{
	int r = sonde_channel_create(s->server->loop, SESSION_DEPTH, sizeof(struct ninep_job *),
				     &s->home);

	for (size_t i = 0; r == 0 && i < SESSION_DEPTH; i++) {
		struct ninep_job *job = &s->jobs[i];
		job->session = s;
		sonde_channel_try_send(s->home, &job);
	}
	return r;
}

static int run(struct sonde_task *self, void *arg)
{
	struct ninep_session *s = arg;
	struct ninep_job *job;
	int r = 0;

	while (r == 0 && !s->is_cut)
		r = take_message(self, s);
	ninep_session_cut(s);
	for (size_t i = 0; i < SESSION_DEPTH; i++)
		sonde_channel_recv(self, s->home, &job);
	ninep_fids_finish(self, s);
	sonde_fd_close(self, s->server->loop, s->fd);
	sonde_channel_destroy(s->home);
	ninep_session_ended(s);
	mem_release(s);
	return r;
}

int ninep_session_start(struct sonde_fs_server *server, int fd, struct ninep_session **ret)
{
	/* Answers are small, and none shall wait for the receipt of the one before. */
	const struct sonde_net_options net = { .size = sizeof(net), .flags = SONDE_NET_NODELAY };
	struct ninep_session *s = mem_alloc(1, sizeof(*s));
	int r = s ? 0 : SONDE_E_NO_MEMORY;

	sonde_net_set(fd, &net, NULL);
	if (r == 0) {
		s->server = server;
		s->fd = fd;
		s->stall = (struct sonde_timer){ .fire = stalled, .user = s };
		s->attach_by_ns = sonde_now_ns() + server->handshake_ns;
		r = prepare(s);
	}
	if (r == 0)
		r = sonde_task_spawn(server->loop, run, s, NULL);
	if (r == 0) {
		*ret = s;
		return 0;
	}
	if (s)
		sonde_channel_destroy(s->home);
	mem_release(s);
	close(fd);
	return r;
}

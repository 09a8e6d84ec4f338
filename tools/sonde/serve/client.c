/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "job.h"
#include "proto.h"

#include <stdlib.h>
#include <unistd.h>

static const uint64_t second_ns = 1000000000;

static uint64_t in_seconds(uint64_t seconds)
{
	return sonde_now_ns() + seconds * second_ns;
}

/* ---- negotiation ---------------------------------------------------------------------------------- */

static int send_answer(struct sonde_task *self, struct client *c)
{
	const struct handshake *h = &c->handshake;
	int r = wire_put(self, &c->wire, h->answer, h->n_answer, CLIENT_HANDSHAKE_S * second_ns);

	return r < 0 ? r : wire_flush(self, &c->wire, CLIENT_HANDSHAKE_S * second_ns);
}

static int take_step(struct sonde_task *self, struct client *c, uint8_t *option, uint64_t by_ns,
		     enum handshake_step *ret)
{
	struct handshake *h = &c->handshake;
	int r = wire_take(self, &c->wire, option, handshake_need(h), by_ns);

	if (r < 0)
		return r;
	h->is_full = !c->host->may_go(c->host->user);
	*ret = handshake_take(h, option);
	if (*ret == HANDSHAKE_BROKEN)
		return SONDE_E_BAD_FORMAT;
	if (*ret == HANDSHAKE_GO)
		c->host->goes(c->host->user, c);
	r = send_answer(self, c);
	if (r < 0 || *ret != HANDSHAKE_SECURE)
		return r;
	r = wire_secure(self, &c->wire, c->host->tls, by_ns);
	handshake_secured(h);
	return r;
}

/* Returns 0: requests follow; an error or SONDE_E_CLOSED: they do not. */
static int negotiate(struct sonde_task *self, struct client *c)
{
	uint64_t by_ns = in_seconds(CLIENT_HANDSHAKE_S);
	enum handshake_step step = HANDSHAKE_MORE;
	uint8_t *option = malloc(HANDSHAKE_OPTION_MAX);
	int r = option ? 0 : SONDE_E_NO_MEMORY;

	c->handshake.export = c->host->export;
	c->handshake.tls = c->host->tls ? HANDSHAKE_TLS_MUST : HANDSHAKE_TLS_NONE;
	handshake_begin(&c->handshake);
	if (r == 0)
		r = send_answer(self, c);
	while (r == 0 && (step == HANDSHAKE_MORE || step == HANDSHAKE_SECURE))
		r = take_step(self, c, option, by_ns, &step);
	free(option);
	c->terms = (struct request_terms){ c->handshake.structured, c->handshake.contexts };
	return r < 0 ? r : step == HANDSHAKE_GO ? 0 : SONDE_E_CLOSED;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* Answers what is done. When the client is gone, jobs go home all the same. */
static int write_answers(struct sonde_task *self, void *arg)
{
	const uint64_t sends_ns = CLIENT_STALL_S * second_ns;
	struct client *c = arg;
	struct job *job;
	int r = 0;

	while (sonde_channel_recv(self, c->done, &job) == 0) {
		if (r == 0)
			r = job_answer(self, job, &c->wire, sends_ns);
		job_finish(job);
		sonde_channel_try_send(c->home, &job);
		if (r == 0 && sonde_channel_count(c->done) == 0)
			r = wire_flush(self, &c->wire, sends_ns);
		if (r < 0)
			client_cut(c);
	}
	return r;
}

/* ---- requests ---------------------------------------------------------------------------------------- */

static int bring_home(struct sonde_task *self, struct client *c)
{
	struct job *job;
	int r = sonde_channel_recv(self, c->home, &job);

	if (r == 0) {
		c->n_bytes -= job_weight(&job->request);
		c->idle[c->n_idle++] = job;
	}
	return r;
}

/* Waits until there is one, and memory for it. */
static int find_job(struct sonde_task *self, struct client *c, const struct request *request,
		    struct job **ret)
{
	uint32_t weight = job_weight(request);
	int r = 0;

	while (r == 0 && (c->n_idle == 0 || c->n_bytes > EXPORT_PAYLOAD_MAX - weight))
		r = bring_home(self, c);
	if (r < 0)
		return r;
	c->n_bytes += weight;
	*ret = c->idle[--c->n_idle];
	return 0;
}

static int take_request(struct sonde_task *self, struct client *c, struct request *ret)
{
	uint8_t bytes[REQUEST_BYTES];
	int r = wire_await(self, &c->wire, 0);

	if (r == 0)
		r = wire_take(self, &c->wire, bytes, sizeof(bytes), in_seconds(CLIENT_STALL_S));
	if (r < 0)
		return r;
	return request_parse(bytes, ret) ? 0 : SONDE_E_BAD_FORMAT;
}

/* What is to be written comes in whole, also where it is refused; more than is ever taken loses the client. */
static int take_payload(struct sonde_task *self, struct client *c, struct job *job)
{
	uint32_t len = request_payload(&job->request);

	if (!len)
		return 0;
	if (!job->buf)
		return SONDE_E_NO_MEMORY;
	return wire_take(self, &c->wire, job->buf, len, in_seconds(CLIENT_STALL_S));
}

static int take_job(struct sonde_task *self, struct client *c)
{
	struct request request;
	struct job *job;
	int r = take_request(self, c, &request);

	if (r == 0 &&
	    (request.command == NBD_CMD_DISC || request_payload(&request) > EXPORT_PAYLOAD_MAX))
		r = SONDE_E_CLOSED;
	if (r == 0)
		r = find_job(self, c, &request, &job);
	if (r < 0)
		return r;
	job_begin(job, &request, request_check(&request, c->host->export, &c->terms));
	r = take_payload(self, c, job);
	if (r < 0)
		job->error = NBD_ESHUTDOWN;
	job_start(job);
	return r;
}

/* ---- the client ---------------------------------------------------------------------------------------- */

static int make_jobs(struct client *c)
{
	c->jobs = calloc(CLIENT_DEPTH, sizeof(*c->jobs));
	if (!c->jobs ||
	    sonde_channel_create(c->host->loop, CLIENT_DEPTH, sizeof(struct job *), &c->done) < 0 ||
	    sonde_channel_create(c->host->loop, CLIENT_DEPTH, sizeof(struct job *), &c->home) < 0)
		return SONDE_E_NO_MEMORY;
	for (; c->n_idle < CLIENT_DEPTH; c->n_idle++) {
		struct job *job = &c->jobs[c->n_idle];
		job->export = c->host->export;
		job->terms = &c->terms;
		job->done = c->done;
		c->idle[c->n_idle] = job;
	}
	return 0;
}

/* A client that said goodbye is answered what it asked before; one that was lost waits for nothing. */
static void end_jobs(struct sonde_task *self, struct client *c, int why)
{
	for (uint32_t i = 0; i < CLIENT_DEPTH && why != SONDE_E_CLOSED; i++)
		sonde_io_cancel(&c->jobs[i].io);
	while (c->n_idle < CLIENT_DEPTH && bring_home(self, c) == 0)
		;
}

static void serve(struct sonde_task *self, struct client *c)
{
	struct sonde_task *writer;
	int r = make_jobs(c);

	if (r < 0 || sonde_task_spawn(c->host->loop, write_answers, c, &writer) < 0)
		return;
	while (r == 0 && !c->is_cut)
		r = take_job(self, c);
	end_jobs(self, c, c->is_cut ? SONDE_E_GONE : r);
	sonde_channel_close(c->done);
	sonde_task_join(self, writer);
}

static int run(struct sonde_task *self, void *arg)
{
	struct client *c = arg;
	int r = negotiate(self, c);

	if (r == 0)
		serve(self, c);
	wire_finish(self, &c->wire);
	sonde_channel_destroy(c->done);
	sonde_channel_destroy(c->home);
	free(c->jobs);
	c->host->ended(c->host->user, c);
	free(c);
	return r;
}

int client_start(const struct client_host *host, int fd, struct client **ret)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return SONDE_E_NO_MEMORY;
	}
	c->host = host;
	if (wire_open(&c->wire, host->loop, fd) == 0 &&
	    sonde_task_spawn(host->loop, run, c, NULL) == 0) {
		*ret = c;
		return 0;
	}
	free(c->wire.in);
	free(c->wire.out);
	free(c);
	close(fd);
	return SONDE_E_NO_MEMORY;
}

void client_cut(struct client *c)
{
	c->is_cut = true;
	wire_cut(&c->wire);
}

/* SPDX-License-Identifier: MIT */
#include "ninep/client.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"

/* ---- who waits for room -------------------------------------------------------------------------- */

static void wake_waiting(struct ninep_client *client)
{
	size_t n = client->n_waiting;

	client->n_waiting = 0;
	for (size_t i = 0; i < n; i++)
		task_wake(client->waiting[i], SONDE_OK);
}

struct room_wait {
	struct task_wait wait;
	struct ninep_client *client;
};

static void stop_waiting(struct task_wait *wait, int code)
{
	struct ninep_client *client = ((struct room_wait *)(void *)wait)->client;

	for (size_t i = 0; i < client->n_waiting; i++) {
		if (client->waiting[i] == wait) {
			client->waiting[i] = client->waiting[--client->n_waiting];
			task_wake(wait, code);
			return;
		}
	}
}

/* Room for one more in an array that grows. */
static bool grow(void **array, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 16;
	void *grown;

	if (n < *cap)
		return true;
	grown = mem_resize(*array, more, size);
	if (!grown)
		return false;
	*array = grown;
	*cap = more;
	return true;
}

static int32_t wait_for_room(struct ninep_client *client)
{
	while (!client->dead && !client->is_mute &&
	       (client->free_tag == NINEP_NO_TAG || client->out.len >= CLIENT_QUEUED)) {
		struct room_wait w = { .wait.stop = stop_waiting, .client = client };
		if (!grow((void **)&client->waiting, client->n_waiting, &client->waiting_cap,
			  sizeof(*client->waiting)))
			return -ENOMEM;
		client->waiting[client->n_waiting++] = &w.wait;
		if (task_wait(client->loop, &w.wait) < 0)
			return -ECANCELED;
	}
	return client->is_mute ? -EPIPE : client->dead;
}

/* ---- silence ------------------------------------------------------------------------------------- */

static void die(struct ninep_client *client, int32_t why);

static void start_silence(struct ninep_client *client)
{
	if (client->silence_ns == UINT64_MAX)
		return;
	client->silence.at_ns = sonde_now_ns() + client->silence_ns / CLIENT_TICKS;
	sonde_timer_start(client->loop, &client->silence);
}

/*
 * Counted in turns of the loop, not by the clock: a program that computes for longer than a server
 * may be silent finds what has come meanwhile before it counts again.
 */
static void silent(struct sonde_timer *timer)
{
	struct ninep_client *client = timer->user;

	if (client->n_silent++ < CLIENT_TICKS)
		start_silence(client);
	else
		die(client, -ETIMEDOUT);
}

/* ---- tags ---------------------------------------------------------------------------------------- */

static uint16_t take_tag(struct ninep_client *client, uint8_t type, enum ninep_tag_state state)
{
	uint16_t tag = client->free_tag;

	client->free_tag = client->tags[tag].next;
	if (client->n_used++ == 0) {
		client->n_silent = 0;
		start_silence(client);
	}
	client->tags[tag] = (struct ninep_tag){ .state = state, .type = type, .fid = NINEP_NO_FID };
	return tag;
}

static void free_tag(struct ninep_client *client, uint16_t tag)
{
	client->tags[tag] = (struct ninep_tag){ .next = client->free_tag };
	client->free_tag = tag;
	if (--client->n_used == 0)
		sonde_timer_stop(client->loop, &client->silence);
	wake_waiting(client);
}

/* Tversion goes by NINEP_NO_TAG. It is the first message of all, so it has the first tag here. */
static uint16_t wire_tag(const struct ninep_client *client, uint16_t tag)
{
	return client->tags[tag].type == NINEP_TVERSION ? NINEP_NO_TAG : tag;
}

static uint16_t own_tag(const struct ninep_client *client, uint16_t wire)
{
	return wire == NINEP_NO_TAG && client->tags[0].type == NINEP_TVERSION ? 0 : wire;
}

/* ---- fids ---------------------------------------------------------------------------------------- */

uint32_t ninep_take_fid(struct ninep_client *client)
{
	return client->n_free_fids ? client->free_fids[--client->n_free_fids] : client->next_fid++;
}

/* One for which there is no room is not used again. */
void ninep_put_fid(struct ninep_client *client, uint32_t fid)
{
	if (grow((void **)&client->free_fids, client->n_free_fids, &client->free_fids_cap,
		 sizeof(*client->free_fids)))
		client->free_fids[client->n_free_fids++] = fid;
}

/* ---- the end of the connection ------------------------------------------------------------------- */

static void end_call(struct ninep_call *call, int32_t result)
{
	sonde_timer_stop(call->client->loop, &call->timer);
	call->result = result;
	task_wake(&call->wait, SONDE_OK);
}

static void die(struct ninep_client *client, int32_t why)
{
	if (client->dead)
		return;
	client->dead = why;
	sonde_timer_stop(client->loop, &client->silence);
	shutdown(client->fd, SHUT_RDWR);
	for (uint16_t tag = 0; client->tags && tag < CLIENT_TAGS; tag++) {
		if (client->tags[tag].state == TAG_CALL)
			end_call(client->tags[tag].call, why);
		client->tags[tag].state = TAG_FREE;
	}
	wake_waiting(client);
}

/* ---- bytes out ----------------------------------------------------------------------------------- */

static void leave(struct ninep_client *client);

static void left(struct sonde_fd_io *io)
{
	struct ninep_client *client = io->user;

	client->is_writing = false;
	client->n_silent = 0;
	client->leaving.len = 0;
	if (io->result < 0 && !client->is_reading)
		die(client, -EPIPE);
	client->is_mute = io->result < 0;
	leave(client);
	wake_waiting(client);
}

/* All that was gathered leaves in one go; what comes meanwhile is gathered behind it. */
static void leave(struct ninep_client *client)
{
	struct ninep_bytes gathered = client->out;

	if (client->is_writing || gathered.len == 0 || client->is_mute || client->dead)
		return;
	client->out = client->leaving;
	client->leaving = gathered;
	client->write = (struct sonde_fd_io){ .fd = client->fd,
					      .op = SONDE_FD_WRITE_ALL,
					      .buf = gathered.at,
					      .len = (uint32_t)gathered.len,
					      .done = left,
					      .user = client };
	client->is_writing = sonde_fd_submit(client->loop, &client->write) == 0;
	if (!client->is_writing)
		die(client, -ENOMEM);
}

/* What a message takes at most, beside its data. */
enum { MESSAGE_MAX = 10 << 10 };

static int32_t put_message(struct ninep_client *client, const struct ninep_msg *msg)
{
	struct ninep_bytes *out = &client->out;
	size_t need = MESSAGE_MAX + (msg->type == NINEP_TWRITE ? msg->count : 0), len;

	if (out->cap - out->len < need) {
		uint8_t *grown = mem_resize(out->at, out->len + 2 * need, 1);
		if (!grown)
			return -ENOMEM;
		out->at = grown;
		out->cap = out->len + 2 * need;
	}
	len = ninep_encode(msg, out->at + out->len, need);
	if (len == 0 || len > client->msize)
		return -ENAMETOOLONG;
	out->len += len;
	leave(client);
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------------- */

static int32_t code_of(const struct ninep_msg *msg)
{
	if (msg->type != NINEP_RLERROR)
		return 0;
	if (msg->code == EINTR) /* it was flushed */
		return -ECANCELED;
	return msg->code && msg->code < 4096 ? -(int32_t)msg->code : -EIO;
}

/* -EPROTO: more than was asked for. */
static int32_t take_answer(struct ninep_call *call, const struct ninep_msg *msg)
{
	const void *from = msg->data ? (const void *)msg->data : msg->name.at;
	uint32_t len = msg->data ? msg->count : msg->name.len;

	if (call->answer)
		*call->answer = *msg;
	call->count = msg->data ? msg->count : 0;
	if (msg->type == NINEP_TWRITE + 1)
		call->count = msg->count;
	if (!call->data || !from)
		return code_of(msg);
	/* A text may be longer than the room for it; data may not. */
	if (msg->data && len > call->cap)
		return -EPROTO;
	call->count = len < call->cap ? len : call->cap;
	memcpy(call->data, from, call->count);
	return code_of(msg);
}

/* Nobody waits for it any more: what it made or ended is put in order. */
static void settle(struct ninep_client *client, const struct ninep_tag *tag,
		   const struct ninep_msg *msg)
{
	if (tag->fid == NINEP_NO_FID)
		return;
	if (tag->type == NINEP_TWALK && msg && msg->type == NINEP_TWALK + 1)
		ninep_clunk(client, tag->fid);
	else if (tag->type == NINEP_TWALK || msg)
		ninep_put_fid(client, tag->fid);
}

static void flush_answered(struct ninep_client *client, uint16_t tag)
{
	uint16_t old = client->tags[tag].next;
	struct ninep_tag was = client->tags[old];

	free_tag(client, tag);
	free_tag(client, old);
	if (was.state == TAG_CALL)
		end_call(was.call, -ECANCELED);
	else if (was.state == TAG_LEFT)
		settle(client, &was, NULL);
}

static int32_t answered(struct ninep_client *client, const struct ninep_msg *msg)
{
	struct ninep_tag *tag = &client->tags[msg->tag];
	struct ninep_tag was = *tag;
	int32_t r;

	if (was.state == TAG_FREE || was.state == TAG_SPENT ||
	    (msg->type != was.type + 1 && msg->type != NINEP_RLERROR))
		return -EPROTO;
	if (was.state == TAG_FLUSH) {
		flush_answered(client, msg->tag);
		return 0;
	}
	tag->state = TAG_SPENT;
	if (!was.is_flushed)
		free_tag(client, msg->tag);
	if (was.state == TAG_LEFT) {
		settle(client, &was, msg);
		return 0;
	}
	r = take_answer(was.call, msg);
	end_call(was.call, r);
	return r == -EPROTO ? r : 0;
}

/* ---- bytes in ------------------------------------------------------------------------------------ */

static void arrived(struct sonde_fd_io *io);

/* Only while something is awaited: a file system at rest keeps no loop running. */
static void expect(struct ninep_client *client)
{
	struct ninep_bytes *in = &client->in;

	if (client->is_reading || client->n_used == 0 || client->dead)
		return;
	client->read = (struct sonde_fd_io){ .fd = client->fd,
					     .op = SONDE_FD_READ,
					     .buf = in->at + in->len,
					     .len = (uint32_t)(in->cap - in->len),
					     .done = arrived,
					     .user = client };
	client->is_reading = sonde_fd_submit(client->loop, &client->read) == 0;
	if (!client->is_reading)
		die(client, -ENOMEM);
}

/* Returns the bytes of the message at the front, 0: it is not whole yet; -EPROTO. */
static int32_t take_message(struct ninep_client *client, const uint8_t *at, size_t len)
{
	struct ninep_msg msg;
	uint32_t size = len < 4 ? NINEP_HEAD : ninep_size(at);
	int32_t r;

	if (size < NINEP_HEAD || size > client->msize)
		return -EPROTO;
	if (len < 4 || len < size)
		return 0;
	if (!ninep_decode(at, size, &msg))
		return -EPROTO;
	msg.tag = own_tag(client, msg.tag);
	if (msg.tag >= CLIENT_TAGS)
		return -EPROTO;
	r = answered(client, &msg);
	return r < 0 ? r : (int32_t)size;
}

static void arrived(struct sonde_fd_io *io)
{
	struct ninep_client *client = io->user;
	struct ninep_bytes *in = &client->in;
	size_t at = 0;
	int32_t n = 1;

	client->n_silent = 0;
	if (io->result <= 0) {
		client->is_reading = false;
		die(client, -EPIPE);
		return;
	}
	in->len += (size_t)io->result;
	while (n > 0 && !client->dead) {
		n = take_message(client, in->at + at, in->len - at);
		at += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		die(client, -EPIPE);
	memmove(in->at, in->at + at, in->len - at);
	in->len -= at;
	client->is_reading = false; /* only now: what was taken may have sent something itself */
	expect(client);
}

/* ---- calls --------------------------------------------------------------------------------------- */

static void give_up(struct sonde_timer *timer)
{
	struct ninep_call *call = timer->user;

	call->client->tags[call->tag].state = TAG_LEFT;
	end_call(call, -ECANCELED);
}

static void set_timer(struct ninep_call *call, uint64_t at_ns)
{
	call->timer = (struct sonde_timer){ .at_ns = at_ns, .fire = give_up, .user = call };
	sonde_timer_start(call->client->loop, &call->timer);
}

/* Ask the server to end it; whether it has won all the same is known when it answers. */
static void flush(struct ninep_call *call)
{
	struct ninep_client *client = call->client; /* NULL: it was not begun */
	struct ninep_msg msg = {
		.type = NINEP_TFLUSH,
	};

	if (!client || call->wait.over || client->tags[call->tag].is_flushed)
		return;
	sonde_timer_stop(client->loop, &call->timer);
	set_timer(call, sonde_now_ns() + client->patience_ns);
	if (client->free_tag == NINEP_NO_TAG)
		return;
	msg.old_tag = wire_tag(client, call->tag);
	msg.tag = take_tag(client, msg.type, TAG_FLUSH);
	client->tags[msg.tag].next = call->tag;
	client->tags[call->tag].is_flushed = true;
	if (put_message(client, &msg) < 0)
		die(client, -ENOMEM);
}

static void flush_all(struct ninep_call *call)
{
	flush(call);
	for (struct ninep_call *at = call->ring; at && at != call; at = at->ring)
		flush(at);
}

static void stop_call(struct task_wait *wait, int code)
{
	(void)code;
	flush_all((struct ninep_call *)(void *)wait);
}

int32_t ninep_call_begin(struct ninep_client *client, struct ninep_msg *msg,
			 struct ninep_call *call)
{
	int32_t r = task_stop_here(client->loop) < 0 ? -ECANCELED : wait_for_room(client);

	if (r < 0)
		return r;
	call->client = client;
	call->wait = (struct task_wait){ .stop = stop_call };
	call->tag = take_tag(client, msg->type, TAG_CALL);
	msg->tag = wire_tag(client, call->tag);
	client->tags[call->tag].call = call;
	if (msg->type == NINEP_TWALK)
		client->tags[call->tag].fid = msg->other_fid;
	r = put_message(client, msg);
	if (r < 0) {
		free_tag(client, call->tag);
		call->client = NULL;
		return r;
	}
	if (call->deadline_ns && !call->wait.over)
		set_timer(call, call->deadline_ns);
	expect(client);
	return 0;
}

int32_t ninep_call_end(struct ninep_call *call)
{
	if (task_stop_here(call->client->loop) < 0)
		flush_all(call);
	task_wait(call->client->loop, &call->wait);
	return call->result;
}

int32_t ninep_ask(struct ninep_client *client, struct ninep_msg *msg, struct ninep_msg *answer)
{
	struct ninep_call call = { .answer = answer };
	int32_t r = ninep_call_begin(client, msg, &call);

	return r < 0 ? r : ninep_call_end(&call);
}

void ninep_clunk(struct ninep_client *client, uint32_t fid)
{
	struct ninep_msg msg = { .type = NINEP_TCLUNK, .fid = fid };

	if (fid == NINEP_NO_FID || client->dead || client->free_tag == NINEP_NO_TAG)
		return;
	msg.tag = take_tag(client, msg.type, TAG_LEFT);
	client->tags[msg.tag].fid = fid;
	if (put_message(client, &msg) < 0)
		die(client, -ENOMEM);
	expect(client);
}

/* ---- the connection ------------------------------------------------------------------------------ */

int ninep_client_open(struct ninep_client *client, struct sonde_loop *loop, int fd, uint32_t msize)
{
	*client = (struct ninep_client){ .loop = loop,
					 .fd = fd,
					 .msize = msize,
					 .silence = { .fire = silent, .user = client } };
	client->tags = mem_alloc(CLIENT_TAGS, sizeof(*client->tags));
	client->in.at = mem_alloc(1, msize);
	client->in.cap = msize;
	client->free_tag = NINEP_NO_TAG;
	if (!client->tags || !client->in.at)
		return SONDE_E_NO_MEMORY;
	for (uint16_t tag = CLIENT_TAGS; tag-- > 0;) {
		client->tags[tag].next = client->free_tag;
		client->free_tag = tag;
	}
	return SONDE_OK;
}

void ninep_client_close(struct sonde_task *self, struct ninep_client *client)
{
	die(client, -EPIPE);
	sonde_fd_close(self, client->loop, client->fd);
	mem_release(client->tags);
	mem_release(client->waiting);
	mem_release(client->free_fids);
	mem_release(client->in.at);
	mem_release(client->out.at);
	mem_release(client->leaving.at);
}

/* SPDX-License-Identifier: MIT */
/*
 * A connection to a server, and calls over it: a message out, the answer with its tag in, however
 * many are on their way and in whatever order they end. Calls live on the stack of a task. Errors are
 * -errno; -EPIPE: the connection is lost; -ETIMEDOUT: the server is silent, and it was given up.
 *
 *   FREE ──send──▶ CALL ──answer──▶ FREE
 *                   │ its end is asked for: Tflush
 *                   ├──answer──▶ SPENT ──Rflush──▶ FREE
 *                   ├──Rflush──────────────────────▶ FREE
 *                   └──nothing for patience──▶ LEFT ──answer or Rflush──▶ as above, nobody waits
 */
#ifndef SONDE_NINEP_CLIENT_H
#define SONDE_NINEP_CLIENT_H

#include <sonde/fs_remote.h>

#include "ninep/words.h"
#include "task/task.h"

enum {
	CLIENT_TAGS = 4096,      /* messages on their way, at most          */
	CLIENT_QUEUED = 1 << 20, /* bytes that wait to leave; then callers  */
	CLIENT_TICKS = 4,        /* parts that patience with silence is counted in */
};

struct ninep_call;

enum ninep_tag_state { TAG_FREE = 0, TAG_CALL, TAG_SPENT, TAG_LEFT, TAG_FLUSH };

struct ninep_tag {
	uint8_t state;   /* enum ninep_tag_state                                   */
	uint8_t type;    /* of the message; its answer is one more                 */
	bool is_flushed; /* a Tflush of it is on its way                           */
	uint16_t next;   /* FREE: the next one; FLUSH: which tag it is about       */
	uint32_t fid;    /* a fid the answer makes (Twalk) or ends (Tclunk)        */
	struct ninep_call *call;
};

struct ninep_bytes {
	uint8_t *at;
	size_t len, cap;
};

struct ninep_client {
	struct sonde_loop *loop;
	int fd;
	uint64_t patience_ns; /* from Tflush until a call is left */
	uint64_t silence_ns;  /* no byte in or out, and answers owed; UINT64_MAX: for ever */
	struct sonde_timer silence;
	uint32_t n_silent; /* ticks of it since something came or left */
	int32_t dead;      /* 0, or -errno: why nothing works any more */
	uint32_t msize;
	struct ninep_tag *tags;     /* [CLIENT_TAGS] */
	uint16_t free_tag;          /* NINEP_NO_TAG: none */
	uint32_t n_used;            /* tags                                    */
	struct task_wait **waiting; /* [n_waiting] for a tag, or room in out */
	size_t n_waiting, waiting_cap;
	uint32_t *free_fids; /* [n_free_fids] */
	size_t n_free_fids, free_fids_cap;
	uint32_t next_fid;
	struct sonde_fd_io read, write;
	struct ninep_bytes in, out, leaving; /* out: gathered while leaving leaves */
	bool is_reading, is_writing;
	bool is_mute; /* nothing can be sent any more; what was answered still comes */
};

/* One call. Zero it, set the in fields. */
struct ninep_call {
	struct task_wait wait;
	struct sonde_timer timer; /* when it is left; user: this */
	struct ninep_client *client;
	struct ninep_msg *answer; /* in: NULL: what it says does not matter but for count; its texts
				   *     are gone when the call has ended                          */
	void *data; /* in: [cap]: data, or a text, of the answer; may be NULL        */
	uint32_t cap;
	struct ninep_call
		*ring; /* in: more whose end is asked for with this one's, back to it; or NULL */
	uint64_t deadline_ns; /* in:  0, or when it is given up */
	uint32_t count;       /* out: bytes at data; what Rwrite says */
	uint16_t tag;
	int32_t result; /* out: 0, or -errno */
};

/* 0; SONDE_E_NO_MEMORY. fd is taken. */
int ninep_client_open(struct ninep_client *client, struct sonde_loop *loop, int fd, uint32_t msize);
/* Wait until nothing is in flight, free. */
void ninep_client_close(struct sonde_task *self, struct ninep_client *client);

/* Send. 0: ninep_call_end has to follow. -errno: it was not sent. The tag is set here. */
int32_t ninep_call_begin(struct ninep_client *client, struct ninep_msg *msg,
			 struct ninep_call *call);
/* Wait for its end. Returns call->result. */
int32_t ninep_call_end(struct ninep_call *call);
/* Both. answer may be NULL. */
int32_t ninep_ask(struct ninep_client *client, struct ninep_msg *msg, struct ninep_msg *answer);

/* A number for a new fid; ninep_put_fid where nothing came of it. */
uint32_t ninep_take_fid(struct ninep_client *client);
void ninep_put_fid(struct ninep_client *client, uint32_t fid);
/* End a fid, and wait for nothing. NINEP_NO_FID is allowed. */
void ninep_clunk(struct ninep_client *client, uint32_t fid);

#endif

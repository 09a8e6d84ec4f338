/* SPDX-License-Identifier: MIT */
/* One request of a client while it is worked on: what it asks of the space, and what is answered. */
#ifndef SONDE_SERVE_JOB_H
#define SONDE_SERVE_JOB_H

#include "failures.h"
#include "request.h"
#include "wire.h"

#include <sonde/channel.h>

struct job {
	const struct export *export;
	const struct request_terms *terms;
	struct sonde_channel *done; /* it goes in when it can be answered; always has room for it */
	struct request request;
	uint32_t error; /* enum nbd_error of all of it, 0 none */
	uint8_t *buf;   /* [buf_len]; NULL none                */
	uint32_t buf_len;
	uint32_t n_zeroed; /* NBD_CMD_WRITE_ZEROES: so far */
	struct sonde_io io;
	struct sonde_xfer xfer;
	struct failures failures; /* of what is read */
};

/*
 * Bytes of memory that a request takes while it is worked on, EXPORT_PAYLOAD_MAX at most; what is larger than that is
 * refused, or not read to its end.
 */
uint32_t job_weight(const struct request *request);
/* Take a request, with memory for it: where there is none, the error says so. What the job had is gone. */
void job_begin(struct job *job, const struct request *request, uint32_t error);
/* Do it. It goes into done, now or later. */
void job_start(struct job *job);
/* Write what is answered to it. Returns 0, or the error of the connection. */
int job_answer(struct sonde_task *self, struct job *job, struct wire *wire, uint64_t sends_ns);
/* It is over: give its memory back. */
void job_finish(struct job *job);

#endif

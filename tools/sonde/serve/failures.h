/* SPDX-License-Identifier: MIT */
/* Which stretches of one read did not come, each with its own reason. */
#ifndef SONDE_SERVE_FAILURES_H
#define SONDE_SERVE_FAILURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAILURES_MAX = 8192 }; /* stretches: every second page of the longest read, and more */

struct stretch {
	uint32_t off, len;
	int32_t err; /* enum sonde_err; 0: it came */
};

/* Zero it. */
struct failures {
	struct stretch *at; /* [n] */
	uint32_t n, room;
	bool is_lost; /* there were too many, or no memory for them: which is not known */
};

void failures_add(struct failures *failures, uint32_t off, uint32_t len, int32_t err);
/* All have come: order them. bytes: of the read; done: how many came. What was not told makes it lost. */
void failures_seal(struct failures *failures, uint32_t bytes, uint32_t done);
/*
 * The stretch at off of a read of bytes bytes, as far as it is of one kind: one that came, or one that failed. *next goes
 * from 0 up with it.
 */
struct stretch failures_stretch(const struct failures *failures, uint32_t off, uint32_t bytes,
				uint32_t *next);
void failures_finish(struct failures *failures);

#endif

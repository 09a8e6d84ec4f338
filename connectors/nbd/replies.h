/* SPDX-License-Identifier: MIT */
/*
 * What has come of one command: a server answers in as many chunks as it likes, in any order, and tells of an error only
 * where it begins. What no chunk covers when the command is over has failed, by the error in front of it.
 */
#ifndef NBD_REPLIES_H
#define NBD_REPLIES_H

#include <stddef.h>
#include <stdint.h>

struct mark {
	uint32_t off, len; /* what came; len 0: an error begins */
	int32_t err;       /* enum sonde_err, of those          */
};

enum { REPLIES_MAX = 1 << 16 }; /* marks: a server that sends more is not believed */

/* Zero it; used again and again. */
struct replies {
	struct mark *at; /* [n] */
	uint32_t n, room;
};

/* Returns 0; -1: there is no room. */
int replies_add(struct replies *replies, struct mark mark);
/* Told of each stretch that did not come, lowest first. */
typedef void replies_fn(void *user, uint32_t off, uint32_t len, int32_t err);
/* The command of len bytes is over; err: of stretches with no error of their own. The marks are gone then. */
void replies_end(struct replies *replies, uint32_t len, int32_t err, replies_fn *fn, void *user);
void replies_finish(struct replies *replies);

#endif

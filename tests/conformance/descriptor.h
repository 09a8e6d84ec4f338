/* SPDX-License-Identifier: MIT */
/*
 * What the descriptors' table runs on: two ends of something without offsets, a loop with some
 * engine, and a door. Cases state one request and what the other side does meanwhile; the door runs
 * it.
 */
#ifndef TESTS_CONFORMANCE_DESCRIPTOR_H
#define TESTS_CONFORMANCE_DESCRIPTOR_H

#include <sonde/fd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	STREAM = 1u << 0,    /* bytes in order, any number at once                      */
	BOTH_WAYS = 1u << 1, /* each end reads and writes                               */
	ENDS = 1u << 2,      /* closing one end is seen at the other                    */
	RESETS = 1u << 3,    /* ... as ECONNRESET, where it was closed so               */
	ONE = 1u << 4,       /* in and out are the same descriptor                      */
	LISTENS = 1u << 5,   /* there is a listener, and connect_end connects to it     */
};

struct kind {
	const char *name;
	uint32_t can;                            /* of the bits above                             */
	int (*make)(int ends[2]);                /* [0] to read, [1] to write; 0 or -1            */
	int (*listen)(void);                     /* LISTENS: a listener, -1                       */
	int (*connect)(int listener, bool wait); /* its peer, -1; wait false: EINPROGRESS is fine */
};

extern const struct kind kinds[];
extern const unsigned n_kinds;

struct bench {
	struct sonde_loop *loop;
	const struct kind *kind;
	unsigned door;         /* enum door                                           */
	bool nonblocking;      /* its descriptors are                                 */
	int in, out;           /* -1: closed by the case                              */
	int listener;          /* LISTENS: open, else -1                              */
	struct sonde_fd_io io; /* the request under test                           */
	int n_done;            /* its callbacks                                       */
	int step;              /* the case's                                          */
	char text[256];        /* "": passed so far; else "got ..., want ..."         */
};

enum door { BY_COMPLETION = 0, BY_TASK, BY_BLOCKING, N_DOORS };

/* The other side: runs as a task, from after the request was submitted on. */
typedef void peer_fn(struct sonde_task *task, struct bench *bench);

/* Run bench->io by its door to its end, peer (or NULL) meanwhile. Returns the result. */
int32_t perform(struct bench *bench, peer_fn *peer);

/* Let everything that can run and be sent do so. */
void settle(struct sonde_task *task);

/* Set io: op on fd. */
void ask(struct bench *bench, uint32_t op, int fd, void *buf, uint32_t len);

struct descriptor_case {
	const char *name;
	uint32_t needs; /* kind->can must have these   */
	uint32_t lacks; /* ... and none of these       */
	void (*run)(struct bench *bench);
};

extern const struct descriptor_case move_cases[], accept_cases[];
extern const unsigned n_move_cases, n_accept_cases;

#define WANT(bench, what, got, want)                                                               \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_ && !(bench)->text[0])                                            \
			snprintf((bench)->text, sizeof((bench)->text),                             \
				 "%s (line %d): got %lld, want %lld", what, __LINE__, got_,        \
				 want_);                                                           \
	} while (0)

#endif

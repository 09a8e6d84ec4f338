/* SPDX-License-Identifier: MIT */
/* One table of cases; what each should bring follows from the subject's own map. */
#ifndef TESTS_CONFORMANCE_CASE_H
#define TESTS_CONFORMANCE_CASE_H

#include <sonde/io.h>

#include "subject.h"

struct test_case {
	const char *name;
	uint32_t op; /* enum sonde_io_op */
	struct {
		uint64_t addr; /* from the subject's base, or absolute */
		uint32_t len;  /* 0: no piece                          */
	} pieces[4];
	uint32_t absolute; /* not 0: addresses are absolute                             */
	uint32_t n;        /* not 0: this many made-up pieces instead, by the rule below */
	enum { SCATTERED, DESCENDING, ALIKE } rule;
};

extern const struct test_case cases[];
extern const unsigned n_cases;

/* One run of a case: its pieces, their buffers (with room around), and what to expect. */
struct run {
	struct sonde_xfer *xfers; /* [n] given to the library                        */
	struct sonde_xfer *want;  /* [n] done, err, err_off; buf: the bytes expected */
	uint32_t n, op;
	int32_t want_full; /* pieces in full */
	uint8_t *bytes;
	uint8_t *told;   /* per byte of all pieces: how often a fragment told it */
	uint32_t *first; /* [n] index of each piece's first byte in told         */
	char fault[160]; /* of the fragments; "" where there is none             */
};

int run_make(struct run *run, const struct test_case *c, struct subject *subject);
void run_free(struct run *run);
/* For io.user = run: notes each fragment. */
void run_fragment(struct sonde_io *io, const struct sonde_fragment *fragment);
/* Compare; "" or the difference as "got ..., want ..." in text [cap]. */
void run_check(const struct run *run, int32_t result, int fragments, char *text, size_t cap);
/* After a write: what the subject holds now. */
void run_apply(const struct run *run, struct subject *subject);

#endif

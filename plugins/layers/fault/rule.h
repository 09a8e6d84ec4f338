/* SPDX-License-Identifier: MIT */
/* The rule of a fault layer: which pieces it hits, and what becomes of them. */
#ifndef FAULT_RULE_H
#define FAULT_RULE_H

#include <sonde/plugin.h>
#include <stdint.h>

struct fault_range {
	uint64_t addr, last; /* both inclusive */
};

enum fault_kind {
	FAULT_ERROR = 1u << 0, /* the bytes fail with code                     */
	FAULT_SHORT = 1u << 1, /* what lies behind the first n of a piece does */
	FAULT_DROP = 1u << 2,  /* nothing is told of them                      */
	FAULT_FLIP = 1u << 3,  /* some of their bits are wrong                 */
	FAULT_DELAY = 1u << 4, /* the request ends later                       */
};

struct fault_rule {
	uint32_t kinds;             /* enum fault_kind                                      */
	int32_t code;               /* FAULT_ERROR and _SHORT: enum sonde_err; 0: by errno  */
	int os_code;                /* ... of the host, mapped as the engines do            */
	uint32_t short_len;         /* FAULT_SHORT: bytes of a piece that come              */
	uint32_t n_flips;           /* FAULT_FLIP: bits a piece                             */
	uint64_t delay_ns;          /* FAULT_DELAY                                          */
	uint32_t ops;               /* bits 1u << enum sonde_io_op                          */
	struct fault_range *ranges; /* [n_ranges]; none: everywhere                 */
	size_t n_ranges;
	uint64_t every, random, after, times; /* 0: not asked for                   */
	uint64_t n_seen, n_hit;               /* pieces that it was about; of them hit */
	uint64_t state;                       /* of the random numbers              */
	char what[96];                        /* in words, for the statistics       */
};

/*
 * Read the arguments. open= is obeyed here: the answer is then that error.
 * Returns 0; SONDE_E_BAD_ARG and the like. Owns: rule_finish.
 */
int rule_read(struct fault_rule *rule, const struct sonde_host *host, const struct sonde_args *args,
	      struct sonde_error *err);
void rule_finish(struct fault_rule *rule);

/* Is this piece hit? Each one asked about counts, in the order in which they come. */
int rule_hits(struct fault_rule *rule, const struct sonde_xfer *x, uint32_t op);

/* How many of len bytes from off on are alike: in a range of the rule (*ret_inside 1) or in none. off does not wrap. */
uint32_t rule_run(const struct fault_rule *rule, const struct sonde_xfer *x, uint32_t off,
		  uint32_t len, int *ret_inside);

uint64_t rule_random(struct fault_rule *rule);

/* What a failing byte gets. */
int32_t rule_code(const struct fault_rule *rule, const struct sonde_host *host, uint32_t op);

#endif

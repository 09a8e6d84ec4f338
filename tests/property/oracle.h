/* SPDX-License-Identifier: MIT */
/*
 * What should be read and written where, worked out byte by byte from a plan: nothing of the library is asked.
 */
#ifndef TESTS_PROPERTY_ORACLE_H
#define TESTS_PROPERTY_ORACLE_H

#include "world.h"

/* How much is known of some bytes, the more the less. */
enum sureness {
	SURE,      /* that and nothing else                                                 */
	MAY_FAIL,  /* or with one of the codes in may                                       */
	MAYBE_CUT, /* or zeros, or TRUNCATED: the file is being cut, or was within its page */
	ANYTHING,  /* nothing: a write of them was cancelled, a table may be another one    */
};

/* The outcome of an access, for len bytes. */
struct spot {
	uint32_t len;
	int32_t err; /* 0: right [len] are the bytes, NULL stands for zeros */
	enum sureness sure;
	int32_t may[3]; /* codes, 0 for none */
	const uint8_t *right;
	struct store *store; /* where they are at off; NULL: not in a store                 */
	uint64_t off;
	struct kept *kept; /* what is written goes there, to kept_addr; NULL: to store      */
	uint64_t kept_addr;
	uint32_t caches; /* bit i: node i is one that keeps them */
	bool lied;       /* whoever brings them lies about them   */
};

/* Is this an outcome of these bytes, where nobody asked for their end? */
static inline bool spot_allows(const struct spot *spot, int32_t err)
{
	if (err == spot->err || spot->sure == ANYTHING)
		return true;
	return err && (err == spot->may[0] || err == spot->may[1] || err == spot->may[2]);
}

/*
 * Of up to max bytes at addr of a node; max > 0, addr + max does not wrap. Bytes that a walk reads are
 * marked; false: one of them is being written (the outcome is filled all the same).
 */
bool oracle_at(struct world *world, unsigned node, uint64_t addr, uint32_t max, bool write,
	       struct spot *ret);

/* The same of the bytes of a piece from off on; what wraps is a hole. */
bool oracle_piece(struct world *world, unsigned node, uint64_t addr, uint32_t len, uint32_t off,
		  bool write, struct spot *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Writing that looks at what it did: many pieces are written, read again and compared, and what became of each
 * stretch is told. sonde_space_write (space.h) is the same without looking.
 */
#ifndef SONDE_WRITE_H
#define SONDE_WRITE_H

#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_write_flag {
	SONDE_WRITE_UNVERIFIED = 1u << 0, /* do not read again: written is all that is known */
};

enum sonde_write_result {
	SONDE_WRITE_REFUSED =
		0,            /* not written; err says why                                       */
	SONDE_WRITE_DONE = 1, /* written, and read again as written unless SONDE_WRITE_UNVERIFIED */
	SONDE_WRITE_DIFFERS =
		2, /* written without an error, and other bytes stand there           */
	SONDE_WRITE_UNREAD =
		3, /* written, and could not be read again; err says why              */
};

/* What became of a stretch of one piece. */
struct sonde_written {
	uint32_t piece;     /* index into xfers                                              */
	uint32_t off;       /* first byte, from the start of the piece                       */
	uint32_t len;       /* bytes, > 0                                                    */
	uint32_t result;    /* enum sonde_write_result                                       */
	int32_t err;        /* REFUSED, UNREAD: enum sonde_err; else 0                       */
	uint32_t pad;       /* 0                                                             */
	const uint8_t *got; /* [len] DIFFERS: what stands there; else NULL. Borrowed for the call */
};

/* Told of each stretch. It must not use the space. */
typedef void sonde_written_fn(void *user, const struct sonde_written *written);

/*
 * Write n pieces, read again what was written and compare; flags is of enum sonde_write_flag. Every byte of every
 * piece is told to fn (NULL is allowed) once, pieces in their order, each from its front; neighbours that share a result may
 * be told as several stretches. 64 KiB, of 256 pieces at most, cost one trip to write and one to read. What the space and
 * those below it keep of their contents is forgotten in between, so that it is the target that answers.
 *
 * A target that runs may change what was just written: SONDE_WRITE_DIFFERS is then no failure of the write. The
 * same holds for a byte that two pieces write.
 *
 * Returns   how many pieces are SONDE_WRITE_DONE to the last byte, 0..n; SONDE_E_BAD_ARG (as sonde_space_write, or a flag that is
 *           none), SONDE_E_NO_MEMORY, SONDE_E_BUSY (in a callback): nothing was written nor told;
 *           SONDE_E_CANCELLED, _TIMED_OUT in a task whose end was asked for: what was told so far holds.
 * Per piece as sonde_space_write: it speaks of the writing only.
 * Context   as sonde_space_write; allocates 250 KiB for as long as it runs.
 */
int sonde_space_write_verified(struct sonde_space *space, struct sonde_xfer *xfers, size_t n,
			       uint32_t flags, sonde_written_fn *fn, void *user);

#ifdef __cplusplus
}
#endif
#endif

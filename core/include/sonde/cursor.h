/* SPDX-License-Identifier: MIT */
/*
 * A cursor: a position in a space, for code that expects a file. Reading and writing move it.
 *
 *	struct sonde_cursor c = { .space = space, .base = module->base, .size = module->size };
 *	int64_t n = sonde_cursor_read(&c, header, sizeof(header));
 *
 * It stops in front of a hole: what lies before it is handed out, and the next read there says why it
 * cannot go on; whoever wants what lies behind sets pos. With SONDE_CURSOR_ZEROS holes are zeros.
 * Every read is one trip to the target: give it room, or a FILE (cursor_file.h) that buffers.
 */
#ifndef SONDE_CURSOR_H
#define SONDE_CURSOR_H

#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_cursor_flag {
	/* Read zeros where nothing is: NOT_MAPPED, PAGED_OUT, NOT_SAVED. Other errors stay errors. */
	SONDE_CURSOR_ZEROS = 1u << 0,
};

/* The caller's. Copying it makes a second one. */
struct sonde_cursor {
	struct sonde_space *space; /* in                                                        */
	uint64_t base;             /* in: the address of position 0                             */
	uint64_t size;             /* in: bytes; 0: it does not end before 2^64, nor at 2^64-1  */
	uint64_t pos;              /* the next byte; may be set to anything                     */
	uint32_t flags;            /* in: enum sonde_cursor_flag                                */
	uint32_t pad;              /* 0                                                         */
};

/*
 * Set a cursor to the start of a whole space: its positions are the space's addresses, it ends
 * behind the last region. A space that cannot tell its regions has no end then (size 0): its last bytes
 * are followed by an error, not by the end.
 *
 * Returns   0; what sonde_space_regions says, but UNSUPPORTED.
 * Context   as sonde_space_regions.
 */
int sonde_cursor_init(struct sonde_cursor *cursor, struct sonde_space *space, uint32_t flags);

enum sonde_whence { SONDE_SEEK_SET = 0, SONDE_SEEK_CUR = 1, SONDE_SEEK_END = 2 };

/*
 * Read up to len bytes at pos, fewer in front of a hole or the end, and move behind them.
 *
 * Returns   how many; 0 at or behind the end, or for a len of 0; the error of the byte at pos where
 *           not one could be read (buf is then zero, pos where it was); SONDE_E_BAD_ARG for a len
 *           above 2^63-1; SONDE_E_BUSY and the like as sonde_space_read.
 * Context   as sonde_space_read: blocks plain code, parks a task.
 */
int64_t sonde_cursor_read(struct sonde_cursor *cursor, void *buf, size_t len);

/*
 * Write likewise. At or behind the end it is SONDE_E_NOT_MAPPED. What lies behind a hole may have
 * been written as well, though it is not counted.
 */
int64_t sonde_cursor_write(struct sonde_cursor *cursor, const void *buf, size_t len);

/*
 * All len bytes, or an error and pos as it was. The end comes too early: SONDE_E_TRUNCATED.
 * Returns 0, or what sonde_cursor_read and sonde_cursor_write return below 0.
 */
int sonde_cursor_read_all(struct sonde_cursor *cursor, void *buf, size_t len);
int sonde_cursor_write_all(struct sonde_cursor *cursor, const void *buf, size_t len);

/*
 * Where the cursor ends: at its size; without one, where the last region of the space does now.
 *
 * Returns   0; what sonde_space_regions says: SONDE_E_UNSUPPORTED where the space cannot tell.
 * Context   as sonde_space_regions, where it has no size.
 */
int sonde_cursor_end(struct sonde_cursor *cursor, uint64_t *ret);

/*
 * Move pos: to off, by off, or to off from the end, which may be passed. (A position above 2^63-1 is set
 * in pos itself.)
 *
 * Returns   0; SONDE_E_BAD_ARG for a position below 0 or above 2^64-1, or no whence: pos stays where it
 *           was, as for what sonde_cursor_end returns.
 */
int sonde_cursor_seek(struct sonde_cursor *cursor, int64_t off, uint32_t whence);

#ifdef __cplusplus
}
#endif
#endif

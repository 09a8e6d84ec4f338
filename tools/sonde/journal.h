/* SPDX-License-Identifier: MIT */
/*
 * The journal of writes: before bytes go to a target, the old and the new ones are in a file and on the disk, so that
 * a write can be undone however the program ended. docs/record-format.md is the format. It knows no command and
 * prints nothing: errors are told in a struct sonde_error.
 */
#ifndef SONDE_TOOL_JOURNAL_H
#define SONDE_TOOL_JOURNAL_H

#include <sonde/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JOURNAL_BYTES_MAX = 1 << 20, /* of one write      */
	JOURNAL_TEXT_MAX = 4096,     /* name and identity */
};

enum journal_mode {
	JOURNAL_READ, /* look only                                            */
	JOURNAL_UNDO, /* and mark what was undone                             */
	JOURNAL_ADD,  /* add writes; the file is made where there is none     */
};

enum journal_end {
	JOURNAL_WHOLE,
	JOURNAL_TORN, /* a record was begun and never finished: its bytes were never sent to the target */
	JOURNAL_DAMAGED, /* what follows is no record, and what was there is not known                     */
};

/* One write: old and new bytes are in the file, one behind the other. */
struct journal_write {
	uint64_t time_ns; /* since 1970, UTC                                          */
	uint64_t addr;
	int32_t pid;  /* the space: of a process, 0 the kernel's, -1 the target's own */
	uint32_t len; /* 1 .. JOURNAL_BYTES_MAX; addr + len - 1 does not wrap         */
	uint64_t at;  /* of the record in the file                                    */
	bool undone;
};

struct journal_file;

struct journal {
	struct journal_file *file;
	char target[JOURNAL_TEXT_MAX];   /* as it was named when the file was made         */
	char identity[JOURNAL_TEXT_MAX]; /* what it was; "" where its connector cannot tell */
	struct journal_write *writes;    /* [n], in their order                            */
	size_t n, room;
	enum journal_end end;
};

/*
 * Open a journal and read all of it but the bytes; target and identity are for a file that is made. One program at a
 * time may add or undo. A torn end is cut off then; a damaged file can be read and undone, not added to.
 *
 * Returns   0; an error with err filled. Owns: journal_close, also after an error.
 */
int journal_open(struct journal *ret, const char *path, enum journal_mode mode, const char *target,
		 const char *identity, struct sonde_error *err);
void journal_close(struct journal *journal);

/* Is this the target the file was made for, as far as both are known? */
bool journal_is_of(const struct journal *journal, const char *identity);

/*
 * Add a write (its fields at and undone are not looked at), and have all that was added on the disk. Nothing may be
 * written to the target before journal_sync has returned 0. Returns 0, or an error with err filled.
 */
int journal_add(struct journal *journal, const struct journal_write *write, const uint8_t *old,
		const uint8_t *new, struct sonde_error *err);
int journal_sync(struct journal *journal, struct sonde_error *err);

/* The bytes of a write, [len] each. Returns 0, -1: the file has shrunk. */
int journal_bytes(const struct journal *journal, const struct journal_write *write, uint8_t *old,
		  uint8_t *new);

/* Mark it, on the disk. A damaged file is left as it is. Returns 0, or an error with err filled. */
int journal_undone(struct journal *journal, struct journal_write *write, struct sonde_error *err);

#endif

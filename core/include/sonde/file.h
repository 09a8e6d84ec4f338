/* SPDX-License-Identifier: MIT */
/*
 * Files as programs use them, on any file system (sonde/fs.h): a position that reading and writing
 * move, a whole file read at once, one replaced at once, one copied.
 *
 *	struct sonde_file_load load = { .fs = fs, .dir = SONDE_FS_ROOT, .path = "notes" };
 *	if (sonde_file_load(NULL, &load) == 0)
 *		fwrite(load.bytes, 1, load.len, stdout);
 *	free(load.bytes);
 *
 * What takes a task waits as sonde_fs_run does: parks it, or the running task where it is NULL; in
 * plain code pumps the loop; SONDE_E_BUSY from a completion callback.
 */
#ifndef SONDE_FILE_H
#define SONDE_FILE_H

#include <sonde/fs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's. Copying it makes a second position; the handle stays one. */
struct sonde_file {
	struct sonde_fs *fs;
	int32_t handle;
	uint32_t pad;      /* 0                                      */
	uint64_t position; /* the next byte; may be set to anything below 2^63 */
};

/* Returns 0 or as SONDE_FS_OPEN, whose flags these are. Position is 0. */
int sonde_file_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t flags, uint32_t mode, struct sonde_file *ret);
int sonde_file_close(struct sonde_task *self, struct sonde_file *file);

/* Returns as SONDE_FS_READ: bytes, 0 at the end; position is behind them. */
int sonde_file_read(struct sonde_task *self, struct sonde_file *file, void *buf, uint32_t len);

/* Write all of len bytes. Returns 0; the error of the first that was not: position is at it. */
int sonde_file_write(struct sonde_task *self, struct sonde_file *file, const void *buf, size_t len);

/* ---- all of a file ------------------------------------------------------------------------------- */

struct sonde_file_load;

/* On the loop's thread. The load is idle again and may be reused or freed. */
typedef void sonde_file_loaded_fn(struct sonde_file_load *load);

/* A request: open, read to the end, close. It lives in its caller until it is done; zero it first. */
struct sonde_file_load {
	struct sonde_fs *fs;        /* in                                                     */
	const char *path;           /* in:  NULL: the open file whose handle dir is           */
	int32_t dir;                /* in:  as a request's                                    */
	uint32_t flags;             /* in:  0 or SONDE_FS_NO_FOLLOW, SONDE_FS_BENEATH         */
	uint64_t off;               /* in:  the first byte                                    */
	uint64_t max;               /* in:  bytes: LIMIT where there are more; 0: 1 GiB       */
	sonde_file_loaded_fn *done; /* in:  not NULL                                          */
	void *user;                 /* in:  the caller's                                      */
	int32_t result;             /* out: 0; LIMIT; NO_MEMORY; as OPEN, READ                */
	int32_t os_code;            /* out: an errno where there was one, else 0              */
	char *bytes;                /* out: on success: [len], and a 0 behind them; free(3)   */
	size_t len;                 /* out                                                    */
	uint64_t cap;               /* the library's, from here on                            */
	int32_t stop;
	uint32_t pad;
	struct sonde_fs_info info;
	struct sonde_fs_io io;
};

/*
 * Submit a load.
 *
 * Returns   0: done runs exactly once; SONDE_E_BAD_ARG: it never runs.
 * Context   as sonde_fs_submit; callbacks of its steps allocate.
 */
int sonde_file_load_submit(struct sonde_file_load *load);
/* Ask for its end: CANCELLED, or the result that won. Returns 1 asked, 0 nothing to cancel. */
int sonde_file_load_cancel(struct sonde_file_load *load);
/* Submit and wait; done and user are overwritten. Returns load->result, or as submit. */
int sonde_file_load(struct sonde_task *self, struct sonde_file_load *load);

/* ---- replacing a file ---------------------------------------------------------------------------- */

/*
 * A file in the making, that takes the place of another, or of nothing, all at once: who opens the
 * name sees the old file or all of the new one, whatever happens. It has no name until then where
 * the file system knows such files, else a unique one that begins with ".sonde-".
 */
struct sonde_replacement {
	struct sonde_file file; /* to be written                     */
	int32_t dir;            /* the directory, a handle of its own */
	uint32_t flags;
	char made[32];  /* the name it has, "": none         */
	char name[256]; /* the name it gets                  */
};

/*
 * Begin. flags: 0 or SONDE_FS_NO_REPLACE (commit answers EXISTS where the name is taken),
 * SONDE_FS_BENEATH.
 *
 * Returns   0; as OPEN; SONDE_E_BAD_ARG (the path ends in "/", "." or "..").
 * Owns      *ret: ends with commit or abandon.
 */
int sonde_replace_begin(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
			uint32_t flags, uint32_t mode, struct sonde_replacement *ret);
/*
 * Bring the bytes to the disk, give the file its name, bring the directory to the disk. Over in any
 * case. Returns 0; an error: the old file is there as it was, unless it came from the last step.
 */
int sonde_replace_commit(struct sonde_task *self, struct sonde_replacement *replacement);
/* As if it had never begun. */
void sonde_replace_abandon(struct sonde_task *self, struct sonde_replacement *replacement);

/* ---- copying a file ------------------------------------------------------------------------------ */

enum sonde_copy_flag {
	SONDE_COPY_NO_REPLACE = 1u << 0, /* EXISTS where the name is taken                       */
	SONDE_COPY_BYTES = 1u << 1,      /* read and write, even where the file system can copy  */
	SONDE_COPY_SYNC = 1u << 2,       /* it is on the disk when this returns                  */
};

struct sonde_copy;

/* On the loop's thread: copy->done has grown. It must not wait. */
typedef void sonde_copied_fn(struct sonde_copy *copy);

struct sonde_copy {
	struct sonde_fs *from_fs, *to_fs; /* in:  of one loop; to_fs NULL: the same             */
	const char *from, *to;            /* in                                                 */
	int32_t from_dir, to_dir;         /* in                                                 */
	uint32_t flags;                   /* in:  enum sonde_copy_flag                          */
	uint32_t pad;                     /* 0                                                  */
	uint64_t in_flight;               /* in:  bytes on their way at once, at most; 0: 8 MiB;
					   *      clamped to 64 KiB..1 GiB                     */
	sonde_copied_fn *progress;        /* in:  NULL, or told now and then                    */
	void *user;                       /* in:  the caller's                                  */
	uint64_t done;                    /* out: bytes                                         */
	uint64_t total;                   /* out: bytes the file had at the start               */
};

/*
 * Copy a file: its bytes and permission bits. Where both are of one file system that can, it
 * copies them itself, sharing blocks if it knows that; else reads and writes overlap. What is at to
 * is overwritten, not replaced: sonde_replace_begin is for that.
 *
 * Returns   0; as OPEN, READ, WRITE; SONDE_E_BAD_ARG (from and to are one file, of two loops);
 *           SONDE_E_NO_MEMORY. What was copied until then stays.
 */
int sonde_file_copy(struct sonde_task *self, struct sonde_copy *copy);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Directories on any file system (sonde/fs.h): their entries one after another, and a walk through
 * all that lies below one. Neither sorts, neither holds more than a buffer for each directory that
 * is open. What takes a task waits as sonde_fs_run does.
 */
#ifndef SONDE_DIR_H
#define SONDE_DIR_H

#include <sonde/fs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_dir; /* handle */

/*
 * Returns   0; as OPEN; SONDE_E_NO_MEMORY. flags: 0 or SONDE_FS_NO_FOLLOW, SONDE_FS_BENEATH.
 * Owns      *ret: sonde_dir_close. 16 KiB.
 */
int sonde_dir_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		   uint32_t flags, struct sonde_dir **ret);
void sonde_dir_close(struct sonde_task *self, struct sonde_dir *dir); /* NULL is allowed */

/*
 * The next entry, in any order; "." and ".." are none. What is made or removed meanwhile may be
 * among them or not, all else is, once.
 *
 * Returns   1; 0: there are no more; as LIST; SONDE_E_CORRUPT: a file system told what no directory
 *           can hold, and the rest is not to be had.
 * Owns      *ret: borrowed until the next call.
 */
int sonde_dir_next(struct sonde_task *self, struct sonde_dir *dir,
		   const struct sonde_fs_entry **ret);

/* The directory itself: its entries' names are paths relative to this. Open until sonde_dir_close. */
int32_t sonde_dir_handle(const struct sonde_dir *dir);

#define SONDE_WALK_DEPTH_MAX 256u

struct sonde_walk; /* handle */

struct sonde_walk_entry {
	const char *path; /* from where the walk began on; borrowed until the next call       */
	const char *name; /* the last of it, relative to dir                                  */
	int32_t dir;      /* a handle, open until the next call                               */
	uint32_t depth;   /* 1: in the directory the walk began with                          */
	uint32_t kind;    /* enum sonde_fs_kind; never UNKNOWN without err                    */
	int32_t err;      /* 0, or why what lies in this directory is not, or not all, told:
			   * LIMIT: it is too deep; as OPEN, LIST                            */
	uint64_t node;    /*                                                                  */
};

/*
 * Walk through all below a directory, depth first: each directory, then what is in it. Symbolic links
 * are told and not followed, and a directory is entered by its handle: so nobody leads the walk
 * elsewhere or round in a circle.
 *
 * Returns   0; as OPEN; SONDE_E_NO_MEMORY; SONDE_E_BAD_ARG (max_depth not in 1..256).
 * Owns      *ret: sonde_walk_close. Up to max_depth + 1 handles are open.
 */
int sonde_walk_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t max_depth, struct sonde_walk **ret);
void sonde_walk_close(struct sonde_task *self, struct sonde_walk *walk); /* NULL is allowed */

/*
 * The next. A directory that cannot be opened has err and is not entered; one whose list breaks off
 * is told a second time, then with err; the rest still comes.
 *
 * Returns   1; 0: that was all; SONDE_E_CANCELLED and the like, SONDE_E_NO_MEMORY: may be asked again.
 * Owns      *ret: borrowed until the next call.
 */
int sonde_walk_next(struct sonde_task *self, struct sonde_walk *walk,
		    const struct sonde_walk_entry **ret);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * File systems: this machine's through any engine, one in memory, and whatever else fills in the
 * table of operations. The same three doors as spaces have: a request with a callback, a call that
 * parks its task, a call that pumps the loop. sonde/file.h and sonde/dir.h are made of it.
 *
 * A path is relative to a directory's handle (SONDE_FS_ROOT: the root), or begins with '/': then it
 * starts at the root of the file system; of this machine's at the machine's, wherever the root of
 * the handle is. Names are bytes, any but '/' and 0, 255 at most; a path has 4095 at most. A
 * symbolic link at the end of a path is followed by OPEN, STAT and SET_MODE only.
 *
 * What is on its way together has no order, and of one file's overlapping writes either may last.
 */
#ifndef SONDE_FS_H
#define SONDE_FS_H

#include <sonde/io.h>
#include <sonde/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_fs; /* handle */

#define SONDE_FS_ROOT (-1) /* as a directory: the one the file system was opened on */
#define SONDE_FS_NAME_MAX 255u
#define SONDE_FS_PATH_MAX 4095u
#define SONDE_FS_LIST_MIN 512u /* bytes of room that LIST needs */

/* In brackets: fields that are read beside dir and path, flags that are taken beside BENEATH. */
enum sonde_fs_op {
	SONDE_FS_OPEN = 0, /* path [flags, mode]. Result: a handle >= 0                          */
	SONDE_FS_CLOSE,    /* [file]. The handle is gone whatever the result                     */
	SONDE_FS_READ,     /* [file, off, buf, len]. Result: bytes; 0: the end. Fewer than len: the
			    * end, or an error that the next read there tells                    */
	SONDE_FS_WRITE, /* [file, off, buf, len]. Result: bytes; fewer than len: an error that the
			    * next write there tells. Opened with APPEND: at the end, off is 0    */
	SONDE_FS_SYNC,  /* [file; DATA]. File or directory is on the disk when it ends         */
	SONDE_FS_SET_LENGTH, /* [file, off]: to off bytes; what is new is zero                    */
	SONDE_FS_STAT,       /* path, or file where path is NULL [info; NO_FOLLOW]                */
	SONDE_FS_SET_MODE,   /* path, or file where path is NULL [mode]                           */
	SONDE_FS_RENAME,     /* path to [to_dir, to; NO_REPLACE]: replaces what may be replaced   */
	SONDE_FS_REMOVE,     /* path [DIRECTORY]: not a directory, or with the flag an empty one  */
	SONDE_FS_MKDIR,      /* path [mode]                                                       */
	SONDE_FS_LINK,      /* path, or file where path is NULL, gets a further name [to_dir, to] */
	SONDE_FS_SYMLINK,   /* path becomes a symbolic link [to]: its text, any                  */
	SONDE_FS_READ_LINK, /* path [buf, len]. Result: bytes, at most len, no 0 behind them     */
	SONDE_FS_LIST,      /* [file, off, buf, len]. Result: bytes of struct sonde_fs_entry; 0: the
			      * end. One at a time of a handle                                    */
	SONDE_FS_COPY,      /* [file, off, to_file, to_off, len] without bringing the bytes here.
			      * Result as READ; UNSUPPORTED: read and write instead               */
	SONDE_FS_N_OPS
};

enum sonde_fs_flag {
	SONDE_FS_FOR_READ = 1u << 0, /* OPEN: one of these three, or DIRECTORY                   */
	SONDE_FS_FOR_WRITE = 1u << 1,
	SONDE_FS_APPEND = 1u << 2,    /* write, always at the end                                */
	SONDE_FS_CREATE = 1u << 3,    /* where it is not there                                   */
	SONDE_FS_EXCLUSIVE = 1u << 4, /* with CREATE: EXISTS where it is there, be it a link      */
	SONDE_FS_TRUNCATE = 1u << 5,  /* to no bytes; with FOR_WRITE or APPEND                    */
	SONDE_FS_DIRECT = 1u << 6,    /* past the page cache: off, buf, len in whole blocks       */
	SONDE_FS_DIRECTORY = 1u << 7, /* OPEN: only a directory, which is listed, synced, a dir   */
	SONDE_FS_NO_FOLLOW = 1u << 8, /* a symbolic link at the end: OPEN: LOOP; STAT: it itself  */
	SONDE_FS_UNNAMED = 1u << 9,   /* OPEN: path is a directory, the new file in it has no name
					* until LINK gives it one; with FOR_WRITE                  */
	SONDE_FS_BENEATH = 1u << 10,  /* NO_ACCESS where ".." or a link leads out of dir, also
					* back in; a path that begins with '/', too                */
	SONDE_FS_DATA = 1u << 11,     /* SYNC: the bytes and what reading them takes; no times    */
	SONDE_FS_NO_REPLACE =
		1u << 12 /* RENAME: EXISTS where the new name is taken               */
};

enum sonde_fs_kind {
	SONDE_KIND_UNKNOWN = 0, /* in a list: the file system does not say; STAT does */
	SONDE_KIND_FILE,
	SONDE_KIND_DIRECTORY,
	SONDE_KIND_SYMLINK,
	SONDE_KIND_OTHER /* device, pipe, socket */
};

/* What is known of a file. */
struct sonde_fs_info {
	uint64_t length;     /* bytes; of a link: of its text                      */
	uint64_t allocated;  /* bytes on the disk                                  */
	uint64_t node;       /* with device: the same file has the same two        */
	uint64_t device;     /*                                                    */
	uint32_t kind;       /* enum sonde_fs_kind                                 */
	uint32_t mode;       /* permission bits, 07777                             */
	uint32_t n_links;    /* names                                              */
	uint32_t block;      /* bytes: a good size to move, a power of two or 0    */
	uint32_t uid, gid;   /* owner                                              */
	int64_t modified_ns; /* since 1970, UTC: the bytes                         */
	int64_t changed_ns;  /* ... anything of it                                 */
	int64_t accessed_ns; /* ... last read, as far as that is kept              */
	int64_t created_ns;  /* ... 0: not known                                   */
};

/* LIST fills the buffer with these, each at a multiple of 8 bytes; "." and ".." are not told. */
struct sonde_fs_entry {
	uint64_t node; /*                                                        */
	int64_t next;  /* off for a LIST that goes on behind this one            */
	uint16_t size; /* bytes to the next entry                                */
	uint8_t kind;  /* enum sonde_fs_kind                                     */
	char name[];   /* as long as it is, and a 0         */
};

struct sonde_fs_io;

/* On the loop's thread. The request is idle again and may be reused or freed. */
typedef void sonde_fs_done_fn(struct sonde_fs_io *io);

/*
 * A request. It lives in its caller until done has been called, as do the paths and buffers it
 * points to; zero it, set the in fields, submit.
 */
struct sonde_fs_io {
	uint32_t op;                /* in:  enum sonde_fs_op                              */
	uint32_t flags;             /* in:  enum sonde_fs_flag, those the op takes        */
	int32_t dir;                /* in:  a directory's handle, SONDE_FS_ROOT           */
	int32_t to_dir;             /* in:  the same for to                               */
	int32_t file;               /* in:  a handle                                      */
	int32_t to_file;            /* in:  COPY                                          */
	const char *path;           /* in:  ends with 0                                   */
	const char *to;             /* in:  the new name; SYMLINK: the text               */
	void *buf;                  /* in:  [len]; WRITE only reads it                    */
	uint32_t len;               /* in:  bytes, 0..2^31-1; LIST: at least LIST_MIN     */
	uint32_t mode;              /* in:  permission bits, 07777; umask applies to new  */
	uint64_t off;               /* in:  bytes, below 2^63; LIST: 0, or next of an entry */
	uint64_t to_off;            /* in:  COPY                                          */
	struct sonde_fs_info *info; /* in:  STAT: filled in on success                    */
	sonde_fs_done_fn *done;     /* in:  not NULL                                      */
	void *user;                 /* in:  the caller's                                  */
	uint64_t deadline_ns;       /* in:  0, or sonde_now_ns() time: see cancel         */
	int32_t result;             /* out: see the op; < 0: enum sonde_err               */
	int32_t os_code;            /* out: the errno where there was one, else 0         */
	uint32_t state;             /* out: enum sonde_io_state                           */
	uint32_t pad;               /* 0                                                  */
	uint64_t core[64];          /* the library's and the file system's while in flight */
};

/*
 * Submit a request.
 *
 * Returns   0: done runs exactly once; SONDE_E_BAD_ARG (an in field is out of its range, a flag the
 *           op does not take, the request is not idle): it never runs.
 * Errors    in result: NOT_FOUND, NO_ACCESS, READ_ONLY, EXISTS, NOT_DIRECTORY, IS_DIRECTORY,
 *           NOT_EMPTY, NAME_TOO_LONG (a name above 255 bytes, a path above 4095), LOOP (too many
 *           symbolic links, or one that is not to be followed), NO_SPACE, QUOTA, TOO_LARGE (the
 *           limit of a file's size, RLIMIT_FSIZE: where SIGXFSZ is ignored), CROSS_DEVICE, BUSY, EXHAUSTED, NO_MEMORY, BAD_ARG
 *           (the handle is not one, or was opened for something else), UNSUPPORTED, IO, GONE (a
 *           remote), CANCELLED, TIMED_OUT.
 * Context   never calls back; allocates nothing, though a file system may. The loop's thread. An
 *           engine that moves bytes in the call (sync, direct, epoll) may block, one with a ring or
 *           threads does not. Requests leave before the loop next waits, together.
 */
int sonde_fs_submit(struct sonde_fs *fs, struct sonde_fs_io *io);

/*
 * Ask for the end of a request. done still comes, with CANCELLED (TIMED_OUT after its deadline) or
 * with the result that won. What a kernel has begun of this machine's files goes to its end.
 *
 * Returns   1 asked, 0 nothing to cancel.
 */
int sonde_fs_cancel(struct sonde_fs_io *io);

/*
 * Submit and wait: parks self, or the running task where self is NULL; in plain code pumps the
 * loop. done and user are overwritten. Returns io->result, or what sonde_fs_submit refused with;
 * SONDE_E_BUSY from a completion callback.
 */
int sonde_fs_run(struct sonde_task *self, struct sonde_fs *fs, struct sonde_fs_io *io);

/* The same for each operation, without a deadline. All return as the operation's result. */
int sonde_fs_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  uint32_t flags, uint32_t mode);
int sonde_fs_close(struct sonde_task *self, struct sonde_fs *fs, int32_t file);
int sonde_fs_read(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint64_t off,
		  void *buf, uint32_t len);
int sonde_fs_write(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint64_t off,
		   const void *buf, uint32_t len);
int sonde_fs_sync(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint32_t flags);
int sonde_fs_set_length(struct sonde_task *self, struct sonde_fs *fs, int32_t file,
			uint64_t length);
/* Of a path. Of a handle: path NULL, and dir is it. */
int sonde_fs_stat(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  uint32_t flags, struct sonde_fs_info *ret);
int sonde_fs_set_mode(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		      uint32_t mode);
int sonde_fs_rename(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    int32_t to_dir, const char *to, uint32_t flags);
int sonde_fs_remove(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t flags);
int sonde_fs_mkdir(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		   uint32_t mode);
int sonde_fs_link(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  int32_t to_dir, const char *to);
int sonde_fs_symlink(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		     const char *to);
int sonde_fs_read_link(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		       char *buf, uint32_t cap);

/*
 * This machine's files, through the loop's engine: what its ring takes goes there, the rest to
 * threads; engines that move bytes in the call do all in it. Its handles are descriptors,
 * close-on-exec: others of the program's may be used as one. root: a directory, "." for instance;
 * flags: 0 or SONDE_FS_BENEATH, which every request has then (linux 5.6; else UNSUPPORTED).
 *
 * Returns   0; as OPEN of a directory.
 * Context   blocks for the opening of root; allocates.
 * Owns      *ret: sonde_fs_destroy. The loop is kept until then.
 */
int sonde_fs_native(struct sonde_loop *loop, const char *root, uint32_t flags,
		    struct sonde_fs **ret, struct sonde_error *err);

enum sonde_fs_memory_flag {
	SONDE_FS_CHECKS_MODE = 1u << 0, /* the owner's permission bits bind; else none do */
};

struct sonde_fs_memory_options {
	uint32_t size;      /* sizeof(struct sonde_fs_memory_options)                      */
	uint32_t flags;     /* enum sonde_fs_memory_flag                                   */
	uint64_t max_bytes; /* in files and texts of links, then NO_SPACE; 0: any number   */
	uint64_t max_nodes; /* of files, directories and links, and of names; 0: any number */
};

/*
 * Files in memory, none to begin with. It answers as this machine's do, done in the call: nothing
 * ever waits. No sparse files; memory in use is up to one and a half times the bytes in files.
 * options may be NULL. COPY is UNSUPPORTED; DIRECT changes nothing; umask is not looked at.
 *
 * Returns   0; SONDE_E_NO_MEMORY.
 * Owns      *ret: sonde_fs_destroy, which frees all that is in it.
 */
int sonde_fs_memory(struct sonde_loop *loop, const struct sonde_fs_memory_options *options,
		    struct sonde_fs **ret);

/*
 * End with a file system. No request is in flight, no handle is open (those of a native one stay
 * the caller's, as the descriptors they are). NULL is allowed.
 */
void sonde_fs_destroy(struct sonde_fs *fs);

/* ---- for whoever makes one ---------------------------------------------------------------------- */

/*
 * What a file system does. A request that is handed over has passed the checks of sonde_fs_submit:
 * op, flags, lengths and pointers are what the op takes. dir is a handle or SONDE_FS_ROOT, and a
 * handle may be any number: one that was never given out is BAD_ARG. All on the loop's thread.
 */
struct sonde_fs_ops {
	uint64_t size; /* sizeof(struct sonde_fs_ops) when it was compiled                */
	/*
	 * Required. Take a request, which gets sonde_fs_finish exactly once, in this call or
	 * later. Of an op that is not known: SONDE_E_UNSUPPORTED.
	 */
	void (*submit)(void *impl, struct sonde_fs_io *io);
	/* Optional: its end is asked for. It may finish in this call, later, or go on as if nothing was. */
	void (*cancel)(void *impl, struct sonde_fs_io *io);
	/* Optional: no request is in flight. */
	void (*close)(void *impl);
};

/*
 * Make a file system of a table (copied) and what its functions are handed.
 *
 * Returns   0; SONDE_E_NO_MEMORY; SONDE_E_BAD_ARG (no submit, a size that does not reach close).
 * Owns      *ret: sonde_fs_destroy.
 */
int sonde_fs_create(struct sonde_loop *loop, const struct sonde_fs_ops *ops, void *impl,
		    struct sonde_fs **ret);

/* The loop it was made for. */
struct sonde_loop *sonde_fs_loop(const struct sonde_fs *fs);

/*
 * Hand a request back. result: as the op says, or enum sonde_err; more bytes than were asked for
 * become SONDE_E_CORRUPT. os_code: an errno, or 0.
 */
void sonde_fs_finish(struct sonde_fs_io *io, int32_t result, int32_t os_code);

/* Room of a request for whoever serves it, from submit to finish; [SONDE_FS_ROOM], 8-byte aligned. */
#define SONDE_FS_ROOM 384u
void *sonde_fs_room(struct sonde_fs_io *io);

#ifdef __cplusplus
}
#endif
#endif

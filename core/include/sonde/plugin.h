/* SPDX-License-Identifier: MIT */
/*
 * For IMPLEMENTORS of connectors and layers only. docs/plugin-abi.md is normative;
 * HACKING.md says how to add one ("copy connectors/flat, then ...").
 *
 * A plugin is a shared object with one exported symbol, sonde_plugin, made by
 * SONDE_PLUGIN(). It links to nothing of ours: what it needs is inline here or a
 * slot of the host table. State lives in the connection, never in file-scope variables.
 * Loading it runs no I/O and starts no thread.
 */
#ifndef SONDE_PLUGIN_H
#define SONDE_PLUGIN_H

#include <sonde/error.h>
#include <sonde/events.h>
#include <sonde/io.h>
#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>
#include <sonde/types.h>
#if __STDC_HOSTED__
#include <stddef.h>
#include <string.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if !__STDC_HOSTED__
void *memset(void *at, int byte, size_t len); /* every compiler wants it, a libc or not */
#endif

/* Compared for equality; raised only when old binaries cannot work. */
#define SONDE_PLUGIN_ABI 1u

struct sonde_args; /* "key=value,..." of this opening; read through the host table */

/*
 * One stretch of a target's memory and where its bytes live. A connector that can say
 * so leaves the moving of bytes to the engines. Extents may come in any order; where
 * two overlap, the one told first wins.
 */
enum sonde_extent_kind {
	SONDE_EXTENT_FILE = 1,   /* fd at off                                                  */
	SONDE_EXTENT_MEMORY = 2, /* host memory at ptr, which stays until close                */
	SONDE_EXTENT_ZERO = 3,   /* reads as zeros                                             */
	SONDE_EXTENT_ABSENT = 4, /* known to be missing: pieces here fail with err             */
	SONDE_EXTENT_IMAGE = 5,  /* the image at ptr (host->image_open), at off                  */
};

struct sonde_extent {
	uint64_t addr;  /* first byte in the space                                            */
	uint64_t len;   /* bytes, > 0; addr + len - 1 does not wrap                           */
	uint32_t kind;  /* enum sonde_extent_kind                                             */
	uint32_t flags; /* enum sonde_region_flag                                             */
	uint64_t off;   /* FILE, IMAGE: where in it                                           */
	void *ptr;      /* MEMORY: [len]; IMAGE: struct sonde_image                           */
	int32_t fd;     /* FILE: stays open until close                                       */
	int32_t err;    /* ABSENT: enum sonde_err                                             */
};
typedef int sonde_extent_fn(void *user, const struct sonde_extent *extent);

/* An opened file: of this machine, or behind a URL; of one that is packed, what it unpacks to. Whoever names one may name the other. */
struct sonde_image;

struct sonde_image_info {
	uint32_t size;    /* sizeof(this) in the core                                         */
	int32_t fd;       /* its descriptor; -1: there is none, image_read alone reads it     */
	uint64_t bytes;   /* its length                                                       */
	const char *name; /* for messages: without what gives access. Until the image is closed */
};

/* One stretch of an image. */
struct sonde_image_read {
	uint64_t off;
	void *buf; /* [len]; NULL: have them at hand, for a read of them that follows     */
	uint32_t len;
	uint32_t
		done; /* out: bytes that came, from the front; fewer than len with err 0: the end */
	int32_t err;  /* out: 0, or why no more came                                        */
	uint32_t pad;
};

/* How a connection moves bytes; bits of the answer of ways(). */
enum sonde_way {
	SONDE_WAY_EXTENTS = 1u << 0,
	SONDE_WAY_TRANSFER = 1u << 1,
	SONDE_WAY_SUBMIT = 1u << 2,
};

/* A layer's look at a request that it forwarded, when it comes back. */
struct sonde_follow {
	/* On the loop's thread, perhaps inside forward. Buffers and outcomes may be looked at. */
	void (*back)(struct sonde_follow *follow, struct sonde_io *io);
	void *user;       /* the layer's                        */
	uint64_t core[2]; /* the library's while it is followed */
};

/*
 * What the core lends to a plugin. Slots are appended; check size before using one that
 * is newer than the plugin's oldest core.
 */
struct sonde_host {
	uint32_t size; /* sizeof of the core's table */
	uint32_t abi;

	/* Arguments. get: NULL where absent. A value is borrowed until close. */
	const char *(*arg)(const struct sonde_args *args, const char *key);
	/* As arg, parsed: decimal, 0x hex, with suffix k M G T (1024). Returns 1 given, 0 absent, < 0 malformed
	 * (err is filled). */
	int (*arg_u64)(const struct sonde_args *args, const char *key, uint64_t *ret,
		       struct sonde_error *err);
	/* Not 0: the user asked for a target that can be written. */
	int (*arg_write)(const struct sonde_args *args);

	/* As error.h. */
	int (*error_set)(struct sonde_error *err, int code, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));
	int (*error_os)(struct sonde_error *err, int os_code, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

	/* Any thread, once a request that submit took: every piece is final. */
	void (*io_done)(struct sonde_io *io);
	/*
	 * Any thread, before io_done: len bytes at off of piece i are final: err 0 transferred, < 0 not.
	 * Parts of a piece that are never told count as SONDE_E_IO when the request is done.
	 * Use the inline sonde_progress below, which skips the call where nobody watches.
	 */
	void (*fragment)(struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len, int32_t err);

	/* Layers: send requests on, unchanged, to the space below; they complete to their owners. */
	void (*forward)(void *below, struct sonde_io *const *ios, size_t n);
	/* Layers: the loop they run in, for its timers. */
	struct sonde_loop *(*loop)(void *below);
	int (*timer_start)(struct sonde_loop *loop, struct sonde_timer *timer);
	int (*timer_stop)(struct sonde_loop *loop, struct sonde_timer *timer);
	uint64_t (*now_ns)(void);

	/*
	 * Layers: a request of their own to the space below. It lives in the layer, zeroed before its first
	 * use, until done is called: on the loop's thread, inside the call where below is resident.
	 * Returns 0: done runs exactly once; SONDE_E_BAD_ARG (as sonde_io_submit): it never runs.
	 */
	int (*issue)(void *below, struct sonde_io *io);
	/*
	 * As sonde_io_cancel, for a request given to issue. What was not transferred carries why:
	 * SONDE_E_CANCELLED or SONDE_E_TIMED_OUT.
	 */
	int (*cancel)(struct sonde_io *io, int32_t why);
	/* Not 0: below is mapped memory or the like, which answers inside the call. It may change. */
	int (*resident)(void *below);
	/* As sonde_space_regions and sonde_space_borrow, of the space below. */
	int (*regions)(void *below, sonde_region_fn *fn, void *user);
	const void *(*borrow)(void *below, uint64_t addr, size_t len);
	/* As sonde_target_cpu and sonde_target_note, of the layers below and the connector. */
	int (*cpu)(void *below, uint32_t index, struct sonde_cpu *ret);
	int64_t (*note)(void *below, const char *name, void *buf, size_t cap);
	/* The code of a piece whose file operation failed with the host's errno; op: enum sonde_io_op. */
	int32_t (*errno_code)(int os_code, uint32_t op);
	/*
	 * Layers: before a request is forwarded: back is called when it comes back, all of it final, and
	 * its owner right behind. follow lives in the layer until then; more than one layer may follow a request.
	 */
	void (*follow)(struct sonde_io *io, struct sonde_follow *follow);
	/* As sonde_error_name and sonde_strerror. */
	const char *(*code_name)(int code);
	const char *(*code_text)(int code);
	/* As sonde_space_borrow_run, of the space below. */
	const void *(*borrow_run)(void *below, uint64_t addr, size_t cap, size_t *ret_len);

	/*
	 * Connectors: open what an argument names: a path, or a URL. For writing where the user asked for it (arg_write).
	 * Returns 0; an error, and err says which file and why. Owns *ret: image_close, by the connection's end.
	 */
	int (*image_open)(const struct sonde_args *args, const char *name, struct sonde_image **ret,
			  struct sonde_error *err);
	void (*image_close)(struct sonde_image *image); /* NULL is allowed */
	void (*image_info)(const struct sonde_image *image, struct sonde_image_info *ret);
	/* Any thread. Blocks until all n are done: many at once cost as much as the slowest. */
	void (*image_read)(struct sonde_image *image, struct sonde_image_read *reads, size_t n);
	/* The first failure of reading: its code and err, which names the file; 0: there was none. Any thread. */
	int (*image_failure)(struct sonde_image *image, struct sonde_error *err);

	/*
	 * Connectors: as io_done of each of n requests that submit took, in their order; who waits in another thread is
	 * woken once for all. Use the inline sonde_ios_done below, which does with older cores.
	 */
	void (*ios_done)(struct sonde_io *const *ios, size_t n);

	/*
	 * Connectors: what lies packed in an image from begin on, behind a head that the connector reads, as an image of its own.
	 * Returns 0; SONDE_E_UNSUPPORTED (packed by nothing that is known here), _LIMIT (one piece, and too large for memory), and
	 * as image_open. Owns *ret: image_close; whole may be closed before it.
	 */
	int (*image_unpack)(const struct sonde_args *args, struct sonde_image *whole,
			    uint64_t begin, struct sonde_image **ret, struct sonde_error *err);
};

/* Something that a connector could open now, as its list tells it. Strings are borrowed for the call. */
struct sonde_listed {
	uint32_t size;      /* sizeof(this) when the plugin was compiled                   */
	uint32_t flags;     /* 0                                                           */
	const char *first;  /* the main argument that opens it, as it is: nothing escaped  */
	const char *name;   /* what it is called; NULL: first                              */
	const char *state;  /* "running", "paused" and others; NULL: not known             */
	const char *detail; /* one line for a person; NULL: nothing                        */
	int64_t pid;        /* its process of this machine; 0: none, or not known          */
};
typedef int sonde_listed_fn(void *user, const struct sonde_listed *one);

/* flags of struct sonde_connector_ops */
enum sonde_connector_flag {
	/* Its list is long (all processes): it is asked for it by name only. */
	SONDE_CONNECTOR_LONG_LIST = 1u << 0,
};

/* What a connector does. NULL in an optional slot means the core's default. */
struct sonde_connector_ops {
	uint32_t size;  /* sizeof(this) when the plugin was compiled */
	uint32_t flags; /* enum sonde_connector_flag                 */

	/*
	 * Required. *ret_conn is written only on success. May block.
	 * args stay valid until close.
	 */
	int (*open)(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		    struct sonde_error *err);
	/* Required. No request is in flight when this is called. */
	void (*close)(void *conn);
	/* Required. Fill *ret (name and connector are the core's business); strings live until close. */
	void (*info)(void *conn, struct sonde_target_info *ret);

	/*
	 * Where the bytes live; one of extents, transfer and submit is required. The first of them
	 * that is there is used. Called once, after open; any result of fn but 0 is handed back.
	 */
	int (*extents)(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err);
	/*
	 * Move the bytes of n requests now; each piece is told through sonde_progress, whole or in
	 * parts. May block. Called from one thread at a time, not always the same one. Does not call io_done.
	 */
	void (*transfer)(void *conn, struct sonde_io *const *ios, size_t n);
	/*
	 * Start n requests and return how many were taken, from the front of ios; the core
	 * offers the rest again when one of them is done, and fails them with SONDE_E_IO when none is in
	 * flight. Must not block. Each taken request gets io_done exactly once, from any thread.
	 */
	size_t (*submit)(void *conn, struct sonde_io *const *ios, size_t n);

	/* Optional: regions, lowest first. Default: the extents; UNSUPPORTED where there are none. */
	int (*regions)(void *conn, sonde_region_fn *fn, void *user);
	/* Optional: registers of processor index. Default SONDE_E_UNSUPPORTED. */
	int (*cpu)(void *conn, uint32_t index, struct sonde_cpu *ret);
	/* Optional: a named blob, as sonde_target_note. Default SONDE_E_NOT_FOUND. */
	int64_t (*note)(void *conn, const char *name, void *buf, size_t cap);
	/* Optional: stop and continue. Default SONDE_E_UNSUPPORTED. */
	int (*pause)(void *conn, struct sonde_error *err);
	int (*resume)(void *conn, struct sonde_error *err);
	/*
	 * Optional: is this file one of ours? head holds its first head_len bytes (all of them or
	 * 64 KiB). Returns 0 no, 1..100 how sure. Default 0: opened by name only. No I/O.
	 */
	int (*probe)(const uint8_t *head, size_t head_len, uint64_t file_size);
	/*
	 * Optional: which of extents, transfer and submit this connection offers, as bits of enum
	 * sonde_way. Asked once, after open. Default: all that are there.
	 */
	uint32_t (*ways)(void *conn);
	/*
	 * Optional, submit way: its owner or its deadline asks for the end of a request that was taken. It
	 * may be ended early (io_done; bytes that were never told then carry why, CANCELLED or TIMED_OUT), or
	 * not. On the loop's thread; io may be one that another thread has just ended: it is not to be
	 * touched then.
	 */
	void (*cancel)(void *conn, struct sonde_io *io, int32_t why);
	/*
	 * Optional: has what was opened ended, or become another one since? Returns 0, or SONDE_E_GONE and err says what
	 * happened to it; SONDE_E_CHANGED: some of it is not seen by this connection. No request is in flight. May block, for a second at most. Default: 0.
	 */
	int (*gone)(void *conn, struct sonde_error *err);
	/*
	 * Optional: set a breakpoint (on not 0) or remove one; kind and len are sound. close removes what is left. Default
	 * SONDE_E_UNSUPPORTED.
	 */
	int (*breakpoint)(void *conn, int on, const struct sonde_breakpoint *breakpoint,
			  struct sonde_error *err);
	/*
	 * Optional: as submit, of waits for events. Each request is one piece, to be read: its address says what the
	 * target is to do (SONDE_EVENT_NEXT, SONDE_EVENT_STEP_OF), its buffer is for a struct sonde_event, cut or followed
	 * by zeros where the sizes differ; all of its bytes are told. Default: there are no events.
	 */
	size_t (*events)(void *conn, struct sonde_io *const *ios, size_t n);
	/* Optional, with events: as cancel. The target is left running. */
	void (*cancel_event)(void *conn, struct sonde_io *io, int32_t why);
	/*
	 * Optional: tell what open could open now, opening none of it. host is valid for the call. Returns 0; what fn
	 * returned, at once; an error with err filled: what was told so far is all that is known. May block, for a few
	 * seconds at most. Default: cannot tell.
	 */
	int (*list)(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
		    struct sonde_error *err);
	/*
	 * Optional: from here on the connection shows the target as it is at one moment, within this call. Once, behind open,
	 * before any other slot but info; it is not live then, and not open for writing. Fill *ret, whose string lives until close.
	 * Whatever becomes of the calling process meanwhile, the target goes on. Default: UNSUPPORTED for what is live.
	 */
	int (*snapshot)(void *conn, struct sonde_snapshot *ret, struct sonde_error *err);
};

/* flags of struct sonde_layer_ops */
enum sonde_layer_flag {
	/* What is written stays in the layer: nothing below it is opened for writing. */
	SONDE_LAYER_KEEPS_WRITES = 1u << 0,
};

/* What an opened layer promises; bits of the answer of traits(). */
enum sonde_layer_trait {
	/* submit ends each request, or hands it below, before it returns: over mapped memory nothing waits. */
	SONDE_LAYER_INLINE = 1u << 0,
	/* Every byte is the one below at the same address: memory below may be borrowed. */
	SONDE_LAYER_SAME_BYTES = 1u << 1,
};

/* A figure that a layer kept: a number, or words where text is not NULL. Borrowed for the call. */
struct sonde_stat {
	const char *name; /* "hits" */
	const char *text;
	uint64_t value;
};
typedef int sonde_stat_fn(void *user, const struct sonde_stat *stat);
/* As sonde_extent_fn; of a stretch, space is NULL: below. */
typedef int sonde_stretch_fn(void *user, const struct sonde_stretch *stretch);

/* What a layer does: a space in front of a space. All of it on the loop's thread. */
struct sonde_layer_ops {
	uint32_t size;  /* sizeof(this) when the plugin was compiled */
	uint32_t flags; /* enum sonde_layer_flag                     */
	/* Required. below is for host->forward and host->loop, valid until close. */
	int (*open)(const struct sonde_host *host, const struct sonde_args *args, void *below,
		    void **ret_conn, struct sonde_error *err);
	/* Required. No request is in flight when this is called. */
	void (*close)(void *conn);
	/*
	 * Required, unless there is map. One call a batch; every request is forwarded or ended by io_done, on
	 * the loop's thread.
	 */
	void (*submit)(void *conn, struct sonde_io *const *ios, size_t n);

	/* Optional: what this one promises, bits of enum sonde_layer_trait. Asked once, after open. Default: 0. */
	uint32_t (*traits)(void *conn);
	/*
	 * Optional: its owner or its deadline asks for the end of a request that the layer holds. Forward it,
	 * which ends it, or end it; or do nothing, and it ends when the layer lets go of it. Never called
	 * inside submit, nor for a request that was forwarded.
	 */
	void (*cancel)(void *conn, struct sonde_io *io, int32_t why);
	/* Optional: regions, lowest first. Default: those below. */
	int (*regions)(void *conn, sonde_region_fn *fn, void *user);
	/* Optional: as sonde_space_borrow. Default: SONDE_LAYER_SAME_BYTES: what below lends; else NULL. */
	const void *(*borrow)(void *conn, uint64_t addr, size_t len);
	/* Optional: give back memory that is not needed. Below is asked as well. Default: nothing. */
	void (*trim)(void *conn);
	/* Optional: nothing that was kept of below's contents counts any more. Below is told as well. */
	void (*invalidate)(void *conn);
	/* Optional: as the connector's. Default: the answer of what is below. */
	int (*cpu)(void *conn, uint32_t index, struct sonde_cpu *ret);
	int64_t (*note)(void *conn, const char *name, void *buf, size_t cap);
	/* Optional: *info holds what is said below; change what is different. Once, after open. */
	void (*info)(void *conn, struct sonde_target_info *info);
	/* Optional: visit its figures, the most telling first; a result of fn but 0 is handed back. */
	int (*stats)(void *conn, sonde_stat_fn *fn, void *user);
	/*
	 * Optional: tell which stretches of below make up this space; the core does the moving and
	 * submit is never called. Once, after open. A result of fn but 0 is handed back.
	 */
	int (*map)(void *conn, sonde_stretch_fn *fn, void *user, struct sonde_error *err);
	/* Optional: as sonde_space_borrow_run. Default: what borrow says of all of it, or of the rest of its page. */
	const void *(*borrow_run)(void *conn, uint64_t addr, size_t cap, size_t *ret_len);
	/*
	 * Optional: there are page tables in what is below, and what they map is to be below this one instead. Once, before
	 * open; *ret is zeroed before and names them. Returns 0, or an error with err filled.
	 */
	int (*tables)(const struct sonde_host *host, const struct sonde_args *args,
		      struct sonde_tables *ret, struct sonde_error *err);
	/*
	 * Optional: as open, a second one that answers alike, over a clone of below that belongs to another loop. On
	 * that loop's thread; conn is at rest, and may go on afterwards on its own at the same time. host and args are
	 * those that open was given. Default: the space cannot be cloned.
	 */
	int (*clone)(void *conn, const struct sonde_host *host, const struct sonde_args *args,
		     void *below, void **ret_conn, struct sonde_error *err);
};

/* The exported descriptor. */
struct sonde_plugin {
	uint32_t abi;          /* SONDE_PLUGIN_ABI; always the first field         */
	uint32_t size;         /* sizeof(this) when the plugin was compiled        */
	const char *name;      /* [a-z][a-z0-9-]*, 31 at most; the CONNECTOR or LAYER word */
	const char *summary;   /* one line                                         */
	const char *main_arg;  /* key of the argument behind "name:"; NULL none    */
	const char *args_help; /* lines "key=VALUE  what it means"                 */
	const struct sonde_connector_ops *connector; /* one of the two is NULL      */
	const struct sonde_layer_ops *layer;
};

#if defined(_WIN32)
#define SONDE_PLUGIN_EXPORT __declspec(dllexport)
#else
#define SONDE_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* SONDE_PLUGIN(.name = "flat", .connector = &flat_ops, ...) at file scope, once a plugin. */
#define SONDE_PLUGIN(...)                                                                          \
	extern SONDE_PLUGIN_EXPORT const struct sonde_plugin sonde_plugin;                         \
	SONDE_PLUGIN_EXPORT const struct sonde_plugin sonde_plugin = {                             \
		.abi = SONDE_PLUGIN_ABI, .size = sizeof(struct sonde_plugin), __VA_ARGS__          \
	}

/*
 * Account for len bytes at off of one piece. A read that failed is zeroed here. The
 * stretches of a piece may come in any order, each exactly once.
 */
static inline void sonde_xfer_account(struct sonde_xfer *x, uint32_t op, uint32_t off, uint32_t len,
				      int32_t err)
{
	if (off > x->len || len > x->len - off)
		return; /* not a stretch of this piece: it ends as SONDE_E_IO for what is missing */
	if (err == 0) {
		x->done += len;
		return;
	}
	if (op == SONDE_IO_READ)
		memset((char *)x->buf + off, 0, len);
	if (x->err == 0 || off < x->err_off) {
		x->err = err;
		x->err_off = off;
	}
}

/* Tell the core that len bytes at off of piece i are final. From transfer, submit or after it. */
static inline void sonde_progress(const struct sonde_host *host, struct sonde_io *io, uint32_t i,
				  uint32_t off, uint32_t len, int32_t err)
{
	if (io->fragment)
		host->fragment(io, i, off, len, err);
	else
		sonde_xfer_account(&io->xfers[i], io->op, off, len, err);
}

/* Any thread, once each: every piece of n requests that submit took is final. */
static inline void sonde_ios_done(const struct sonde_host *host, struct sonde_io *const *ios,
				  size_t n)
{
	if (host->size >= offsetof(struct sonde_host, ios_done) + sizeof(host->ios_done)) {
		host->ios_done(ios, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		host->io_done(ios[i]);
}

#ifdef __cplusplus
}
#endif
#endif

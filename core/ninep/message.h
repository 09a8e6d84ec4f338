/* SPDX-License-Identifier: MIT */
/*
 * Messages of 9P2000.L, the protocol of file trees that diod, QEMU and Linux speak, as bytes and as
 * structs. A map of this folder:
 *
 *   message.c  bytes <-> messages, of a table; pure functions
 *   words.c    what files, flags and errors are called on the wire
 *   server.c   a listener and its sessions; session.c one of them: messages in, answers out
 *   request.c  messages to what they do on a file system: request_*.c, by kind; fid.c what a client has hold of
 *   client.c   a connection: calls by tag, their ends, fids
 *   place.c    from a path to a fid, links on the way
 *   remote.c   a file system (sonde/fs.h) of calls: remote_*.c, by kind; remote_connect.c how it begins
 *
 * Source: github.com/chaos/diod protocol.md; linux v6.1 include/net/9p/9p.h; Plan 9 manual section 5.
 */
#ifndef SONDE_NINEP_MESSAGE_H
#define SONDE_NINEP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An R is its T and one. */
enum ninep_type {
	NINEP_RLERROR = 7,
	NINEP_TSTATFS = 8,
	NINEP_TLOPEN = 12,
	NINEP_TLCREATE = 14,
	NINEP_TSYMLINK = 16,
	NINEP_TRENAME = 20,
	NINEP_TREADLINK = 22,
	NINEP_TGETATTR = 24,
	NINEP_TSETATTR = 26,
	NINEP_TXATTRWALK = 30,
	NINEP_TREADDIR = 40,
	NINEP_TFSYNC = 50,
	NINEP_TLOCK = 52,
	NINEP_TGETLOCK = 54,
	NINEP_TLINK = 70,
	NINEP_TMKDIR = 72,
	NINEP_TRENAMEAT = 74,
	NINEP_TUNLINKAT = 76,
	NINEP_TVERSION = 100,
	NINEP_TAUTH = 102,
	NINEP_TATTACH = 104,
	NINEP_TFLUSH = 108,
	NINEP_TWALK = 110,
	NINEP_TREAD = 116,
	NINEP_TWRITE = 118,
	NINEP_TCLUNK = 120,
	NINEP_TREMOVE = 122,
	NINEP_TYPES = 128,
};

enum {
	NINEP_HEAD = 7,              /* bytes: size[4] type[1] tag[2]                        */
	NINEP_NAMES = 16,            /* of one walk: MAXWELEM                                */
	NINEP_DATA_HEAD = 11,        /* bytes in front of the data of an Rread, an Rreaddir  */
	NINEP_IO_HEAD = 24,          /* ... that clients allow for: diod refuses a larger count */
	NINEP_MSIZE_MIN = 8192,      /* bytes: every message but those with data fits        */
	NINEP_MSIZE_MAX = 128 << 10, /* ... more is neither offered nor taken                */
	NINEP_QID_DIRECTORY = 0x80,
	NINEP_QID_SYMLINK = 0x02,
	NINEP_NO_TAG = 0xffff,
};
#define NINEP_NO_FID UINT32_MAX
#define NINEP_VERSION "9P2000.L"

/* Bytes somewhere else: of the message that was decoded, or of whoever encodes. */
struct ninep_text {
	const char *at;
	uint16_t len;
};

struct ninep_qid {
	uint8_t type; /* enum ninep_qid_... bits */
	uint32_t version;
	uint64_t path;
};

struct ninep_attr {
	uint64_t valid; /* NINEP_GETATTR_..., NINEP_SETATTR_... */
	uint32_t mode;  /* linux: S_IF..., permission bits       */
	uint32_t uid, gid;
	uint64_t n_links, rdev, size, block, blocks;
	uint64_t accessed_s, accessed_ns, modified_s, modified_ns;
	uint64_t changed_s, changed_ns, created_s, created_ns;
	uint64_t generation, data_version;
};

struct ninep_statfs {
	uint32_t type, block;
	uint64_t blocks, free, available, files, files_free, id;
	uint32_t name_max;
};

/* Any message: which fields it has, the table in message.c says. */
struct ninep_msg {
	uint8_t type; /* enum ninep_type, R: one more */
	uint16_t tag;
	uint16_t old_tag;
	uint32_t fid, other_fid; /* the second one of a message: newfid, dfid, afid, newdirfid */
	uint32_t msize, flags, mode, gid, uid, code, io_unit, count;
	uint64_t off, mask;
	uint8_t lock_type, lock_status;
	uint64_t lock_start, lock_length;
	uint32_t lock_process;
	struct ninep_text name, other_name; /* the second one: target, newname, aname, client_id */
	const uint8_t *data;                /* [count] */
	uint16_t n_names, n_qids;
	struct ninep_text names[NINEP_NAMES];
	struct ninep_qid qids[NINEP_NAMES];
	struct ninep_qid qid;
	union {
		struct ninep_attr attr;
		struct ninep_statfs statfs;
	};
};

/* NINEP_GETATTR_..., NINEP_SETATTR_...: linux v6.1 include/net/9p/9p.h */
#define NINEP_GETATTR_BASIC UINT64_C(0x7ff)
#define NINEP_GETATTR_CREATED UINT64_C(0x800)
enum ninep_setattr {
	NINEP_SETATTR_MODE = 0x1,
	NINEP_SETATTR_SIZE = 0x8,
	NINEP_SETATTR_MODIFIED = 0x20, /* the time of it is now, unless told */
	NINEP_SETATTR_CHANGED = 0x40,
};

/* The size a message says it has, head included, of its first four bytes. */
uint32_t ninep_size(const uint8_t *bytes);

/*
 * A whole message of len bytes. Texts and data of *ret lie in it.
 *
 * Returns true; false: no message of 9P2000.L, a field beyond its end or bytes behind the last; only
 * type and tag of *ret are told then, 0 where there is no head.
 */
bool ninep_decode(const uint8_t *bytes, size_t len, struct ninep_msg *ret);

/* Returns the bytes of a message, its size set; 0: cap is too small, or it is no message. */
size_t ninep_encode(const struct ninep_msg *msg, uint8_t *bytes, size_t cap);

struct ninep_entry {
	struct ninep_qid qid;
	uint64_t next; /* where a list goes on behind it */
	uint8_t type;  /* linux: DT_...                  */
	struct ninep_text name;
};

/* One entry of a list. Returns its bytes; 0: there is no whole one; no room. */
size_t ninep_decode_entry(const uint8_t *bytes, size_t len, struct ninep_entry *ret);
size_t ninep_encode_entry(const struct ninep_entry *entry, uint8_t *bytes, size_t cap);

#endif

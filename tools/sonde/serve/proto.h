/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the NBD protocol, and its integers: all of them big-endian.
 *
 * Source: NetworkBlockDevice/nbd doc/proto.md: "Newstyle negotiation", "Values".
 */
#ifndef SONDE_SERVE_PROTO_H
#define SONDE_SERVE_PROTO_H

#include <sonde/types.h>

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)     /* "NBDMAGIC" */
#define NBD_OPT_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REP_MAGIC UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efu

enum { NBD_PORT = 10809, NBD_STRING_MAX = 4096 };

enum nbd_handshake_flag { NBD_FIXED_NEWSTYLE = 1 << 0, NBD_NO_ZEROES = 1 << 1 };

enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
};

enum nbd_rep {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_META_CONTEXT = 4,
};
#define NBD_REP_ERR_UNSUP 0x80000001u
#define NBD_REP_ERR_POLICY 0x80000002u
#define NBD_REP_ERR_INVALID 0x80000003u
#define NBD_REP_ERR_TLS_REQD 0x80000005u
#define NBD_REP_ERR_UNKNOWN 0x80000006u

enum nbd_info {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

enum nbd_transmission_flag {
	NBD_FLAG_HAS_FLAGS = 1 << 0,
	NBD_FLAG_READ_ONLY = 1 << 1,
	NBD_FLAG_SEND_FLUSH = 1 << 2,
	NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
	NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
	NBD_FLAG_SEND_CACHE = 1 << 10,
};

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

enum nbd_command_flag {
	NBD_CMD_FLAG_NO_HOLE = 1 << 1,
	NBD_CMD_FLAG_DF = 1 << 2, /* one chunk, or none */
	NBD_CMD_FLAG_REQ_ONE = 1 << 3,
};

enum nbd_chunk {
	NBD_REPLY_OFFSET_DATA = 1,
	NBD_REPLY_OFFSET_HOLE = 2,
	NBD_REPLY_BLOCK_STATUS = 5,
	NBD_REPLY_ERROR = 0x8001,
	NBD_REPLY_ERROR_OFFSET = 0x8002,
};
enum { NBD_REPLY_FLAG_DONE = 1 << 0 };

/* Of base:allocation. */
enum nbd_state { NBD_STATE_HOLE = 1 << 0, NBD_STATE_ZERO = 1 << 1 };

enum nbd_error {
	NBD_SUCCESS = 0,
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_ENOTSUP = 95,
	NBD_ESHUTDOWN = 108,
};

/* Write an integer of size bytes, and give what is behind it. */
static inline uint8_t *nbd_put(uint8_t *at, uint32_t size, uint64_t value)
{
	sonde_store(at, size, SONDE_BIG, value);
	return at + size;
}

/* Read one, and move *at behind it. */
static inline uint64_t nbd_take(const uint8_t **at, uint32_t size)
{
	uint64_t value = sonde_load(*at, size, SONDE_BIG);

	*at += size;
	return value;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Reads and writes: a window of pieces, of which each is a message. What came counts up to the first gap. */
#include <errno.h>

#include "ninep/remote.h"

enum { WINDOW = 8 };

struct move {
	struct remote *remote;
	const struct sonde_fs_io *io;
	uint32_t fid;
	uint32_t piece; /* bytes of one message */
	struct ninep_call calls[WINDOW];
	uint32_t lens[WINDOW];
	uint32_t begun, ended; /* pieces */
	uint32_t asked, done;  /* bytes  */
	int32_t err;           /* -errno of the first piece that failed */
	bool is_over;          /* a piece was short, or failed: nothing behind it counts */
	bool is_all;           /* no more are begun */
};

static void begin_piece(struct move *move)
{
	const struct sonde_fs_io *io = move->io;
	struct ninep_call *call = &move->calls[move->begun % WINDOW];
	uint32_t left = io->len - move->asked, len = left < move->piece ? left : move->piece;
	uint8_t *at = (uint8_t *)io->buf + move->asked;
	bool writes = io->op == SONDE_FS_WRITE;
	struct ninep_msg msg = { .type = writes ? NINEP_TWRITE : NINEP_TREAD,
				 .fid = move->fid,
				 .off = io->off + move->asked,
				 .count = len,
				 .data = at };

	*call = (struct ninep_call){
		.data = writes ? NULL : at,
		.cap = len,
		.ring = &move->calls[(move->begun + 1) % WINDOW],
	};
	int32_t r = ninep_call_begin(&move->remote->client, &msg, call);
	if (r < 0) {
		move->is_all = true;
		move->err = r;
		return;
	}
	move->lens[move->begun++ % WINDOW] = len;
	move->asked += len;
}

static void end_piece(struct move *move)
{
	struct ninep_call *call = &move->calls[move->ended % WINDOW];
	uint32_t len = move->lens[move->ended++ % WINDOW];
	int32_t r = ninep_call_end(call);

	if (move->is_over)
		return;
	if (r == 0 && call->count > len)
		r = -EPROTO;
	if (r < 0)
		move->err = r;
	else
		move->done += call->count;
	move->is_over = r < 0 || call->count < len;
	move->is_all |= move->is_over;
}

static bool may_begin(const struct move *move, bool alone)
{
	uint32_t under_way = move->begun - move->ended;

	return !move->is_all && under_way < (alone ? 1u : WINDOW) &&
	       (move->asked < move->io->len || move->begun == 0);
}

static int32_t move_all(struct remote *remote, const struct remote_handle *handle,
			const struct sonde_fs_io *io)
{
	struct move move = { .remote = remote, .io = io, .fid = handle->fid };
	/* What is appended has no offset to be put in order by. */
	bool alone = io->op == SONDE_FS_WRITE && handle->flags & SONDE_FS_APPEND;

	move.piece = remote->client.msize - NINEP_IO_HEAD;
	do {
		while (may_begin(&move, alone))
			begin_piece(&move);
		if (move.ended < move.begun)
			end_piece(&move);
	} while (move.ended < move.begun || may_begin(&move, alone));
	return move.done || !move.err ? (int32_t)move.done : move.err;
}

int32_t remote_move(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	uint32_t needed = io->op == SONDE_FS_WRITE ? SONDE_FS_FOR_WRITE | SONDE_FS_APPEND
						   : (uint32_t)SONDE_FS_FOR_READ;

	if (!handle)
		return -EBADF;
	if (io->op == SONDE_FS_READ && handle->dir != NINEP_NO_FID)
		return -EISDIR;
	return handle->flags & needed ? move_all(remote, handle, io) : -EBADF;
}

int32_t remote_sync(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	struct ninep_msg msg = { .type = NINEP_TFSYNC, .flags = io->flags & SONDE_FS_DATA ? 1 : 0 };

	if (!handle)
		return -EBADF;
	msg.fid = handle->fid;
	return ninep_ask(&remote->client, &msg, NULL);
}

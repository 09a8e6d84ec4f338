/* SPDX-License-Identifier: MIT */
/* Operations on files by ring: each is one entry, filled in by one function. */
#include "io/uring_path.h"

#include <fcntl.h>
#include <linux/fs.h>

/* Source: linux v6.18 include/uapi/linux/io_uring.h; came with 6.9. */
#define OPCODE_FTRUNCATE 55

typedef void fill_fn(struct io_uring_sqe *sqe, struct path_op *op);

static void fill_open(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_openat2(sqe, op->dir, op->io->path, &op->how);
}

static void fill_close(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_close(sqe, op->io->file);
}

static void fill_sync(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_fsync(sqe, op->io->file,
			    op->flags & SONDE_FS_DATA ? IORING_FSYNC_DATASYNC : 0);
}

static void fill_set_length(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_rw(OPCODE_FTRUNCATE, sqe, op->io->file, NULL, 0, op->io->off);
}

static void fill_stat(struct io_uring_sqe *sqe, struct path_op *op)
{
	bool by_path = op->io->path;
	int flags = !by_path                         ? AT_EMPTY_PATH
		    : op->flags & SONDE_FS_NO_FOLLOW ? AT_SYMLINK_NOFOLLOW
						     : 0;

	io_uring_prep_statx(sqe, by_path ? op->dir : op->io->file, by_path ? op->io->path : "",
			    flags, PATH_STAT_MASK, &op->stat);
}

static void fill_rename(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_renameat(sqe, op->dir, op->io->path, op->to_dir, op->io->to,
			       op->flags & SONDE_FS_NO_REPLACE ? RENAME_NOREPLACE : 0);
}

static void fill_remove(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_unlinkat(sqe, op->dir, op->io->path,
			       op->flags & SONDE_FS_DIRECTORY ? AT_REMOVEDIR : 0);
}

static void fill_mkdir(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_mkdirat(sqe, op->dir, op->io->path, op->io->mode);
}

static void fill_link(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_linkat(sqe, op->dir, op->io->path, op->to_dir, op->io->to, 0);
}

static void fill_symlink(struct io_uring_sqe *sqe, struct path_op *op)
{
	io_uring_prep_symlinkat(sqe, op->io->to, op->dir, op->io->path);
}

static const struct {
	int opcode;
	fill_fn *fill; /* NULL: rings have no such entry */
} entries[SONDE_FS_N_OPS] = {
	[SONDE_FS_OPEN] = { IORING_OP_OPENAT2, fill_open },
	[SONDE_FS_CLOSE] = { IORING_OP_CLOSE, fill_close },
	[SONDE_FS_SYNC] = { IORING_OP_FSYNC, fill_sync },
	[SONDE_FS_SET_LENGTH] = { OPCODE_FTRUNCATE, fill_set_length },
	[SONDE_FS_STAT] = { IORING_OP_STATX, fill_stat },
	[SONDE_FS_RENAME] = { IORING_OP_RENAMEAT, fill_rename },
	[SONDE_FS_REMOVE] = { IORING_OP_UNLINKAT, fill_remove },
	[SONDE_FS_MKDIR] = { IORING_OP_MKDIRAT, fill_mkdir },
	[SONDE_FS_LINK] = { IORING_OP_LINKAT, fill_link },
	[SONDE_FS_SYMLINK] = { IORING_OP_SYMLINKAT, fill_symlink },
};

/* By path, BENEATH takes more than one call, except where it opens; so does a file without a name. */
static bool is_one_call(const struct path_op *op)
{
	if (op->io->op == SONDE_FS_LINK && !op->io->path)
		return false;
	return !(op->flags & SONDE_FS_BENEATH) || op->io->op == SONDE_FS_OPEN || !op->io->path;
}

bool uring_path_start(struct uring_path *paths, struct path_op *op)
{
	uint32_t kind = op->io->op;
	struct io_uring_sqe *sqe;

	if (!(paths->known & 1u << kind) || !is_one_call(op))
		return false;
	sqe = io_uring_get_sqe(paths->ring);
	if (!sqe)
		return false;
	entries[kind].fill(sqe, op);
	sqe->user_data = (uint64_t)(uintptr_t)op | URING_PATH_TAG;
	return true;
}

void uring_path_completed(uint64_t user_data, int32_t result)
{
	struct path_op *op = (struct path_op *)(uintptr_t)(user_data & ~URING_PATH_TAG);

	op->op.result = result;
	op->op.done(&op->op);
}

void uring_path_open(struct uring_path *paths, struct io_uring *ring,
		     const struct io_uring_probe *probe)
{
	paths->ring = ring;
	for (uint32_t kind = 0; kind < SONDE_FS_N_OPS; kind++) {
		if (entries[kind].fill && io_uring_opcode_supported(probe, entries[kind].opcode))
			paths->known |= 1u << kind;
	}
}

/* SPDX-License-Identifier: MIT */
/* What a request must be like before a file system sees it: one line a kind. */
#include "fs/fs.h"

#include <stddef.h>

enum need {
	PATH = 1u << 0,      /* path                                */
	FILE_TOO = 1u << 1,  /* with PATH: or file, where it is NULL */
	HANDLE = 1u << 2,    /* file                                */
	TO = 1u << 3,        /* to                                  */
	TO_HANDLE = 1u << 4, /* to_file, to_off                     */
	OFF = 1u << 5,       /* off                                 */
	BYTES = 1u << 6,     /* buf, len                            */
	ROOM = 1u << 7,      /* ... at least LIST_MIN               */
	MODE = 1u << 8,      /* mode                                */
	INFO = 1u << 9,      /* info                                */
};

#define FOR_WRITE (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND)
#define FOR_ANY (FOR_WRITE | SONDE_FS_FOR_READ)

static const struct {
	uint32_t needs, flags;
} kinds[SONDE_FS_N_OPS] = {
	[SONDE_FS_OPEN] = { PATH | MODE, FOR_ANY | SONDE_FS_CREATE | SONDE_FS_EXCLUSIVE |
						 SONDE_FS_TRUNCATE | SONDE_FS_DIRECT |
						 SONDE_FS_DIRECTORY | SONDE_FS_NO_FOLLOW |
						 SONDE_FS_UNNAMED },
	[SONDE_FS_CLOSE] = { HANDLE, 0 },
	[SONDE_FS_READ] = { HANDLE | OFF | BYTES, 0 },
	[SONDE_FS_WRITE] = { HANDLE | OFF | BYTES, 0 },
	[SONDE_FS_SYNC] = { HANDLE, SONDE_FS_DATA },
	[SONDE_FS_SET_LENGTH] = { HANDLE | OFF, 0 },
	[SONDE_FS_STAT] = { PATH | FILE_TOO | INFO, SONDE_FS_NO_FOLLOW },
	[SONDE_FS_SET_MODE] = { PATH | FILE_TOO | MODE, 0 },
	[SONDE_FS_RENAME] = { PATH | TO, SONDE_FS_NO_REPLACE },
	[SONDE_FS_REMOVE] = { PATH, SONDE_FS_DIRECTORY },
	[SONDE_FS_MKDIR] = { PATH | MODE, 0 },
	[SONDE_FS_LINK] = { PATH | FILE_TOO | TO, 0 },
	[SONDE_FS_SYMLINK] = { PATH | TO, 0 },
	[SONDE_FS_READ_LINK] = { PATH | BYTES, 0 },
	[SONDE_FS_LIST] = { HANDLE | OFF | BYTES | ROOM, 0 },
	[SONDE_FS_COPY] = { HANDLE | OFF | TO_HANDLE, 0 },
};

/* Combinations that POSIX leaves open, or that say nothing. */
static bool open_is_valid(uint32_t flags)
{
	bool writes = flags & FOR_WRITE;

	if (flags & SONDE_FS_UNNAMED)
		return flags & SONDE_FS_FOR_WRITE &&
		       !(flags & (SONDE_FS_CREATE | SONDE_FS_EXCLUSIVE | SONDE_FS_TRUNCATE |
				  SONDE_FS_DIRECTORY | SONDE_FS_NO_FOLLOW));
	if (flags & SONDE_FS_DIRECTORY)
		return !writes && !(flags & (SONDE_FS_CREATE | SONDE_FS_DIRECT));
	if (!(flags & FOR_ANY))
		return false;
	if (flags & SONDE_FS_EXCLUSIVE && !(flags & SONDE_FS_CREATE))
		return false;
	return writes || !(flags & SONDE_FS_TRUNCATE);
}

static bool names_are_valid(const struct sonde_fs_io *io, uint32_t needs)
{
	bool by_file = needs & HANDLE || (needs & FILE_TOO && !io->path);

	if (needs & PATH && !io->path && !(needs & FILE_TOO))
		return false;
	if (by_file && io->file < 0)
		return false;
	if (needs & PATH && io->path && io->dir < SONDE_FS_ROOT)
		return false;
	if (needs & TO && (!io->to || io->to_dir < SONDE_FS_ROOT))
		return false;
	return !(needs & TO_HANDLE) || io->to_file >= 0;
}

static bool range_is_valid(uint64_t off, uint32_t len)
{
	return off <= INT64_MAX && len <= INT64_MAX - off;
}

static bool numbers_are_valid(const struct sonde_fs_io *io, uint32_t needs)
{
	if (io->len > INT32_MAX)
		return false;
	if (needs & BYTES && io->len && !io->buf)
		return false;
	if (needs & ROOM && io->len < SONDE_FS_LIST_MIN)
		return false;
	/* Where a list goes on is a mark, and no number of bytes. */
	if (needs & OFF && !range_is_valid(io->off, needs & ROOM ? 0 : io->len))
		return false;
	if (needs & TO_HANDLE && !range_is_valid(io->to_off, io->len))
		return false;
	if (needs & MODE && io->mode & ~07777u)
		return false;
	return !(needs & INFO) || io->info;
}

bool fs_moves_bytes(uint32_t op)
{
	return kinds[op].needs & (BYTES | TO_HANDLE);
}

bool fs_io_is_valid(const struct sonde_fs_io *io)
{
	if (!io->done || io->state != SONDE_IO_IDLE || io->op >= SONDE_FS_N_OPS)
		return false;
	if (io->flags & ~(kinds[io->op].flags | SONDE_FS_BENEATH))
		return false;
	if (io->op == SONDE_FS_OPEN && !open_is_valid(io->flags))
		return false;
	return names_are_valid(io, kinds[io->op].needs) &&
	       numbers_are_valid(io, kinds[io->op].needs);
}

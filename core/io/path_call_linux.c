/* SPDX-License-Identifier: MIT */
/*
 * Operations on files, each as the call that blocks. BENEATH: openat2(2) has it for what is opened;
 * for all else the directory of the last name is opened with it, and the call is of that name alone.
 */
#include "io/path_op.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RETRIES 16 /* EAGAIN of openat2: somebody renamed what it was in */

static int32_t outcome(long r)
{
	return r < 0 ? -errno : (int32_t)r;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static const struct {
	uint32_t flag;
	int os;
} open_flags[] = {
	{ SONDE_FS_CREATE, O_CREAT },       { SONDE_FS_EXCLUSIVE, O_EXCL },
	{ SONDE_FS_TRUNCATE, O_TRUNC },     { SONDE_FS_APPEND, O_APPEND },
	{ SONDE_FS_DIRECT, O_DIRECT },      { SONDE_FS_DIRECTORY, O_DIRECTORY },
	{ SONDE_FS_NO_FOLLOW, O_NOFOLLOW }, { SONDE_FS_UNNAMED, O_TMPFILE },
};

static int access_mode(uint32_t flags)
{
	if (!(flags & (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND)))
		return O_RDONLY;
	return flags & SONDE_FS_FOR_READ ? O_RDWR : O_WRONLY;
}

/* A pipe without another end is opened at once: O_NONBLOCK, which nothing of a regular file needs. */
void path_prepare_open(struct path_op *op)
{
	int os = access_mode(op->flags) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	for (size_t i = 0; i < sizeof(open_flags) / sizeof(open_flags[0]); i++) {
		if (op->flags & open_flags[i].flag)
			os |= open_flags[i].os;
	}
	op->how = (struct open_how){ .flags = (uint32_t)os };
	if (op->flags & (SONDE_FS_CREATE | SONDE_FS_UNNAMED))
		op->how.mode = op->io->mode;
	if (op->flags & SONDE_FS_BENEATH)
		op->how.resolve = RESOLVE_BENEATH;
}

static int32_t open_how(int dir, const char *path, const struct open_how *how)
{
	int32_t r = -EAGAIN;

	if (!how->resolve) {
		do
			r = outcome(openat(dir, path, (int)how->flags, (mode_t)how->mode));
		while (r == -EINTR);
		return r;
	}
	for (int i = 0; i < RETRIES && (r == -EAGAIN || r == -EINTR); i++)
		r = outcome(syscall(SYS_openat2, dir, path, how, sizeof(*how)));
	return path_beneath(r);
}

static int32_t call_open(const struct path_op *op)
{
	return open_how(op->dir, op->io->path, &op->how);
}

/* ---- where a name is ------------------------------------------------------------------------------ */

/* A directory and a name in it; fd: the directory, to be closed, -1: it is the caller's. */
struct place {
	int dir, fd;
	const char *name;
};

/* Copied, for the directory's path ends where a name begins. */
static int open_parent(int dir, const char *path, size_t len)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH };
	char *parent = len ? strndup(path, len) : strdup(".");

	if (!parent)
		return -ENOMEM;
	int fd = open_how(dir, parent, &how);
	free(parent);
	return fd;
}

/* Returns 0 or -errno. */
static int32_t find_place(const struct path_op *op, int dir, const char *path, struct place *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	*ret = (struct place){ .dir = dir, .fd = -1, .name = path };
	if (!(op->flags & SONDE_FS_BENEATH))
		return 0;
	if (strlen(path) > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	if (*path == '/' || strcmp(name, "..") == 0)
		return -EACCES;
	if (slash && !*name)
		return -EINVAL;
	int fd = open_parent(dir, path, (size_t)(name - path));
	if (fd < 0)
		return fd;
	*ret = (struct place){ .dir = fd, .fd = fd, .name = name };
	return 0;
}

static void leave_place(const struct place *place)
{
	if (place->fd >= 0)
		close(place->fd);
}

/* What call does with the place of the path. */
static int32_t at_place(const struct path_op *op,
			int32_t (*call)(const struct path_op *op, const struct place *at))
{
	struct place at;
	int32_t r = find_place(op, op->dir, op->io->path, &at);

	if (r < 0)
		return r;
	r = call(op, &at);
	leave_place(&at);
	return r;
}

/* What call does with the places of both paths. */
static int32_t at_places(const struct path_op *op,
			 int32_t (*call)(const struct path_op *op, const struct place *from,
					 const struct place *to))
{
	struct place from, to;
	int32_t r = find_place(op, op->dir, op->io->path, &from);

	if (r < 0)
		return r;
	r = find_place(op, op->to_dir, op->io->to, &to);
	if (r >= 0) {
		r = call(op, &from, &to);
		leave_place(&to);
	}
	leave_place(&from);
	return r;
}

/* ---- what a file is ------------------------------------------------------------------------------- */

/* The path that leads through a descriptor to what it is open on. */
#define SELF_PATH 32
static void self_path(char path[SELF_PATH], int fd)
{
	snprintf(path, SELF_PATH, "/proc/self/fd/%d", fd);
}

static int32_t stat_fd(const struct path_op *op, int fd)
{
	return outcome(statx(fd, "", AT_EMPTY_PATH, PATH_STAT_MASK, (struct statx *)&op->stat));
}

static int open_beneath(const struct path_op *op, int os)
{
	const struct open_how how = { .flags = (uint32_t)(O_PATH | O_CLOEXEC | os),
				      .resolve = RESOLVE_BENEATH };

	return open_how(op->dir, op->io->path, &how);
}

static int32_t call_stat(const struct path_op *op)
{
	bool no_follow = op->flags & SONDE_FS_NO_FOLLOW;

	if (!op->io->path)
		return stat_fd(op, op->io->file);
	if (!(op->flags & SONDE_FS_BENEATH))
		return outcome(statx(op->dir, op->io->path, no_follow ? AT_SYMLINK_NOFOLLOW : 0,
				     PATH_STAT_MASK, (struct statx *)&op->stat));
	int fd = open_beneath(op, no_follow ? O_NOFOLLOW : 0);
	if (fd < 0)
		return fd;
	int32_t r = stat_fd(op, fd);
	close(fd);
	return r;
}

static int32_t call_set_mode(const struct path_op *op)
{
	char path[SELF_PATH];

	if (!op->io->path)
		return outcome(fchmod(op->io->file, op->io->mode));
	if (!(op->flags & SONDE_FS_BENEATH))
		return outcome(fchmodat(op->dir, op->io->path, op->io->mode, 0));
	int fd = open_beneath(op, 0);
	if (fd < 0)
		return fd;
	self_path(path, fd);
	int32_t r = outcome(chmod(path, op->io->mode));
	close(fd);
	return r;
}

static int32_t call_sync(const struct path_op *op)
{
	int fd = op->io->file;

	return outcome(op->flags & SONDE_FS_DATA ? fdatasync(fd) : fsync(fd));
}

static int32_t call_set_length(const struct path_op *op)
{
	return outcome(ftruncate(op->io->file, (off_t)op->io->off));
}

/* Linux frees the number whatever close answers. */
static int32_t call_close(const struct path_op *op)
{
	int32_t r = outcome(close(op->io->file));

	return r == -EINTR ? 0 : r;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int32_t rename_at(const struct path_op *op, const struct place *from, const struct place *to)
{
	unsigned flags = op->flags & SONDE_FS_NO_REPLACE ? RENAME_NOREPLACE : 0;

	return outcome(renameat2(from->dir, from->name, to->dir, to->name, flags));
}

static int32_t call_rename(const struct path_op *op)
{
	return at_places(op, rename_at);
}

static int32_t remove_at(const struct path_op *op, const struct place *at)
{
	int flags = op->flags & SONDE_FS_DIRECTORY ? AT_REMOVEDIR : 0;

	return outcome(unlinkat(at->dir, at->name, flags));
}

static int32_t call_remove(const struct path_op *op)
{
	return at_place(op, remove_at);
}

static int32_t mkdir_at(const struct path_op *op, const struct place *at)
{
	return outcome(mkdirat(at->dir, at->name, op->io->mode));
}

static int32_t call_mkdir(const struct path_op *op)
{
	return at_place(op, mkdir_at);
}

static int32_t symlink_at(const struct path_op *op, const struct place *at)
{
	return outcome(symlinkat(op->io->to, at->dir, at->name));
}

static int32_t call_symlink(const struct path_op *op)
{
	return at_place(op, symlink_at);
}

static int32_t read_link_at(const struct path_op *op, const struct place *at)
{
	return outcome(readlinkat(at->dir, at->name, op->io->buf, op->io->len));
}

static int32_t call_read_link(const struct path_op *op)
{
	return at_place(op, read_link_at);
}

static int32_t link_at(const struct path_op *op, const struct place *from, const struct place *to)
{
	(void)op;
	return outcome(linkat(from->dir, from->name, to->dir, to->name, 0));
}

/* A file without a name: through its descriptor, which needs no privilege, as AT_EMPTY_PATH does. */
static int32_t link_file(const struct path_op *op)
{
	struct place to;
	char path[SELF_PATH];
	int32_t r = find_place(op, op->to_dir, op->io->to, &to);

	if (r < 0)
		return r;
	self_path(path, op->io->file);
	r = outcome(linkat(AT_FDCWD, path, to.dir, to.name, AT_SYMLINK_FOLLOW));
	leave_place(&to);
	return r;
}

static int32_t call_link(const struct path_op *op)
{
	return op->io->path ? at_places(op, link_at) : link_file(op);
}

/* ---- directories ---------------------------------------------------------------------------------- */

/* The kernel's entries and ours differ in what a kind is called only. */
_Static_assert(offsetof(struct sonde_fs_entry, next) == offsetof(struct dirent64, d_off) &&
		       offsetof(struct sonde_fs_entry, size) ==
			       offsetof(struct dirent64, d_reclen) &&
		       offsetof(struct sonde_fs_entry, kind) == offsetof(struct dirent64, d_type) &&
		       offsetof(struct sonde_fs_entry, name) == offsetof(struct dirent64, d_name),
	       "entries are changed where they lie");

static uint8_t kind_of_entry(uint8_t type)
{
	switch (type) {
	case DT_UNKNOWN:
		return SONDE_KIND_UNKNOWN;
	case DT_REG:
		return SONDE_KIND_FILE;
	case DT_DIR:
		return SONDE_KIND_DIRECTORY;
	case DT_LNK:
		return SONDE_KIND_SYMLINK;
	default:
		return SONDE_KIND_OTHER;
	}
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Without "." and "..": what follows moves up. Returns how many bytes are left. */
static int32_t translate(char *buf, int32_t len)
{
	int32_t kept = 0, size;

	for (int32_t at = 0; at < len; at += size) {
		struct sonde_fs_entry *entry = (struct sonde_fs_entry *)(void *)(buf + at);
		size = entry->size;
		entry->kind = kind_of_entry(entry->kind);
		if (is_dots(entry->name))
			continue;
		memmove(buf + kept, entry, (size_t)size);
		kept += size;
	}
	return kept;
}

static int32_t call_list(const struct path_op *op)
{
	const struct sonde_fs_io *io = op->io;
	int32_t r, kept;

	if (lseek(io->file, (off_t)io->off, SEEK_SET) < 0)
		return errno == ESPIPE ? -ENOTDIR : -errno;
	do {
		r = outcome(getdents64(io->file, io->buf, io->len));
		kept = r > 0 ? translate(io->buf, r) : r;
	} while (r > 0 && kept == 0);
	return kept;
}

/* ---- copying -------------------------------------------------------------------------------------- */

static bool cannot_copy(int os_code)
{
	return os_code == EXDEV || os_code == EINVAL || os_code == ENOSYS || os_code == EPERM ||
	       os_code == ETXTBSY;
}

static int32_t call_copy(const struct path_op *op)
{
	const struct sonde_fs_io *io = op->io;
	off_t from = (off_t)io->off, to = (off_t)io->to_off;
	int32_t r = outcome(copy_file_range(io->file, &from, io->to_file, &to, io->len, 0));

	return r < 0 && cannot_copy(-r) ? -EOPNOTSUPP : r;
}

static int32_t (*const calls[SONDE_FS_N_OPS])(const struct path_op *op) = {
	[SONDE_FS_OPEN] = call_open,       [SONDE_FS_CLOSE] = call_close,
	[SONDE_FS_SYNC] = call_sync,       [SONDE_FS_SET_LENGTH] = call_set_length,
	[SONDE_FS_STAT] = call_stat,       [SONDE_FS_SET_MODE] = call_set_mode,
	[SONDE_FS_RENAME] = call_rename,   [SONDE_FS_REMOVE] = call_remove,
	[SONDE_FS_MKDIR] = call_mkdir,     [SONDE_FS_LINK] = call_link,
	[SONDE_FS_SYMLINK] = call_symlink, [SONDE_FS_READ_LINK] = call_read_link,
	[SONDE_FS_LIST] = call_list,       [SONDE_FS_COPY] = call_copy,
};

int32_t path_call(const struct path_op *op)
{
	int32_t r;

	if (!calls[op->io->op])
		return -EOPNOTSUPP;
	do
		r = calls[op->io->op](op);
	while (r == -EINTR);
	return r;
}

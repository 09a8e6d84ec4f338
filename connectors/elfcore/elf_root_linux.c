/* SPDX-License-Identifier: MIT */
#include "elf_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define RETRIES 16 /* EAGAIN of openat2: somebody renamed what it was in */

int elf_root_open(const char *folder)
{
	return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static const char *reason(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return "not there";
	case EACCES:
	case EPERM:
		return "no access";
	case ELOOP:
		return "its links lead nowhere";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	case ENAMETOOLONG:
		return "its name is too long";
	case ENOSYS:
		return "this kernel has no openat2(2)";
	default:
		return "cannot be opened";
	}
}

/* What path names, as a place: nothing is opened. Returns a descriptor; -1 and errno. */
static int find(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = -1;

	for (int i = 0; i < RETRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

/* What reads these, in /proc, /sys and below them, asks the kernel, or a device. */
static int is_made_up(int fd)
{
	static const unsigned kinds[] = {
		PROC_SUPER_MAGIC,   BINFMTFS_MAGIC,      SYSFS_MAGIC,          DEBUGFS_MAGIC,
		TRACEFS_MAGIC,      SECURITYFS_MAGIC,    SELINUX_MAGIC,        SMACK_MAGIC,
		CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, RDTGROUP_SUPER_MAGIC, BPF_FS_MAGIC,
		PSTOREFS_MAGIC,     EFIVARFS_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((unsigned)fs.f_type == kinds[i])
			return 1;
	}
	return 0;
}

/* The regular file that place is. Returns a descriptor; -1. */
static int open_regular(int place, uint64_t *ret_size, const char **ret_why)
{
	struct stat st;
	char path[32];

	if (fstat(place, &st) < 0 || !S_ISREG(st.st_mode) || is_made_up(place)) {
		*ret_why = "no regular file";
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, flags | O_NOATIME); /* evidence: its times stay */
	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	if (fd < 0)
		*ret_why = reason(errno);
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

int elf_root_file(int root, const char *path, uint64_t *ret_size, const char **ret_why)
{
	int place = find(root, path);

	if (place < 0) {
		*ret_why = reason(errno);
		return -1;
	}
	int fd = open_regular(place, ret_size, ret_why);
	close(place);
	return fd;
}

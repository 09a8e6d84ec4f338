/* SPDX-License-Identifier: MIT */
/*
 * Shared objects and file ownership on POSIX systems. A plugin runs with our rights,
 * so neither it nor the folder it lies in may be in the hands of anyone else.
 */
#include "plug/dl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The loader tells in words only. Is it that the process has nothing left to open a file with? */
static int code_of_failure(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return SONDE_E_BAD_FORMAT;
	}
	int code = sonde_error_os(NULL, errno, "%s", path);
	return code == SONDE_E_EXHAUSTED || code == SONDE_E_NO_MEMORY ? code : SONDE_E_BAD_FORMAT;
}

void *dl_open(const char *path, int *ret_code, char *why, size_t cap)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle)
		return handle;
	*ret_code = code_of_failure(path);

	/* glibc puts the path in front; the caller has said it already. */
	const char *text = dlerror();
	size_t len = strlen(path);
	if (text && strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	snprintf(why, cap, "%s", text ? text : "cannot be loaded");
	return NULL;
}

void dl_close(void *handle)
{
	dlclose(handle);
}

const void *dl_symbol(void *handle, const char *name, size_t *ret_size)
{
	const void *at = dlsym(handle, name);

	*ret_size = 0;
#ifdef __GLIBC__ /* which alone has dladdr1 */
	const ElfW(Sym) *entry = NULL;
	Dl_info info;
	if (at && dladdr1(at, &info, (void **)&entry, RTLD_DL_SYMENT) && entry)
		*ret_size = entry->st_size;
#endif
	return at;
}

static int check_stat(const struct stat *st, char *why, size_t cap)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		snprintf(why, cap, "belongs to user %u, who is neither root nor you",
			 (unsigned)st->st_uid);
		return 0;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(why, cap, "mode %04o: %s may write to it; chmod go-w",
			 (unsigned)(st->st_mode & 07777),
			 st->st_mode & S_IWOTH ? "others" : "its group");
		return 0;
	}
	return 1;
}

int dl_check_folder(const char *path, char *why, size_t cap)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		snprintf(why, cap, "%s", strerror(errno));
		return errno == ENOENT ? -1 : 0;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(why, cap, "not a folder");
		return 0;
	}
	return check_stat(&st, why, cap);
}

/* A link may lead out of the folder that was checked: its end and the folder there count too. */
int dl_check_file(const char *path, char *why, size_t cap)
{
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0) {
		snprintf(why, cap, "%s", strerror(errno));
		return errno == ENOENT ? -1 : 0;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, cap, "not a regular file");
		return 0;
	}
	if (!check_stat(&st, why, cap))
		return 0;

	char folder_why[160];
	int r = dl_check_folder(dirname(real), folder_why, sizeof(folder_why));
	if (r != 1) {
		snprintf(why, cap, "its folder %.200s: %s", real, folder_why);
		return 0;
	}
	return 1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int has_suffix(const char *name)
{
	size_t len = strlen(name), suffix = strlen(DL_SUFFIX);

	return len > suffix && name[0] != '.' && strcmp(name + len - suffix, DL_SUFFIX) == 0;
}

int dl_list(struct arena *arena, const char *folder, const char *const **ret)
{
	const char **names = arena_array(arena, DL_FILES_MAX, sizeof(*names));
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	if (!dir || !names) {
		int os_code = errno;
		if (dir)
			closedir(dir);
		return names ? sonde_error_os(NULL, os_code, "%s", folder) : SONDE_E_NO_MEMORY;
	}
	while (n < DL_FILES_MAX && (entry = readdir(dir))) {
		if (!has_suffix(entry->d_name))
			continue;
		names[n] = arena_strndup(arena, entry->d_name, strlen(entry->d_name));
		if (!names[n])
			break;
		n++;
	}
	closedir(dir);
	qsort(names, (size_t)n, sizeof(*names), compare_names);
	*ret = names;
	return n;
}

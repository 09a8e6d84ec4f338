/* SPDX-License-Identifier: MIT */
/* Processes by name: one pass over /proc, each asked what it is called. */
#include "names.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_MAX 8 /* candidates that a message names */

struct candidates {
	const char *name;
	pid_t pids[SHOWN_MAX];
	size_t n;
};

void names_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* Up to cap - 1 bytes of a file below the folder at, terminated; how many. */
static size_t read_at(int at, const char *file, char *text, size_t cap)
{
	int fd = openat(at, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, cap - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static int is_program(int folder, const char *name)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlinkat(folder, "exe", path, sizeof(path) - 1);

	if (n <= 0)
		return 0;
	path[n] = '\0';
	char *tail = n > (ssize_t)sizeof(deleted) ? path + n - (sizeof(deleted) - 1) : path;
	if (strcmp(tail, deleted) == 0)
		*tail = '\0';
	const char *base = strrchr(path, '/');
	return strcmp(base ? base + 1 : path, name) == 0;
}

/* A kernel thread and a zombie have no command line. */
static int is_called(int folder, const char *name)
{
	char comm[32], first[2];

	read_at(folder, "comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	return (strcmp(comm, name) == 0 || is_program(folder, name)) &&
	       read_at(folder, "cmdline", first, sizeof(first)) > 0;
}

static void look_at(struct candidates *found, int proc, const char *entry)
{
	char *end;
	long pid = strtol(entry, &end, 10);

	if (*end || pid <= 0 || pid > INT_MAX || pid == getpid())
		return;
	int folder = openat(proc, entry, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return;
	if (is_called(folder, found->name)) {
		if (found->n < SHOWN_MAX)
			found->pids[found->n] = (pid_t)pid;
		found->n++;
	}
	close(folder);
}

/* A command line in one line, cut. */
static void join_args(char *line, size_t len)
{
	for (size_t k = 0; k + 1 < len; k++)
		line[k] = line[k] ? line[k] : ' ';
	names_printable(line);
}

/* "12 (sleep 60), 15 (sleep 70)" */
static void list(const struct candidates *found, char *text, size_t cap)
{
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < found->n && i < SHOWN_MAX && at < cap; i++) {
		char path[32], line[40];
		snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)found->pids[i]);
		size_t len = read_at(AT_FDCWD, path, line, sizeof(line));
		join_args(line, len);
		at += (size_t)snprintf(text + at, cap - at, "%s%d (%s)", i ? ", " : "",
				       (int)found->pids[i], line);
	}
}

int names_find(const struct sonde_host *host, const char *name, pid_t *ret, struct sonde_error *err)
{
	struct candidates found = { .name = name };
	char shown[400];
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc)))
		look_at(&found, dirfd(proc), entry->d_name);
	if (proc)
		closedir(proc);
	if (found.n == 1) {
		*ret = found.pids[0];
		return 0;
	}
	if (found.n == 0)
		return host->error_set(
			err, SONDE_E_NOT_FOUND,
			"process: '%.60s': no process is called so; 'sonde ps native' "
			"lists them",
			name);
	list(&found, shown, sizeof(shown));
	return host->error_set(
		err, SONDE_E_AMBIGUOUS,
		"process: '%.20s': %zu processes are called so, write process:PID: %s%s", name,
		found.n, shown, found.n > SHOWN_MAX ? ", ..." : "");
}

static int visit(int proc, const char *entry, names_fn *fn, void *user)
{
	char comm[32], stat[512], args[80], *end;
	long pid = strtol(entry, &end, 10);
	int folder = *end || pid <= 0 || pid > INT_MAX
			     ? -1
			     : openat(proc, entry, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return 0;
	read_at(folder, "comm", comm, sizeof(comm));
	read_at(folder, "stat", stat, sizeof(stat));
	size_t len = read_at(folder, "cmdline", args, sizeof(args));
	close(folder);
	const char *behind = strrchr(stat, ')');
	if (len == 0 || !behind || behind[1] != ' ')
		return 0;
	comm[strcspn(comm, "\n")] = '\0';
	names_printable(comm);
	join_args(args, len);
	return fn(user, (pid_t)pid, comm, behind[2], args);
}

int names_each(names_fn *fn, void *user)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int r = proc ? 0 : SONDE_E_NO_ACCESS;

	while (r == 0 && (entry = readdir(proc)))
		r = visit(dirfd(proc), entry->d_name, fn, user);
	if (proc)
		closedir(proc);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads: a folder of /proc each, and of it only the files that were asked for. One that ends
 * meanwhile is left out; what we may not see of one is missing from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "native/native.h"

#define STAT_MAX (4u << 10)
#define STATUS_MAX (64u << 10)
#define CMDLINE_MAX (1u << 20)
#define PATH_BYTES 4096u

struct reading {
	struct native_os *native;
	struct sonde_processes *list;
	uint32_t fields;
	uint64_t page_size;
	struct proc_text text;
};

static void fail(struct sonde_process *p, uint32_t field, int32_t err)
{
	p->missing |= field;
	if (!p->err)
		p->err = err;
}

/* Returns 0; SONDE_E_GONE: it is none any more. */
static int read_stat(struct reading *reading, int folder, struct sonde_process *p)
{
	struct proc_stat stat;
	int r = proc_read(folder, "stat", STAT_MAX, &reading->text);

	if (r == SONDE_E_GONE || r == SONDE_E_NO_MEMORY)
		return r;
	if (r == 0 && !proc_parse_stat(reading->text.text, &stat))
		r = SONDE_E_CORRUPT;
	if (r < 0) {
		p->state = '?';
		fail(p,
		     reading->fields &
			     (SONDE_PROCESS_IDENTITY | SONDE_PROCESS_TIMES | SONDE_PROCESS_MEMORY),
		     r);
		return 0;
	}
	p->ppid = stat.ppid;
	p->state = stat.state;
	p->kernel_thread = (stat.flags & PROC_KTHREAD) != 0;
	p->n_threads = (uint32_t)stat.n_threads;
	p->start_ns = stat.start_ticks * reading->native->tick_ns;
	p->vsize = stat.vsize;
	p->rss = stat.rss_pages * reading->page_size;
	p->name = arena_strndup(&reading->list->arena, stat.name, strlen(stat.name));
	return p->name ? 0 : SONDE_E_NO_MEMORY;
}

static void read_cred(struct reading *reading, int folder, struct sonde_process *p)
{
	uint64_t uid[2], gid[2];
	int r = proc_read(folder, "status", STATUS_MAX, &reading->text);

	if (r == 0 && (!proc_parse_status(reading->text.text, "Uid", uid, 2) ||
		       !proc_parse_status(reading->text.text, "Gid", gid, 2)))
		r = SONDE_E_CORRUPT;
	if (r < 0) {
		fail(p, SONDE_PROCESS_CRED, r);
		return;
	}
	p->uid = (uint32_t)uid[0];
	p->euid = (uint32_t)uid[1];
	p->gid = (uint32_t)gid[0];
	p->egid = (uint32_t)gid[1];
}

/* A kernel thread and a zombie have none: the file is empty. */
static void read_cmdline(struct reading *reading, int folder, struct sonde_process *p)
{
	int r = proc_read(folder, "cmdline", CMDLINE_MAX, &reading->text);

	if (r == 0 && reading->text.len > 0) {
		p->cmdline =
			arena_strndup(&reading->list->arena, reading->text.text, reading->text.len);
		p->cmdline_len = p->cmdline ? reading->text.len : 0;
		r = p->cmdline ? 0 : SONDE_E_NO_MEMORY;
	}
	if (r < 0)
		fail(p, SONDE_PROCESS_CMDLINE, r);
}

static void read_exe(struct reading *reading, int folder, struct sonde_process *p)
{
	char path[PATH_BYTES];
	ssize_t n = readlinkat(folder, "exe", path, sizeof(path));
	int r = n < 0 ? proc_code(errno) : 0;

	if (r == SONDE_E_GONE) /* it has none, like a kernel thread */
		return;
	if (r == 0) {
		p->exe = arena_strndup(&reading->list->arena, path, (size_t)n);
		r = p->exe ? 0 : SONDE_E_NO_MEMORY;
	}
	if (r < 0)
		fail(p, SONDE_PROCESS_EXE, r);
}

/* Returns 0, also of one that has ended meanwhile; SONDE_E_NO_MEMORY. */
static int read_task(struct reading *reading, int folder, int32_t pid, int32_t tgid)
{
	struct sonde_process p = { .pid = pid, .tgid = tgid };
	int r = read_stat(reading, folder, &p);

	if (r < 0)
		return r == SONDE_E_GONE ? 0 : r;
	if (reading->fields & SONDE_PROCESS_CRED)
		read_cred(reading, folder, &p);
	if (reading->fields & SONDE_PROCESS_CMDLINE)
		read_cmdline(reading, folder, &p);
	if (reading->fields & SONDE_PROCESS_EXE)
		read_exe(reading, folder, &p);
	struct sonde_process *added = processes_add(reading->list);
	if (!added)
		return SONDE_E_NO_MEMORY;
	*added = p;
	return 0;
}

static int read_threads(struct reading *reading, int folder, int32_t tgid)
{
	char name[16];
	int32_t *tids;
	size_t n;
	int r = proc_numbers(folder, "task", &tids, &n);
	int tasks = r < 0 ? r : proc_open_folder(folder, "task");

	if (r < 0)
		return r == SONDE_E_GONE ? 0 : r;
	for (size_t i = 0; i < n && tasks >= 0 && r == 0; i++) {
		snprintf(name, sizeof(name), "%d", tids[i]);
		int task = proc_open_folder(tasks, name);
		if (task < 0)
			continue;
		r = read_task(reading, task, tids[i], tgid);
		close(task);
	}
	if (tasks >= 0)
		close(tasks);
	free(tids);
	return r;
}

static int read_one(struct reading *reading, enum os_tasks what, int32_t pid,
		    struct sonde_error *err)
{
	int folder = native_folder(reading->native, pid, err);

	if (folder < 0)
		return folder;
	int32_t tgid = pid ? pid : reading->native->pid;
	int r = what == OS_THREADS ? read_threads(reading, folder, tgid)
				   : read_task(reading, folder, tgid, tgid);
	close(folder);
	if (r == 0 && reading->list->n == 0)
		return sonde_error_set(err, SONDE_E_GONE, "native: process %d has ended", tgid);
	return r < 0 ? sonde_error_set(err, r, "native: process %d: %s", tgid, sonde_strerror(r))
		     : r;
}

static int by_pid(const void *a, const void *b)
{
	const struct sonde_process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int read_all(struct reading *reading, enum os_tasks what, struct sonde_error *err)
{
	int32_t *pids;
	size_t n;
	int r = proc_numbers(reading->native->proc_fd, ".", &pids, &n);

	if (r < 0)
		return sonde_error_set(err, r, "native: /proc: %s", sonde_strerror(r));
	for (size_t i = 0; i < n && r == 0; i++) {
		r = read_one(reading, what, pids[i], err);
		if (r == SONDE_E_NOT_FOUND || r == SONDE_E_GONE)
			r = 0;
	}
	free(pids);
	if (r == 0 && reading->list->n)
		qsort(reading->list->items, reading->list->n, sizeof(*reading->list->items),
		      by_pid);
	return r;
}

int native_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		 struct sonde_processes *list, struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct reading reading = { .native = native,
				   .list = list,
				   .fields = fields,
				   .page_size = (uint64_t)sysconf(_SC_PAGESIZE) };
	int r = pid || native->pid ? read_one(&reading, what, pid, err)
				   : read_all(&reading, what, err);

	proc_text_finish(&reading.text);
	return r;
}

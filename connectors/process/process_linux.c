/* SPDX-License-Identifier: MIT */
/*
 * process: the memory of a live Linux process. common/procmem.c moves the bytes;
 * here are the process itself, its mappings, and stopping it.
 */
#include "../common/maps.h"
#include "../common/elf_image.h"
#include "../common/procmem.h"
#include "../common/standstill.h"
#include "names.h"

#include <sonde/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STOP_WAIT_MS 2000

struct process {
	struct procmem mem;
	uint32_t arch;
	struct standstill still;
	int paused; /* by us, or by others of us */
	char detail[128];
};

/* The process's own ELF header says what it is. */
static uint32_t find_arch(const struct procmem *mem)
{
	uint8_t head[64];

	int fd = procmem_open_proc(mem, "exe");
	if (fd < 0)
		return SONDE_ARCH_NONE;
	ssize_t n = pread(fd, head, sizeof(head), 0);
	close(fd);
	return image_arch(head, n > 0 ? (size_t)n : 0);
}

/* A short file of its folder in /proc, terminated; "" when that cannot be read. */
static void read_text(const struct procmem *mem, const char *name, char *text, size_t cap)
{
	int fd = procmem_open_proc(mem, name);
	ssize_t n = fd >= 0 ? read(fd, text, cap - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
}

static void describe(struct process *process)
{
	char comm[32];

	read_text(&process->mem, "comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	names_printable(comm);
	snprintf(process->detail, sizeof(process->detail), "live process %d '%s', %s",
		 (int)process->mem.pid, comm,
		 process->mem.by_file ? "/proc/PID/mem" : "process_vm_readv");
}

static int parse_pid(const struct sonde_host *host, const struct sonde_args *args, pid_t *ret,
		     struct sonde_error *err)
{
	uint64_t pid = 0;
	const char *text = host->arg(args, "pid");

	if (host->arg_u64(args, "pid", &pid, err) < 0 || pid == 0 || pid > INT32_MAX)
		return host->error_set(err, SONDE_E_NOT_FOUND, "process: '%.60s': no such process",
				       text);
	*ret = (pid_t)pid;
	return 0;
}

static int find_pid(const struct sonde_host *host, const struct sonde_args *args, pid_t *ret,
		    struct sonde_error *err)
{
	const char *pid = host->arg(args, "pid"), *name = host->arg(args, "name");

	if (!pid && !name)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"process: no process given: write process:PID or process:NAME");
	if (pid && name)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "process: pid and name exclude each other");
	if (pid && strspn(pid, "0123456789") == strlen(pid))
		return parse_pid(host, args, ret, err);
	return names_find(host, name ? name : pid, ret, err);
}

static int send_signal(struct process *process, int number)
{
	if (process->mem.pidfd >= 0)
		return (int)syscall(SYS_pidfd_send_signal, process->mem.pidfd, number, NULL, 0);
	return kill(process->mem.pid, number);
}

static int process_resume(void *conn, struct sonde_error *err);

static void process_close(void *conn)
{
	struct process *process = conn;

	if (process->paused)
		process_resume(process, NULL);
	procmem_close(&process->mem);
	free(process);
}

static int process_open(const struct sonde_host *host, const struct sonde_args *args,
			void **ret_conn, struct sonde_error *err)
{
	pid_t pid = 0;
	int r = find_pid(host, args, &pid, err);
	if (r < 0)
		return r;

	struct process *process = calloc(1, sizeof(*process));
	if (!process)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	standstill_init(&process->still);
	r = procmem_open(&process->mem, host, "process", pid, host->arg_write(args), err);
	if (r < 0) {
		process_close(process);
		return r;
	}
	process->arch = find_arch(&process->mem);
	describe(process);
	*ret_conn = process;
	return 0;
}

static void process_info(void *conn, struct sonde_target_info *ret)
{
	struct process *process = conn;

	ret->detail = process->detail;
	ret->arch = process->arch;
	ret->flags = SONDE_TARGET_LIVE | SONDE_TARGET_PROCESS | SONDE_TARGET_HOST |
		     (process->mem.writable ? SONDE_TARGET_WRITABLE : 0);
}

static void process_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct process *process = conn;

	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			procmem_add(&process->mem, ios[k], i, 0, ios[k]->xfers[i].len,
				    ios[k]->xfers[i].addr);
	}
	procmem_flush(&process->mem);
}

static int visit_line(char *line, sonde_region_fn *fn, void *user)
{
	struct maps_line map;

	line[strcspn(line, "\n")] = '\0';
	if (!maps_parse(line, &map))
		return 0;
	struct sonde_region region = {
		.addr = map.start, .len = map.end - map.start, .flags = map.flags, .name = map.path
	};
	return fn(user, &region);
}

static int process_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct process *process = conn;
	char *line = NULL;
	size_t cap = 0;
	int r = 0;

	int fd = procmem_open_proc(&process->mem, "maps");
	if (fd == -EACCES || fd == -EPERM)
		return SONDE_E_NO_ACCESS;
	if (fd < 0)
		return SONDE_E_GONE;
	FILE *maps = fdopen(fd, "r");
	if (!maps) {
		close(fd);
		return SONDE_E_NO_MEMORY;
	}
	while (r == 0 && getline(&line, &cap, maps) > 0)
		r = visit_line(line, fn, user);
	free(line);
	fclose(maps);
	/* One that ended meanwhile has shown only the first of them, or none. */
	return r == 0 && !procmem_alive(&process->mem) ? SONDE_E_GONE : r;
}

/* The state letter in /proc/PID/stat, behind the name in parentheses; 0 when it is gone. */
static char state_of(const struct procmem *mem)
{
	char text[256];

	read_text(mem, "stat", text, sizeof(text));
	const char *name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

/* The signal is only sent: it has done its work once the kernel says the process has stopped. */
static int wait_stopped(struct process *process, struct sonde_error *err)
{
	const struct sonde_host *host = process->mem.host;
	pid_t pid = process->mem.pid;

	for (int ms = 0; ms < STOP_WAIT_MS; ms++) {
		char state = state_of(&process->mem);
		if (state == 'T' || state == 't')
			return 0;
		if (!state || !procmem_alive(&process->mem))
			return host->error_set(err, SONDE_E_GONE, "process: '%d': has ended",
					       (int)pid);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return host->error_set(err, SONDE_E_TIMED_OUT, "process: '%d': did not stop within %d s",
			       (int)pid, STOP_WAIT_MS / 1000);
}

/* One that somebody else has stopped stays theirs; one that others of us hold is also ours. */
static int process_pause(void *conn, struct sonde_error *err)
{
	struct process *process = conn;
	pid_t pid = process->mem.pid;
	int others = standstill_enter(&process->still, pid);
	int stands = state_of(&process->mem) == 'T', r = 0;

	if (!stands && send_signal(process, SIGSTOP) < 0)
		r = process->mem.host->error_os(err, errno, "process: '%d': stop", (int)pid);
	process->paused = r == 0 && (!stands || others || process->paused);
	if (process->paused && !stands)
		r = wait_stopped(process, err);
	standstill_stay(&process->still, process->paused);
	return r < 0 ? r : !process->paused;
}

static int process_resume(void *conn, struct sonde_error *err)
{
	struct process *process = conn;
	pid_t pid = process->mem.pid;
	int r = 0;

	if (!standstill_leave(&process->still, pid) && send_signal(process, SIGCONT) < 0)
		r = process->mem.host->error_os(err, errno, "process: '%d': continue", (int)pid);
	standstill_left(&process->still);
	if (r == 0)
		process->paused = 0;
	return r;
}

static int64_t process_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct process *process = conn;
	uint8_t note[16]; /* number and start */
	uint64_t start;

	if (strcmp(name, SONDE_NOTE_IDENTITY) == 0)
		return procmem_identity(&process->mem, buf, cap);
	if (strcmp(name, "process") != 0)
		return SONDE_E_NOT_FOUND;
	int r = procmem_start(&process->mem, &start);
	if (r < 0)
		return r;
	sonde_store(note, 8, SONDE_LITTLE, (uint64_t)process->mem.pid);
	sonde_store(note + 8, 8, SONDE_LITTLE, start);
	memcpy(buf, note, cap < sizeof(note) ? cap : sizeof(note));
	return sizeof(note);
}

/* ---- which processes there are ------------------------------------------------------------ */

struct listing {
	sonde_listed_fn *fn;
	void *user;
};

/* linux v6.1 fs/proc/array.c, task_state_array. */
static const char *state_words(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "waiting";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	default:
		return NULL;
	}
}

static int tell(void *user, pid_t pid, const char *comm, char state, const char *args)
{
	struct listing *listing = user;
	char first[16];
	struct sonde_listed one = { .size = sizeof(one),
				    .first = first,
				    .name = comm,
				    .state = state_words(state),
				    .detail = args,
				    .pid = pid };

	snprintf(first, sizeof(first), "%d", (int)pid);
	return listing->fn(listing->user, &one);
}

static int process_list(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
			struct sonde_error *err)
{
	struct listing listing = { fn, user };
	int r = names_each(tell, &listing);

	return r < 0 ? host->error_set(err, r, "process: /proc cannot be read") : r;
}

static const struct sonde_connector_ops process_ops = {
	.size = sizeof(process_ops),
	.flags = SONDE_CONNECTOR_LONG_LIST,
	.open = process_open,
	.close = process_close,
	.info = process_info,
	.transfer = process_transfer,
	.regions = process_regions,
	.note = process_note,
	.pause = process_pause,
	.resume = process_resume,
	.list = process_list,
};

SONDE_PLUGIN(.name = "process", .summary = "a live process of this machine", .main_arg = "pid",
	     .args_help = "pid=N|NAME  number or name of the process (this or name is required)\n"
			  "name=NAME  name of the process, where that is a number\n",
	     .connector = &process_ops);

/* SPDX-License-Identifier: MIT */
/*
 * Both processes run this: keep() is the keeper's, keeper_*() are whoever's that started it. A byte over the socket says
 * that a step is done, its end that the other one is gone.
 */
#include "keeper.h"

#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEEPER_QMP_MS 10000                 /* for each answer: what is left undone here stays so */
#define LIMIT_NS UINT64_C(60000000000)      /* for all of it: a minute ...                */
#define LIMIT_NS_PER_MIB UINT64_C(50000000) /* ... and as if a MiB took a twentieth of a second */
#define LOOK_MS 10                          /* between two looks at a migration                   */
#define CANCEL_LOOKS 1000                   /* until a cancelled one has ended                    */
#define STREAM_NAME "sonde-snapshot"
#define CAPABILITY "background-snapshot"

/* What is to be put back. A bit is set before the change is made. */
enum debt { STOPPED = 1, MIGRATING = 2, CAPABLE = 4 };

struct known_cpu {
	int32_t is_known;
	struct full_cpu cpu;
};

struct keeper_shared {
	volatile uint32_t debt; /* enum debt */
	int32_t code;           /* of the step that was told last */
	struct sonde_error err;
	uint64_t since_ns, stopped_ns;
	struct known_cpu cpus[]; /* [machine->n_cpus] */
};

/* Far above what it takes: behind this, something hangs. */
static uint64_t keeper_limit_ns(const struct keeper *keeper)
{
	uint64_t mib = 0;

	for (size_t i = 0; i < keeper->machine->map.n; i++)
		mib += keeper->machine->map.ranges[i].len >> 20;
	return LIMIT_NS + (mib < (1u << 24) ? mib : 1u << 24) * LIMIT_NS_PER_MIB;
}

/* ---- asking QEMU ------------------------------------------------------------------------------------ */

static int is_running(struct qmp *qmp, int *ret, struct sonde_error *err)
{
	json_t *status = NULL;
	int r = qmp_run(qmp, "query-status", NULL, &status, err);

	*ret = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return r;
}

static int is_capable(struct qmp *qmp, int *ret, struct sonde_error *err)
{
	json_t *list = NULL, *entry;
	size_t i;
	int r = qmp_run(qmp, "query-migrate-capabilities", NULL, &list, err);

	*ret = 0;
	json_array_foreach(list, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "capability"));
		if (name && strcmp(name, CAPABILITY) == 0)
			*ret = json_is_true(json_object_get(entry, "state"));
	}
	json_decref(list);
	return r;
}

static int set_capable(struct qmp *qmp, int on, struct sonde_error *err)
{
	json_t *arguments = json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", CAPABILITY,
				      "state", on);

	return qmp_run(qmp, "migrate-set-capabilities", arguments, NULL, err);
}

enum progress { NOT_MIGRATING, UNDER_WAY, COMPLETED, FAILED };

/* qemu 7.2 qapi/migration.json, MigrationStatus. */
static enum progress progress_of(const json_t *answer)
{
	const char *status = json_string_value(json_object_get(answer, "status"));

	if (!status || strcmp(status, "none") == 0 || strcmp(status, "cancelled") == 0)
		return NOT_MIGRATING;
	if (strcmp(status, "completed") == 0)
		return COMPLETED;
	return strcmp(status, "failed") == 0 ? FAILED : UNDER_WAY;
}

static int look(struct qmp *qmp, enum progress *ret, uint64_t *ret_stopped_ns,
		struct sonde_error *err)
{
	json_t *answer = NULL;
	int r = qmp_run(qmp, "query-migrate", NULL, &answer, err);

	*ret = progress_of(answer);
	*ret_stopped_ns =
		(uint64_t)json_integer_value(json_object_get(answer, "downtime")) * 1000000;
	if (r == 0 && *ret == FAILED) {
		const char *why = json_string_value(json_object_get(answer, "error-desc"));
		r = qmp->host->error_set(err, SONDE_E_IO,
					 "qemu: QMP '%s': the stream failed: %.200s", qmp->where,
					 why ? why : "no reason given");
	}
	json_decref(answer);
	return r;
}

/* ---- putting back ----------------------------------------------------------------------------------- */

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
}

/*
 * It is waited for, never cancelled: of a snapshot that is cancelled, or cannot be written, QEMU leaves the memory protected, and a
 * guest that writes hangs for ever (qemu 7.2 migration/migration.c: bg_migration_thread calls ram_write_tracking_stop on
 * success only). One that failed may have left the guest stopped.
 */
static int put_back_migration(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	enum progress progress = UNDER_WAY;
	uint64_t ns, end_ns = keeper->host->now_ns() + keeper_limit_ns(keeper);
	int running = 0, r = 0;

	while (r == 0 && progress == UNDER_WAY && keeper->host->now_ns() < end_ns) {
		nap();
		r = look(qmp, &progress, &ns, err);
		if (progress == FAILED)
			r = 0;
	}
	if (r == 0 && progress == UNDER_WAY)
		return qmp->host->error_set(err, SONDE_E_TIMED_OUT,
					    "qemu: QMP '%s': its snapshot does not end",
					    qmp->where);
	if (r == 0)
		r = is_running(qmp, &running, err);
	return r == 0 && !running ? qmp_run(qmp, "cont", NULL, NULL, err) : r;
}

/* Others of us may hold it still; those of a keeper that is gone do not count. */
static int let_go(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	int others = standstill_leave(&keeper->still, keeper->machine->guest.pid);
	int r = others ? 0 : qmp_run(qmp, "cont", NULL, NULL, err);

	standstill_left(&keeper->still);
	return r;
}

static int put_back_by(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	struct keeper_shared *shared = keeper->shared;
	int r = 0;

	if (shared->debt & STOPPED) {
		r = let_go(keeper, qmp, err);
		shared->stopped_ns = qmp->host->now_ns() - shared->since_ns;
		shared->debt &= r == 0 ? ~(uint32_t)STOPPED : UINT32_MAX;
	}
	if (r == 0 && (shared->debt & MIGRATING)) {
		r = put_back_migration(keeper, qmp, err);
		shared->debt &= r == 0 ? ~(uint32_t)MIGRATING : UINT32_MAX;
	}
	if (r == 0 && (shared->debt & CAPABLE)) {
		r = set_capable(qmp, 0, err);
		shared->debt &= r == 0 ? ~(uint32_t)CAPABLE : UINT32_MAX;
	}
	return r;
}

/* Over a connection of its own, for when the one before has failed, or was the keeper's. */
static int put_back_anew(struct keeper *keeper, struct sonde_error *err)
{
	struct qmp qmp;
	int r = qmp_open(&qmp, keeper->host, keeper->qmp_path, KEEPER_QMP_MS, err);

	if (r == 0)
		r = put_back_by(keeper, &qmp, err);
	qmp_close(&qmp);
	return r;
}

static int put_back(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	if (!keeper->shared->debt || put_back_by(keeper, qmp, err) == 0)
		return 0;
	qmp_close(qmp);
	return put_back_anew(keeper, err);
}

/* ---- the keeper ---------------------------------------------------------------------------------------- */

static int monitor_line(void *at, const char *line, uint32_t cpu, char **ret,
			struct sonde_error *err)
{
	return qmp_monitor(at, line, cpu, ret, err);
}

static void keep_registers(const struct keeper *keeper, struct qmp *qmp)
{
	struct monitor monitor = { .line = monitor_line, .at = qmp };

	for (uint32_t i = 0; i < keeper->machine->n_cpus; i++) {
		struct known_cpu *known = &keeper->shared->cpus[i];
		known->is_known = machine_cpu(keeper->machine, &monitor, i, &known->cpu) == 0;
	}
}

/* 1 where for so long (-1: for ever) nothing has come from the other one, its end neither. */
static int is_quiet(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) <= 0;
}

static int await_completion(const struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	enum progress progress = UNDER_WAY;
	int r = 0;

	while (r == 0 && progress == UNDER_WAY) {
		if (!is_quiet(keeper->fd, LOOK_MS))
			return keeper->host->error_set(err, SONDE_E_CANCELLED, NULL);
		r = look(qmp, &progress, &keeper->shared->stopped_ns, err);
	}
	if (r == 0 && progress != COMPLETED)
		r = keeper->host->error_set(
			err, SONDE_E_BUSY,
			"qemu: QMP '%s': somebody else has cancelled the snapshot", qmp->where);
	if (progress == COMPLETED)
		keeper->shared->debt &= ~(uint32_t)MIGRATING;
	return r;
}

static int start_stream(const struct keeper *keeper, struct qmp *qmp, int file,
			struct sonde_error *err)
{
	int is_on = 0;
	int r = is_capable(qmp, &is_on, err);

	if (r == 0 && !is_on) {
		keeper->shared->debt |= CAPABLE;
		r = set_capable(qmp, 1, err);
	}
	if (r == 0)
		r = qmp_give_fd(qmp, STREAM_NAME, file, err);
	if (r < 0)
		return r;
	keep_registers(keeper, qmp);
	keeper->shared->debt |= MIGRATING;
	return qmp_run(qmp, "migrate", json_pack("{s:s}", "uri", "fd:" STREAM_NAME), NULL, err);
}

/* QEMU starts a guest behind this whether it ran before or not (qemu 7.2 migration/migration.c, bg_migration_vm_start_bh). */
static int keep_stream(const struct keeper *keeper, struct qmp *qmp, int file,
		       struct sonde_error *err)
{
	int running = 0;
	int r = is_running(qmp, &running, err);

	if (r == 0 && !running)
		r = keeper->host->error_set(err, SONDE_E_UNSUPPORTED,
					    "qemu: QMP '%s': the guest stands still already",
					    qmp->where);
	if (r == 0)
		r = start_stream(keeper, qmp, file, err);
	return r < 0 ? r : await_completion(keeper, qmp, err);
}

static void tell(const struct keeper *keeper, int code, const struct sonde_error *err)
{
	keeper->shared->code = code;
	keeper->shared->err = *err;
	send(keeper->fd, "", 1, MSG_NOSIGNAL);
}

/* A guest that somebody else has stopped stays theirs to continue; one that others of us hold is also ours. */
static int stop(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	struct keeper_shared *shared = keeper->shared;
	int others = standstill_enter(&keeper->still, keeper->machine->guest.pid), running = 0;
	int r = is_running(qmp, &running, err);

	if (r == 0 && (running || others)) {
		shared->since_ns = keeper->host->now_ns();
		shared->debt |= STOPPED;
	}
	if (r == 0 && running)
		r = qmp_run(qmp, "stop", NULL, NULL, err);
	standstill_stay(&keeper->still, (shared->debt & STOPPED) != 0);
	return r;
}

static int keep_stopped(struct keeper *keeper, struct qmp *qmp, struct sonde_error *err)
{
	int runs_again = 0;
	int r = stop(keeper, qmp, err);

	if (r < 0)
		return r;
	keep_registers(keeper, qmp);
	tell(keeper, 0, err);
	is_quiet(keeper->fd, -1);
	r = is_running(qmp, &runs_again, err);
	if (r == 0 && runs_again)
		return keeper->host->error_set(
			err, SONDE_E_BUSY,
			"qemu: QMP '%s': somebody else let the guest go on meanwhile: try again",
			qmp->where);
	return r;
}

static int no_other_migration(struct qmp *qmp, struct sonde_error *err)
{
	enum progress progress = NOT_MIGRATING;
	uint64_t ns;
	int r = look(qmp, &progress, &ns, err);

	if (progress == UNDER_WAY)
		return qmp->host->error_set(
			err, SONDE_E_BUSY,
			"qemu: QMP '%s': the guest is being migrated: wait for its end",
			qmp->where);
	return progress == FAILED ? 0 : r;
}

static int work(struct keeper *keeper, struct qmp *qmp, int file, struct sonde_error *err)
{
	int r = no_other_migration(qmp, err);

	if (r < 0)
		return r;
	return keeper->way == KEEPER_STREAM ? keep_stream(keeper, qmp, file, err)
					    : keep_stopped(keeper, qmp, err);
}

static int keep(struct keeper *keeper, int file)
{
	struct sonde_error err = { 0 }, left = { 0 };
	struct qmp qmp;
	int r = qmp_open(&qmp, keeper->host, keeper->qmp_path, KEEPER_QMP_MS, &err);

	if (r == 0)
		r = work(keeper, &qmp, file, &err);
	int undone = put_back(keeper, &qmp, &left);
	qmp_close(&qmp);
	if (undone < 0)
		tell(keeper, undone, &left);
	else
		tell(keeper, r, &err);
	return 0;
}

/* Nobody waits for the end of what it inherited, and the ends of sockets of others are not held open. */
static void close_others(int a, int b)
{
	int null = open("/dev/null", O_RDWR);
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
	syscall(SYS_close_range, STDERR_FILENO + 1u, low - 1, 0);
	syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0u, 0);
}

/* ---- whoever started it ----------------------------------------------------------------------------------- */

static int share(struct keeper *keeper, struct sonde_error *err)
{
	keeper->shared_len =
		sizeof(*keeper->shared) + keeper->machine->n_cpus * sizeof(keeper->shared->cpus[0]);
	void *at = mmap(NULL, keeper->shared_len, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return keeper->host->error_os(err, errno, "qemu: memory for a snapshot");
	keeper->shared = at;
	return 0;
}

/* A program may have closed its standard streams: then others have their numbers. */
static int behind_streams(int fd)
{
	return fd >= 0 && fd <= STDERR_FILENO ? fcntl(fd, F_DUPFD, STDERR_FILENO + 1) : fd;
}

/* No signal reaches the keeper, not between fork and its first line either. */
static pid_t fork_keeper(const struct keeper *keeper, int theirs, int file)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0) {
		struct keeper mine = *keeper;
		mine.fd = behind_streams(theirs);
		file = behind_streams(file);
		setsid();
		close_others(mine.fd, file < 0 ? mine.fd : file);
		_exit(keep(&mine, file));
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int keeper_start(struct keeper *ret, const struct machine *machine, const char *qmp_path,
		 enum keeper_way way, int file, struct sonde_error *err)
{
	const struct sonde_host *host = machine->host;
	int ends[2];

	*ret = (struct keeper){
		.host = host, .machine = machine, .qmp_path = qmp_path, .way = way
	};
	standstill_init(&ret->still);
	int r = share(ret, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		r = host->error_os(err, errno, "qemu: socket for a snapshot");
		keeper_forget(ret);
		return r;
	}
	ret->pid = fork_keeper(ret, ends[1], file);
	ret->fd = ends[0];
	close(ends[1]);
	if (ret->pid < 0) {
		r = host->error_os(err, errno, "qemu: process for a snapshot");
		close(ret->fd);
		keeper_forget(ret);
	}
	return r;
}

/* 0: the keeper is gone. */
static int hear(struct keeper *keeper)
{
	char byte;
	ssize_t n;

	do
		n = recv(keeper->fd, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

/* What the keeper told last; of one that is gone: its work is put back here. */
static int outcome(struct keeper *keeper, struct sonde_error *err)
{
	const struct keeper_shared *shared = keeper->shared;

	if (hear(keeper)) {
		if (shared->code < 0 && err)
			*err = shared->err;
		return shared->code;
	}
	int r = keeper->shared->debt ? put_back_anew(keeper, err) : 0;
	return r < 0 ? r
		     : keeper->host->error_set(err, SONDE_E_GONE,
					       "qemu: the process that kept the guest for a "
					       "snapshot was ended: try again");
}

int keeper_wait(struct keeper *keeper, struct sonde_error *err)
{
	uint64_t ms = keeper_limit_ns(keeper) / 1000000;

	if (is_quiet(keeper->fd, ms < INT32_MAX ? (int)ms : INT32_MAX))
		return keeper->host->error_set(err, SONDE_E_TIMED_OUT,
					       "qemu: '%s': no snapshot of it within %d s",
					       keeper->machine->guest.name, (int)(ms / 1000));
	int r = outcome(keeper, err);
	keeper->has_ended = r < 0 || keeper->way == KEEPER_STREAM;
	return r;
}

/* One that waits for QEMU longer than we did stays behind. */
int keeper_end(struct keeper *keeper, struct sonde_error *err)
{
	int is_left = keeper->way == KEEPER_STREAM && !keeper->has_ended, r = 0;

	if (!keeper->pid)
		return 0;
	shutdown(keeper->fd, SHUT_WR);
	if (!keeper->has_ended && !is_left)
		r = outcome(keeper, err);
	close(keeper->fd);
	while (waitpid(keeper->pid, NULL, is_left ? WNOHANG : 0) < 0 && errno == EINTR)
		;
	keeper->pid = 0;
	return r;
}

int keeper_cpu(const struct keeper *keeper, uint32_t index, struct full_cpu *ret)
{
	*ret = keeper->shared->cpus[index].cpu;
	return keeper->shared->cpus[index].is_known;
}

uint64_t keeper_stopped_ns(const struct keeper *keeper)
{
	return keeper->shared->stopped_ns;
}

void keeper_forget(struct keeper *keeper)
{
	if (keeper->shared)
		munmap(keeper->shared, keeper->shared_len);
	keeper->shared = NULL;
}

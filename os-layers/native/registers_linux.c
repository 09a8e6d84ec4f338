/* SPDX-License-Identifier: MIT */
/*
 * Registers by ptrace. The thread is seized, interrupted, read and let go by a thread of ours that is made for it: when
 * that one ends, for whatever reason, the kernel lets go of all it had seized. PTRACE_SEIZE sends no signal, and what
 * was stopped before stays stopped.
 *
 * Source: ptrace(2); linux v6.12 kernel/ptrace.c (exit_ptrace).
 */
#include "../connectors/common/regset.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "native/native.h"

#define STOP_WAIT_NS UINT64_C(1000000000)
#define STATUS_MAX (64u << 10)

struct sample {
	int32_t tid;
	int folder; /* of the thread in /proc, which is empty once it has ended */
	uint8_t set[REGSET_BYTES_MAX];
	size_t len;
	int os_code; /* 0: set is filled */
};

static const struct timespec moment = { .tv_nsec = 50000 };

/* Returns 0, stopped, and in *ret_signal what to let it go on with; an errno. */
static int await_stop(int32_t tid, int *ret_signal)
{
	uint64_t until = sonde_now_ns() + STOP_WAIT_NS;
	int status;

	for (;;) {
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got < 0 && errno != EINTR)
			return errno;
		if (got == tid && !WIFSTOPPED(status))
			return ESRCH;
		if (got == tid)
			break;
		if (sonde_now_ns() >= until)
			return ETIMEDOUT;
		nanosleep(&moment, NULL);
	}
	/* Interrupted, or stopped already; else it was about to get a signal, which it still has to. */
	*ret_signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
	return 0;
}

static void *take(void *arg)
{
	struct sample *sample = arg;
	struct iovec set = { sample->set, sizeof(sample->set) };
	int pending = 0;

	if (ptrace(PTRACE_SEIZE, sample->tid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, sample->tid, NULL, NULL) < 0) {
		sample->os_code = errno;
		return NULL;
	}
	sample->os_code = await_stop(sample->tid, &pending);
	if (sample->os_code != 0)
		return NULL;
	/* The number may have come to another thread before it was seized. */
	if (faccessat(sample->folder, "stat", F_OK, 0) < 0)
		sample->os_code = ESRCH;
	else if (ptrace(PTRACE_GETREGSET, sample->tid, NT_PRSTATUS, &set) < 0)
		sample->os_code = errno;
	sample->len = set.iov_len;
	ptrace(PTRACE_DETACH, sample->tid, NULL, pending);
	return NULL;
}

/* Signals of the program are its own threads' business. */
static int run_take(struct sample *sample)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int os_code = pthread_create(&thread, NULL, take, sample);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (os_code == 0)
		pthread_join(thread, NULL);
	return os_code;
}

/* ---- refusals ------------------------------------------------------------------------------------------- */

static int refuse_traced(struct native_os *native, int32_t tid, int32_t tracer,
			 struct sonde_error *err)
{
	struct proc_text text = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "%d/comm", tracer);
	int known = proc_read(native->proc_fd, name, STATUS_MAX, &text) == 0;
	int r = sonde_error_set(
		err, SONDE_E_BUSY,
		"native: thread %d is traced already, by process %d (%.*s), and one can be "
		"by one only: end that first",
		tid, tracer, known ? (int)strcspn(text.text, "\n") : 1, known ? text.text : "?");
	proc_text_finish(&text);
	return r;
}

static int refuse_access(struct native_os *native, int32_t tid, struct sonde_error *err)
{
	struct proc_text text = { 0 };
	int known =
		proc_read(native->proc_fd, "sys/kernel/yama/ptrace_scope", STATUS_MAX, &text) == 0;
	int r = sonde_error_set(
		err, SONDE_E_NO_ACCESS,
		"native: thread %d: not allowed to trace it: be its user, or have "
		"CAP_SYS_PTRACE (root has); /proc/sys/kernel/yama/ptrace_scope is %.*s; nobody "
		"traces a thread of the own process or of the kernel",
		tid, known ? (int)strcspn(text.text, "\n") : 6, known ? text.text : "absent");
	proc_text_finish(&text);
	return r;
}

static int refuse(struct native_os *native, const struct sample *sample, struct sonde_error *err)
{
	struct proc_text text = { 0 };
	uint64_t tracer = 0;

	switch (sample->os_code) {
	case ESRCH:
		return sonde_error_set(err, SONDE_E_GONE, "native: thread %d has ended",
				       sample->tid);
	case ETIMEDOUT:
		return sonde_error_set(
			err, SONDE_E_TIMED_OUT,
			"native: thread %d does not stop: it waits in the kernel for something "
			"that cannot be interrupted",
			sample->tid);
	case EPERM:
		if (proc_read(sample->folder, "status", STATUS_MAX, &text) == 0)
			proc_parse_status(text.text, "TracerPid", &tracer, 1);
		proc_text_finish(&text);
		return tracer ? refuse_traced(native, sample->tid, (int32_t)tracer, err)
			      : refuse_access(native, sample->tid, err);
	default:
		return sonde_error_os(err, sample->os_code, "native: thread %d: registers",
				      sample->tid);
	}
}

/* A thread of any process, or of the one that the target is. */
static int thread_folder(struct native_os *native, int32_t tid, struct sonde_error *err)
{
	char name[32];

	snprintf(name, sizeof(name), native->pid ? "task/%d" : "%d", tid);
	int folder = proc_open_folder(native->pid ? native->process_fd : native->proc_fd, name);
	if (folder == SONDE_E_GONE)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "native: no thread has number %d%s",
				       tid, native->pid ? " in this process" : "");
	return folder < 0 ? sonde_error_set(err, folder, "native: thread %d: %s", tid,
					    sonde_strerror(folder))
			  : folder;
}

int native_registers(struct sonde_os *os, int32_t tid, struct sonde_register *ret, size_t cap,
		     struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct sample sample = { .tid = tid };

	if (native->foreign)
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"native: numbers of another /proc are not those of threads here");
	sample.folder = thread_folder(native, tid, err);
	if (sample.folder < 0)
		return sample.folder;
	int os_code = run_take(&sample);
	int r = os_code          ? sonde_error_os(err, os_code, "native: thread %d", tid)
		: sample.os_code ? refuse(native, &sample, err)
				 : regset_name(sample.set, sample.len, ret, cap);
	close(sample.folder);
	if (r == SONDE_E_UNSUPPORTED)
		sonde_error_set(
			err, r,
			"native: thread %d: %zu bytes of registers are of no known architecture",
			tid, sample.len);
	return r;
}

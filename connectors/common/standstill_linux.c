/* SPDX-License-Identifier: MIT */
/*
 * flock on /proc/PID/status (the gate) and /proc/PID/stat (the seats): two files that every process has. Programs that
 * see another /proc, as in containers of their own, do not see each other.
 */
#include "standstill.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum {
	GATE_WAIT_MS = 5000, /* for somebody who stops or continues the guest; after that without */
	GATE_STEP_MS = 5,
};

void standstill_init(struct standstill *ret)
{
	*ret = (struct standstill){ .gate = -1, .seat = -1 };
}

static int open_file(pid_t pid, const char *name)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Anybody may lock the file, for ever: the wait is bounded. */
static void pass_gate(struct standstill *still, pid_t pid)
{
	const struct timespec step = { .tv_nsec = GATE_STEP_MS * 1000000 };

	still->gate = open_file(pid, "status");
	for (int ms = 0; still->gate >= 0 && flock(still->gate, LOCK_EX | LOCK_NB) < 0;
	     ms += GATE_STEP_MS) {
		if (ms >= GATE_WAIT_MS)
			drop(&still->gate);
		else
			nanosleep(&step, NULL);
	}
}

static int is_taken(int seat)
{
	if (seat < 0 || flock(seat, LOCK_EX | LOCK_NB) == 0) {
		if (seat >= 0)
			flock(seat, LOCK_UN);
		return 0;
	}
	return 1;
}

int standstill_enter(struct standstill *still, pid_t pid)
{
	pass_gate(still, pid);
	drop(&still->seat);
	still->seat = open_file(pid, "stat");
	return is_taken(still->seat);
}

void standstill_stay(struct standstill *still, int is_held)
{
	if (!is_held || (still->seat >= 0 && flock(still->seat, LOCK_SH | LOCK_NB) < 0))
		drop(&still->seat);
	drop(&still->gate);
}

int standstill_leave(struct standstill *still, pid_t pid)
{
	return standstill_enter(still, pid);
}

void standstill_left(struct standstill *still)
{
	standstill_stay(still, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Each parent, called "load", makes three children at a time. A child calls itself "brief-PID", takes the user id that
 * goes with its pid, maps and unmaps memory, and ends; every fourth becomes a program with its pid as argument. So what
 * belongs to one process can be told from what belongs to another.
 */
#include "load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"
#include "channel.h"
#include "zoo.h"

#define PARENTS_MAX 16
#define CHILDREN 3
#define BRIEF_UID 40000u /* and the pid's last three digits */

static pid_t parents[PARENTS_MAX];
static unsigned n_parents;

static void use_memory(void)
{
	for (int i = 0; i < 4; i++) {
		char *area = map_anon(16 * PAGE, MAP_PRIVATE);

		for (unsigned page = 0; area && page < 16; page++)
			area[page * PAGE] = (char)i;
		if (area)
			munmap(area, 16 * PAGE);
	}
}

__attribute__((noreturn)) static void be_brief(bool becomes_program)
{
	uid_t uid = BRIEF_UID + (uid_t)getpid() % 1000;
	char name[24], pid[16];

	snprintf(name, sizeof(name), "brief-%d", (int)getpid());
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (setresuid(uid, uid, uid))
		_exit(1);
	set_name(name);
	use_memory();
	if (becomes_program)
		execl(LABPROC, LABPROC, "--role", "brief", pid, NULL);
	_exit(0);
}

void role_brief(char **argv)
{
	(void)argv;
	use_memory();
	_exit(0);
}

__attribute__((noreturn)) static void be_parent(void)
{
	close(chan.fd);
	set_name("load");
	for (unsigned n = 0; __atomic_load_n(&board->load_on, __ATOMIC_SEQ_CST); n++) {
		for (unsigned i = 0; i < CHILDREN; i++) {
			if (fork() == 0)
				be_brief((n + i) % 4 == 0);
		}
		while (wait(NULL) > 0 || errno == EINTR)
			;
	}
	_exit(0);
}

static void end_load(void)
{
	__atomic_store_n(&board->load_on, 0, __ATOMIC_SEQ_CST);
	while (n_parents > 0)
		waitpid(parents[--n_parents], NULL, 0);
}

void command_load(const char *arg)
{
	unsigned long n = strtoul(arg, NULL, 10);

	if (n > PARENTS_MAX) {
		emitf("error load: '%s': want a number from 0 to %d\n", arg, PARENTS_MAX);
		return;
	}
	end_load();
	__atomic_store_n(&board->load_on, n > 0, __ATOMIC_SEQ_CST);
	for (; n_parents < n; n_parents++) {
		pid_t pid = fork();

		if (pid == 0)
			be_parent();
		if (pid < 0)
			break;
		parents[n_parents] = pid;
	}
	if (n_parents < n)
		emitf("error load: only %u of %lu parents came up\n", n_parents, n);
	else
		emitf("ok %u\n", n_parents);
}

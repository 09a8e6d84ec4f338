/* SPDX-License-Identifier: MIT */
/*
 * A live process is a target like any other: here a child of ours, whose variables we read
 * and change from outside. A process may always look at its own children.
 */
#include <sonde/sonde.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork gives the child the same addresses with memory of its own. */
static char text[32] = "said by the parent";

static pid_t start_child(void)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		strcpy(text, "said by the child");
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		fprintf(stderr, "the child did not start\n");
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int talk(struct sonde_space *memory)
{
	uint64_t addr = (uint64_t)(uintptr_t)text;
	char theirs[32], again[32];

	int len = sonde_space_string(memory, addr, theirs, sizeof(theirs));
	int wrote = sonde_space_put(memory, addr, "changed from outside", 21);
	sonde_space_string(memory, addr, again, sizeof(again));
	printf("ours:   %s\ntheirs: %s\nthen:   %s\n", text, theirs, again);
	return len == 17 && wrote == 0 && strcmp(again, "changed from outside") == 0 ? 0 : 1;
}

int main(void)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	char name[32];
	int failed = 1;

	pid_t child = start_child();
	snprintf(name, sizeof(name), "process:%d", (int)child);
	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, name, &options, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = talk(sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return err.code == SONDE_E_NO_ACCESS ? 77 : failed; /* 77: skipped, where it is forbidden */
}

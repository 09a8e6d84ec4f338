/* SPDX-License-Identifier: MIT */
/* Another program, by posix_spawnp; an argument list is built word by word. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void command_add(struct command *command, const char *word)
{
	if (command->n + 1 < CHILD_ARGS_MAX)
		command->words[command->n++] = word;
}

void command_addf(struct command *command, const char *format, ...)
{
	char *word = command->text + command->used;
	size_t room = sizeof(command->text) - command->used;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(word, room, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < room) {
		command->used += (size_t)n + 1;
		command_add(command, word);
	}
}

/* All of it, even what out has no room for: the writer must not block. */
static void drain(int fd, char *out, size_t cap)
{
	char rest[4096];
	size_t used = 0;

	for (;;) {
		char *to = used + 1 < cap ? out + used : rest;
		ssize_t n = read(fd, to, used + 1 < cap ? cap - 1 - used : sizeof(rest));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += to == rest ? 0 : (size_t)n;
	}
	out[used] = 0;
}

static int spawn(struct command *command, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	int r = posix_spawn_file_actions_init(&files);

	if (r)
		return -r;
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(ret_pid, command->words[0], &files, NULL,
			 (char *const *)(uintptr_t)command->words, environ);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int command_run(struct command *command, char *out, size_t cap)
{
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	command->words[command->n] = NULL;
	int r = spawn(command, ends[1], &pid);
	close(ends[1]);
	if (r == 0) {
		drain(ends[0], out, cap);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		r = WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
	}
	close(ends[0]);
	return r;
}

/* ---- of ourselves ----------------------------------------------------------------------------------- */

int child_number(double (*fn)(void *arg), void *arg, double *ret)
{
	double number = -1;
	int ends[2];

	if (pipe(ends) < 0)
		return -errno;
	pid_t child = fork();
	if (child == 0) {
		number = fn(arg);
		_exit(write(ends[1], &number, sizeof(number)) != sizeof(number));
	}
	close(ends[1]);
	if (child > 0 && read(ends[0], &number, sizeof(number)) != sizeof(number))
		number = -1;
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	*ret = number;
	return number >= 0 ? 0 : -ECHILD;
}

double child_resident(void)
{
	unsigned long long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%llu %llu", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

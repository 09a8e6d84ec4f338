/* SPDX-License-Identifier: MIT */
/* What a program writes is kept in memory until it ends, so that its frames do not hold it up. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"
#include "channel.h"

#define WORDS_MAX 256

static void unescape(char *word)
{
	char *to = word;

	for (char *from = word; *from; from++, to++) {
		unsigned byte;

		if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
			*to = (char)byte;
			from += 2;
		} else {
			*to = *from;
		}
	}
	*to = '\0';
}

/* Returns how many; the last is followed by NULL. */
static int split(char *text, char *words[WORDS_MAX + 1])
{
	char *save = NULL;
	int n = 0;

	for (char *w = strtok_r(text, " ", &save); w && n < WORDS_MAX;
	     w = strtok_r(NULL, " ", &save)) {
		unescape(w);
		words[n++] = w;
	}
	words[n] = NULL;
	return n;
}

__attribute__((noreturn)) static void become(char **words, uid_t uid, const int out[2])
{
	int null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	dup2(out[0], 1);
	dup2(out[1], 2);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		_exit(126);
	execv(words[0], words);
	dprintf(2, "%s: %s\n", words[0], strerror(errno));
	_exit(127);
}

static void tell_file(const char *tag, int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0) : NULL;

	if (text == MAP_FAILED)
		text = NULL;
	record(tag, 0, text ? text : "", text ? (size_t)size : 0);
	if (text)
		munmap(text, (size_t)size);
}

static void tell_end(pid_t pid, int status)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d",
			 WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));

	record("exit", pid, text, (size_t)n);
}

void command_run(char *arg)
{
	char *words[WORDS_MAX + 1];
	int out[2] = { memfd_create("out", MFD_CLOEXEC), memfd_create("err", MFD_CLOEXEC) };
	int status = 0, n = split(arg, words);
	pid_t pid = n > 1 && out[0] >= 0 && out[1] >= 0 ? fork() : -1;

	if (pid == 0)
		become(words + 1, (uid_t)strtoul(words[0], NULL, 10), out);
	if (pid > 0 && waitpid(pid, &status, 0) == pid) {
		tell_end(pid, status);
		tell_file("out", out[0]);
		tell_file("err", out[1]);
	} else {
		emitf("error run: %s\n", n > 1 ? strerror(errno) : "want UID WORD...");
	}
	for (int i = 0; i < 2; i++)
		if (out[i] >= 0)
			close(out[i]);
}

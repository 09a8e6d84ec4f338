/* SPDX-License-Identifier: MIT */
/* diod, somebody else's server of 9P2000.L, on a socket beside the folder it serves. */
#ifndef UNIT_FS_DIOD_H
#define UNIT_FS_DIOD_H

#include <signal.h>
#include <sonde/fs_remote.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIOD "/usr/sbin/diod"

struct diod {
	pid_t pid; /* 0: none */
	char address[64];
};

extern char **environ;

static inline int diod_is_there(void)
{
	return access(DIOD, X_OK) == 0;
}

/* 0, or not. */
static inline int diod_start(struct diod *diod, const char *folder)
{
	const char *path = diod->address + sizeof("unix:") - 1;
	char *const words[] = { (char *)"diod",
				(char *)"-f",
				(char *)"-n",
				(char *)"-N",
				(char *)"-L",
				(char *)"/dev/null",
				(char *)"-c",
				(char *)"/dev/null",
				(char *)"-l",
				(char *)(uintptr_t)path,
				(char *)"-e",
				(char *)(uintptr_t)folder,
				NULL };

	snprintf(diod->address, sizeof(diod->address), "unix:%s.sock", folder);
	return posix_spawn(&diod->pid, DIOD, NULL, NULL, words, environ);
}

static inline void diod_stop(struct diod *diod)
{
	if (diod->pid <= 0)
		return;
	kill(diod->pid, SIGKILL);
	waitpid(diod->pid, NULL, 0);
	unlink(diod->address + sizeof("unix:") - 1);
}

/* When it listens, which takes a moment; half a minute at most. */
static inline int diod_open(const struct diod *diod, struct sonde_loop *loop, const char *folder,
			    struct sonde_fs **ret)
{
	const struct sonde_fs_remote_options options = {
		.size = sizeof(options), .tree = folder, .user = "", .uid = geteuid(), .has_uid = 1
	};
	struct sonde_error err = { 0 };

	for (int i = 0; i < 3000; i++) {
		if (sonde_fs_remote(NULL, loop, diod->address, &options, ret, &err) == 0)
			return 0;
		usleep(10000);
	}
	printf("diod: %s\n", err.text);
	return -1;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Processes by name. */
#ifndef PROCESS_NAMES_H
#define PROCESS_NAMES_H

#include <sonde/plugin.h>
#include <sys/types.h>

/*
 * Find the one process that is called name: by its comm, which is what ps shows and holds 15 bytes, or by the file
 * name of its program. Kernel threads, zombies and the calling process are passed over.
 *
 * Returns 0; SONDE_E_NOT_FOUND; SONDE_E_AMBIGUOUS, and err lists the candidates.
 */
int names_find(const struct sonde_host *host, const char *name, pid_t *ret,
	       struct sonde_error *err);

/*
 * Visit the processes that have memory, by number: no kernel threads, no zombies. comm is printable; state is the
 * letter of /proc/PID/stat. Returns 0, what fn returned to stop, or SONDE_E_NO_ACCESS (there is no /proc).
 */
typedef int names_fn(void *user, pid_t pid, const char *comm, char state, const char *args);
int names_each(names_fn *fn, void *user);

/* A process names itself as it likes: control characters become '?'. In place. */
void names_printable(char *text);

#endif

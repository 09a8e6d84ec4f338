/* SPDX-License-Identifier: MIT */
/*
 * A QMP client: QEMU's control protocol, one JSON object a line. Bounded in time and
 * size, because what is at the other end of a socket may be anything.
 * Source: qemu 7.2 docs/interop/qmp-spec.txt.
 */
#ifndef QEMU_QMP_H
#define QEMU_QMP_H

#include <jansson.h>
#include <sonde/plugin.h>
#include <sys/types.h>

#define QMP_LINE_MAX (8u << 20) /* bytes of one answer; "info mtree -f" takes tens of kB */

struct qmp {
	const struct sonde_host *host;
	int fd;
	int timeout_ms; /* for each answer         */
	char *buf;      /* [cap], received so far  */
	size_t used, cap;
	size_t line;     /* bytes of the line handed out last, to be dropped */
	char where[128]; /* the socket, for messages */
	json_int_t id;   /* of the last command      */
};

/*
 * Connect to the socket at path, read the greeting, leave negotiation mode.
 *
 * Returns   0; SONDE_E_NOT_FOUND, _NO_ACCESS, _GONE (nobody listens, or closed), _TIMED_OUT (most
 *           often another client holds it), _BAD_FORMAT (not QMP), _LIMIT.
 * Owns      *ret: qmp_close, also after an error.
 */
int qmp_open(struct qmp *ret, const struct sonde_host *host, const char *path, int timeout_ms,
	     struct sonde_error *err);
/* The same over a connected socket, which is taken. */
int qmp_start(struct qmp *ret, const struct sonde_host *host, int fd, const char *where,
	      int timeout_ms, struct sonde_error *err);
void qmp_close(struct qmp *qmp);

/* The process that made the socket listen, 0 where the kernel does not tell. */
pid_t qmp_peer(const struct qmp *qmp);

/*
 * Run one command. arguments (taken; NULL none). Events that come meanwhile are skipped.
 *
 * Returns   0; as qmp_open; SONDE_E_UNSUPPORTED and QEMU's own words where it refuses.
 * Owns      *ret: json_decref. NULL ret: the answer is dropped.
 */
int qmp_run(struct qmp *qmp, const char *command, json_t *arguments, json_t **ret,
	    struct sonde_error *err);

/* "running", "paused", "inmigrate" and others (qemu 7.2 qapi/run-state.json, RunState), cut. Returns as qmp_run. */
int qmp_state(struct qmp *qmp, char *ret, size_t cap, struct sonde_error *err);

/*
 * Run one line of the human monitor for processor cpu. Returns as qmp_run.
 * Owns      *ret, terminated: free.
 */
int qmp_monitor(struct qmp *qmp, const char *line, uint32_t cpu, char **ret,
		struct sonde_error *err);

/*
 * Give QEMU a copy of a descriptor, which its commands know as "fd:NAME" until one of them has used it.
 * Returns as qmp_run.
 */
int qmp_give_fd(struct qmp *qmp, const char *name, int fd, struct sonde_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/* The QEMU processes of this machine, as /proc and their command lines show them. */
#ifndef GUESTS_H
#define GUESTS_H

#include <limits.h>
#include <sonde/plugin.h>
#include <sys/types.h>

#define GUEST_QMP_MAX 4

struct guest {
	pid_t pid;
	char name[128];                    /* -name; "" for none                         */
	char qmp[GUEST_QMP_MAX][PATH_MAX]; /* [n_qmp], from the root, as seen from here  */
	size_t n_qmp;
	char machine[64];        /* first word of -machine or -M; "" default   */
	char program[64];        /* "qemu-system-x86_64"                       */
	uint64_t memory;         /* -m in bytes; 0 not given                   */
	char uuid[40];           /* -uuid; "" not given                        */
	char memory_backend[64]; /* memory-backend= of the machine; "" none    */
};

/* Take the arguments of pid (n_bytes of them, each ended by NUL) apart. Returns 1, 0 not a QEMU. pid 0: it is none of
 * this machine, and its sockets are not looked for. */
int guest_parse(struct guest *ret, pid_t pid, const char *cmdline, size_t n_bytes);

/* enum sonde_arch of what QEMU calls so, NULL allowed; of the guest, by its program: kvm and qemu-kvm are taken for x86-64's. */
uint32_t guest_arch_named(const char *name);
uint32_t guest_arch(const struct guest *guest);

/* Read one process. Returns 1, 0 when it is not a QEMU or not there. */
int guest_read(struct guest *ret, pid_t pid);

/* Each QEMU of /proc; fn returns not 0 to stop. Returns 0 or what fn returned. */
typedef int guest_fn(void *user, const struct guest *guest);
int guest_each(guest_fn *fn, void *user);

/*
 * The guest that a name means: a -name, else a process number.
 *
 * Returns   0; SONDE_E_NOT_FOUND (err lists the guests there are); SONDE_E_AMBIGUOUS (err lists
 * whose name it is).
 */
int guest_find(const struct sonde_host *host, const char *name, struct guest *ret,
	       struct sonde_error *err);

/* The guest one of whose QMP sockets is at path. Returns 1, 0 none. */
int guest_find_qmp(const char *path, struct guest *ret);

/* The guest with this -uuid, letter case aside. Returns how many have it; *ret is one of them. */
int guest_find_uuid(const char *uuid, struct guest *ret);

#endif

/* SPDX-License-Identifier: MIT */
/* The guest is found, and its monitor spoken to, as the connector qemu does it. */
#include "switch_on.h"

#include "../common/guests.h"
#include "../qemu/qmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/tmp/sonde-gdb-XXXXXX"
#define RAN "/stub"   /* the socket's name: the guest ran when its stub was switched on */
#define STOOD "/held" /* ... it stood still                                             */

/* Mine, or root may have everybody's: a folder that others may change could lead anywhere. */
static int is_ours(const char *folder)
{
	struct stat st;

	return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 077) == 0 &&
	       (geteuid() == 0 || st.st_uid == geteuid());
}

/* "disconnected:unix:/tmp/sonde-gdb-XXXXXX/stub,server=on" (qemu 7.2 chardev/char-socket.c, update_disconnected_filename). */
static int take_over(struct switch_on *on, const char *file)
{
	static const char prefix[] = "disconnected:unix:";
	const size_t len = strlen(FOLDER), random = strlen("XXXXXX");
	const char *at = file + strlen(prefix);

	if (strncmp(file, prefix, strlen(prefix)) != 0 || strncmp(at, FOLDER, len - random) != 0 ||
	    strcspn(at + len - random, "/,") != random)
		return 0;
	memcpy(on->folder, at, len);
	on->folder[len] = '\0';
	at += len;
	on->was_running = strncmp(at, RAN, strlen(RAN)) == 0;
	if ((!on->was_running && strncmp(at, STOOD, strlen(STOOD)) != 0) || !is_ours(on->folder)) {
		on->folder[0] = '\0';
		return 0;
	}
	snprintf(on->to, sizeof(on->to), "unix:%s%s", on->folder, on->was_running ? RAN : STOOD);
	on->is_on = 1;
	return 1;
}

/* QEMU's own label of its stub's character device (qemu 7.2 gdbstub.c, gdbserver_start). */
static int has_stub(struct switch_on *on, struct qmp *qmp, struct sonde_error *err)
{
	json_t *list = NULL, *entry;
	size_t i;
	int r = qmp_run(qmp, "query-chardev", NULL, &list, err);

	json_array_foreach(list, i, entry)
	{
		const char *label = json_string_value(json_object_get(entry, "label"));
		const char *file = json_string_value(json_object_get(entry, "filename"));
		if (r == 0 && label && strcmp(label, "gdb") == 0 &&
		    !take_over(on, file ? file : ""))
			r = qmp->host->error_set(
				err, SONDE_E_BUSY,
				"gdb: it has a stub already (%.100s): open that with gdb:HOST:PORT",
				file ? file : "not said where");
	}
	json_decref(list);
	return r;
}

static int ask_running(struct qmp *qmp, int *ret, struct sonde_error *err)
{
	json_t *status = NULL;
	int r = qmp_run(qmp, "query-status", NULL, &status, err);

	*ret = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return r;
}

/* Where QEMU runs as another user, the folder becomes that user's: if we are root, which may still enter. */
static int make_folder(struct switch_on *on, pid_t pid, struct sonde_error *err)
{
	char proc[32];
	struct stat st;

	strcpy(on->folder, FOLDER);
	if (!mkdtemp(on->folder)) {
		int os_code = errno;
		on->folder[0] = '\0';
		return on->host->error_os(err, os_code, "gdb: a folder in /tmp");
	}
	snprintf(proc, sizeof(proc), "/proc/%d", (int)pid);
	if (geteuid() == 0 && stat(proc, &st) == 0 && chown(on->folder, st.st_uid, st.st_gid) < 0)
		return on->host->error_os(err, errno, "gdb: '%s'", on->folder);
	snprintf(on->to, sizeof(on->to), "unix:%s%s", on->folder, on->was_running ? RAN : STOOD);
	return 0;
}

/* The monitor's command prints what went wrong; "Waiting for ..." is the good answer. */
static int start_stub(struct switch_on *on, struct qmp *qmp, struct sonde_error *err)
{
	char line[160], *text = NULL;

	snprintf(line, sizeof(line), "gdbserver %s,server=on,wait=off", on->to);
	int r = qmp_monitor(qmp, line, 0, &text, err);
	if (r == 0 && strncmp(text, "Waiting", 7) != 0)
		r = on->host->error_set(err, SONDE_E_UNSUPPORTED,
					"gdb: QEMU does not start its stub: %.*s",
					(int)strcspn(text, "\r\n"), text);
	free(text);
	on->is_on = r == 0;
	return r;
}

static int start_at(struct switch_on *on, pid_t pid, const char *socket, struct sonde_error *err)
{
	struct qmp qmp;
	int r = qmp_open(&qmp, on->host, socket, on->timeout_ms, err);

	if (r == 0 && (r = has_stub(on, &qmp, err)) == 0 && !on->is_on &&
	    (r = ask_running(&qmp, &on->was_running, err)) == 0 &&
	    (r = make_folder(on, pid, err)) == 0)
		r = start_stub(on, &qmp, err);
	qmp_close(&qmp);
	if (r == 0)
		snprintf(on->qmp, sizeof(on->qmp), "%s", socket);
	return r;
}

/* A name, a pid, or the path of a QMP socket. */
static int find(const struct sonde_host *host, const char *name, struct guest *ret,
		struct sonde_error *err)
{
	if (!strchr(name, '/'))
		return guest_find(host, name, ret, err);
	if (guest_find_qmp(name, ret))
		return 0;
	return host->error_set(err, SONDE_E_NOT_FOUND,
			       "gdb: 'qemu:%.200s': no guest of this machine has this QMP socket",
			       name);
}

int switch_on(struct switch_on *ret, const char *name, struct sonde_error *err)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	if (!guest)
		return ret->host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	int r = find(ret->host, name, guest, err);
	if (r == 0 && guest->n_qmp == 0)
		r = ret->host->error_set(err, SONDE_E_UNSUPPORTED,
					 "gdb: 'qemu:%.60s': its command line shows no QMP socket: "
					 "start it with -qmp "
					 "unix:PATH,server=on,wait=off",
					 name);
	else if (r == 0)
		r = SONDE_E_TIMED_OUT;
	/* One socket may be held by somebody else; what another says is not asked for twice. */
	for (size_t i = 0; r == SONDE_E_TIMED_OUT && i < guest->n_qmp; i++)
		r = start_at(ret, guest->pid, guest->qmp[i], err);
	free(guest);
	return r;
}

void switch_off(struct switch_on *on)
{
	struct qmp qmp;
	char *text = NULL;

	if (on->is_on && qmp_open(&qmp, on->host, on->qmp, on->timeout_ms, NULL) == 0) {
		qmp_monitor(&qmp, "gdbserver none", 0, &text, NULL);
		free(text);
	}
	if (on->is_on)
		qmp_close(&qmp);
	on->is_on = 0;
	if (on->folder[0]) {
		unlink(on->to + strlen("unix:"));
		rmdir(on->folder);
		on->folder[0] = '\0';
	}
}

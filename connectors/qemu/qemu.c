/* SPDX-License-Identifier: MIT */
/*
 * qemu: the memory of a running QEMU guest, found by name, pid or QMP socket.
 *
 *   qmp.c             talking to the monitor
 *   list.c            which guests there are
 *   common/guests.c   which process it is, and where its monitor listens
 *   common/machine.c  its memory: the map of it, and the bytes
 *   snapshot.c        one moment of it
 *
 * A QMP socket serves one client at a time: it is held only while something is asked.
 */
#include "../common/machine.h"
#include "../common/standstill.h"
#include "list.h"
#include "qmp.h"
#include "snapshot.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QMP_TIMEOUT_MS 2000
#define GONE_TIMEOUT_MS 500 /* what became of it is worth no longer wait */

struct qemu {
	const struct sonde_host *host;
	struct machine machine;
	char qmp_path[PATH_MAX]; /* the monitor that answered; "" none */
	int by_socket;           /* the guest is whoever listens there */
	struct standstill still;
	int paused; /* by us, or by others of us */
	enum snapshot_way snapshot_way;
	struct snapshot snapshot; /* fd -1: the guest itself is shown */
	struct full_cpu_kept told;
	char detail[480];
};

static int is_snapshot(const struct qemu *qemu)
{
	return qemu->snapshot.fd >= 0;
}

static int has_ended(struct qemu *qemu, struct sonde_error *err)
{
	const struct guest *guest = &qemu->machine.guest;

	if (procmem_alive(&qemu->machine.mem))
		return 0;
	return qemu->host->error_set(err, SONDE_E_GONE, "qemu: '%s' (pid %d): has ended",
				     guest->name, (int)guest->pid);
}

static int no_monitor(struct qemu *qemu, struct sonde_error *err)
{
	const struct guest *guest = &qemu->machine.guest;

	return qemu->host->error_set(err, SONDE_E_UNSUPPORTED,
				     "qemu: '%s' (pid %d): has no QMP socket that can be used",
				     guest->name, (int)guest->pid);
}

/* A socket outlives its QEMU, and the next one of its name listens there. Who passed an open one on, as libvirt does, is no QEMU. */
static int is_anothers(const struct qemu *qemu, const struct qmp *qmp, struct guest *ret)
{
	pid_t pid = qmp_peer(qmp);

	return pid != qemu->machine.guest.pid && guest_read(ret, pid);
}

static int refuse_another(struct qemu *qemu, const struct guest *other, struct sonde_error *err)
{
	const struct guest *guest = &qemu->machine.guest;

	return qemu->host->error_set(
		err, SONDE_E_GONE,
		"qemu: '%s' (pid %d): has ended, or lost its QMP socket: another "
		"QEMU, '%s' (pid %d), listens there now",
		guest->name, (int)guest->pid, other->name, (int)other->pid);
}

static int open_monitor(struct qemu *qemu, struct qmp *ret, int timeout_ms, struct sonde_error *err)
{
	if (!qemu->qmp_path[0])
		return no_monitor(qemu, err);
	int r = qmp_open(ret, qemu->host, qemu->qmp_path, timeout_ms, err);
	if (r < 0) {
		qmp_close(ret);
		int gone = has_ended(qemu, err);
		return gone < 0 ? gone : r;
	}
	struct guest other;
	if (!is_anothers(qemu, ret, &other))
		return 0;
	qmp_close(ret);
	return refuse_another(qemu, &other, err);
}

static int monitor_line(void *at, const char *line, uint32_t cpu, char **ret,
			struct sonde_error *err)
{
	return qmp_monitor(at, line, cpu, ret, err);
}

static int monitor_ask(void *at, const char *command, json_t **ret, struct sonde_error *err)
{
	return qmp_run(at, command, NULL, ret, err);
}

static struct monitor monitor_of(struct qmp *qmp)
{
	return (struct monitor){ .line = monitor_line, .ask = monitor_ask, .at = qmp };
}

/* ---- which guest ------------------------------------------------------------------------- */

static int find_by_socket(struct qemu *qemu, const char *path, struct sonde_error *err)
{
	struct qmp qmp;

	if (strlen(path) >= sizeof(qemu->qmp_path))
		return qemu->host->error_set(err, SONDE_E_BAD_ARG, "qemu: QMP path is too long");
	strcpy(qemu->qmp_path, path);
	qemu->by_socket = 1;
	if (guest_find_qmp(path, &qemu->machine.guest))
		return 0;

	/* A socket handed to QEMU open is not in its command line; the kernel may know who listens.
	 */
	int r = qmp_open(&qmp, qemu->host, path, QMP_TIMEOUT_MS, err);
	pid_t pid = r == 0 ? qmp_peer(&qmp) : 0;
	qmp_close(&qmp);
	if (r < 0)
		return r;
	if (!guest_read(&qemu->machine.guest, pid))
		return qemu->host->error_set(
			err, SONDE_E_NOT_FOUND,
			"qemu: QMP '%.200s': no QEMU process of this machine listens there "
			"(process %d does): add pid=N",
			path, (int)pid);
	return 0;
}

static int find_by_pid(struct qemu *qemu, uint64_t pid, struct sonde_error *err)
{
	if (pid > 0 && pid <= INT32_MAX && guest_read(&qemu->machine.guest, (pid_t)pid))
		return 0;
	return qemu->host->error_set(err, SONDE_E_NOT_FOUND, "qemu: pid %llu: no QEMU process",
				     (unsigned long long)pid);
}

static int find_guest(struct qemu *qemu, const struct sonde_args *args, struct sonde_error *err)
{
	const struct sonde_host *host = qemu->host;
	const char *name = host->arg(args, "name"), *socket = host->arg(args, "qmp");
	uint64_t pid = 0;
	int has_pid = host->arg_u64(args, "pid", &pid, err);

	if (has_pid < 0)
		return has_pid;
	if (!socket && name && strchr(name, '/'))
		socket = name;
	if (socket && strlen(socket) < sizeof(qemu->qmp_path))
		strcpy(qemu->qmp_path, socket);
	if (has_pid)
		return find_by_pid(qemu, pid, err);
	if (socket)
		return find_by_socket(qemu, socket, err);
	if (name)
		return guest_find(host, name, &qemu->machine.guest, err);
	return host->error_set(
		err, SONDE_E_BAD_ARG,
		"qemu: which guest? Write qemu:NAME, qemu:PID or qemu:/path/to/qmp.sock");
}

/* ---- the map ------------------------------------------------------------------------------- */

/* Until all of an incoming guest is there its memory is a mixture that looks like one. */
static int check_arrived(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	const struct guest *guest = &qemu->machine.guest;
	char state[32];
	int r = qmp_state(qmp, state, sizeof(state), err);

	if (r < 0 || strcmp(state, "inmigrate") != 0)
		return r;
	return qemu->host->error_set(err, SONDE_E_BUSY,
				     "qemu: '%s' (pid %d): a guest is migrating to it, and its "
				     "memory is not all there: try again when it has come",
				     guest->name, (int)guest->pid);
}

/* Who answers tells of its own memory, and of no other's: it is the guest, where a socket was all that was given. */
static int check_who_answers(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	struct guest other;

	if (!is_anothers(qemu, qmp, &other))
		return 0;
	if (!qemu->by_socket)
		return refuse_another(qemu, &other, err);
	qemu->machine.guest = other;
	return machine_hold(&qemu->machine, err);
}

static int map_by_monitor(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	struct monitor monitor = monitor_of(qmp);
	int r = check_who_answers(qemu, qmp, err);

	if (r == 0)
		r = check_arrived(qemu, qmp, err);
	if (r == 0)
		r = machine_ask_map(&qemu->machine, &monitor, err);
	return r < 0 ? r : machine_locate(&qemu->machine, &monitor, err);
}

/* The sockets of the command line in turn, because a busy one may have a free brother. */
static int ask_monitors(struct qemu *qemu, struct sonde_error *err)
{
	int given = qemu->qmp_path[0] != '\0';
	size_t n = given ? 1 : qemu->machine.guest.n_qmp;
	int r = qemu->host->error_set(err, SONDE_E_UNSUPPORTED,
				      "qemu: '%s' (pid %d): its command line shows no QMP socket",
				      qemu->machine.guest.name, (int)qemu->machine.guest.pid);

	for (size_t i = 0; i < n; i++) {
		const char *path = given ? qemu->qmp_path : qemu->machine.guest.qmp[i];
		struct qmp qmp;
		r = qmp_open(&qmp, qemu->host, path, QMP_TIMEOUT_MS, err);
		if (r == 0)
			r = map_by_monitor(qemu, &qmp, err);
		qmp_close(&qmp);
		if (r == 0 && !given)
			memcpy(qemu->qmp_path, path, strlen(path) + 1);
		if (r == 0 || r == SONDE_E_BUSY)
			return r;
	}
	return r;
}

/* The RAM is the one mapping of its size; where it goes in the machine follows from its kind. */
static int map_by_guess(struct qemu *qemu)
{
	struct guest *guest = &qemu->machine.guest;

	if (!guest->memory)
		guest->memory = UINT64_C(128) << 20; /* QEMU's default; larger on a few boards */
	struct backing *ram = backings_of_size(&qemu->machine.backings, guest->memory);
	return ram ? machine_guess_map(&qemu->machine, ram->start) : SONDE_E_UNSUPPORTED;
}

/* Returns 1 when the map is only a guess, and then why in *why. */
static int make_map(struct qemu *qemu, struct sonde_error *why, struct sonde_error *err)
{
	int asked = ask_monitors(qemu, why);

	if (asked == 0)
		return 0;
	if (asked == SONDE_E_BUSY)
		return qemu->host->error_set(err, asked, "%s", why->text);
	if (procmem_alive(&qemu->machine.mem) && map_by_guess(qemu) == 0) {
		qemu->qmp_path[0] = '\0';
		return 1;
	}
	return qemu->host->error_set(err, asked,
				     "%.330s; start it with -qmp unix:PATH,server=on,wait=off, or "
				     "name a socket with qmp=PATH",
				     why->text);
}

static void describe(struct qemu *qemu, int guessed, const struct sonde_error *why)
{
	char way[192];

	machine_describe_way(&qemu->machine, way, sizeof(way));
	int n = snprintf(qemu->detail, sizeof(qemu->detail), "guest '%s', pid %d, %s",
			 qemu->machine.guest.name, (int)qemu->machine.guest.pid, way);
	if (guessed && n > 0 && (size_t)n < sizeof(qemu->detail))
		snprintf(qemu->detail + n, sizeof(qemu->detail) - (size_t)n,
			 ", map guessed from the command line (%.200s)", why->text);
}

static int open_guest(struct qemu *qemu, const struct sonde_args *args, struct sonde_error *err)
{
	struct sonde_error why = { 0 };
	int r;

	if ((r = machine_parse_via(&qemu->machine, qemu->host->arg(args, "via"), err)) < 0 ||
	    (r = snapshot_parse(qemu->host, qemu->host->arg(args, "snapshot"), &qemu->snapshot_way,
				err)) < 0 ||
	    (r = find_guest(qemu, args, err)) < 0 || (r = machine_hold(&qemu->machine, err)) < 0)
		return r;
	int guessed = make_map(qemu, &why, err);
	if (guessed < 0)
		return guessed;
	if ((r = machine_choose_way(&qemu->machine, err)) < 0)
		return r;
	describe(qemu, guessed, &why);
	return 0;
}

/* ---- the connector ------------------------------------------------------------------------- */

static int resume(struct qemu *qemu, unsigned n_tries, struct sonde_error *err);

#define CLOSE_TRIES 5u /* nobody else lets the guest go on, so its monitor may be slow */

static void qemu_close(void *conn)
{
	struct qemu *qemu = conn;

	if (qemu->paused)
		resume(qemu, CLOSE_TRIES, NULL);
	snapshot_finish(&qemu->snapshot);
	machine_finish(&qemu->machine);
	free(qemu);
}

static int qemu_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	if (!qemu)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	qemu->host = host;
	snapshot_init(&qemu->snapshot);
	machine_init(&qemu->machine, host, "qemu", host->arg_write(args));
	standstill_init(&qemu->still);
	int r = open_guest(qemu, args, err);
	if (r < 0) {
		qemu_close(qemu);
		return r;
	}
	*ret_conn = qemu;
	return 0;
}

static void qemu_info(void *conn, struct sonde_target_info *ret)
{
	struct qemu *qemu = conn;

	ret->detail = qemu->detail;
	ret->arch = qemu->machine.arch;
	ret->flags = SONDE_TARGET_PHYSICAL | (is_snapshot(qemu) ? 0 : SONDE_TARGET_LIVE) |
		     (qemu->machine.write ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = qemu->machine.n_cpus;
}

static uint32_t qemu_ways(void *conn)
{
	const struct qemu *qemu = conn;

	return is_snapshot(qemu) ? SONDE_WAY_EXTENTS : machine_ways(&qemu->machine);
}

static int qemu_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct qemu *qemu = conn;

	(void)err;
	if (is_snapshot(qemu))
		return snapshot_extents(&qemu->snapshot, &qemu->machine, fn, user);
	return machine_extents(&qemu->machine, fn, user);
}

static void qemu_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	machine_transfer(&((struct qemu *)conn)->machine, ios, n);
}

static int qemu_regions(void *conn, sonde_region_fn *fn, void *user)
{
	const struct qemu *qemu = conn;
	const struct machine *machine = &qemu->machine;

	if (is_snapshot(qemu))
		return snapshot_regions(&qemu->snapshot, machine, fn, user);
	return machine_regions(&machine->map, machine->via, fn, user);
}

static int full_cpu(struct qemu *qemu, uint32_t index, struct full_cpu *ret)
{
	struct qmp qmp;

	if (is_snapshot(qemu))
		return snapshot_cpu(&qemu->snapshot, &qemu->machine, index, ret);
	if (index >= qemu->machine.n_cpus)
		return qemu->machine.n_cpus ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
	int r = open_monitor(qemu, &qmp, QMP_TIMEOUT_MS, NULL);
	if (r < 0)
		return r;
	struct monitor monitor = monitor_of(&qmp);
	r = machine_cpu(&qemu->machine, &monitor, index, ret);
	qmp_close(&qmp);
	return r;
}

/* Its memory stays where it was left, and looks alive. */
static int check_left(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	const struct guest *guest = &qemu->machine.guest;
	char state[32];

	if (qmp_state(qmp, state, sizeof(state), NULL) < 0 || strcmp(state, "postmigrate") != 0)
		return 0;
	return qemu->host->error_set(err, SONDE_E_GONE,
				     "qemu: '%s' (pid %d): has migrated to another QEMU; what is "
				     "read here is of the moment it left",
				     guest->name, (int)guest->pid);
}

static int qemu_gone(void *conn, struct sonde_error *err)
{
	struct qemu *qemu = conn;
	struct qmp qmp;

	if (is_snapshot(qemu))
		return 0;
	int r = has_ended(qemu, err);

	/* A monitor that others hold does not tell, which is no news. */
	if (r < 0 || !qemu->qmp_path[0] || open_monitor(qemu, &qmp, GONE_TIMEOUT_MS, NULL) < 0)
		return r;
	struct monitor monitor = monitor_of(&qmp);
	r = check_left(qemu, &qmp, err);
	if (r == 0)
		r = machine_changed(&qemu->machine, &monitor, err);
	qmp_close(&qmp);
	return r;
}

static int qemu_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct qemu *qemu = conn;
	struct full_cpu cpu;
	int r = full_cpu(qemu, index, &cpu);

	if (r < 0)
		return r;
	full_cpu_keep(&qemu->told, index, &cpu);
	*ret = cpu.cpu;
	return 0;
}

static int64_t qemu_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct qemu *qemu = conn;
	struct full_cpu cpu;
	uint32_t index;

	if (full_cpu_asked(name, &index) && full_cpu_upper(qemu->machine.arch))
		return full_cpu_take(&qemu->told, index, &cpu) || full_cpu(qemu, index, &cpu) == 0
			       ? full_cpu_note(&cpu, buf, cap)
			       : SONDE_E_NOT_FOUND;
	if (strcmp(name, SONDE_NOTE_IDENTITY) != 0)
		return SONDE_E_NOT_FOUND;
	return procmem_identity(&qemu->machine.mem, buf, cap);
}

static int run_once(struct qemu *qemu, const char *command, struct sonde_error *err)
{
	struct qmp qmp;
	int r = open_monitor(qemu, &qmp, QMP_TIMEOUT_MS, err);

	if (r < 0)
		return r;
	r = qmp_run(&qmp, command, NULL, NULL, err);
	qmp_close(&qmp);
	return r;
}

/* Returns 1 where it ran. *ret_sent: it was told to stop; where that failed it may stop later all the same. */
static int stop_if_running(struct qemu *qemu, int *ret_sent, struct sonde_error *err)
{
	struct qmp qmp;
	char state[32];
	int r = open_monitor(qemu, &qmp, QMP_TIMEOUT_MS, err);

	*ret_sent = 0;
	if (r < 0)
		return r;
	r = qmp_state(&qmp, state, sizeof(state), err);
	int running = *ret_sent = r == 0 && strcmp(state, "running") == 0;
	if (running)
		r = qmp_run(&qmp, "stop", NULL, NULL, err);
	qmp_close(&qmp);
	return r < 0 ? r : running;
}

/* A guest that somebody else has stopped stays theirs to continue; one that others of us hold is also ours. */
static int qemu_pause(void *conn, struct sonde_error *err)
{
	struct qemu *qemu = conn;
	int others = standstill_enter(&qemu->still, qemu->machine.guest.pid);
	int sent;
	int r = stop_if_running(qemu, &sent, err);

	qemu->paused |= sent || (r == 0 && others);
	standstill_stay(&qemu->still, qemu->paused);
	return r < 0 ? r : !qemu->paused;
}

static int resume(struct qemu *qemu, unsigned n_tries, struct sonde_error *err)
{
	int others = standstill_leave(&qemu->still, qemu->machine.guest.pid);
	int r = others ? 0 : SONDE_E_TIMED_OUT;

	while (r == SONDE_E_TIMED_OUT && n_tries--)
		r = run_once(qemu, "cont", err);
	standstill_left(&qemu->still);
	if (r == 0)
		qemu->paused = 0;
	return r;
}

static int qemu_resume(void *conn, struct sonde_error *err)
{
	return resume(conn, 1, err);
}

static int qemu_snapshot(void *conn, struct sonde_snapshot *ret, struct sonde_error *err)
{
	struct qemu *qemu = conn;

	if (!qemu->qmp_path[0])
		return no_monitor(qemu, err);
	int r = snapshot_take(&qemu->snapshot, &qemu->machine, qemu->qmp_path, qemu->snapshot_way,
			      err);
	if (r == 0)
		*ret = qemu->snapshot.told;
	return r;
}

static const struct sonde_connector_ops qemu_ops = {
	.size = sizeof(qemu_ops),
	.open = qemu_open,
	.close = qemu_close,
	.info = qemu_info,
	.extents = qemu_extents,
	.transfer = qemu_transfer,
	.regions = qemu_regions,
	.cpu = qemu_cpu,
	.note = qemu_note,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.ways = qemu_ways,
	.gone = qemu_gone,
	.list = qemu_list,
	.snapshot = qemu_snapshot,
};

SONDE_PLUGIN(.name = "qemu", .summary = "a running QEMU guest of this machine", .main_arg = "name",
	     .args_help = "name=GUEST  its -name, its pid, or the path of its QMP socket\n"
			  "pid=N  the QEMU process\n"
			  "qmp=PATH  its QMP socket, where the command line does not show it\n"
			  "via=HOW  map (the shared file of its RAM), process (process_vm_readv), "
			  "auto\n"
			  "snapshot=HOW  one moment, where that is asked for: stream, clone, copy, "
			  "auto\n",
	     .connector = &qemu_ops);

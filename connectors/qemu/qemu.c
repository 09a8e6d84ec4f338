/* SPDX-License-Identifier: MIT */
/*
 * qemu: the memory of a running QEMU guest, found by name, pid or QMP socket.
 *
 *   qmp.c                   talking to the monitor
 *   common/guests.c         which process it is, and where its monitor listens
 *   common/memory_map.c     guest-physical addresses to addresses in that process
 *   common/backing.c        RAM that is a shared file: then the engines read the file
 *   common/procmem.c        else process_vm_readv on the process
 *   common/registers.c      processors
 *
 * A QMP socket serves one client at a time: it is held only while something is asked.
 */
#include "../common/procmem.h"
#include "../common/backing.h"
#include "../common/guests.h"
#include "../common/memory_map.h"
#include "qmp.h"
#include "../common/registers.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QMP_TIMEOUT_MS 2000

enum via { VIA_AUTO, VIA_MAP, VIA_PROCESS };

struct qemu {
	const struct sonde_host *host;
	struct guest guest;
	char qmp_path[PATH_MAX]; /* the monitor that answered; "" none */
	struct procmem mem;
	struct memory_map map;
	struct backings backings;
	enum via via; /* AUTO only until opened */
	uint32_t arch;
	uint32_t n_cpus;
	int write;
	int paused; /* by us */
	char detail[480];
};

static int open_monitor(struct qemu *qemu, struct qmp *ret, struct sonde_error *err)
{
	if (!qemu->qmp_path[0])
		return qemu->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"qemu: '%s' (pid %d): has no QMP socket that can be used", qemu->guest.name,
			(int)qemu->guest.pid);
	int r = qmp_open(ret, qemu->host, qemu->qmp_path, QMP_TIMEOUT_MS, err);
	if (r < 0) {
		qmp_close(ret);
		return procmem_alive(&qemu->mem)
			       ? r
			       : qemu->host->error_set(err, SONDE_E_GONE,
						       "qemu: '%s' (pid %d): has ended",
						       qemu->guest.name, (int)qemu->guest.pid);
	}
	return 0;
}

/* ---- which guest ------------------------------------------------------------------------- */

static int find_by_socket(struct qemu *qemu, const char *path, struct sonde_error *err)
{
	struct qmp qmp;

	if (strlen(path) >= sizeof(qemu->qmp_path))
		return qemu->host->error_set(err, SONDE_E_BAD_ARG, "qemu: QMP path is too long");
	strcpy(qemu->qmp_path, path);
	if (guest_find_qmp(path, &qemu->guest))
		return 0;

	/* A socket handed to QEMU open is not in its command line; the kernel may know who listens.
	 */
	int r = qmp_open(&qmp, qemu->host, path, QMP_TIMEOUT_MS, err);
	pid_t pid = r == 0 ? qmp_peer(&qmp) : 0;
	qmp_close(&qmp);
	if (r < 0)
		return r;
	if (!guest_read(&qemu->guest, pid))
		return qemu->host->error_set(
			err, SONDE_E_NOT_FOUND,
			"qemu: QMP '%.200s': no QEMU process of this machine listens there "
			"(process %d does): add pid=N",
			path, (int)pid);
	return 0;
}

static int find_by_pid(struct qemu *qemu, uint64_t pid, struct sonde_error *err)
{
	if (pid > 0 && pid <= INT32_MAX && guest_read(&qemu->guest, (pid_t)pid))
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
		return guest_find(host, name, &qemu->guest, err);
	return host->error_set(
		err, SONDE_E_BAD_ARG,
		"qemu: which guest? Write qemu:NAME, qemu:PID or qemu:/path/to/qmp.sock");
}

/* ---- the map, with a monitor -------------------------------------------------------------- */

static int read_map(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	char *text;
	int r = qmp_monitor(qmp, "info mtree -f", 0, &text, err);

	if (r < 0)
		return r;
	r = memory_map_parse(&qemu->map, text);
	free(text);
	if (r < 0)
		return qemu->host->error_set(err, r,
					     "qemu: '%s': its memory map cannot be understood",
					     qemu->guest.name);
	return 0;
}

/* Blocks that are memory backends are RAM; QEMU before 5.0 has none for its main memory. */
static void mark_ram(struct qemu *qemu, struct qmp *qmp)
{
	json_t *list = NULL, *entry;
	size_t i, n = 0;

	if (qmp_run(qmp, "query-memdev", NULL, &list, NULL) == 0) {
		json_array_foreach(list, i, entry)
		{
			const char *id = json_string_value(json_object_get(entry, "id"));
			n += id ? memory_map_mark(&qemu->map, id) : 0;
		}
	}
	json_decref(list);
	if (n == 0)
		memory_map_mark_likely(&qemu->map);
}

/* Each range is asked for by itself: names of blocks are not unique. What QEMU denies is a hole. */
static int locate_ranges(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < qemu->map.n; i++) {
		struct memory_range *range = &qemu->map.ranges[i];
		char line[64], *answer;
		snprintf(line, sizeof(line), "gpa2hva 0x%llx", (unsigned long long)range->addr);
		int r = qmp_monitor(qmp, line, 0, &answer, err);
		if (r < 0)
			return r;
		if (memory_map_hva(answer, &range->hva))
			qemu->map.ranges[kept++] = *range;
		free(answer);
	}
	qemu->map.n = kept;
	return 0;
}

static uint32_t arch_of(const char *name)
{
	static const struct {
		const char *name;
		uint32_t arch;
	} known[] = {
		{ "x86_64", SONDE_ARCH_X86_64 },
		{ "i386", SONDE_ARCH_I386 },
		{ "aarch64", SONDE_ARCH_AARCH64 },
		{ "riscv64", SONDE_ARCH_RISCV64 },
	};

	for (size_t i = 0; name && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0)
			return known[i].arch;
	}
	return SONDE_ARCH_NONE;
}

static void ask_processors(struct qemu *qemu, struct qmp *qmp)
{
	json_t *cpus = NULL;

	if (qmp_run(qmp, "query-cpus-fast", NULL, &cpus, NULL) < 0)
		return;
	qemu->arch = arch_of(json_string_value(json_object_get(json_array_get(cpus, 0), "target")));
	if (qemu->arch == SONDE_ARCH_X86_64 || qemu->arch == SONDE_ARCH_I386)
		qemu->n_cpus = (uint32_t)json_array_size(cpus);
	json_decref(cpus);
}

static int map_by_monitor(struct qemu *qemu, struct qmp *qmp, struct sonde_error *err)
{
	int r = read_map(qemu, qmp, err);

	if (r < 0)
		return r;
	mark_ram(qemu, qmp);
	memory_map_join(&qemu->map);
	ask_processors(qemu, qmp);
	return locate_ranges(qemu, qmp, err);
}

/* The sockets of the command line in turn, because a busy one may have a free brother. */
static int ask_monitors(struct qemu *qemu, struct sonde_error *err)
{
	int given = qemu->qmp_path[0] != '\0';
	size_t n = given ? 1 : qemu->guest.n_qmp;
	int r = qemu->host->error_set(err, SONDE_E_UNSUPPORTED,
				      "qemu: '%s' (pid %d): its command line shows no QMP socket",
				      qemu->guest.name, (int)qemu->guest.pid);

	for (size_t i = 0; i < n; i++) {
		const char *path = given ? qemu->qmp_path : qemu->guest.qmp[i];
		struct qmp qmp;
		r = qmp_open(&qmp, qemu->host, path, QMP_TIMEOUT_MS, err);
		if (r == 0) {
			memory_map_finish(&qemu->map);
			r = map_by_monitor(qemu, &qmp, err);
		}
		qmp_close(&qmp);
		if (r == 0) {
			if (!given)
				memcpy(qemu->qmp_path, path, strlen(path) + 1);
			return 0;
		}
	}
	return r;
}

/* ---- the map, without one ----------------------------------------------------------------- */

/* The RAM is the one mapping of its size; where it goes in the machine follows from its kind. */
static int map_by_guess(struct qemu *qemu)
{
	struct guest *guest = &qemu->guest;
	const char *arch =
		strncmp(guest->program, "qemu-system-", 12) == 0 ? guest->program + 12 : "x86_64";

	if (!guest->memory)
		guest->memory = UINT64_C(128) << 20; /* QEMU's default; larger on a few boards */
	struct backing *ram = backings_of_size(&qemu->backings, guest->memory);
	if (!ram)
		return SONDE_E_UNSUPPORTED;
	qemu->arch = arch_of(arch);
	memory_map_finish(&qemu->map);
	return memory_map_guess(&qemu->map, guest, ram->start);
}

/* Returns 1 when the map is only a guess, and then why in *why. */
static int make_map(struct qemu *qemu, struct sonde_error *why, struct sonde_error *err)
{
	int asked = ask_monitors(qemu, why);

	if (asked == 0)
		return 0;
	if (procmem_alive(&qemu->mem) && map_by_guess(qemu) == 0) {
		qemu->qmp_path[0] = '\0';
		return 1;
	}
	return qemu->host->error_set(err, asked,
				     "%.330s; start it with -qmp unix:PATH,server=on,wait=off, or "
				     "name a socket with qmp=PATH",
				     why->text);
}

/* ---- how the bytes are reached ------------------------------------------------------------- */

static int all_ram_shared(struct qemu *qemu)
{
	int n = 0;

	for (size_t i = 0; i < qemu->map.n; i++) {
		const struct memory_range *range = &qemu->map.ranges[i];
		if (!(range->flags & SONDE_REGION_RAM))
			continue;
		if (!backings_shared(&qemu->backings, range->hva, range->len, qemu->write))
			return 0;
		n++;
	}
	return n > 0;
}

static int choose_way(struct qemu *qemu, struct sonde_error *err)
{
	int shared = qemu->via != VIA_PROCESS && all_ram_shared(qemu);

	if (qemu->via == VIA_MAP && !shared)
		return qemu->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"qemu: '%s': via=map: its RAM is not one shared file that may be "
			"opened: start it with a memory-backend-file and share=on",
			qemu->guest.name);
	qemu->via = shared ? VIA_MAP : VIA_PROCESS;
	return 0;
}

static const char *shared_path(struct qemu *qemu)
{
	for (size_t i = 0; i < qemu->map.n; i++) {
		if (qemu->map.ranges[i].flags & SONDE_REGION_RAM)
			return backings_find(&qemu->backings, qemu->map.ranges[i].hva)->path;
	}
	return "";
}

static void describe(struct qemu *qemu, int guessed, const struct sonde_error *why)
{
	int n = snprintf(qemu->detail, sizeof(qemu->detail), "guest '%s', pid %d, %s%.150s",
			 qemu->guest.name, (int)qemu->guest.pid,
			 qemu->via == VIA_MAP ? "shared mapping of "
			 : qemu->mem.by_file  ? "/proc/PID/mem"
					      : "process_vm_readv",
			 qemu->via == VIA_MAP ? shared_path(qemu) : "");

	if (guessed && n > 0 && (size_t)n < sizeof(qemu->detail))
		snprintf(qemu->detail + n, sizeof(qemu->detail) - (size_t)n,
			 ", map guessed from the command line (%.200s)", why->text);
}

static int parse_via(struct qemu *qemu, const char *text, struct sonde_error *err)
{
	if (!text || strcmp(text, "auto") == 0)
		qemu->via = VIA_AUTO;
	else if (strcmp(text, "map") == 0)
		qemu->via = VIA_MAP;
	else if (strcmp(text, "process") == 0)
		qemu->via = VIA_PROCESS;
	else
		return qemu->host->error_set(err, SONDE_E_BAD_ARG,
					     "qemu: via '%.40s': there are auto, map and process",
					     text);
	return 0;
}

static int open_guest(struct qemu *qemu, const struct sonde_args *args, struct sonde_error *err)
{
	struct sonde_error why = { 0 };
	int r;

	if ((r = parse_via(qemu, qemu->host->arg(args, "via"), err)) < 0 ||
	    (r = find_guest(qemu, args, err)) < 0 ||
	    (r = procmem_open(&qemu->mem, qemu->host, "qemu", qemu->guest.pid, qemu->write, err)) <
		    0)
		return r;
	r = backings_read(&qemu->backings, qemu->guest.pid);
	if (r < 0)
		return qemu->host->error_set(err, r, "qemu: '%s' (pid %d): mappings: %s",
					     qemu->guest.name, (int)qemu->guest.pid,
					     r == SONDE_E_NO_ACCESS ? "permission denied"
								    : "cannot be read");
	int guessed = make_map(qemu, &why, err);
	if (guessed < 0)
		return guessed;
	if ((r = choose_way(qemu, err)) < 0)
		return r;
	describe(qemu, guessed, &why);
	return 0;
}

/* ---- the connector ------------------------------------------------------------------------- */

static int qemu_resume(void *conn, struct sonde_error *err);

static void qemu_close(void *conn)
{
	struct qemu *qemu = conn;

	if (qemu->paused)
		qemu_resume(qemu, NULL);
	backings_finish(&qemu->backings);
	memory_map_finish(&qemu->map);
	procmem_close(&qemu->mem);
	free(qemu);
}

static int qemu_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	if (!qemu)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	qemu->host = host;
	qemu->write = host->arg_write(args);
	procmem_init(&qemu->mem);
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
	ret->arch = qemu->arch;
	ret->flags = SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL |
		     (qemu->write ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = qemu->n_cpus;
}

static uint32_t qemu_ways(void *conn)
{
	return ((struct qemu *)conn)->via == VIA_MAP ? SONDE_WAY_EXTENTS : SONDE_WAY_TRANSFER;
}

/* A range in the files of the mappings it crosses. */
static int tell_range(struct qemu *qemu, const struct memory_range *range, sonde_extent_fn *fn,
		      void *user)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < range->len) {
		uint64_t hva = range->hva + done;
		const struct backing *backing = backings_find(&qemu->backings, hva);
		uint64_t left = range->len - done, room = backing->end - hva;
		struct sonde_extent extent = {
			.addr = range->addr + done,
			.len = room < left ? room : left,
			.kind = SONDE_EXTENT_FILE,
			.flags = range->flags & ~(qemu->write ? 0u : (uint32_t)SONDE_REGION_WRITE),
			.off = backing->off + (hva - backing->start),
			.fd = backing->fd,
		};
		r = fn(user, &extent);
		done += extent.len;
	}
	return r;
}

/* Video memory and firmware are not in the file: via=process reaches them. */
static int qemu_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct qemu *qemu = conn;
	int r = 0;

	(void)err;
	for (size_t i = 0; r == 0 && i < qemu->map.n; i++) {
		const struct memory_range *range = &qemu->map.ranges[i];
		struct sonde_extent absent = {
			.addr = range->addr,
			.len = range->len,
			.kind = SONDE_EXTENT_ABSENT,
			.err = SONDE_E_UNSUPPORTED,
		};
		r = range->flags & SONDE_REGION_RAM ? tell_range(qemu, range, fn, user)
						    : fn(user, &absent);
	}
	return r;
}

/* One piece, cut where the map is. */
static void transfer_piece(struct qemu *qemu, struct sonde_io *io, uint32_t i)
{
	const struct sonde_xfer *x = &io->xfers[i];

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off, gap = 0, room;
		int wrapped = addr < x->addr;
		const struct memory_range *range =
			wrapped ? NULL : memory_map_find(&qemu->map, addr, &gap);

		room = range ? range->len - (addr - range->addr) : gap;
		len = room && room < x->len - off ? (uint32_t)room : x->len - off;
		if (!range)
			sonde_progress(qemu->host, io, i, off, len, SONDE_E_NOT_MAPPED);
		else
			procmem_add(&qemu->mem, io, i, off, len, range->hva + (addr - range->addr));
	}
}

static void qemu_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct qemu *qemu = conn;

	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			transfer_piece(qemu, ios[k], i);
	}
	procmem_flush(&qemu->mem);
}

static int qemu_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct qemu *qemu = conn;
	int r = 0;

	for (size_t i = 0; r == 0 && i < qemu->map.n; i++) {
		const struct memory_range *range = &qemu->map.ranges[i];
		struct sonde_region region = { .addr = range->addr,
					       .len = range->len,
					       .flags = range->flags,
					       .name = range->name };
		if (qemu->via == VIA_PROCESS || (range->flags & SONDE_REGION_RAM))
			r = fn(user, &region);
	}
	return r;
}

static int qemu_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct qemu *qemu = conn;
	struct qmp qmp;
	char *text;

	if (!qemu->n_cpus)
		return SONDE_E_UNSUPPORTED;
	if (index >= qemu->n_cpus)
		return SONDE_E_NOT_FOUND;
	int r = open_monitor(qemu, &qmp, NULL);
	if (r < 0)
		return r;
	r = qmp_monitor(&qmp, "info registers", index, &text, NULL);
	qmp_close(&qmp);
	if (r < 0)
		return r;
	ret->arch = qemu->arch;
	r = registers_parse(text, ret) ? 0 : SONDE_E_UNSUPPORTED;
	free(text);
	return r;
}

static int run_once(struct qemu *qemu, const char *command, struct sonde_error *err)
{
	struct qmp qmp;
	int r = open_monitor(qemu, &qmp, err);

	if (r < 0)
		return r;
	r = qmp_run(&qmp, command, NULL, NULL, err);
	qmp_close(&qmp);
	return r;
}

/* A guest that somebody else has stopped stays theirs to continue. */
static int qemu_pause(void *conn, struct sonde_error *err)
{
	struct qemu *qemu = conn;
	struct qmp qmp;
	json_t *status = NULL;
	int r = open_monitor(qemu, &qmp, err);

	if (r < 0)
		return r;
	r = qmp_run(&qmp, "query-status", NULL, &status, err);
	int running = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	if (r == 0 && running) {
		r = qmp_run(&qmp, "stop", NULL, NULL, err);
		qemu->paused = r == 0;
	}
	qmp_close(&qmp);
	return r;
}

static int qemu_resume(void *conn, struct sonde_error *err)
{
	struct qemu *qemu = conn;
	int r = run_once(qemu, "cont", err);

	if (r == 0)
		qemu->paused = 0;
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
	.pause = qemu_pause,
	.resume = qemu_resume,
	.ways = qemu_ways,
};

SONDE_PLUGIN(.name = "qemu", .summary = "a running QEMU guest of this machine", .main_arg = "name",
	     .args_help = "name=GUEST  its -name, its pid, or the path of its QMP socket\n"
			  "pid=N  the QEMU process\n"
			  "qmp=PATH  its QMP socket, where the command line does not show it\n"
			  "via=HOW  map (the shared file of its RAM), process (process_vm_readv), "
			  "auto\n",
	     .connector = &qemu_ops);

/* SPDX-License-Identifier: MIT */
/*
 * gdb: what a stub of GDB's remote serial protocol reaches: a machine of QEMU, a process under gdbserver, a kernel with kgdb.
 *
 *   dial_posix.c   a socket to it            switch_on_qmp.c  QEMU's stub, switched on by its monitor
 *   link.c         packets and answers       packet.c         their bytes
 *   stub.c         what it can and knows     description.c    its XML        registers.c  processors
 *   memory.c       requests as packets       ranges.c         which addresses are RAM
 *   events.c       breakpoints               stop.c           what is told of a stop
 *
 * To attach to a stub is to stop its target. close lets it go on, whatever happened in between.
 */
#include "../common/maps.h"
#include "../common/registers.h"
#include "dial.h"
#include "events.h"
#include "memory.h"
#include "stub.h"
#include "switch_on.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, TIMEOUT_MAX_MS = 3600000, DEPTH = LINK_DEPTH_MAX };

enum view { VIEW_AUTO, VIEW_PHYSICAL, VIEW_VIRTUAL };
enum stop { STOP_ON, STOP_BRIEF, STOP_OFF };
enum leave { LEAVE_RUNNING, LEAVE_STOPPED };

struct gdb {
	const struct sonde_host *host;
	char to[160]; /* where the stub is */
	struct switch_on on;
	struct link link;
	int has_link;
	struct stub stub;
	struct memory memory;
	struct events events;
	struct ranges ranges;
	enum view view; /* AUTO only until opened */
	enum stop stop;
	enum leave leave;
	uint64_t timeout_ms;
	struct full_cpu_kept told;
	char detail[256];
};

/* ---- arguments -------------------------------------------------------------------------------- */

/* Which of the words between '|' the argument is; fallback where it is absent. Returns < 0: none of them. */
static int parse_word(const struct gdb *gdb, const struct sonde_args *args, const char *key,
		      const char *words, int fallback, struct sonde_error *err)
{
	const char *text = gdb->host->arg(args, key);
	size_t len = text ? strlen(text) : 0;
	int i = 0;

	if (!text)
		return fallback;
	for (const char *at = words; *at; i++) {
		size_t word = strcspn(at, "|");
		if (word == len && strncmp(at, text, len) == 0)
			return i;
		at += word;
		at += *at == '|';
	}
	return gdb->host->error_set(err, SONDE_E_BAD_ARG, "gdb: %s=%.40s: it is one of %s", key,
				    text, words);
}

static int parse_number(const struct gdb *gdb, const struct sonde_args *args, const char *key,
			uint64_t max, uint64_t *ret, struct sonde_error *err)
{
	int r = gdb->host->arg_u64(args, key, ret, err);

	if (r < 0)
		return r;
	if (*ret >= 1 && *ret <= max)
		return 0;
	return gdb->host->error_set(err, SONDE_E_BAD_ARG, "gdb: %s=%llu: must be 1 .. %llu", key,
				    (unsigned long long)*ret, (unsigned long long)max);
}

static int configure(struct gdb *gdb, const struct sonde_args *args, struct sonde_error *err)
{
	uint64_t depth = DEPTH;
	int view = parse_word(gdb, args, "memory", "auto|physical|virtual", VIEW_AUTO, err);
	int stop = view < 0 ? view : parse_word(gdb, args, "stop", "on|brief|off", STOP_ON, err);
	int leave = stop < 0
			    ? stop
			    : parse_word(gdb, args, "leave", "running|stopped", LEAVE_RUNNING, err);
	const char *ram = gdb->host->arg(args, "ram");
	int r;

	gdb->timeout_ms = TIMEOUT_MS;
	if (leave < 0)
		return leave;
	if ((r = parse_number(gdb, args, "timeout", TIMEOUT_MAX_MS, &gdb->timeout_ms, err)) < 0 ||
	    (r = parse_number(gdb, args, "depth", LINK_DEPTH_MAX, &depth, err)) < 0 ||
	    (ram && (r = ranges_parse(&gdb->ranges, gdb->host, ram, err)) < 0))
		return r;
	gdb->view = (enum view)view;
	gdb->stop = (enum stop)stop;
	gdb->leave = (enum leave)leave;
	gdb->stub.depth = (uint32_t)depth;
	return 0;
}

/* ---- which addresses are RAM ------------------------------------------------------------------ */

static int ranges_by_monitor(struct gdb *gdb, struct sonde_error *err)
{
	struct reply memdevs = { 0 };
	int r = link_monitor(&gdb->link, "info memdev", &memdevs, err);

	if (r == 0)
		r = link_monitor(&gdb->link, "info mtree -f", &gdb->stub.reply, err);
	if (r == 0)
		r = ranges_of_monitor(&gdb->ranges, (const char *)gdb->stub.reply.data,
				      (const char *)memdevs.data);
	reply_finish(&memdevs);
	return r;
}

/* In this order: what the user says, what the stub says, what QEMU's monitor says. */
static int find_ranges(struct gdb *gdb, struct sonde_error *err)
{
	int r = SONDE_E_UNSUPPORTED;

	if (gdb->ranges.n)
		return 0;
	if (gdb->stub.has_memory_map)
		r = stub_object(&gdb->stub, "memory-map", "", err);
	if (r == 0)
		r = description_ranges(&gdb->ranges, gdb->stub.reply.data, gdb->stub.reply.len);
	if (r < 0 || gdb->ranges.n == 0) {
		gdb->ranges.n = 0;
		r = ranges_by_monitor(gdb, err);
	}
	if (r == 0 || gdb->link.err)
		return r;
	return gdb->host->error_set(err, r,
				    "gdb: '%s': which addresses are RAM cannot be learnt: say "
				    "ram=ADDR+LEN;...",
				    gdb->to);
}

static int choose_view(struct gdb *gdb, struct sonde_error *err)
{
	if (gdb->view == VIEW_AUTO)
		gdb->view = gdb->stub.qemu ? VIEW_PHYSICAL : VIEW_VIRTUAL;
	if (gdb->view == VIEW_VIRTUAL) {
		if (gdb->ranges.n)
			gdb->memory.ranges = &gdb->ranges;
		return gdb->stub.qemu ? stub_order(&gdb->stub, "Qqemu.PhyMemMode:0", err) : 0;
	}
	if (gdb->stub.qemu) {
		int r = stub_order(&gdb->stub, "Qqemu.PhyMemMode:1", err);
		if (r < 0)
			return r;
	} else if (!gdb->ranges.n && !gdb->stub.has_memory_map) {
		return gdb->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"gdb: '%s': memory=physical: no QEMU, which alone can be asked for "
			"physical "
			"memory; where addresses are physical anyway, say ram=ADDR+LEN;...",
			gdb->to);
	}
	gdb->memory.ranges = &gdb->ranges;
	return find_ranges(gdb, err);
}

/* ---- whether the target runs -------------------------------------------------------------------- */

static int let_run(struct gdb *gdb, struct sonde_error *err)
{
	int r;

	if (gdb->stop == STOP_ON)
		return 0;
	if (gdb->stop == STOP_BRIEF)
		return link_keep_running(&gdb->link, 1, err);
	if ((r = stub_order(&gdb->stub, "QNonStop:1", err)) == SONDE_E_UNSUPPORTED)
		return gdb->host->error_set(
			err, r,
			"gdb: '%s': stop=off: this stub reads memory only while its "
			"target has stopped: use stop=brief",
			gdb->to);
	if (r < 0)
		return r;
	link_nonstop(&gdb->link);
	return stub_order(&gdb->stub, "vCont;c", err);
}

/* The target goes on, or stays as it is where that was asked for, and the stub is as we found it. */
static void say_goodbye(struct gdb *gdb)
{
	link_keep_running(&gdb->link, 0, NULL);
	int stay = gdb->leave == LEAVE_STOPPED || gdb->events.by_other;
	events_finish(&gdb->events);
	if (gdb->stub.qemu && gdb->view == VIEW_PHYSICAL)
		stub_order(&gdb->stub, "Qqemu.PhyMemMode:0", NULL);
	if (!stay && stub_order(&gdb->stub, "D", NULL) == SONDE_E_UNSUPPORTED)
		link_keep_running(&gdb->link, 1, NULL);
	link_close(&gdb->link, stay ? NULL : "$D#44");
}

static void gdb_close(void *conn)
{
	struct gdb *gdb = conn;

	if (gdb->has_link)
		say_goodbye(gdb);
	stub_finish(&gdb->stub);
	switch_off(&gdb->on);
	free(gdb);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static int find_stub(struct gdb *gdb, const struct sonde_args *args, struct sonde_error *err)
{
	const char *to = gdb->host->arg(args, "stub");

	if (!to)
		return gdb->host->error_set(
			err, SONDE_E_BAD_ARG,
			"gdb: which stub? Write gdb:HOST:PORT, gdb:unix:PATH or "
			"gdb:qemu:NAME");
	if (strncmp(to, "qemu:", 5) == 0) {
		int r = switch_on(&gdb->on, to + 5, err);
		if (r < 0)
			return r;
		gdb->leave = gdb->on.was_running ? gdb->leave : LEAVE_STOPPED;
		to = gdb->on.to;
	}
	if (strlen(to) >= sizeof(gdb->to))
		return gdb->host->error_set(err, SONDE_E_BAD_ARG,
					    "gdb: '%.60s...': is longer than %zu bytes", to,
					    sizeof(gdb->to) - 1);
	strcpy(gdb->to, to);
	return 0;
}

static int connect_link(struct gdb *gdb, struct sonde_error *err)
{
	int fd, r = dial(gdb->host, gdb->to, gdb->timeout_ms, &fd, err);

	if (r < 0)
		return r;
	gdb->memory.host = gdb->host;
	gdb->memory.link = &gdb->link;
	memory_init(&gdb->memory);
	gdb->link.source = memory_source(&gdb->memory);
	gdb->has_link = 1;
	return link_open(&gdb->link, gdb->host, fd, gdb->to, gdb->timeout_ms, err);
}

static void describe(struct gdb *gdb)
{
	const struct link *link = &gdb->link;
	const char *what = gdb->stub.qemu      ? "QEMU's stub"
			   : gdb->stub.process ? "a process's stub"
					       : "stub";

	snprintf(gdb->detail, sizeof(gdb->detail),
		 "%s at %s, %s memory, %s, %u B packets, %u at a time", what, gdb->to,
		 gdb->view == VIEW_PHYSICAL ? "physical" : "virtual",
		 gdb->stop == STOP_ON    ? "stopped until closed"
		 : gdb->stop == STOP_OFF ? "running"
					 : "stopped while asked",
		 link->packet_size, link->depth);
}

static int open_stub(struct gdb *gdb, const struct sonde_args *args, struct sonde_error *err)
{
	int r;

	gdb->stub.host = gdb->on.host = gdb->host;
	gdb->stub.link = &gdb->link;
	if ((r = configure(gdb, args, err)) < 0)
		return r;
	gdb->on.timeout_ms = (int)gdb->timeout_ms;
	if ((r = find_stub(gdb, args, err)) < 0 || (r = connect_link(gdb, err)) < 0 ||
	    (r = stub_meet(&gdb->stub, err)) < 0 || (r = choose_view(gdb, err)) < 0)
		return r;
	gdb->memory.writable = gdb->host->arg_write(args);
	gdb->memory.binary_read = gdb->stub.binary_read;
	gdb->memory.binary_write = gdb->stub.binary_write;
	memory_size(&gdb->memory, gdb->link.packet_size);
	events_init(&gdb->events, &gdb->stub);
	describe(gdb);
	return let_run(gdb, err);
}

static int gdb_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		    struct sonde_error *err)
{
	struct gdb *gdb = calloc(1, sizeof(*gdb));
	if (!gdb)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	gdb->host = host;
	int r = open_stub(gdb, args, err);
	if (r < 0) {
		gdb_close(gdb);
		return r;
	}
	*ret_conn = gdb;
	return 0;
}

/* ---- the connector ------------------------------------------------------------------------------------ */

static void gdb_info(void *conn, struct sonde_target_info *ret)
{
	const struct gdb *gdb = conn;

	ret->detail = gdb->detail;
	ret->arch = gdb->stub.description ? gdb->stub.description->arch : SONDE_ARCH_NONE;
	ret->flags = SONDE_TARGET_LIVE | (gdb->memory.writable ? SONDE_TARGET_WRITABLE : 0) |
		     (gdb->view == VIEW_PHYSICAL ? SONDE_TARGET_PHYSICAL
		      : gdb->stub.process        ? SONDE_TARGET_PROCESS
						 : 0);
	ret->n_cpus = gdb->stub.description ? gdb->stub.n_threads : 0;
}

static size_t gdb_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	return memory_submit(&((struct gdb *)conn)->memory, ios, n);
}

static void gdb_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	memory_cancel(&((struct gdb *)conn)->memory, io, why);
}

/* The mappings of a process, as its machine's /proc has them; qC says which process. */
static int visit_mappings(struct gdb *gdb, sonde_region_fn *fn, void *user)
{
	struct stub *stub = &gdb->stub;
	char path[48], *rest;
	uint64_t pid;
	int r = link_call(&gdb->link, "qC", &stub->reply, NULL);

	if (r < 0)
		return r;
	const uint8_t *at = stub->reply.data + 2, *end = stub->reply.data + stub->reply.len;
	if (stub->reply.len < 3 || memcmp(stub->reply.data, "QC", 2) != 0 ||
	    hex_number(&at, end, &pid) < 0)
		return SONDE_E_UNSUPPORTED;
	snprintf(path, sizeof(path), "/proc/%llu/maps", (unsigned long long)pid);
	if ((r = stub_file(stub, path, NULL)) < 0)
		return r;
	for (char *line = strtok_r((char *)stub->reply.data, "\n", &rest); line && r == 0;
	     line = strtok_r(NULL, "\n", &rest)) {
		struct maps_line map;
		if (maps_parse(line, &map))
			r = fn(user, &(struct sonde_region){ .addr = map.start,
							     .len = map.end - map.start,
							     .flags = map.flags,
							     .name = map.path });
	}
	return r;
}

static int gdb_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct gdb *gdb = conn;
	int r = 0;

	if (!gdb->ranges.n)
		return gdb->stub.process ? visit_mappings(gdb, fn, user) : SONDE_E_UNSUPPORTED;
	for (size_t i = 0; i < gdb->ranges.n && r == 0; i++) {
		const struct range *range = &gdb->ranges.at[i];
		r = fn(user, &(struct sonde_region){ .addr = range->addr,
						     .len = range->len,
						     .flags = range->flags,
						     .name = range->name });
	}
	return r;
}

/* QEMU describes no descriptor tables; its monitor prints them. Its threads are processors, counted from 1. */
static void add_tables(struct gdb *gdb, uint32_t index, struct sonde_cpu *cpu)
{
	struct full_cpu full = { .cpu.arch = cpu->arch };
	const struct sonde_cpu *seen = &full.cpu;
	char command[32];

	snprintf(command, sizeof(command), "cpu %llu",
		 (unsigned long long)gdb->stub.threads[index] - 1);
	if (cpu->arch != SONDE_ARCH_X86_64 ||
	    link_monitor(&gdb->link, command, &gdb->stub.reply, NULL) < 0 ||
	    link_monitor(&gdb->link, "info registers", &gdb->stub.reply, NULL) < 0 ||
	    !registers_parse((const char *)gdb->stub.reply.data, &full) ||
	    !(seen->valid & SONDE_CPU_TABLES))
		return;
	cpu->gdt_base = seen->gdt_base;
	cpu->idt_base = seen->idt_base;
	cpu->valid |= SONDE_CPU_TABLES;
}

static int gdb_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct gdb *gdb = conn;
	struct full_cpu cpu = { 0 };
	int r = stub_registers(&gdb->stub, index, &cpu, NULL);

	if (r < 0)
		return r;
	full_cpu_keep(&gdb->told, index, &cpu);
	*ret = cpu.cpu;
	if (gdb->stub.qemu)
		add_tables(gdb, index, ret);
	return 0;
}

static int64_t gdb_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct gdb *gdb = conn;
	const struct description *description = gdb->stub.description;
	struct full_cpu cpu = { 0 };
	uint32_t index;

	if (!full_cpu_asked(name, &index) || !description || !full_cpu_upper(description->arch))
		return SONDE_E_NOT_FOUND;
	if (!full_cpu_take(&gdb->told, index, &cpu) &&
	    stub_registers(&gdb->stub, index, &cpu, NULL) < 0)
		return SONDE_E_NOT_FOUND;
	return full_cpu_note(&cpu, buf, cap);
}

static int gdb_pause(void *conn, struct sonde_error *err)
{
	struct gdb *gdb = conn;

	if (gdb->stop == STOP_OFF)
		return gdb->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"gdb: '%s': opened with stop=off: it is not to be stopped", gdb->to);
	return link_keep_running(&gdb->link, 0, err);
}

/* From here on it stops for as long as it is asked something, and no longer. */
static int gdb_resume(void *conn, struct sonde_error *err)
{
	struct gdb *gdb = conn;

	if (gdb->stop == STOP_OFF || events_resume(&gdb->events))
		return 0;
	return link_keep_running(&gdb->link, 1, err);
}

static int gdb_breakpoint(void *conn, int on, const struct sonde_breakpoint *breakpoint,
			  struct sonde_error *err)
{
	return events_breakpoint(&((struct gdb *)conn)->events, on, breakpoint, err);
}

static size_t gdb_events(void *conn, struct sonde_io *const *ios, size_t n)
{
	return events_submit(&((struct gdb *)conn)->events, ios, n);
}

static void gdb_cancel_event(void *conn, struct sonde_io *io, int32_t why)
{
	events_cancel(&((struct gdb *)conn)->events, io, why);
}

static const struct sonde_connector_ops gdb_ops = {
	.size = sizeof(gdb_ops),
	.open = gdb_open,
	.close = gdb_close,
	.info = gdb_info,
	.submit = gdb_submit,
	.cancel = gdb_cancel,
	.regions = gdb_regions,
	.cpu = gdb_cpu,
	.note = gdb_note,
	.pause = gdb_pause,
	.resume = gdb_resume,
	.breakpoint = gdb_breakpoint,
	.events = gdb_events,
	.cancel_event = gdb_cancel_event,
};

SONDE_PLUGIN(.name = "gdb", .summary = "a stub of GDB's protocol: QEMU's, gdbserver, kgdb",
	     .main_arg = "stub",
	     .args_help =
		     "stub=WHERE  HOST:PORT, unix:PATH, or qemu:NAME: a guest whose stub is "
		     "switched "
		     "on and off again\n"
		     "memory=VIEW  physical, virtual, auto: physical where QEMU offers it (auto)\n"
		     "ram=ADDR+LEN;...  which addresses may be asked for (as stub or monitor "
		     "tell)\n"
		     "stop=HOW  on: stopped until closed; brief: while asked; off: never (on)\n"
		     "leave=HOW  running, stopped: the target when closed (running)\n"
		     "timeout=MS  to connect, and for each answer (5000)\n"
		     "depth=N  packets on their way, where the stub takes several (64)\n",
	     .connector = &gdb_ops);

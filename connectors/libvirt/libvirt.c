/* SPDX-License-Identifier: MIT */
/*
 * libvirt: the memory of a running domain. libvirt says who it is, its monitor which addresses are
 * memory; the bytes come from the QEMU process where that runs here, else through libvirt.
 *
 *   hypervisor.c      the connection, its domains; list.c tells them
 *   command.c         QEMU's monitor by way of libvirt
 *   events.c          what happens to the domain meanwhile
 *   peek.c            memory through libvirt
 *   common/machine.c  memory of the process
 *
 * A domain that is stopped and started again is another machine, and so is one that reboots: what is asked
 * for across that moment fails with GONE, once; from then on the new one is read.
 */
#include "../common/standstill.h"
#include "command.h"
#include "events.h"
#include "hypervisor.h"
#include "list.h"
#include "peek.h"

#include <sonde/plugin.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REATTACH_NS UINT64_C(200000000) /* between two attempts, while the domain is off */
#define STORY_WAIT_MS 1000              /* for libvirt to notice that QEMU has ended      */

struct libvirt {
	const struct sonde_host *host;
	struct hypervisor hv;
	virDomainPtr dom;
	int id; /* of the run of the domain that is read: each start has a new one */
	char name[128], uuid[VIR_UUID_STRING_BUFLEN];
	struct life *life;
	unsigned breaks;      /* of its life, when it was last looked at  */
	pthread_mutex_t lock; /* of machine.map, which a transfer may replace on another thread */
	struct machine machine;
	struct peek peek;
	int through_api; /* memory comes by peek.c */
	int stale;       /* the run that was read is over */
	uint64_t tried_ns;
	struct standstill still;
	struct full_cpu_kept told;
	int paused;    /* by us, or by others of us */
	char why[200]; /* not its process; "" asked */
	char detail[480];
};

static struct monitor monitor_of(struct libvirt *libvirt, struct command *command)
{
	*command = (struct command){ .hv = &libvirt->hv, .dom = libvirt->dom };
	return command_monitor(command);
}

/* ---- which domain --------------------------------------------------------------------------- */

/* "URI!DOMAIN" or "DOMAIN"; *ret_uri NULL: the default. Owns: *ret_uri, free. */
static int split_name(struct libvirt *libvirt, const char *text, char **ret_uri,
		      const char **ret_domain, struct sonde_error *err)
{
	const char *mark = text ? strrchr(text, '!') : NULL;

	*ret_uri = NULL;
	*ret_domain = mark ? mark + 1 : text;
	if (!*ret_domain || !**ret_domain)
		return libvirt->host->error_set(
			err, SONDE_E_BAD_ARG,
			"libvirt: which domain? Write libvirt:NAME or libvirt:URI!NAME");
	if (mark && !(*ret_uri = strndup(text, (size_t)(mark - text))))
		return libvirt->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	return 0;
}

static int check_running(struct libvirt *libvirt, struct sonde_error *err)
{
	int state = 0, reason = 0;

	if (libvirt->hv.api.virDomainGetState(libvirt->dom, &state, &reason, 0) < 0)
		return hypervisor_failed(&libvirt->hv, libvirt->name, err);
	if (state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_CRASHED)
		return 0;
	const char *words = life_words_of_state(state, reason);
	return libvirt->host->error_set(
		err, SONDE_E_GONE,
		"libvirt: domain '%s' does not run: it %s; start it (virsh start %s)",
		libvirt->name, words, libvirt->name);
}

static int find_domain(struct libvirt *libvirt, const char *text, struct sonde_error *err)
{
	const struct api *api = &libvirt->hv.api;
	int r = hypervisor_find(&libvirt->hv, text, &libvirt->dom, err);

	if (r < 0)
		return r;
	snprintf(libvirt->name, sizeof(libvirt->name), "%s", api->virDomainGetName(libvirt->dom));
	api->virDomainGetUUIDString(libvirt->dom, libvirt->uuid);
	libvirt->id = (int)api->virDomainGetID(libvirt->dom);
	libvirt->life = life_watch(&libvirt->hv, libvirt->dom);
	if (!libvirt->life)
		return libvirt->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	return check_running(libvirt, err);
}

/* ---- how its bytes are reached -------------------------------------------------------------- */

static int hold_process(struct libvirt *libvirt, struct sonde_error *err)
{
	struct machine *machine = &libvirt->machine;
	int n = guest_find_uuid(libvirt->uuid, &machine->guest);

	if (n != 1)
		return libvirt->host->error_set(
			err, n ? SONDE_E_AMBIGUOUS : SONDE_E_NOT_FOUND,
			"libvirt: domain '%s': %s of this machine runs with its UUID",
			libvirt->name, n ? "more than one QEMU" : "no QEMU process");
	return machine_hold(machine, err);
}

/* The process, unless the user or the place speaks against it: then *why says what. */
static int try_process(struct libvirt *libvirt, struct sonde_error *why)
{
	if (libvirt->through_api)
		return SONDE_E_UNSUPPORTED;
	if (!hypervisor_is_local(&libvirt->hv))
		return libvirt->host->error_set(why, SONDE_E_UNSUPPORTED, "%s is elsewhere",
						libvirt->hv.uri);
	return hold_process(libvirt, why);
}

static int reach_memory(struct libvirt *libvirt, struct sonde_error *err)
{
	struct machine *machine = &libvirt->machine;
	struct sonde_error why = { 0 };
	struct command command;
	struct monitor monitor = monitor_of(libvirt, &command);
	int asked = machine->via != VIA_AUTO; /* for the process, by name */
	int r = try_process(libvirt, &why);

	if (r < 0 && asked)
		return libvirt->host->error_set(err, r, "%s", why.text);
	libvirt->through_api = r < 0;
	snprintf(libvirt->why, sizeof(libvirt->why), "%.199s", why.text);
	snprintf(machine->guest.name, sizeof(machine->guest.name), "%s", libvirt->name);
	r = machine_ask_map(machine, &monitor, err);
	if (r < 0 || libvirt->through_api)
		return r;
	r = machine_locate(machine, &monitor, err);
	return r < 0 ? r : machine_choose_way(machine, err);
}

static void describe(struct libvirt *libvirt)
{
	char way[192];

	if (libvirt->through_api) {
		snprintf(libvirt->detail, sizeof(libvirt->detail),
			 "domain '%s', %.120s, through libvirt%s%s%s", libvirt->name,
			 libvirt->hv.uri, libvirt->why[0] ? " (" : "", libvirt->why,
			 libvirt->why[0] ? ")" : "");
		return;
	}
	machine_describe_way(&libvirt->machine, way, sizeof(way));
	snprintf(libvirt->detail, sizeof(libvirt->detail), "domain '%s', %.120s, pid %d, %s",
		 libvirt->name, libvirt->hv.uri, (int)libvirt->machine.guest.pid, way);
}

/* ---- a life that breaks --------------------------------------------------------------------- */

/* The id of the domain's present run; -1 where it is off or not known any more. */
static int present_id(struct libvirt *libvirt)
{
	const struct api *api = &libvirt->hv.api;
	virDomainPtr dom = api->virDomainLookupByUUIDString(libvirt->hv.conn, libvirt->uuid);
	int id = dom ? (int)api->virDomainGetID(dom) : -1;

	if (dom)
		api->virDomainFree(dom);
	return id;
}

static int is_same_run(void *user)
{
	struct libvirt *libvirt = user;

	return present_id(libvirt) == libvirt->id && life_breaks(libvirt->life) == libvirt->breaks;
}

static int is_alive(struct libvirt *libvirt)
{
	return libvirt->through_api ? present_id(libvirt) == libvirt->id
				    : procmem_alive(&libvirt->machine.mem);
}

/* Take hold of the run that came after the one that was read. It keeps its way, and its map is new. */
static int reattach(struct libvirt *libvirt)
{
	struct machine *machine = &libvirt->machine;
	struct command command;
	struct monitor monitor = monitor_of(libvirt, &command);
	int id = present_id(libvirt);

	if (id < 0 || id == libvirt->id)
		return 0;
	if (!libvirt->through_api) {
		backings_finish(&machine->backings);
		procmem_close(&machine->mem);
		if (hold_process(libvirt, NULL) < 0)
			return 0;
	}
	if (machine_ask_map(machine, &monitor, NULL) < 0 ||
	    (!libvirt->through_api && machine_locate(machine, &monitor, NULL) < 0))
		return 0;
	libvirt->id = id;
	libvirt->paused = 0;
	return 1;
}

/* 1 where the bytes that come next are of the machine that came before. */
static int goes_on(struct libvirt *libvirt)
{
	unsigned breaks = life_breaks(libvirt->life);

	if (!is_alive(libvirt))
		libvirt->stale = 1;
	if (libvirt->stale && libvirt->host->now_ns() - libvirt->tried_ns >= REATTACH_NS) {
		libvirt->stale = !reattach(libvirt);
		libvirt->tried_ns = libvirt->host->now_ns();
		libvirt->breaks = life_breaks(libvirt->life);
		return 0;
	}
	int same = !libvirt->stale && breaks == libvirt->breaks;
	libvirt->breaks = breaks;
	return same;
}

/* QEMU's end is seen here at once, and a little later by libvirt, which knows why. */
static int is_over(struct libvirt *libvirt, char *words, size_t cap)
{
	const struct api *api = &libvirt->hv.api;
	int state = 0, reason = 0;

	life_words(libvirt->life, words, cap);
	if (words[0])
		return 1;
	if (api->virDomainGetState(libvirt->dom, &state, &reason, 0) < 0)
		snprintf(words, cap, "cannot be asked about any more: %.160s",
			 api->virGetLastError() ? api->virGetLastError()->message : "");
	else
		snprintf(words, cap, "%s", life_words_of_state(state, reason));
	return words[0] != '\0';
}

static int has_changed(struct libvirt *libvirt, struct sonde_error *err)
{
	struct command command;
	struct monitor monitor = monitor_of(libvirt, &command);

	return machine_changed(&libvirt->machine, &monitor, err);
}

static int libvirt_gone(void *conn, struct sonde_error *err)
{
	struct libvirt *libvirt = conn;
	char words[256];
	int over = is_over(libvirt, words, sizeof(words));

	for (int ms = 0; !over && !is_alive(libvirt) && ms < STORY_WAIT_MS; ms += 10) {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		over = is_over(libvirt, words, sizeof(words));
	}
	if (!over && is_alive(libvirt))
		return has_changed(libvirt, err);
	return libvirt->host->error_set(err, SONDE_E_GONE, "libvirt: domain '%s' %s", libvirt->name,
					over ? words : "has ended");
}

static void fail_all(struct libvirt *libvirt, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			sonde_progress(libvirt->host, ios[k], i, 0, ios[k]->xfers[i].len,
				       SONDE_E_GONE);
	}
}

/* ---- the connector -------------------------------------------------------------------------- */

static int libvirt_resume(void *conn, struct sonde_error *err);

static void libvirt_close(void *conn)
{
	struct libvirt *libvirt = conn;

	if (libvirt->paused)
		libvirt_resume(libvirt, NULL);
	life_forget(libvirt->life, &libvirt->hv);
	if (libvirt->dom)
		libvirt->hv.api.virDomainFree(libvirt->dom);
	hypervisor_close(&libvirt->hv);
	peek_finish(&libvirt->peek);
	machine_finish(&libvirt->machine);
	pthread_mutex_destroy(&libvirt->lock);
	free(libvirt);
}

static int parse_ways(struct libvirt *libvirt, const struct sonde_args *args,
		      struct sonde_error *err)
{
	const char *api = libvirt->host->arg(args, "api");
	int r = machine_parse_via(&libvirt->machine, libvirt->host->arg(args, "via"), err);

	if (r < 0)
		return r;
	if (api && strcmp(api, "on") != 0 && strcmp(api, "auto") != 0)
		return libvirt->host->error_set(err, SONDE_E_BAD_ARG,
						"libvirt: api '%.40s': there are on and auto", api);
	libvirt->through_api = api && strcmp(api, "on") == 0;
	if (libvirt->through_api && libvirt->machine.via != VIA_AUTO)
		return libvirt->host->error_set(err, SONDE_E_BAD_ARG,
						"libvirt: api=on and via exclude each other");
	return 0;
}

static int open_domain(struct libvirt *libvirt, const struct sonde_args *args,
		       struct sonde_error *err)
{
	const char *name;
	char *uri;
	int r;

	if ((r = parse_ways(libvirt, args, err)) < 0 ||
	    (r = split_name(libvirt, libvirt->host->arg(args, "domain"), &uri, &name, err)) < 0)
		return r;
	r = hypervisor_open(&libvirt->hv, libvirt->host, uri, err);
	free(uri);
	if (r < 0 || (r = find_domain(libvirt, name, err)) < 0 ||
	    (r = reach_memory(libvirt, err)) < 0)
		return r;
	libvirt->peek.dom = libvirt->dom;
	describe(libvirt);
	return 0;
}

static int libvirt_open(const struct sonde_host *host, const struct sonde_args *args,
			void **ret_conn, struct sonde_error *err)
{
	struct libvirt *libvirt = calloc(1, sizeof(*libvirt));
	if (!libvirt)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	libvirt->host = host;
	pthread_mutex_init(&libvirt->lock, NULL);
	machine_init(&libvirt->machine, host, "libvirt", host->arg_write(args));
	standstill_init(&libvirt->still);
	int r = peek_init(&libvirt->peek, &libvirt->hv, is_same_run, libvirt);
	r = r < 0 ? host->error_set(err, r, NULL) : open_domain(libvirt, args, err);
	if (r < 0) {
		libvirt_close(libvirt);
		return r;
	}
	*ret_conn = libvirt;
	return 0;
}

static void libvirt_info(void *conn, struct sonde_target_info *ret)
{
	struct libvirt *libvirt = conn;
	const struct machine *machine = &libvirt->machine;

	ret->detail = libvirt->detail;
	ret->arch = machine->arch;
	ret->flags = SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL |
		     (machine->write && !libvirt->through_api ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = machine->n_cpus;
}

static uint32_t libvirt_ways(void *conn)
{
	struct libvirt *libvirt = conn;

	return libvirt->through_api ? SONDE_WAY_TRANSFER : machine_ways(&libvirt->machine);
}

static int libvirt_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	(void)err;
	return machine_extents(&((struct libvirt *)conn)->machine, fn, user);
}

static void peek_all(struct libvirt *libvirt, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			memory_map_cut(&libvirt->machine.map, libvirt->host, ios[k], i, peek_add,
				       &libvirt->peek);
	}
	peek_flush(&libvirt->peek);
}

static void libvirt_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct libvirt *libvirt = conn;

	pthread_mutex_lock(&libvirt->lock);
	if (!goes_on(libvirt))
		fail_all(libvirt, ios, n);
	else if (libvirt->through_api)
		peek_all(libvirt, ios, n);
	else
		machine_transfer(&libvirt->machine, ios, n);
	pthread_mutex_unlock(&libvirt->lock);
}

/* fn may read, and reading may replace the map: so it is shown a copy. */
static int libvirt_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct libvirt *libvirt = conn;
	struct memory_map map;

	pthread_mutex_lock(&libvirt->lock);
	int r = memory_map_copy(&map, &libvirt->machine.map);
	pthread_mutex_unlock(&libvirt->lock);
	if (r == 0)
		r = machine_regions(&map, libvirt->machine.via, fn, user);
	memory_map_finish(&map);
	return r;
}

static int full_cpu(struct libvirt *libvirt, uint32_t index, struct full_cpu *ret)
{
	struct command command;
	struct monitor monitor = monitor_of(libvirt, &command);

	return machine_cpu(&libvirt->machine, &monitor, index, ret);
}

static int libvirt_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct libvirt *libvirt = conn;
	struct full_cpu cpu;
	int r = full_cpu(libvirt, index, &cpu);

	if (r < 0)
		return r;
	full_cpu_keep(&libvirt->told, index, &cpu);
	*ret = cpu.cpu;
	return 0;
}

/* The machine is the process that runs it; through libvirt alone that is not known. */
static int64_t libvirt_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct libvirt *libvirt = conn;
	struct full_cpu cpu;
	uint32_t index;

	if (full_cpu_asked(name, &index) && full_cpu_upper(libvirt->machine.arch))
		return full_cpu_take(&libvirt->told, index, &cpu) ||
				       full_cpu(libvirt, index, &cpu) == 0
			       ? full_cpu_note(&cpu, buf, cap)
			       : SONDE_E_NOT_FOUND;
	if (strcmp(name, SONDE_NOTE_IDENTITY) != 0 || libvirt->through_api)
		return SONDE_E_NOT_FOUND;
	pthread_mutex_lock(&libvirt->lock);
	int64_t len = procmem_identity(&libvirt->machine.mem, buf, cap);
	pthread_mutex_unlock(&libvirt->lock);
	return len;
}

/* Returns 1 where it ran. */
static int suspend_if_running(struct libvirt *libvirt, struct sonde_error *err)
{
	const struct api *api = &libvirt->hv.api;
	int state = 0;

	if (api->virDomainGetState(libvirt->dom, &state, NULL, 0) < 0)
		return hypervisor_failed(&libvirt->hv, "pause", err);
	if (state == VIR_DOMAIN_PAUSED)
		return 0;
	if (api->virDomainSuspend(libvirt->dom) < 0)
		return hypervisor_failed(&libvirt->hv, "pause", err);
	return 1;
}

/* A domain that somebody else has stopped stays theirs to continue; one that others of us hold is also ours. */
static int libvirt_pause(void *conn, struct sonde_error *err)
{
	struct libvirt *libvirt = conn;
	int others = standstill_enter(&libvirt->still, libvirt->machine.guest.pid);
	int r = suspend_if_running(libvirt, err);

	libvirt->paused |= r > 0 || (r == 0 && others);
	standstill_stay(&libvirt->still, libvirt->paused);
	return r < 0 ? r : !libvirt->paused;
}

static int libvirt_resume(void *conn, struct sonde_error *err)
{
	struct libvirt *libvirt = conn;
	int r = 0;

	if (!standstill_leave(&libvirt->still, libvirt->machine.guest.pid) &&
	    libvirt->hv.api.virDomainResume(libvirt->dom) < 0)
		r = hypervisor_failed(&libvirt->hv, "resume", err);
	standstill_left(&libvirt->still);
	if (r == 0)
		libvirt->paused = 0;
	return r;
}

static const struct sonde_connector_ops libvirt_ops = {
	.size = sizeof(libvirt_ops),
	.open = libvirt_open,
	.close = libvirt_close,
	.info = libvirt_info,
	.extents = libvirt_extents,
	.transfer = libvirt_transfer,
	.regions = libvirt_regions,
	.cpu = libvirt_cpu,
	.note = libvirt_note,
	.pause = libvirt_pause,
	.resume = libvirt_resume,
	.ways = libvirt_ways,
	.gone = libvirt_gone,
	.list = libvirt_list,
};

SONDE_PLUGIN(.name = "libvirt", .summary = "a running QEMU domain of libvirt", .main_arg = "domain",
	     .args_help = "domain=[URI!]NAME  its name, UUID or id; URI: LIBVIRT_DEFAULT_URI or "
			  "qemu:///system\n"
			  "api=HOW  on (memory through libvirt, not from the QEMU process), auto\n"
			  "via=HOW  of the process: map (the shared file of its RAM), process "
			  "(process_vm_readv), auto\n",
	     .connector = &libvirt_ops);

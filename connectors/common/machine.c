/* SPDX-License-Identifier: MIT */
/* What "info mtree -f" and "gpa2hva" tell is kept in memory_map.c; this file asks, and goes by it. */
#include "machine.h"

#include "registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void machine_init(struct machine *ret, const struct sonde_host *host, const char *who, int write)
{
	memset(ret, 0, sizeof(*ret));
	ret->host = host;
	ret->who = who;
	ret->write = write;
	procmem_init(&ret->mem);
}

void machine_finish(struct machine *machine)
{
	backings_finish(&machine->backings);
	memory_map_finish(&machine->map);
	procmem_close(&machine->mem);
}

int machine_parse_via(struct machine *machine, const char *text, struct sonde_error *err)
{
	static const char *const names[] = {
		[VIA_AUTO] = "auto", [VIA_MAP] = "map", [VIA_PROCESS] = "process"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!text || strcmp(text, names[i]) == 0) {
			machine->via = (enum machine_via)i;
			return 0;
		}
	}
	return machine->host->error_set(err, SONDE_E_BAD_ARG,
					"%s: via '%.40s': there are auto, map and process",
					machine->who, text);
}

int machine_hold(struct machine *machine, struct sonde_error *err)
{
	const struct guest *guest = &machine->guest;

	procmem_close(&machine->mem);
	backings_finish(&machine->backings);
	int r = procmem_open(&machine->mem, machine->host, machine->who, guest->pid, machine->write,
			     err);
	if (r < 0)
		return r;
	r = backings_read(&machine->backings, guest->pid);
	if (r < 0)
		return machine->host->error_set(err, r, "%s: '%s' (pid %d): mappings: %s",
						machine->who, guest->name, (int)guest->pid,
						r == SONDE_E_NO_ACCESS ? "permission denied"
								       : "cannot be read");
	return 0;
}

/* ---- the map ------------------------------------------------------------------------------- */

static int read_map(struct machine *machine, const struct monitor *monitor, struct sonde_error *err)
{
	char *text;
	int r = monitor->line(monitor->at, "info mtree -f", 0, &text, err);

	if (r < 0)
		return r;
	memory_map_finish(&machine->map);
	r = memory_map_parse(&machine->map, text);
	free(text);
	if (r < 0)
		return machine->host->error_set(err, r,
						"%s: '%s': its memory map cannot be understood",
						machine->who, machine->guest.name);
	return 0;
}

/* Blocks that are memory backends are RAM; QEMU before 5.0 has none for its main memory. */
static void mark_ram(struct machine *machine, const struct monitor *monitor)
{
	json_t *list = NULL, *entry;
	size_t i, n = 0;

	if (monitor->ask(monitor->at, "query-memdev", &list, NULL) == 0) {
		json_array_foreach(list, i, entry)
		{
			const char *id = json_string_value(json_object_get(entry, "id"));
			n += id ? memory_map_mark(&machine->map, id) : 0;
		}
	}
	json_decref(list);
	if (n == 0)
		memory_map_mark_likely(&machine->map);
}

static void ask_processors(struct machine *machine, const struct monitor *monitor)
{
	json_t *cpus = NULL;

	if (monitor->ask(monitor->at, "query-cpus-fast", &cpus, NULL) < 0)
		return;
	machine->arch = guest_arch_named(
		json_string_value(json_object_get(json_array_get(cpus, 0), "target")));
	machine->n_cpus = machine->arch == SONDE_ARCH_NONE ? 0 : (uint32_t)json_array_size(cpus);
	json_decref(cpus);
}

/* Bytes in DIMMs and the like, whose number changes while the guest runs; 0 where QEMU does not tell. */
static uint64_t ask_plugged(const struct monitor *monitor)
{
	json_t *sizes = NULL;

	if (monitor->ask(monitor->at, "query-memory-size-summary", &sizes, NULL) < 0)
		return 0;
	json_int_t plugged = json_integer_value(json_object_get(sizes, "plugged-memory"));
	json_decref(sizes);
	return (uint64_t)plugged;
}

int machine_ask_map(struct machine *machine, const struct monitor *monitor, struct sonde_error *err)
{
	/* First: what is plugged in meanwhile is then seen as a change, if not in the map. */
	machine->plugged = ask_plugged(monitor);
	int r = read_map(machine, monitor, err);

	if (r < 0)
		return r;
	mark_ram(machine, monitor);
	memory_map_join(&machine->map);
	ask_processors(machine, monitor);
	return 0;
}

int machine_changed(const struct machine *machine, const struct monitor *monitor,
		    struct sonde_error *err)
{
	uint64_t plugged = ask_plugged(monitor);

	if (plugged == machine->plugged)
		return 0;
	return machine->host->error_set(
		err, SONDE_E_CHANGED,
		"%s: '%s': %llu MiB of its memory can be unplugged, %llu MiB when it was opened: "
		"open it again to see all of it",
		machine->who, machine->guest.name, (unsigned long long)plugged >> 20,
		(unsigned long long)machine->plugged >> 20);
}

/* Each range is asked for by itself: names of blocks are not unique. What QEMU denies is a hole. */
int machine_locate(struct machine *machine, const struct monitor *monitor, struct sonde_error *err)
{
	struct memory_map *map = &machine->map;
	size_t kept = 0;

	for (size_t i = 0; i < map->n; i++) {
		struct memory_range *range = &map->ranges[i];
		char line[64], *answer;
		snprintf(line, sizeof(line), "gpa2hva 0x%llx", (unsigned long long)range->addr);
		int r = monitor->line(monitor->at, line, 0, &answer, err);
		if (r < 0)
			return r;
		if (memory_map_hva(answer, &range->hva))
			map->ranges[kept++] = *range;
		free(answer);
	}
	map->n = kept;
	return 0;
}

int machine_guess_map(struct machine *machine, uint64_t hva)
{
	machine->arch = guest_arch(&machine->guest);
	memory_map_finish(&machine->map);
	return memory_map_guess(&machine->map, &machine->guest, hva);
}

/* ---- how the bytes are reached ------------------------------------------------------------- */

static int all_ram_shared(struct machine *machine)
{
	int n = 0;

	for (size_t i = 0; i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		if (!(range->flags & SONDE_REGION_RAM))
			continue;
		if (!backings_shared(&machine->backings, range->hva, range->len, machine->write))
			return 0;
		n++;
	}
	return n > 0;
}

int machine_choose_way(struct machine *machine, struct sonde_error *err)
{
	int shared = machine->via != VIA_PROCESS && all_ram_shared(machine);

	/* Of a process that has ended nothing is mapped, and no file is open. */
	if (!shared && !procmem_alive(&machine->mem))
		return machine->host->error_set(err, SONDE_E_GONE, "%s: '%s' (pid %d): has ended",
						machine->who, machine->guest.name,
						(int)machine->guest.pid);
	if (machine->via == VIA_MAP && !shared)
		return machine->host->error_set(
			err, SONDE_E_UNSUPPORTED,
			"%s: '%s': via=map: its RAM is not one shared file that may be "
			"opened: start it with a memory-backend-file and share=on",
			machine->who, machine->guest.name);
	machine->via = shared ? VIA_MAP : VIA_PROCESS;
	return 0;
}

static const char *shared_path(struct machine *machine)
{
	for (size_t i = 0; i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		if (range->flags & SONDE_REGION_RAM)
			return backings_find(&machine->backings, range->hva)->path;
	}
	return "";
}

void machine_describe_way(struct machine *machine, char *buf, size_t cap)
{
	if (machine->via == VIA_MAP)
		snprintf(buf, cap, "shared mapping of %.150s", shared_path(machine));
	else
		snprintf(buf, cap, "%s",
			 machine->mem.by_file ? "/proc/PID/mem" : "process_vm_readv");
}

uint32_t machine_ways(const struct machine *machine)
{
	return machine->via == VIA_MAP ? SONDE_WAY_EXTENTS : SONDE_WAY_TRANSFER;
}

/* A range in the files of the mappings it crosses. */
static int tell_range(struct machine *machine, const struct memory_range *range,
		      sonde_extent_fn *fn, void *user)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < range->len) {
		uint64_t hva = range->hva + done;
		const struct backing *backing = backings_find(&machine->backings, hva);
		uint64_t left = range->len - done, room = backing->end - hva;
		struct sonde_extent extent = {
			.addr = range->addr + done,
			.len = room < left ? room : left,
			.kind = SONDE_EXTENT_FILE,
			.flags = range->flags &
				 ~(machine->write ? 0u : (uint32_t)SONDE_REGION_WRITE),
			.off = backing->off + (hva - backing->start),
			.fd = backing->fd,
		};
		r = fn(user, &extent);
		done += extent.len;
	}
	return r;
}

/* Video memory and firmware are not in the file: via=process reaches them. */
int machine_extents(struct machine *machine, sonde_extent_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < machine->map.n; i++) {
		const struct memory_range *range = &machine->map.ranges[i];
		struct sonde_extent absent = {
			.addr = range->addr,
			.len = range->len,
			.kind = SONDE_EXTENT_ABSENT,
			.err = SONDE_E_UNSUPPORTED,
		};
		r = range->flags & SONDE_REGION_RAM ? tell_range(machine, range, fn, user)
						    : fn(user, &absent);
	}
	return r;
}

static void add_stretch(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
			const struct memory_range *range, uint64_t addr)
{
	procmem_add(user, io, i, off, len, range->hva + (addr - range->addr));
}

void machine_transfer(struct machine *machine, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			memory_map_cut(&machine->map, machine->host, ios[k], i, add_stretch,
				       &machine->mem);
	}
	procmem_flush(&machine->mem);
}

int machine_regions(const struct memory_map *map, enum machine_via via, sonde_region_fn *fn,
		    void *user)
{
	return memory_map_regions(map, via == VIA_MAP ? SONDE_REGION_RAM : 0, fn, user);
}

int machine_cpu(const struct machine *machine, const struct monitor *monitor, uint32_t index,
		struct full_cpu *ret)
{
	char *text;

	if (index >= machine->n_cpus)
		return machine->n_cpus ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
	int r = monitor->line(monitor->at, "info registers", index, &text, NULL);
	if (r < 0)
		return r;
	*ret = (struct full_cpu){ .cpu.arch = machine->arch };
	r = registers_parse(text, ret) ? 0 : SONDE_E_UNSUPPORTED;
	free(text);
	return r;
}

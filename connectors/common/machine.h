/* SPDX-License-Identifier: MIT */
/*
 * A running QEMU machine: which guest-physical addresses are memory, as its monitor says, and how
 * their bytes are reached inside its process. The connectors that share this differ in how they
 * find the guest and talk to its monitor. Messages begin with the connector's own name.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "backing.h"
#include "full_cpu.h"
#include "guests.h"
#include "memory_map.h"
#include "procmem.h"

#include <jansson.h>
#include <sonde/plugin.h>

enum machine_via { VIA_AUTO, VIA_MAP, VIA_PROCESS };

/* Somebody who passes questions on to QEMU. Both return 0 or an error with err filled. */
struct monitor {
	/* One line of the human monitor for processor cpu. Owns: *ret, free. */
	int (*line)(void *at, const char *line, uint32_t cpu, char **ret, struct sonde_error *err);
	/* One QMP command without arguments. Owns: *ret, json_decref; NULL ret: dropped. */
	int (*ask)(void *at, const char *command, json_t **ret, struct sonde_error *err);
	void *at;
};

struct machine {
	const struct sonde_host *host;
	const char *who; /* the connector, for messages */
	int write;
	enum machine_via via; /* AUTO only until machine_choose_way */
	struct guest guest;
	struct procmem mem;
	struct backings backings;
	struct memory_map map;
	uint64_t plugged; /* bytes of memory that was plugged in when the map was asked for */
	uint32_t arch;    /* enum sonde_arch                    */
	uint32_t n_cpus;  /* whose registers machine_cpu gives  */
};

/* who is kept. Owns: machine_finish, from here on. */
void machine_init(struct machine *ret, const struct sonde_host *host, const char *who, int write);
void machine_finish(struct machine *machine);

/* "map", "process", "auto"; NULL is auto. Returns 0; SONDE_E_BAD_ARG. */
int machine_parse_via(struct machine *machine, const char *text, struct sonde_error *err);

/* Take hold of the process machine->guest.pid, of no other any more, and read its mappings. Returns as procmem_open. */
int machine_hold(struct machine *machine, struct sonde_error *err);

/*
 * Ask what memory there is and which processors; then, for a machine that is held, where in the
 * process each range lies. Returns 0; what the monitor returned; SONDE_E_BAD_FORMAT, _LIMIT.
 */
int machine_ask_map(struct machine *machine, const struct monitor *monitor,
		    struct sonde_error *err);
int machine_locate(struct machine *machine, const struct monitor *monitor, struct sonde_error *err);

/* The map is asked for once. Returns 0; SONDE_E_CHANGED: memory was plugged in or out since. */
int machine_changed(const struct machine *machine, const struct monitor *monitor,
		    struct sonde_error *err);

/*
 * Without a monitor: the map as it follows from the kind of machine and the size of its RAM, whose
 * first byte is at hva. Returns 0; SONDE_E_UNSUPPORTED, _NO_MEMORY.
 */
int machine_guess_map(struct machine *machine, uint64_t hva);

/* Settle via, by what is possible. Returns 0; SONDE_E_UNSUPPORTED. */
int machine_choose_way(struct machine *machine, struct sonde_error *err);
/* "process_vm_readv" or "shared mapping of FILE", into buf. */
void machine_describe_way(struct machine *machine, char *buf, size_t cap);

/* The slots of a connector, for a machine that is held and whose way is chosen. */
uint32_t machine_ways(const struct machine *machine);
int machine_extents(struct machine *machine, sonde_extent_fn *fn, void *user);
void machine_transfer(struct machine *machine, struct sonde_io *const *ios, size_t n);
int machine_regions(const struct memory_map *map, enum machine_via via, sonde_region_fn *fn,
		    void *user);

/* Returns 0; SONDE_E_UNSUPPORTED, SONDE_E_NOT_FOUND, what the monitor returned. */
int machine_cpu(const struct machine *machine, const struct monitor *monitor, uint32_t index,
		struct full_cpu *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The devices of a stream, behind its RAM: one section each, whose fields are described in JSON at the very end (QEMU
 * has written it since 2.2). With that each section can be passed over, and processors and CMOS be read.
 *
 *	section  4  id  name  instance  version  fields  { 5  name  version  fields }  0x7e  id
 *	the end  0  6  length  { "page_size": …, "devices": [ { "name", "fields": [ { "name", "size", "array_len" …
 *
 * Source: qemu 7.2 migration/savevm.c, migration/vmstate.c (vmstate_save_state_v), scripts/analyze-migration.py;
 * target/{i386,arm,riscv}/machine.c and hw/rtc/mc146818rtc.c for the fields, hw/i386/pc.c (pc_cmos_init) for the CMOS.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include "../common/full_cpu.h"
#include "fault.h"

#include <sonde/plugin.h>

#define DEVICES_LEN_MAX (64u << 20) /* bytes of a stream behind its RAM that are looked at */
#define DEVICES_JSON_MAX (8u << 20)
#define DEVICES_CPUS_MAX 4096u

struct devices {
	struct full_cpu *cpus; /* [n_cpus] */
	size_t n_cpus;
	uint32_t arch;               /* of the processors                              */
	uint64_t below_4g, above_4g; /* bytes of RAM by the CMOS of a PC; both 0: none */
};

/*
 * Read what stands behind the RAM.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no description), _CORRUPT (it does not fit), _LIMIT, _NO_MEMORY: *ret_fault, at in bytes;
 *           what was read up to there stands in *ret.
 * Owns      *ret: devices_finish, also after an error.
 */
int devices_read(struct devices *ret, const uint8_t *bytes, size_t len, struct fault *ret_fault);
void devices_finish(struct devices *devices);

#endif

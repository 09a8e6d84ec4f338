/* SPDX-License-Identifier: MIT */
/*
 * Which physical addresses are RAM: from the user (ram=), from a stub's memory map, from QEMU's monitor. QEMU's stub
 * answers for any physical address, zeros where nothing is, and reading a device's register does what the device
 * does when it is read: so nothing but these is ever asked for.
 */
#ifndef GDB_RANGES_H
#define GDB_RANGES_H

#include <sonde/plugin.h>

enum { RANGES_MAX = 256 };

struct range {
	uint64_t addr, len; /* len > 0; does not wrap */
	uint32_t flags;     /* enum sonde_region_flag */
	char name[32];
};

struct ranges {
	struct range at[RANGES_MAX]; /* [n], lowest first, apart */
	size_t n;
};

/* Returns 0; SONDE_E_LIMIT; SONDE_E_BAD_FORMAT where it overlaps what is there. */
int ranges_add(struct ranges *ranges, const struct range *range);

/* "ADDR+LEN;..." of the user. Returns 0; SONDE_E_BAD_ARG, _LIMIT, and err says what is wrong. */
int ranges_parse(struct ranges *ret, const struct sonde_host *host, const char *text,
		 struct sonde_error *err);

/*
 * QEMU's monitor: the answers to "info mtree -f" and, memdevs, "info memdev". Memory that is no RAM (firmware, video) is
 * read as well, and marked. Returns 0; SONDE_E_BAD_FORMAT, _LIMIT, _NO_MEMORY.
 */
int ranges_of_monitor(struct ranges *ret, const char *mtree, const char *memdevs);

/*
 * What holds for addr and, of the max (> 0) bytes from it on, *ret_len: returns 0 where they may be asked for,
 * else SONDE_E_NOT_MAPPED.
 */
int32_t ranges_limit(const struct ranges *ranges, uint64_t addr, uint64_t max, uint64_t *ret_len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * /proc/iomem: who owns which physical addresses, a line a range: "00100000-7fffffff : System RAM", what lies inside
 * of one indented below it. Who lacks CAP_SYS_ADMIN is shown zeros (linux v6.1 kernel/resource.c, r_show).
 */
#ifndef LOCAL_IOMEM_H
#define LOCAL_IOMEM_H

#include "../common/memory_map.h"

/* Which ranges are taken: enum iomem_take bits. */
enum iomem_take {
	IOMEM_RAM = 1,
	IOMEM_DEVICES = 2, /* the rest of the outer ones, marked as device memory */
};

/*
 * The ranges in text, off being the address. Lines that are nothing of the kind are passed over.
 *
 * Returns   0; SONDE_E_NO_ACCESS (all of them are zeros), _BAD_FORMAT (there is none), _LIMIT, _NO_MEMORY.
 * Owns      *ret: memory_map_finish, also after an error.
 */
int iomem_parse(struct memory_map *ret, const char *text, int take);

#endif

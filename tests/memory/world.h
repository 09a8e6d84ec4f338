/* SPDX-License-Identifier: MIT */
/* Connectors of the scenarios: 64 KiB that lie here, a hole in their middle, moved in each way. */
#ifndef TESTS_MEMORY_WORLD_H
#define TESTS_MEMORY_WORLD_H

#include <sonde/plugin.h>

#define SIZE UINT64_C(0x10000)
#define HOLE UINT64_C(0x8000)
#define HOLE_LEN UINT64_C(0x1000)

/* Behind them lie page tables, which map them from VA on. */
#define TABLES SIZE
#define TABLES_LEN UINT64_C(0x5000)
#define VA UINT64_C(0x400000)

enum { WAY_FILE = 1 << 8 }; /* beside enum sonde_way: extents of a file that holds the same */

uint8_t world_byte(uint64_t addr);

/* Returns as space_from_connector. */
int world_open(struct sonde_loop *loop, uint32_t way, struct sonde_space **ret);
/* Page tables over it. */
int world_open_virtual(struct sonde_space *below, struct sonde_space **ret);
/* Returns as sonde_loop_create. */
int world_loop(uint32_t engine, struct sonde_loop **ret);

/* 0 where every piece is as it should be; NO_MEMORY where one says so. Anything else fails the test. */
int world_check(const struct sonde_xfer *xfers, size_t n);
/* Read n pieces of 16 bytes, scattered, from base on, and check. */
int world_read(struct sonde_space *space, uint64_t base, size_t n);

#endif

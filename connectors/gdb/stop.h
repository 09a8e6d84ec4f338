/* SPDX-License-Identifier: MIT */
/*
 * What a stub tells of a stop: "S05", "T05thread:01;", "T05thread:02;watch:ffff8880013a4000;".
 * Source: "Debugging with GDB" (13), appendix E.3 "Stop Reply Packets".
 */
#ifndef GDB_STOP_H
#define GDB_STOP_H

#include <stddef.h>
#include <stdint.h>

enum { STOP_SIGNAL_INTERRUPT = 2, STOP_SIGNAL_TRAP = 5 }; /* gdb 13 include/gdb/signals.def */

struct stop_reply {
	uint32_t signal; /* 0..255                                               */
	int has_thread;
	uint64_t thread; /* as the stub numbers them                             */
	uint32_t watch;  /* enum sonde_break_kind WRITE, READ, ACCESS; 0: none   */
	uint64_t addr;   /* ... the address that was touched                     */
};

/* Pairs that are not known or malformed are passed over. Returns 1; 0: these bytes tell of no stop. */
int stop_parse(const uint8_t *data, size_t len, struct stop_reply *ret);

#endif

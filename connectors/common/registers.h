/* SPDX-License-Identifier: MIT */
/* The human monitor's "info registers" of one processor, as numbers. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "full_cpu.h"

/*
 * Fill *ret (zero on entry but for cpu.arch, which says how text is read) with what it tells. Returns 1, 0 when it tells
 * nothing, or arch is not known.
 */
int registers_parse(const char *text, struct full_cpu *ret);

#endif

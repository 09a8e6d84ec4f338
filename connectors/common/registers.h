/* SPDX-License-Identifier: MIT */
/* The human monitor's "info registers" of one processor, as numbers. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <sonde/plugin.h>

/*
 * Fill *ret (zero on entry but for arch, which says how text is read) with what it tells. Returns 1, 0 when it tells
 * nothing, or arch is not known.
 */
int registers_parse(const char *text, struct sonde_cpu *ret);

#endif

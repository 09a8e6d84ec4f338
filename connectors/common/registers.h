/* SPDX-License-Identifier: MIT */
/* The human monitor's "info registers" of an x86 processor, as numbers. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <sonde/plugin.h>

/* Fill *ret (zero on entry but for arch) with what text tells. Returns 1, 0 when it tells nothing.
 */
int registers_parse(const char *text, struct sonde_cpu *ret);

#endif

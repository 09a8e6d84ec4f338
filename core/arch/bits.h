/* SPDX-License-Identifier: MIT */
/* Fields of registers and entries, as manuals write them. */
#ifndef SONDE_ARCH_BITS_H
#define SONDE_ARCH_BITS_H

#include <stdint.h>

#define BIT(n) (UINT64_C(1) << (n))
/* Both inclusive. */
#define BITS(high, low) ((UINT64_MAX >> (63 - (high))) & ~(BIT(low) - 1))

#endif

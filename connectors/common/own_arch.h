/* SPDX-License-Identifier: MIT */
/* The architecture of the machine that this program runs on, as it was compiled for. */
#ifndef OWN_ARCH_H
#define OWN_ARCH_H

#include <sonde/types.h>

static inline uint32_t own_arch(void)
{
#if defined(__x86_64__)
	return SONDE_ARCH_X86_64;
#elif defined(__aarch64__)
	return SONDE_ARCH_AARCH64;
#elif defined(__i386__)
	return SONDE_ARCH_I386;
#elif defined(__riscv) && __riscv_xlen == 64
	return SONDE_ARCH_RISCV64;
#else
	return SONDE_ARCH_NONE;
#endif
}

#endif

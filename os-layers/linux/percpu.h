/* SPDX-License-Identifier: MIT */
/* Where each processor of a Linux guest has its copies of per-CPU variables. */
#ifndef SONDE_LINUX_PERCPU_H
#define SONDE_LINUX_PERCPU_H

#include "linux/linux.h"

struct percpu {
	uint64_t *off; /* [n] what to add to a per-CPU address, one for each online processor;
			  malloc'ed */
	uint32_t n;
};

/*
 * Returns   0; n is 0 where the kernel does not tell. What cannot be read:
 * the error of it; SONDE_E_NO_MEMORY.
 */
int percpu_read(struct linux_os *lx, struct percpu *ret);

#endif

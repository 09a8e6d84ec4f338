/* SPDX-License-Identifier: MIT */
/* Facts of the kernel and its boot. */
#ifndef SONDE_LINUX_KERNEL_H
#define SONDE_LINUX_KERNEL_H

#include "linux/linux.h"

/* Wall-clock seconds of the kernel's timekeeper; 0 unknown. Tells an older boot from a newer one. */
uint64_t kernel_clock(struct linux_os *lx);

/* The same, if the kernel's tk_core were at core. */
uint64_t kernel_clock_at(struct linux_os *lx, uint64_t core);

/* Fill the rest of lx->kernel; what cannot be had stays 0 or "". */
void kernel_describe(struct linux_os *lx);

#endif

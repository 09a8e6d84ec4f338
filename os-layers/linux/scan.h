/* SPDX-License-Identifier: MIT */
/* Searching RAM for pages that begin like vmcoreinfo. */
#ifndef SONDE_LINUX_SCAN_H
#define SONDE_LINUX_SCAN_H

#include <sonde/space.h>
#include <stdint.h>

#define SCAN_HITS_MAX 4096u /* more copies than any number of reboots leaves */

/*
 * Look at the first bytes of every page of RAM, in large batches. Pages that cannot be read are no hits.
 *
 * Returns   how many, in rising order in hits (at most SCAN_HITS_MAX, the rest is not looked at);
 *           SONDE_E_NO_MEMORY; what sonde_space_regions says.
 */
int scan_vmcoreinfo(struct sonde_space *phys, uint64_t hits[SCAN_HITS_MAX]);

#endif

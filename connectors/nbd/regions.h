/* SPDX-License-Identifier: MIT */
/* Which stretches of an export are memory, by what its server says of its blocks. */
#ifndef NBD_REGIONS_H
#define NBD_REGIONS_H

#include <libnbd.h>
#include <sonde/plugin.h>

/* The context of 'sonde serve': docs/serve.md. */
#define REGIONS_OF_SONDE "sonde:regions"

enum {
	REGIONS_MAX = 1 << 20,
	REGIONS_ASKS_MAX =
		1 << 16, /* commands: each of almost 4 GiB, or of as much as the server tells */
};

/* Zero it. */
struct regions {
	struct sonde_region *at; /* [n], as sonde_space_regions tells them */
	size_t n, room;
};

/*
 * Ask the server, whose handle is idle, for all of size bytes.
 *
 * Returns   0; SONDE_E_UNSUPPORTED: it cannot tell; SONDE_E_LIMIT: it tells of more than is believed; _NO_MEMORY,
 *           _TIMED_OUT, _GONE, _IO.
 */
int regions_learn(struct regions *regions, struct nbd_handle *nbd, const struct sonde_host *host,
		  uint64_t size, uint64_t timeout_ns);
/* Is there memory at addr? Returns 1 or 0, and in *ret_len how many of the next len bytes are like it. */
int regions_run(const struct regions *regions, uint64_t addr, uint32_t len, uint32_t *ret_len);
void regions_finish(struct regions *regions);

#endif

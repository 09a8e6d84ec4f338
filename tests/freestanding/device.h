/* SPDX-License-Identifier: MIT */
/* A layer as a program writes one: a device that takes batches and ends them by an interrupt, and counts both. */
#ifndef TESTS_FREESTANDING_DEVICE_H
#define TESTS_FREESTANDING_DEVICE_H

#include <sonde/bare.h>

struct device {
	struct sonde_bare_layer layer;
	const struct sonde_host *host;
	void *below;
	struct sonde_io *held[512]; /* [n_held] taken, and not ended yet     */
	size_t n_held;
	uint64_t trips, requests;
	int dead; /* nothing is ever ended by itself */
};

/* One at a time: the interrupt is its. Returns as sonde_bare_layer_open. */
int device_open(struct device *device, struct sonde_space *below, struct sonde_space **ret);
void device_interrupt(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Control blocks of guests: the input is a machine's RAM; what is found is opened, and some of it read. */
#include <sonde/error.h>
#include <sonde/io.h>
#include <stdlib.h>
#include <string.h>

#include "common/vmcb.h"
#include "../synth/array_space.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_some(struct sonde_space *phys, const struct vmcb_guest *guest)
{
	struct sonde_tables tables = { .format = guest->n_cpus & 1 ? "npt4" : "npt5",
				       .root = guest->root };
	struct sonde_space *memory;
	uint8_t page[4096];

	if (sonde_space_tables(phys, &tables, &memory) < 0)
		abort();
	for (uint64_t at = 0; at < 8; at++)
		sonde_space_get(memory, at << 12, page, sizeof(page));
	sonde_space_close(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct vmcb_guest guests[VMCB_GUESTS_MAX];
	struct array_space ram = { .len = len & ~(size_t)4095,
				   .bytes = malloc(len + 1),
				   .flags = SONDE_REGION_RAM };
	struct sonde_loop *loop;
	struct sonde_space *phys;

	if (ram.len == 0) {
		free(ram.bytes);
		return 0;
	}
	if (!ram.bytes || sonde_loop_create(NULL, &loop, NULL) < 0)
		abort();
	memcpy(ram.bytes, bytes, len);
	if (array_space_open(&ram, loop, &phys) < 0)
		abort();
	int n = vmcb_find(phys, guests);
	if (n < 0 || n > (int)VMCB_GUESTS_MAX)
		abort();
	for (int i = 0; i < n; i++) {
		if (guests[i].root & 4095 || guests[i].root >= ram.len || guests[i].n_cpus == 0)
			abort();
		read_some(phys, &guests[i]);
	}
	sonde_space_close(phys);
	sonde_loop_destroy(loop);
	free(ram.bytes);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* State files of VMware: any bytes as a file; what the parser hands out must keep the promises of state.h. */
#include "../../connectors/vmware/state.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static void check(const struct vmware_state *state)
{
	if (state->n_regions + state->n_refused > VMWARE_REGIONS_MAX ||
	    state->n_cpus > VMWARE_CPUS_MAX || state->memory_len > UINT64_MAX - state->memory_off)
		abort();
	for (uint32_t i = 0; i < state->n_regions; i++) {
		const struct vmware_region *region = &state->regions[i];
		if (!region->len || region->len - 1 > UINT64_MAX - region->addr ||
		    region->len > UINT64_MAX - region->off)
			abort();
	}
	for (uint32_t i = 0; i < state->n_cpus; i++) {
		if (state->cpus[i].cpu.arch != state->arch || !state->arch)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct source source = { .read = read_bytes, .user = &file, .size = len };
	struct vmware_state state;
	const char *why = NULL;
	int r = vmware_state_read(&state, &source, &why);

	if (r < 0 ? !why || !why[0] : r > 0)
		abort();
	if (r == 0)
		check(&state);
	vmware_state_finish(&state);
	return 0;
}

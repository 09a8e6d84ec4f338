/* SPDX-License-Identifier: MIT */
/* What a QEMU process says: any bytes as its command line, memory map, registers and mappings. */
#include "../../connectors/common/maps.h"
#include "../../connectors/common/guests.h"
#include "../../connectors/common/memory_map.h"
#include "../../connectors/common/registers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_map(const char *text)
{
	struct memory_map map;
	uint64_t hva, gap;

	if (memory_map_parse(&map, text) == 0) {
		memory_map_mark_likely(&map);
		memory_map_join(&map);
		for (size_t i = 0; i < map.n; i++) {
			const struct memory_range *range = &map.ranges[i];
			if (range->len == 0 || range->len - 1 > UINT64_MAX - range->addr)
				abort();
			if (i && range->addr <= range[-1].addr + (range[-1].len - 1))
				abort();
			if (memory_map_find(&map, range->addr, &gap) != range ||
			    memory_map_find(&map, range->addr + (range->len - 1), &gap) != range)
				abort();
		}
	}
	memory_map_finish(&map);
	memory_map_hva(text, &hva);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 1);
	struct guest *guest = malloc(sizeof(*guest));
	struct maps_line line;

	memcpy(text, bytes, len);
	text[len] = '\0';
	if (guest_parse(guest, 1, text, len + 1) && guest->n_qmp > GUEST_QMP_MAX)
		abort();
	try_map(text);
	for (uint32_t arch = SONDE_ARCH_NONE; arch <= SONDE_ARCH_ARM; arch++) {
		struct full_cpu cpu = { .cpu.arch = arch };
		if (registers_parse(text, &cpu) != (cpu.cpu.valid != 0))
			abort();
	}
	for (uint32_t arch = SONDE_ARCH_NONE; arch <= SONDE_ARCH_ARM; arch++) {
		struct full_cpu cpu = { .cpu.arch = arch };
		full_cpu_parse(&cpu, text);
		if (cpu.n_upper && cpu.n_upper != full_cpu_upper(arch))
			abort();
	}
	if (maps_parse(text, &line) && line.end <= line.start)
		abort();
	free(guest);
	free(text);
	return 0;
}

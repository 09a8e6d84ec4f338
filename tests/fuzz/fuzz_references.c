/* SPDX-License-Identifier: MIT */
/* What code refers to: eight bytes of address, then instructions. */
#include "linux/arch.h"

#include <sonde/types.h>
#include <stdlib.h>

#define CAP 16u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct linux_arch *arch;
	uint64_t refs[CAP];

	if (len < 8)
		return 0;
	for (uint32_t i = 0; (arch = linux_arch_at(i)); i++) {
		if (arch->references &&
		    arch->references(bytes + 8, len - 8, sonde_le64(bytes), refs, CAP) > CAP)
			abort();
	}
	return 0;
}

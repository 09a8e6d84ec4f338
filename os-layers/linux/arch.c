/* SPDX-License-Identifier: MIT */
/* The architectures whose Linux is understood. */
#include "linux/arch.h"

static const struct linux_arch *const all[] = { &linux_x86_64, &linux_arm64 };

const struct linux_arch *linux_arch_at(uint32_t index)
{
	return index < sizeof(all) / sizeof(all[0]) ? all[index] : NULL;
}

const struct linux_arch *linux_arch_of(uint32_t arch)
{
	const struct linux_arch *one;

	for (uint32_t i = 0; (one = linux_arch_at(i)); i++) {
		if (one->arch == arch)
			return one;
	}
	return NULL;
}

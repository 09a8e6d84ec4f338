/* SPDX-License-Identifier: MIT */
/* The architectures whose Linux is understood. */
#include "linux/arch.h"

static const struct linux_arch *const all[] = { &linux_x86_64, &linux_arm64, &linux_riscv64 };

#define IMAGE_MAX (UINT64_C(512) << 20) /* no kernel has a larger image */
#define IMAGE_ALIGN (UINT64_C(2) << 20)

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

void linux_image_behind_stext(const struct linux_os *lx, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first = UINT64_MAX;

	vmcoreinfo_symbol(&lx->info, "_stext", &first);
	*ret_first = first;
	*ret_last = first > UINT64_MAX - IMAGE_MAX ? UINT64_MAX : first + (IMAGE_MAX - 1);
}

uint64_t linux_image_start(const struct linux_os *lx)
{
	uint64_t stext = 0;

	vmcoreinfo_symbol(&lx->info, "_stext", &stext);
	return stext & ~(IMAGE_ALIGN - 1);
}

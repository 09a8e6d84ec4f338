/* SPDX-License-Identifier: MIT */
/* Linux on x86-64. */
#include <inttypes.h>

#include "linux/arch.h"

/* linux v6.6 arch/x86/include/asm/page_64_types.h: __START_KERNEL_map, KERNEL_IMAGE_SIZE with KASLR. */
#define KERNEL_MAP UINT64_C(0xffffffff80000000)
#define KERNEL_SIZE UINT64_C(0x40000000)
/* CONFIG_PHYSICAL_START, where _text lies from KERNEL_MAP without KASLR. */
#define TEXT_OFFSET UINT64_C(0x1000000)

#define CR0_PG (UINT64_C(1) << 31)   /* Intel SDM 3A 2.5 */
#define CR4_LA57 (UINT64_C(1) << 12) /* Intel SDM 3A 2.5 */
#define CR3_PA UINT64_C(0x000ffffffffff000)
#define PTI_USER UINT64_C(0x1000) /* linux v6.6 arch/x86/mm/pti.c: PTI_PGTABLE_SWITCH_BIT */

/* Where page tables are isolated, a process's own user tables lie behind those of the kernel. */
static uint32_t places_of_cpu(const struct sonde_cpu *cpu, struct linux_place ret[LINUX_PLACES_MAX])
{
	const struct paging *paging = paging_x86_64(cpu->cr[4] & CR4_LA57 ? 5 : 4);
	uint64_t root = cpu->cr[3] & CR3_PA;

	if (!(cpu->valid & SONDE_CPU_CONTROL) || !root)
		return 0;
	ret[0] = (struct linux_place){ .paging = paging, .root = root };
	ret[1] = (struct linux_place){ .paging = paging, .root = root & ~PTI_USER };
	return root & PTI_USER ? 2 : 1;
}

/* Paging is off after a reset; the tables of firmware and of the kernel's decompressor have no upper half. */
static bool may_run_kernel(struct sonde_space *phys, const struct sonde_cpu *cpu)
{
	uint8_t upper[2048]; /* entries of the top table, of 8 bytes; bit 0: present */
	uint64_t root = cpu->cr[3] & CR3_PA;

	if (!(cpu->valid & SONDE_CPU_CONTROL))
		return true;
	if (!(cpu->cr[0] & CR0_PG))
		return false;
	if (sonde_space_get(phys, root + sizeof(upper), upper, sizeof(upper)) < 0)
		return true;
	for (size_t i = 0; i < sizeof(upper); i += 8) {
		if (upper[i] & 1)
			return true;
	}
	return false;
}

/* linux v6.6 arch/x86/kernel/machine_kexec_64.c: arch_crash_save_vmcoreinfo. */
static int places_of_info(const struct vmcoreinfo *info, struct linux_place ret[LINUX_PLACES_MAX],
			  struct sonde_error *err)
{
	uint64_t swapper;
	int64_t phys_base, l5 = 0;

	if (!vmcoreinfo_symbol(info, "swapper_pg_dir", &swapper) ||
	    !vmcoreinfo_number(info, "phys_base", &phys_base))
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "vmcoreinfo is not of an x86-64 kernel");
	vmcoreinfo_number(info, "pgtable_l5_enabled", &l5);
	if (swapper < KERNEL_MAP || swapper - KERNEL_MAP >= KERNEL_SIZE)
		return sonde_error_set(err, SONDE_E_CORRUPT, "swapper_pg_dir lies at 0x%" PRIx64,
				       swapper);
	ret[0] = (struct linux_place){
		.paging = paging_x86_64(l5 ? 5 : 4),
		.root = swapper - KERNEL_MAP + (uint64_t)phys_base,
		.slide = KERNEL_MAP - (uint64_t)phys_base,
	};
	return 1;
}

static void image_range(const struct linux_os *lx, uint64_t *ret_first, uint64_t *ret_last)
{
	(void)lx;
	*ret_first = KERNEL_MAP;
	*ret_last = KERNEL_MAP + (KERNEL_SIZE - 1);
}

/* linux v6.6 Documentation/arch/x86/x86_64/mm.rst: where it lies unless KASLR moved it. */
static void find_direct_map(struct linux_os *lx)
{
	uint64_t at;

	lx->direct_map = lx->paging->n_levels == 5 ? UINT64_C(0xff11000000000000)
						   : UINT64_C(0xffff888000000000);
	if (linux_symbol(lx, "page_offset_base", &at))
		sonde_space_u64(lx->os.kernel_memory, at, &lx->direct_map);
}

static void settle(struct linux_os *lx)
{
	/* linux v6.6 arch/x86/include/asm/pgtable_64.h: the offset inverted since v4.18, against L1TF. */
	lx->swap = (struct swap_layout){ .type_shift = 59,
					 .type_bits = 5,
					 .offset_shift = 9,
					 .offset_bits = 50,
					 .inverted = true };
	find_direct_map(lx);
	if (linux_symbol(lx, "_text", &lx->kernel.kaslr_offset))
		lx->kernel.kaslr_offset -= KERNEL_MAP + TEXT_OFFSET;
	lx->kernel.phys_base = KERNEL_MAP - lx->image_slide;
}

const struct linux_arch linux_x86_64 = {
	.arch = SONDE_ARCH_X86_64,
	.places_of_cpu = places_of_cpu,
	.may_run_kernel = may_run_kernel,
	.places_of_info = places_of_info,
	.image_range = image_range,
	.settle = settle,
};

/* SPDX-License-Identifier: MIT */
/*
 * Linux on riscv64. A processor leads to the kernel, and vmcoreinfo has all of it. Source: RISC-V privileged architecture
 * 1.12, 4.1.11 (satp), 4.1.2 (stvec); linux v6.12 arch/riscv/kernel/vmcore_info.c,
 * arch/riscv/include/asm/page.h (va_kernel_pa_offset, PAGE_OFFSET, phys_ram_base), pgtable.h (swap entries),
 * pgtable-bits.h (_PAGE_PROT_NONE), Documentation/arch/riscv/boot.rst (where the image is loaded).
 */
#include "arch/bits.h"
#include "linux/arch.h"

#define SATP_MODE(satp) ((satp) >> 60)
#define STVEC_MODE UINT64_C(3)

/* The tables of a process have the kernel's half too. */
static uint32_t places_of_cpu(const struct sonde_cpu *cpu, struct linux_place ret[LINUX_PLACES_MAX])
{
	static const uint8_t va_bits[16] = { [8] = 39, [9] = 48, [10] = 57 };
	const uint32_t needed = SONDE_CPU_CONTROL | SONDE_CPU_TABLES;
	uint64_t satp = cpu->cr[SONDE_CR_SATP], text = cpu->idt_base & ~STVEC_MODE;
	const struct paging *paging = paging_riscv64(va_bits[SATP_MODE(satp)]);

	if ((cpu->valid & needed) != needed || !paging || !text)
		return 0;
	ret[0] = (struct linux_place){ .paging = paging,
				       .root = paging_root_of(paging, satp),
				       .text = text };
	return 1;
}

/* Without paging it is in firmware or a loader, or has not been started. */
static bool may_run_kernel(struct sonde_space *phys, const struct sonde_cpu *cpu)
{
	(void)phys;
	return !(cpu->valid & SONDE_CPU_CONTROL) || SATP_MODE(cpu->cr[SONDE_CR_SATP]);
}

static int places_of_info(const struct vmcoreinfo *info, struct linux_place ret[LINUX_PLACES_MAX],
			  struct sonde_error *err)
{
	const struct paging *paging = NULL;
	int64_t bits, slide;
	uint64_t swapper;

	if (vmcoreinfo_number(info, "VA_BITS", &bits) && bits > 0 && bits < 64)
		paging = paging_riscv64((uint32_t)bits);
	if (!paging || !vmcoreinfo_symbol(info, "swapper_pg_dir", &swapper) ||
	    !vmcoreinfo_number(info, "va_kernel_pa_offset", &slide))
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "vmcoreinfo is not of a riscv64 kernel");
	ret[0] = (struct linux_place){ .paging = paging,
				       .root = swapper - (uint64_t)slide,
				       .slide = (uint64_t)slide };
	return 1;
}

static void find_direct_map(struct linux_os *lx)
{
	int64_t page_offset = 0, ram = 0;

	if (vmcoreinfo_number(&lx->info, "PAGE_OFFSET", &page_offset) &&
	    vmcoreinfo_number(&lx->info, "phys_ram_base", &ram))
		lx->direct_map = (uint64_t)page_offset - (uint64_t)ram;
}

static void find_text(struct linux_os *lx)
{
	uint64_t start = linux_image_start(lx);
	int64_t linked;

	if (vmcoreinfo_number(&lx->info, "KERNEL_LINK_ADDR", &linked))
		lx->kernel.kaslr_offset = start - (uint64_t)linked;
	lx->kernel.phys_base = start - lx->image_slide;
}

/* PROT_NONE is marked by the bit that else is G. v6.3 made room for a mark below the type. */
static void settle_entries(struct linux_os *lx)
{
	const bool marked = linux_since(lx, 6, 3);

	lx->own_paging = *lx->paging;
	lx->own_paging.kept = (struct paging_rule){ BIT(5), BIT(0) };
	lx->paging = &lx->own_paging;
	lx->swap = (struct swap_layout){ .type_shift = marked ? 7 : 6,
					 .type_bits = 5,
					 .offset_shift = marked ? 12 : 11,
					 .offset_bits = 52 };
}

static void settle(struct linux_os *lx)
{
	find_direct_map(lx);
	find_text(lx);
	settle_entries(lx);
}

const struct linux_arch linux_riscv64 = {
	.arch = SONDE_ARCH_RISCV64,
	.places_of_cpu = places_of_cpu,
	.may_run_kernel = may_run_kernel,
	.places_of_info = places_of_info,
	.image_range = linux_image_behind_stext,
	.settle = settle,
};

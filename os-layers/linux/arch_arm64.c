/* SPDX-License-Identifier: MIT */
/*
 * Linux on aarch64. A processor's system registers lead to the kernel, where they are told; monitors and dumps do not.
 * vmcoreinfo has all of it. Source: Arm ARM DDI 0487 D17.2 (TTBR1_EL1, TCR_EL1, SCTLR_EL1, VBAR_EL1); linux v6.1 and v6.12 arch/arm64/kernel/vmcore_info.c (crash_core.c), arch/arm64/include/asm/memory.h
 * (PAGE_OFFSET, PHYS_OFFSET, kimage_voffset, KIMAGE_VADDR), pgtable.h and pgtable-prot.h (swap entries, PROT_NONE).
 */
#include <inttypes.h>
#include <sonde/types.h>
#include <stdlib.h>

#include "arch/bits.h"
#include "linux/arch.h"

#define TCR_T1SZ(tcr) ((uint32_t)((tcr) >> 16 & 0x3f))
#define TCR_EPD1 BIT(23) /* nothing is translated by TTBR1 */
#define TCR_TG1(tcr) ((tcr) >> 30 & 3)
#define TCR_IPS(tcr) ((tcr) >> 32 & 7)
#define TCR_IPS_52_BITS 6u
#define TCR_DS BIT(59)
#define SCTLR_M BIT(0) /* the MMU is on */
#define PSTATE_EL(flags) ((flags) >> 2 & 3)

/* As the processor was set up for the upper half. NULL: not at all. */
static const struct paging *paging_of_cpu(const struct sonde_cpu *cpu)
{
	static const uint8_t granules[4] = { 0, 14, 12, 16 };
	uint64_t tcr = cpu->cr[SONDE_CR_TCR_EL1];
	uint32_t granule = granules[TCR_TG1(tcr)];
	bool wide = granule == 16 ? TCR_IPS(tcr) == TCR_IPS_52_BITS : tcr & TCR_DS;

	if (!(cpu->valid & SONDE_CPU_CONTROL) || !(cpu->cr[SONDE_CR_SCTLR_EL1] & SCTLR_M) ||
	    tcr & TCR_EPD1)
		return NULL;
	return paging_arm64(granule, 64 - TCR_T1SZ(tcr), wide);
}

/* Where the half begins that has no map of all RAM (linux v6.1 arch/arm64/include/asm/memory.h: PAGE_END, VA_BITS_MIN). */
static uint64_t end_of_direct_map(const struct paging *paging)
{
	uint32_t least = paging->levels[0].shift == 14 ? 47 : 48;

	return UINT64_MAX << ((paging->va_bits > 48 ? least : paging->va_bits) - 1);
}

/*
 * Where page tables are isolated, user code runs on tables that map the way in only and lie two pages below the kernel's
 * own (linux v6.1 arch/arm64/kernel/vmlinux.lds.S: tramp_pg_dir, reserved_pg_dir, swapper_pg_dir). The vectors are those of the way
 * in, then: a part of the image that is mapped a second time, at the end of memory (mm/mmu.c, map_entry_trampoline).
 */
static uint32_t places_of_cpu(const struct sonde_cpu *cpu, struct linux_place ret[LINUX_PLACES_MAX])
{
	const struct paging *paging = paging_of_cpu(cpu);
	uint64_t text = cpu->valid & SONDE_CPU_TABLES ? cpu->idt_base : 0;

	if (!paging || !text)
		return 0;
	uint64_t root = paging_root_of(paging, cpu->cr[SONDE_CR_TTBR1_EL1]);
	ret[0] = (struct linux_place){ .paging = paging, .root = root, .text = text };
	ret[1] = ret[0];
	ret[1].root += UINT64_C(2) << paging->levels[0].shift;
	ret[1].above = end_of_direct_map(paging);
	return PSTATE_EL(cpu->flags) == 0 ? 2 : 1;
}

/*
 * Without paging it is in a loader, or has not been started. What is told is of EL1: a kernel at EL2 and its programs go by
 * registers that are not, and it leaves those of EL1 without paging (VHE; linux v6.1 arch/arm64/kernel/hyp-stub.S).
 */
static bool may_run_kernel(struct sonde_space *phys, const struct sonde_cpu *cpu)
{
	uint64_t level = PSTATE_EL(cpu->flags);

	(void)phys;
	return !(cpu->valid & SONDE_CPU_CONTROL) || cpu->cr[SONDE_CR_SCTLR_EL1] & SCTLR_M ||
	       level == 0 || level == 2;
}

static int granule_bits(const struct vmcoreinfo *info)
{
	char text[16];

	if (!vmcoreinfo_text(info, "PAGESIZE", text, sizeof(text)))
		return 0;
	switch (strtoul(text, NULL, 10)) {
	case 1u << 12:
		return 12;
	case 1u << 14:
		return 14;
	case 1u << 16:
		return 16;
	default:
		return 0;
	}
}

/* What the processor was set up for; a kernel built for 52 bits runs on one of 48 too. */
static int64_t va_bits(const struct vmcoreinfo *info)
{
	int64_t bits = 0, t1sz;

	if (vmcoreinfo_number(info, "TCR_EL1_T1SZ", &t1sz))
		return t1sz >= 0 && t1sz < 64 ? 64 - t1sz : 0;
	vmcoreinfo_number(info, "VA_BITS", &bits);
	return bits > 0 && bits < 64 ? bits : 0;
}

/*
 * Descriptors with addresses of 52 bits look like others but for bits that then say how a page is shared: those that
 * are tried first would lead far beyond all memory where they are wrong.
 */
static int places_of_info(const struct vmcoreinfo *info, struct linux_place ret[LINUX_PLACES_MAX],
			  struct sonde_error *err)
{
	uint64_t swapper;
	int64_t voffset, bits = va_bits(info);
	uint32_t granule = (uint32_t)granule_bits(info);
	int n = 0;

	if (!vmcoreinfo_symbol(info, "swapper_pg_dir", &swapper) ||
	    !vmcoreinfo_number(info, "kimage_voffset", &voffset))
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "vmcoreinfo is not of an aarch64 kernel");
	for (int wide = 0; wide < 2; wide++) {
		const struct paging *paging = paging_arm64(granule, (uint32_t)bits, wide);
		if (paging)
			ret[n++] = (struct linux_place){ .paging = paging,
							 .root = swapper - (uint64_t)voffset,
							 .slide = (uint64_t)voffset };
	}
	if (!n)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "no page tables of aarch64 have pages of 2^%u bytes and "
				       "addresses of %" PRId64 " bits",
				       granule, bits);
	return n;
}

/* PAGE_OFFSET is where RAM is mapped from PHYS_OFFSET on; the latter may lie "below 0". */
static void find_direct_map(struct linux_os *lx)
{
	int64_t bits = 0, phys_offset = 0;

	vmcoreinfo_number(&lx->info, "VA_BITS", &bits);
	vmcoreinfo_number(&lx->info, "PHYS_OFFSET", &phys_offset);
	if (bits > 0 && bits < 64)
		lx->direct_map = (UINT64_MAX << bits) - (uint64_t)phys_offset;
}

/* linux Documentation/arch/arm64/booting.rst: the image is loaded at a multiple of 2 MiB. */
static void find_text(struct linux_os *lx)
{
	vmcoreinfo_hex(&lx->info, "KERNELOFFSET", &lx->kernel.kaslr_offset);
	lx->kernel.phys_base = linux_image_start(lx) - lx->image_slide;
}

/* v6.10 moved the mark of PROT_NONE to the bit that else is nG, and swap entries out of its way. */
static void settle_entries(struct linux_os *lx)
{
	const bool moved = linux_since(lx, 6, 10), exclusive = linux_since(lx, 5, 19);

	lx->own_paging = *lx->paging;
	lx->own_paging.kept = (struct paging_rule){ moved ? BIT(11) : BIT(58), BIT(0) };
	lx->paging = &lx->own_paging;
	if (moved)
		lx->swap = (struct swap_layout){
			.type_shift = 6, .type_bits = 5, .offset_shift = 12, .offset_bits = 50
		};
	else
		lx->swap = (struct swap_layout){ .type_shift = exclusive ? 3 : 2,
						 .type_bits = exclusive ? 5 : 6,
						 .offset_shift = 8,
						 .offset_bits = 50 };
}

static void settle(struct linux_os *lx)
{
	find_direct_map(lx);
	find_text(lx);
	settle_entries(lx);
}

/* ---- code ------------------------------------------------------------------------------------------ */

/*
 * Arm ARM DDI 0487 C6.2: ADRP; ADD (immediate); LDR and STR of 4 and 8 bytes with an unsigned offset, or with a
 * signed one that may change the base; LDP and STP of 8 bytes, likewise.
 */
#define IS_ADRP(insn) (((insn)&0x9f000000) == 0x90000000)
#define IS_ADD(insn) (((insn)&0xff800000) == 0x91000000)
#define IS_SCALED(insn) (((insn)&0xbf000000) == 0xb9000000)
#define IS_UNSCALED(insn) (((insn)&0xbf200000) == 0xb8000000)
#define IS_PAIR(insn) (((insn)&0xff000000) == 0xa9000000)
#define FIELD(insn, at, bits) ((insn) >> (at) & ((1u << (bits)) - 1))

static uint64_t sign_extended(uint32_t value, uint32_t bits)
{
	return (uint64_t)((int64_t)((uint64_t)value << (64 - bits)) >> (64 - bits));
}

static uint64_t adrp_page(uint32_t insn, uint64_t va)
{
	uint32_t pages = FIELD(insn, 5, 19) << 2 | FIELD(insn, 29, 2);

	return (va & ~UINT64_C(0xfff)) + (sign_extended(pages, 21) << 12);
}

/* What registers are known to hold, 0: not known, and what was referred to by them. */
struct reader {
	uint64_t regs[32];
	uint64_t *refs; /* [cap] */
	size_t n, cap;
};

static void refer(struct reader *r, uint64_t at)
{
	if (r->n < r->cap)
		r->refs[r->n++] = at;
}

/* A load or store through base; where the base changes it does so before (11) or after (01). */
static void access_unscaled(struct reader *r, uint32_t insn, uint64_t *base)
{
	uint64_t moved = *base + sign_extended(FIELD(insn, 12, 9), 9);
	uint32_t when = FIELD(insn, 10, 2);

	refer(r, when == 1 ? *base : moved);
	if (when & 1)
		*base = moved;
}

static void access_pair(struct reader *r, uint32_t insn, uint64_t *base)
{
	uint64_t at = *base + sign_extended(FIELD(insn, 15, 7), 7) * 8;

	refer(r, at);
	refer(r, at + 8);
	if (FIELD(insn, 23, 1))
		*base = at;
}

static void step(struct reader *r, uint32_t insn, uint64_t va)
{
	uint64_t *base = &r->regs[FIELD(insn, 5, 5)], *to = &r->regs[FIELD(insn, 0, 5)];

	if (IS_ADRP(insn)) {
		*to = adrp_page(insn, va);
	} else if (!*base) {
		return;
	} else if (IS_ADD(insn)) {
		*to = *base + ((uint64_t)FIELD(insn, 10, 12) << (FIELD(insn, 22, 1) ? 12 : 0));
		refer(r, *to);
	} else if (IS_SCALED(insn)) {
		refer(r, *base + ((uint64_t)FIELD(insn, 10, 12) << (insn >> 30)));
	} else if (IS_UNSCALED(insn)) {
		access_unscaled(r, insn, base);
	} else if (IS_PAIR(insn)) {
		access_pair(r, insn, base);
	}
}

/*
 * Compilers make an address of a page and the rest, and others by their distance from one they have. Registers
 * are not forgotten when something else is put into them: that refers to too much, which is checked, not to too little.
 */
static size_t references(const uint8_t *code, size_t len, uint64_t va, uint64_t *ret, size_t cap)
{
	struct reader reader = { .refs = ret, .cap = cap };

	for (size_t at = 0; at + 4 <= len; at += 4)
		step(&reader, sonde_le32(code + at), va + at);
	return reader.n;
}

const struct linux_arch linux_arm64 = {
	.arch = SONDE_ARCH_AARCH64,
	.places_of_cpu = places_of_cpu,
	.may_run_kernel = may_run_kernel,
	.places_of_info = places_of_info,
	.image_range = linux_image_behind_stext,
	.settle = settle,
	.references = references,
};

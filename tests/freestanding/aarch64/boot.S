/* SPDX-License-Identifier: MIT */
/*
 * QEMU's machine `virt` enters here at EL1 with the MMU off. The first GiB is devices, the second RAM, both mapped to
 * themselves by TTBR0; TTBR1 has an empty root, which the checks fill.
 *
 * Source: Arm ARM (DDI 0487) D17.2: CPACR, MAIR, TCR, TTBR, SCTLR_EL1; D8.3: descriptors; D1.3: vectors.
 */
	.section .text.boot, "ax"
	.globl	boot
boot:
	msr	daifset, #15
	mov	x0, #3 << 20		/* floating point: no traps */
	msr	cpacr_el1, x0
	ldr	x0, =stack_end
	mov	sp, x0
	ldr	x0, =0xff00		/* attribute 0: device, 1: memory, written back */
	msr	mair_el1, x0
	ldr	x0, =0x2b5103510	/* 48 bits and 4 KiB in both halves, cached, 40 bits physical */
	msr	tcr_el1, x0
	ldr	x0, =low_root
	msr	ttbr0_el1, x0
	ldr	x0, =high_root
	msr	ttbr1_el1, x0
	ldr	x0, =vectors
	msr	vbar_el1, x0
	isb
	tlbi	vmalle1
	dsb	sy
	mrs	x0, sctlr_el1
	mov	x1, #0x1005		/* I, C, M */
	orr	x0, x0, x1
	bic	x0, x0, #2		/* no alignment checks */
	msr	sctlr_el1, x0
	isb
	mov	x29, xzr
	mov	x30, xzr
	bl	aarch64_start
	brk	#1

	.text
/* bool aarch64_load(uint64_t va, uint64_t *ret): a fault in the first instruction is an answer. */
	.globl	aarch64_load
aarch64_load:
	ldr	x2, [x0]
	str	x2, [x1]
	mov	w0, #1
	ret
load_failed:
	mov	w0, #0
	ret

	.balign	2048
vectors:
	.rept	16
	.balign	128
	b	trap
	.endr

trap:
	stp	x0, x1, [sp, #-16]!
	mrs	x0, elr_el1
	ldr	x1, =aarch64_load
	cmp	x0, x1
	b.ne	1f
	ldr	x1, =load_failed
	msr	elr_el1, x1
	ldp	x0, x1, [sp], #16
	eret
1:	mov	x1, x0
	mrs	x0, esr_el1
	bl	aarch64_trap
	brk	#1
	.ltorg

	.data
	.balign	4096
	.globl	low_root
low_root:
	.quad	low_gibs + 3
	.fill	511, 8, 0
low_gibs:
	.quad	0x0060000000000401	/* a block, AF, attribute 0, not to be executed */
	.quad	0x40000705		/* a block, AF, inner shareable, attribute 1 */
	.fill	510, 8, 0
	.globl	high_root
high_root:
	.fill	512, 8, 0

	.bss
	.balign	16
	.skip	65536
stack_end:

	.section .note.GNU-stack, "", %progbits

/* SPDX-License-Identifier: MIT */
/*
 * AAPCS64 6.1: x19..x28, x29, x30 and the low halves of v8..v15 belong to the caller.
 * Frame, from the saved sp up: x19..x28 at 0..72, x29 80, x30 88, d8..d15 at 96..152; 160 bytes.
 */
	.text
	.globl	sonde_switch_to
	.hidden	sonde_switch_to
	.type	sonde_switch_to, %function
sonde_switch_to:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	ldr	x9, [x1]
	mov	sp, x9
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	ret
	.cfi_endproc
	.size	sonde_switch_to, .-sonde_switch_to

/* First arrival: x19 holds entry, x20 its argument (switch_init put them there). */
	.globl	sonde_switch_start
	.hidden	sonde_switch_start
	.type	sonde_switch_start, %function
sonde_switch_start:
	.cfi_startproc
	.cfi_undefined x30
	hint	#34
	mov	x0, x20
	mov	x29, xzr
	blr	x19
	brk	#1
	.cfi_endproc
	.size	sonde_switch_start, .-sonde_switch_start

	.section .note.GNU-stack, "", %progbits

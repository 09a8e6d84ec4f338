/* SPDX-License-Identifier: MIT */
/*
 * System V AMD64 ABI 3.2.1: rbx, rbp, r12..r15, the MXCSR control bits and the x87
 * control word belong to the caller. Frame, from the saved rsp up:
 *   0 mxcsr, x87 word   8 r15  16 r14  24 r13  32 r12  40 rbx  48 rbp  56 return address
 */
	.text
	.globl	sonde_switch_to
	.hidden	sonde_switch_to
	.type	sonde_switch_to, @function
sonde_switch_to:
	.cfi_startproc
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	sonde_switch_to, .-sonde_switch_to

/* First arrival: r12 holds entry, r13 its argument (switch_init put them there). */
	.globl	sonde_switch_start
	.hidden	sonde_switch_start
	.type	sonde_switch_start, @function
sonde_switch_start:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movq	%r13, %rdi
	xorl	%ebp, %ebp
	callq	*%r12
	ud2
	.cfi_endproc
	.size	sonde_switch_start, .-sonde_switch_start

	.section .note.GNU-stack, "", @progbits

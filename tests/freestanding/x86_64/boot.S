/* SPDX-License-Identifier: MIT */
/*
 * From QEMU's door for kernels without a loader (PVH: 32 bits, no paging, ebx leads to what is known of the machine)
 * to C in long mode, on page tables that map the first GiB to itself.
 *
 * Source: xen docs/misc/pvh.pandoc, xen/include/public/elfnote.h; Intel SDM 3A 9.8.5, 4.5.
 */
	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 8, 18		/* name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	boot32

	.text
	.code32
	.globl	boot32
boot32:
	cld
	movl	$stack_end, %esp
	movl	$boot_root, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER: LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~0xc, %eax		/* no EM, no TS */
	orl	$0x80010003, %eax	/* PG, WP, MP, PE */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $boot64

	.code64
boot64:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%ebx, %edi
	xorl	%ebp, %ebp
	call	x86_64_start
	ud2

/* bool x86_64_load(uint64_t va, uint64_t *ret): a fault in the first instruction is an answer. */
	.globl	x86_64_load
x86_64_load:
	movq	(%rdi), %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret
load_failed:
	xorl	%eax, %eax
	ret

/* One stub an exception, 16 bytes each: below the processor's frame lie an error code and the number. */
	.balign	16
	.globl	x86_64_stubs
x86_64_stubs:
	.set	number, 0
	.rept	32
	.balign	16
	.if	(1 << number) & 0x60227d00 /* these bring an error code: SDM 3A 6.3.1 */
	.else
	pushq	$0
	.endif
	pushq	$number
	jmp	trap
	.set	number, number + 1
	.endr

trap:
	cmpq	$x86_64_load, 16(%rsp)
	jne	1f
	movq	$load_failed, 16(%rsp)
	addq	$16, %rsp
	iretq
1:	movq	(%rsp), %rdi
	movq	16(%rsp), %rsi
	andq	$-16, %rsp
	call	x86_64_trap
	ud2

	.section .rodata
	.balign	8
gdt:	.quad	0
	.quad	0x00af9a000000ffff	/* code, 64 bits */
	.quad	0x00cf92000000ffff	/* data */
gdt_pointer:
	.word	. - gdt - 1
	.quad	gdt

	.data
	.balign	4096
	.globl	boot_root
boot_root:
	.quad	boot_gibs + 3
	.fill	511, 8, 0
boot_gibs:
	.quad	boot_mibs + 3
	.fill	511, 8, 0
boot_mibs:
	.set	entry, 0x83		/* 2 MiB, writable, present */
	.rept	512
	.quad	entry
	.set	entry, entry + 0x200000
	.endr

	.bss
	.balign	16
	.skip	65536
stack_end:

	.section .note.GNU-stack, "", @progbits

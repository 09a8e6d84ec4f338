/* SPDX-License-Identifier: MIT */
/*
 * The general registers of a thread as the kernel hands them out (regset NT_PRSTATUS), by name.
 *
 * Source: linux v6.12 arch/x86/include/asm/user_64.h and user_32.h (struct user_regs_struct), arch/arm64/include/uapi/
 * asm/ptrace.h (struct user_pt_regs), arch/arm/include/uapi/asm/ptrace.h (struct pt_regs), arch/riscv/
 * include/uapi/asm/ptrace.h (struct user_regs_struct).
 */
#ifndef REGSET_H
#define REGSET_H

#include <sonde/os.h>
#include <stddef.h>
#include <stdint.h>

#define REGSET_BYTES_MAX 512u

/*
 * Name those in a set of len bytes, whose length tells the architecture. At most cap are written.
 * Returns how many there are; SONDE_E_UNSUPPORTED: of no architecture that is known.
 */
int regset_name(const uint8_t *set, size_t len, struct sonde_register *ret, size_t cap);

#endif

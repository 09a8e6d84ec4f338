/* SPDX-License-Identifier: MIT */
/*
 * One instruction at a time. disas_capstone.c does it where Capstone was there at build
 * time; disas_none.c says that it was not.
 */
#ifndef SONDE_TOOL_DISAS_H
#define SONDE_TOOL_DISAS_H

#include <stddef.h>
#include <stdint.h>

struct disas; /* handle */

enum { INSN_MAX = 15 }; /* Intel SDM 2A 2.3.11: no instruction is longer */

enum insn_refers { INSN_REFERS_NOT, INSN_REFERS_CODE, INSN_REFERS_DATA };

struct insn {
	uint32_t size;   /* bytes                                        */
	uint32_t refers; /* enum insn_refers: is target set, and to what */
	uint64_t target; /* of a branch or call, or of pc-relative data  */
	char mnemonic[32];
	char operands[160];
};

/* Returns NULL with *why set when instructions of arch (enum sonde_arch) cannot be decoded. */
struct disas *disas_open(uint32_t arch, const char **why);
void disas_close(struct disas *disas); /* NULL is allowed */

/* Returns 1 and *ret; 0 when the bytes are no instruction: ret->size is then how many to skip. */
int disas_one(struct disas *disas, const uint8_t *code, size_t len, uint64_t addr,
	      struct insn *ret);

#endif

/* SPDX-License-Identifier: MIT */
/* One instruction at a time, by Capstone; see disas.h. */
#include "disas.h"

#include "out.h"

#include <capstone/capstone.h>
#include <sonde/types.h>
#include <stdio.h>
#include <stdlib.h>

struct disas {
	csh handle;
	cs_insn *insn;
	uint32_t arch; /* enum sonde_arch */
	uint32_t skip; /* bytes to skip where nothing can be decoded */
};

static int capstone_mode(uint32_t arch, cs_arch *ret_arch, cs_mode *ret_mode)
{
	switch (arch) {
	case SONDE_ARCH_X86_64:
		*ret_arch = CS_ARCH_X86, *ret_mode = CS_MODE_64;
		return 1;
	case SONDE_ARCH_I386:
		*ret_arch = CS_ARCH_X86, *ret_mode = CS_MODE_32;
		return 1;
	case SONDE_ARCH_ARM:
		*ret_arch = CS_ARCH_ARM, *ret_mode = CS_MODE_ARM;
		return 1;
	case SONDE_ARCH_AARCH64:
		*ret_arch = CS_ARCH_ARM64, *ret_mode = CS_MODE_ARM;
		return 1;
	default:
		return 0;
	}
}

struct disas *disas_open(uint32_t arch, const char **why)
{
	struct disas *d = grow(NULL, 1, sizeof(*d));
	cs_arch cs_arch;
	cs_mode cs_mode;

	*d = (struct disas){ .arch = arch, .skip = 1 };
	if (arch == SONDE_ARCH_AARCH64 || arch == SONDE_ARCH_ARM)
		d->skip = 4;
	if (!capstone_mode(arch, &cs_arch, &cs_mode)) {
		*why = arch == SONDE_ARCH_NONE
			       ? "of what architecture this code is is not known"
			       : "this architecture is not known to the disassembler";
		free(d);
		return NULL;
	}
	cs_err err = cs_open(cs_arch, cs_mode, &d->handle);
	if (err != CS_ERR_OK) {
		*why = cs_strerror(err);
		free(d);
		return NULL;
	}
	cs_option(d->handle, CS_OPT_DETAIL, CS_OPT_ON);
	d->insn = cs_malloc(d->handle);
	return d;
}

void disas_close(struct disas *d)
{
	if (!d)
		return;
	cs_free(d->insn, 1);
	cs_close(&d->handle);
	free(d);
}

static void x86_target(const struct disas *d, struct insn *ret)
{
	const cs_x86 *x86 = &d->insn->detail->x86;

	for (uint8_t i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];

		if (op->type == X86_OP_IMM && ret->refers == INSN_REFERS_CODE)
			ret->target = (uint64_t)op->imm;
		if (op->type != X86_OP_MEM || op->mem.base != X86_REG_RIP)
			continue;
		ret->refers = INSN_REFERS_DATA;
		ret->target = d->insn->address + d->insn->size + (uint64_t)op->mem.disp;
	}
}

static void arm64_target(const struct disas *d, struct insn *ret)
{
	const cs_arm64 *arm = &d->insn->detail->arm64;

	for (uint8_t i = 0; i < arm->op_count; i++)
		if (arm->operands[i].type == ARM64_OP_IMM)
			ret->target = (uint64_t)arm->operands[i].imm;
	if (d->insn->id == ARM64_INS_ADR || d->insn->id == ARM64_INS_ADRP)
		ret->refers = INSN_REFERS_DATA;
}

/* pc reads as the address of the instruction after the next: Arm ARM DDI 0406, A2.3. */
static void arm_target(const struct disas *d, struct insn *ret)
{
	const cs_arm *arm = &d->insn->detail->arm;

	for (uint8_t i = 0; i < arm->op_count; i++) {
		const cs_arm_op *op = &arm->operands[i];

		if (op->type == ARM_OP_IMM && ret->refers == INSN_REFERS_CODE)
			ret->target = (uint32_t)op->imm;
		if (op->type != ARM_OP_MEM || op->mem.base != ARM_REG_PC ||
		    op->mem.index != ARM_REG_INVALID)
			continue;
		ret->refers = INSN_REFERS_DATA;
		ret->target = (uint32_t)(d->insn->address + 8 + (uint64_t)op->mem.disp);
	}
}

static void find_target(const struct disas *d, struct insn *ret)
{
	int branch = cs_insn_group(d->handle, d->insn, CS_GRP_JUMP) ||
		     cs_insn_group(d->handle, d->insn, CS_GRP_CALL);

	ret->refers = branch ? INSN_REFERS_CODE : INSN_REFERS_NOT;
	if (d->arch == SONDE_ARCH_AARCH64)
		arm64_target(d, ret);
	else if (d->arch == SONDE_ARCH_ARM)
		arm_target(d, ret);
	else
		x86_target(d, ret);
	if (ret->target == 0) /* through a register */
		ret->refers = INSN_REFERS_NOT;
}

int disas_one(struct disas *d, const uint8_t *code, size_t len, uint64_t addr, struct insn *ret)
{
	size_t left = len;

	*ret = (struct insn){ .size = d->skip < len ? d->skip : (uint32_t)len };
	if (!d->insn || !cs_disasm_iter(d->handle, &code, &left, &addr, d->insn))
		return 0;
	ret->size = d->insn->size;
	snprintf(ret->mnemonic, sizeof(ret->mnemonic), "%s", d->insn->mnemonic);
	snprintf(ret->operands, sizeof(ret->operands), "%s", d->insn->op_str);
	find_target(d, ret);
	return 1;
}

/* SPDX-License-Identifier: MIT */
/* What `sonde disas` is without Capstone: a refusal that says so. */
#include "disas.h"

struct disas *disas_open(uint32_t arch, const char **why)
{
	(void)arch;
	*why = "this sonde was built without Capstone; install libcapstone-dev and build again";
	return NULL;
}

void disas_close(struct disas *disas)
{
	(void)disas;
}

int disas_one(struct disas *disas, const uint8_t *code, size_t len, uint64_t addr, struct insn *ret)
{
	(void)disas, (void)code, (void)len, (void)addr;
	*ret = (struct insn){ .size = 1 };
	return 0;
}

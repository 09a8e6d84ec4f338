/* SPDX-License-Identifier: MIT */
/* Control blocks of guests: AMD64 APM volume 2 (24593), appendix B. */
#ifndef TESTS_SYNTH_VMCB_H
#define TESTS_SYNTH_VMCB_H

#include <stdint.h>
#include <string.h>

static inline void vmcb_put(uint8_t *block, uint32_t at, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		block[at + i] = (uint8_t)(value >> 8 * i);
}

/* A block that VMRUN takes, of a Linux that runs with nested paging. */
static inline void vmcb_build(uint8_t block[4096], uint64_t root)
{
	memset(block, 0, 4096);
	vmcb_put(block, 0x010, 0x1);        /* intercepts: VMRUN */
	vmcb_put(block, 0x058, 0x1);        /* ASID              */
	vmcb_put(block, 0x090, 0x1);        /* nested paging     */
	vmcb_put(block, 0x0b0, root);       /* nCR3              */
	vmcb_put(block, 0x4d0, 0x1d01);     /* EFER              */
	vmcb_put(block, 0x548, 0x711eb0);   /* CR4               */
	vmcb_put(block, 0x558, 0x80050033); /* CR0               */
	vmcb_put(block, 0x560, 0x400);      /* DR7               */
	vmcb_put(block, 0x568, 0xffff0ff0); /* DR6               */
}

#endif

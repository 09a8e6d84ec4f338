/* SPDX-License-Identifier: MIT */
/*
 * What a state file of VMware says of the guest's memory (group "memory") and processors (group "cpu").
 *
 *	regionsCount             how many regions; 0: memory is one from address 0 on
 *	regionPPN[i]             first page of it in the guest
 *	regionPageNum[i]         and in the memory
 *	regionSize[i]            pages
 *	Memory[0][0], or Memory  a block: the memory itself, where it is not in a file beside
 *
 * Sources: as tags.h; of registers crash 8 vmware_vmss.c and the output of Volatility 2's vmwareinfo.
 */
#ifndef VMWARE_STATE_H
#define VMWARE_STATE_H

#include <sonde/target.h>

#include "tags.h"

/* Against hostile files; there are three at most (crash 8 vmware_vmss.h). */
#define VMWARE_REGIONS_MAX 64u
#define VMWARE_CPUS_MAX 1024u

/* A stretch of the guest's memory. */
struct vmware_region {
	uint64_t addr; /* physical; addr + len - 1 does not wrap          */
	uint64_t off;  /* of its bytes, in the memory; off + len neither  */
	uint64_t len;  /* bytes, > 0                                      */
};

struct vmware_cpu {
	struct sonde_cpu cpu;
	uint32_t seen; /* bits: which registers there were */
};

struct vmware_state {
	struct vmware_region regions[VMWARE_REGIONS_MAX]; /* [n_regions] */
	uint32_t n_regions;
	uint32_t n_refused;      /* that lie, or of which a number is missing            */
	int has_count;           /* regionsCount was there                               */
	int cut;                 /* the file ends within what is of interest             */
	uint64_t memory_off;     /* of the memory in this file                           */
	uint64_t memory_len;     /* 0: it is not in it                                   */
	int packed;              /* that memory is packed                                */
	uint32_t arch;           /* enum sonde_arch                                      */
	struct vmware_cpu *cpus; /* [n_cpus]                                         */
	uint32_t n_cpus;
};

/*
 * Returns   0; SONDE_E_BAD_FORMAT, _TRUNCATED, _LIMIT, _IO, _NO_MEMORY: *ret_why says what is wrong.
 * Owns      *ret: vmware_state_finish, also after an error.
 */
int vmware_state_read(struct vmware_state *ret, const struct source *source, const char **ret_why);
void vmware_state_finish(struct vmware_state *state);

/* registers.c: what a tag of the group "cpu" says. Returns 0, SONDE_E_NO_MEMORY. */
int vmware_registers_take(struct vmware_state *state, const struct vmss *vmss,
			  const struct vmss_tag *tag);
/* Behind the last tag: which registers are whole, and the architecture. */
void vmware_registers_settle(struct vmware_state *state);

#endif

/* SPDX-License-Identifier: MIT */
/* A processor's registers with the general ones that struct sonde_cpu has no place for, and the note that tells those. */
#ifndef CONNECTORS_FULL_CPU_H
#define CONNECTORS_FULL_CPU_H

#include <sonde/target.h>
#include <stddef.h>

#define UPPER_FIRST 16u
#define UPPER_MAX 16u

struct full_cpu {
	struct sonde_cpu cpu;
	uint64_t upper[UPPER_MAX]; /* general registers from number 16 on      */
	uint32_t n_upper;          /* all that the architecture has, or 0: not told */
};

/* How many general registers from number 16 on the architecture has, and what it calls number UPPER_FIRST + i of them. */
uint32_t full_cpu_upper(uint32_t arch);
const char *full_cpu_name(uint32_t arch, uint32_t i);

/* Is it a note of the registers of a processor, *ret_index? */
int full_cpu_asked(const char *note, uint32_t *ret_index);
/* Its text, as the slot note hands it back; SONDE_E_NOT_FOUND where there are none. */
int64_t full_cpu_note(const struct full_cpu *cpu, void *buf, size_t cap);
/* What such a note says, ended by 0, of a processor of cpu->cpu.arch: fills upper. */
void full_cpu_parse(struct full_cpu *cpu, const char *text);

/*
 * What a live target told of a processor last. The note that is asked for behind it tells the rest of the same moment, without
 * asking the target again; once, for the next one is of another moment. One thread at a time. Begins as zeros.
 */
struct full_cpu_kept {
	struct full_cpu cpu;
	uint32_t index;
	int is_there;
};

static inline void full_cpu_keep(struct full_cpu_kept *kept, uint32_t index,
				 const struct full_cpu *cpu)
{
	*kept = (struct full_cpu_kept){ *cpu, index, 1 };
}

/* Returns 1, 0. */
static inline int full_cpu_take(struct full_cpu_kept *kept, uint32_t index, struct full_cpu *ret)
{
	int is_it = kept->is_there && kept->index == index;

	kept->is_there = 0;
	if (is_it)
		*ret = kept->cpu;
	return is_it;
}

#endif

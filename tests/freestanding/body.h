/* SPDX-License-Identifier: MIT */
/*
 * What the checks (body.c) and the machine below them tell each other. Machines: linux.c, a program without a C
 * library; x86_64/ and aarch64/, images that boot without any system.
 */
#ifndef TESTS_FREESTANDING_BODY_H
#define TESTS_FREESTANDING_BODY_H

#include <sonde/bare.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_LEN (4u << 20) /* bytes */
#define TABLES_LEN (64u * 4096)
#define HEAP_LEN (24u << 20)

struct machine {
	const char *name;
	const struct sonde_bare_range *ranges; /* [n_ranges] its memory                         */
	size_t n_ranges;
	uint64_t pool;   /* physical: POOL_LEN bytes that nobody needs, from 2 MiB to 2 MiB     */
	uint64_t tables; /* physical: TABLES_LEN bytes for page tables, zeroed                  */
	void *heap;      /* [HEAP_LEN]                                                          */
	uint64_t root;   /* as sonde_tables: page tables in use, or ones that nobody uses       */
	uint64_t high_root;

	void (*print)(const char *text);
	uint64_t (*now_ns)(void *user);
	void (*relax)(uint64_t timeout_ns); /* time passes; may be none */
	void (*fail)(void *user, const char *what, const char *file, int line);
	/* The processor reads eight bytes by its own page tables. NULL: these are not in use. */
	bool (*load)(uint64_t va, uint64_t *ret);
	/* The processor tells which physical address it would be. NULL: it cannot. */
	bool (*translate)(uint64_t va, uint64_t *ret_pa);
	/* An entry that leads to va was written: the processor shall look again. */
	void (*changed)(uint64_t va);
};

/* Run all checks, each with a line, then a line with the verdict. Returns how many failed. */
int body_run(const struct machine *machine);

#endif

/* SPDX-License-Identifier: MIT */
#include "common/vmcb.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ram_pages.h"
#include "plug/args.h"

#define BLOCKS_MAX 4096u /* more processors than all guests of a machine have */

/* Offsets into a block. */
enum {
	INTERCEPTS = 0x010, /* bit 0: VMRUN, which has to be set */
	ASID = 0x058,       /* 32 bits; 0 is the host's          */
	NESTED = 0x090,     /* bit 0: nested paging              */
	NESTED_ROOT = 0x0b0,
	EFER = 0x4d0,
	CR4 = 0x548,
	CR0 = 0x558,
	DR7 = 0x560,
	DR6 = 0x568,
	LOOKED_AT = 0x570,

	LINE = NESTED, /* the part that is looked at of every page */
	LINE_BYTES = NESTED_ROOT + 8 - NESTED,
};

#define ENTRY_BYTES 8u
#define ENTRY_PRESENT 1u
#define ROOT_BITS UINT64_C(0x000ffffffffff000)
#define NESTED_KNOWN UINT64_C(0xff) /* bits that have a meaning: 0 to 7 */
#define EFER_SVME (UINT64_C(1) << 12)
#define EFER_KNOWN UINT64_C(0x3fffff) /* and of those the highest */

static int line_fits(const uint8_t *line)
{
	uint64_t nested = sonde_le64(line), root = sonde_le64(line + NESTED_ROOT - NESTED);

	return (nested & 1) && !(nested & ~NESTED_KNOWN) && root && !(root & ~ROOT_BITS);
}

/* What VMRUN would refuse is none. */
static int block_fits(const uint8_t *block)
{
	uint64_t efer = sonde_le64(block + EFER);

	return (block[INTERCEPTS] & 1) && sonde_le32(block + ASID) && (efer & EFER_SVME) &&
	       !(efer & ~EFER_KNOWN) && !(sonde_le64(block + CR0) >> 32) &&
	       !(sonde_le64(block + CR4) >> 32) && !(sonde_le64(block + DR7) >> 32) &&
	       !(sonde_le64(block + DR6) >> 32);
}

/* A hypervisor empties the tables of a guest that has ended, whose block may stand in free memory for long. */
static int maps_something(struct sonde_space *phys, uint64_t root)
{
	uint8_t table[SONDE_PAGE_SIZE];
	int some = 0;

	if (sonde_space_get(phys, root, table, sizeof(table)) < 0)
		return 0;
	for (uint32_t at = 0; at < sizeof(table); at += ENTRY_BYTES)
		some |= table[at] & ENTRY_PRESENT;
	return some;
}

/* The root of the guest that the block at addr is of; 0: of none. */
static uint64_t root_of(struct sonde_space *phys, uint64_t addr)
{
	uint8_t block[LOOKED_AT];

	if (sonde_space_get(phys, addr, block, sizeof(block)) < 0 || !line_fits(block + LINE) ||
	    !block_fits(block))
		return 0;
	uint64_t root = sonde_le64(block + NESTED_ROOT);
	return maps_something(phys, root) ? root : 0;
}

static uint32_t add(struct vmcb_guest *guests, uint32_t n, uint64_t root)
{
	uint32_t i = 0;

	while (i < n && guests[i].root != root)
		i++;
	if (i == VMCB_GUESTS_MAX)
		return n;
	if (i == n)
		guests[n++] = (struct vmcb_guest){ .root = root };
	guests[i].n_cpus++;
	return n;
}

int vmcb_find(struct sonde_space *phys, struct vmcb_guest guests[VMCB_GUESTS_MAX])
{
	static const struct ram_pages like_block = { .off = LINE,
						     .len = LINE_BYTES,
						     .fits = line_fits };
	uint64_t *hits = calloc(BLOCKS_MAX, sizeof(*hits));
	int n_hits = hits ? ram_pages_find(phys, &like_block, hits, BLOCKS_MAX) : SONDE_E_NO_MEMORY;
	uint32_t n = 0;

	for (int i = 0; i < n_hits; i++) {
		uint64_t root = root_of(phys, hits[i]);
		if (root)
			n = add(guests, n, root);
	}
	free(hits);
	return n_hits < 0 ? n_hits : (int)n;
}

static int none_such(const struct vmcb_guest *guests, int n, const char *root,
		     struct sonde_error *err)
{
	char roots[160] = "";

	for (int i = 0; i < n && strlen(roots) < sizeof(roots) - 24; i++)
		snprintf(roots + strlen(roots), sizeof(roots) - strlen(roots), " 0x%llx",
			 (unsigned long long)guests[i].root);
	if (n == 0)
		return sonde_error_set(
			err, SONDE_E_NOT_FOUND,
			"vm: no control block (VMCB) of a guest with nested paging in this memory; "
			"of Intel's processors say the tables: |paging,format=ept4,root=EPTP");
	if (root[0])
		return sonde_error_set(
			err, SONDE_E_NOT_FOUND,
			"vm: no guest has its tables at '%.60s'; those that are here:%s", root,
			roots);
	return sonde_error_set(err, SONDE_E_AMBIGUOUS,
			       "vm: there are %d guests: name one by its tables: |vm:ROOT, of%s", n,
			       roots);
}

/* How many they are; *ret is the last of them. */
static int choose(const struct vmcb_guest *guests, int n, const char *root, struct vmcb_guest *ret)
{
	uint64_t wanted = 0; /* no guest's, as what is no number */
	int n_chosen = 0;

	args_parse_u64(root, &wanted);
	for (int i = 0; i < n; i++) {
		if (root[0] && guests[i].root != wanted)
			continue;
		*ret = guests[i];
		n_chosen++;
	}
	return n_chosen;
}

int vmcb_choose(struct sonde_space *phys, const char *root, struct vmcb_guest *ret,
		struct sonde_error *err)
{
	struct vmcb_guest *guests = calloc(VMCB_GUESTS_MAX, sizeof(*guests));
	int n = guests ? vmcb_find(phys, guests) : SONDE_E_NO_MEMORY, r = 0;

	if (n < 0)
		r = sonde_error_set(err, n, NULL);
	else if (choose(guests, n, root, ret) != 1)
		r = none_such(guests, n, root, err);
	free(guests);
	return r;
}

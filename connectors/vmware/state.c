/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

/* The tags of the group "memory" as they come, each number with a bit that says it did. */
struct tally {
	struct vmware_state *state;
	uint64_t count;
	struct pages {
		uint64_t addr, off, len;
		uint32_t seen;
	} at[VMWARE_REGIONS_MAX];
};

/* ---- memory -------------------------------------------------------------------------------------- */

static void take_region(struct pages *pages, const char *name, uint64_t value)
{
	static const struct {
		const char *name;
		size_t at;
	} fields[] = { { "regionPPN", offsetof(struct pages, addr) },
		       { "regionPageNum", offsetof(struct pages, off) },
		       { "regionSize", offsetof(struct pages, len) } };

	for (uint32_t i = 0; i < 3; i++) {
		if (strcmp(name, fields[i].name) != 0)
			continue;
		memcpy((char *)pages + fields[i].at, &value, sizeof(value));
		pages->seen |= 1u << i;
	}
}

static int take_memory_tag(void *user, const struct vmss *vmss, const struct vmss_tag *tag)
{
	struct tally *tally = user;
	struct vmware_state *state = tally->state;
	uint64_t value;

	if (strcmp(tag->name, "Memory") == 0 && !state->memory_len) {
		state->memory_off = tag->off;
		state->memory_len = tag->len;
		state->packed = tag->packed;
	} else if (!tag->n_index && strcmp(tag->name, "regionsCount") == 0) {
		state->has_count = vmss_number(vmss, tag, &tally->count);
	} else if (tag->n_index == 1 && tag->index[0] < VMWARE_REGIONS_MAX &&
		   vmss_number(vmss, tag, &value)) {
		take_region(&tally->at[tag->index[0]], tag->name, value);
	}
	return 0;
}

/* first and n in pages: do they end within 2^64 bytes? */
static int fits(uint64_t first, uint64_t n)
{
	return first <= UINT64_MAX / PAGE && n <= UINT64_MAX / PAGE - first;
}

static void settle_regions(struct tally *tally)
{
	struct vmware_state *state = tally->state;

	for (uint64_t i = 0; i < tally->count; i++) {
		const struct pages *pages = &tally->at[i];
		if (pages->seen != 7 || !pages->len || !fits(pages->addr, pages->len) ||
		    !fits(pages->off, pages->len)) {
			state->n_refused++;
			continue;
		}
		state->regions[state->n_regions++] =
			(struct vmware_region){ .addr = pages->addr * PAGE,
						.off = pages->off * PAGE,
						.len = pages->len * PAGE };
	}
}

static int read_memory(struct vmware_state *ret, const struct vmss *vmss, const char **ret_why)
{
	struct tally tally = { .state = ret };
	int r = vmss_visit(vmss, "memory", take_memory_tag, &tally);

	*ret_why = "says nothing of memory: there is no group of that name";
	if (r == SONDE_E_NOT_FOUND)
		return SONDE_E_BAD_FORMAT;
	*ret_why = "has more tags or regions than a state file has";
	if (r == SONDE_E_LIMIT || tally.count > VMWARE_REGIONS_MAX)
		return SONDE_E_LIMIT;
	ret->cut = r == SONDE_E_TRUNCATED;
	settle_regions(&tally);
	*ret_why = "cannot be read";
	return ret->cut ? 0 : r;
}

/* ---- all ------------------------------------------------------------------------------------------ */

static int take_cpu_tag(void *user, const struct vmss *vmss, const struct vmss_tag *tag)
{
	return vmware_registers_take(user, vmss, tag);
}

/* Registers are a gift: where there are none, or the file ends among them, memory is read all the same. */
static int read_cpus(struct vmware_state *ret, const struct vmss *vmss)
{
	int r = vmss_visit(vmss, "cpu", take_cpu_tag, ret);

	ret->cut |= r == SONDE_E_TRUNCATED;
	vmware_registers_settle(ret);
	return r == SONDE_E_NO_MEMORY || r == SONDE_E_IO ? r : 0;
}

int vmware_state_read(struct vmware_state *ret, const struct source *source, const char **ret_why)
{
	struct vmss vmss;

	*ret = (struct vmware_state){ 0 };
	int r = vmss_open(&vmss, source, ret_why);
	if (r == 0)
		r = read_memory(ret, &vmss, ret_why);
	if (r < 0)
		return r;
	r = read_cpus(ret, &vmss);
	*ret_why = r == SONDE_E_NO_MEMORY ? "out of memory" : "cannot be read";
	return r;
}

void vmware_state_finish(struct vmware_state *state)
{
	free(state->cpus);
	state->cpus = NULL;
	state->n_cpus = 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Builds state files of VMware in memory, call by call: groups of tags, as connectors/vmware/tags.h has them. Nothing is checked:
 * each number can lie.
 */
#ifndef SYNTH_VMSS_H
#define SYNTH_VMSS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "synth/elf.h"

enum { SYNTH_VMSS_HEAD = 12, SYNTH_VMSS_GROUP = 80 };

struct synth_vmss {
	uint8_t bytes[128 << 10];
	size_t size, size_len; /* size_len: of the size of a block */
	uint32_t n_groups;
};

static inline void synth_vmss_put(struct synth_vmss *v, int len, uint64_t value)
{
	synth_put(v->bytes + v->size, 0, len, value);
	v->size += (size_t)len;
}

/* room: for so many groups. */
static inline void synth_vmss_begin(struct synth_vmss *v, uint32_t magic, uint32_t room)
{
	memset(v, 0, sizeof(*v));
	v->size_len = magic & 0xf ? 8 : 4;
	synth_vmss_put(v, 4, magic);
	synth_vmss_put(v, 4, 8);
	synth_vmss_put(v, 4, room);
	v->size += (size_t)room * SYNTH_VMSS_GROUP;
}

/* The tags from here on are of this group. */
static inline void synth_vmss_group(struct synth_vmss *v, const char *name)
{
	uint8_t *group = v->bytes + SYNTH_VMSS_HEAD + (size_t)v->n_groups++ * SYNTH_VMSS_GROUP;

	memcpy(group, name, strlen(name));
	synth_put(group + 64, 0, 8, v->size);
}

static inline void synth_vmss_end(struct synth_vmss *v)
{
	synth_vmss_put(v, 2, 0);
}

/* Indices below 0: there is none. */
static inline void synth_vmss_tag(struct synth_vmss *v, const char *name, int i, int j,
				  uint32_t bits)
{
	synth_vmss_put(v, 1, bits | (uint32_t)((i >= 0) + (j >= 0)) << 6);
	synth_vmss_put(v, 1, strlen(name));
	memcpy(v->bytes + v->size, name, strlen(name));
	v->size += strlen(name);
	if (i >= 0)
		synth_vmss_put(v, 4, (uint32_t)i);
	if (j >= 0)
		synth_vmss_put(v, 4, (uint32_t)j);
}

static inline void synth_vmss_number(struct synth_vmss *v, const char *name, int i, int j, int len,
				     uint64_t value)
{
	synth_vmss_tag(v, name, i, j, (uint32_t)len);
	synth_vmss_put(v, len, value);
}

/* bits: 63, or 62 for one that claims to be packed. */
static inline void synth_vmss_block(struct synth_vmss *v, const char *name, int i, int j,
				    uint32_t bits, const void *bytes, size_t len, size_t padding)
{
	synth_vmss_tag(v, name, i, j, bits);
	synth_vmss_put(v, (int)v->size_len, len);
	synth_vmss_put(v, (int)v->size_len, len);
	synth_vmss_put(v, 2, padding);
	memcpy(v->bytes + v->size + padding, bytes, len);
	v->size += padding + len;
}

/* A region as the group "memory" tells it, in pages. */
static inline void synth_vmss_region(struct synth_vmss *v, int i, uint64_t guest, uint64_t file,
				     uint64_t pages)
{
	synth_vmss_number(v, "regionPageNum", i, -1, 4, file);
	synth_vmss_number(v, "regionPPN", i, -1, 4, guest);
	synth_vmss_number(v, "regionSize", i, -1, 4, pages);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The container that VMware keeps the state of a guest in (.vmss, .vmsn): groups of tags. Sources: Volatility 2.6
 * plugins/addrspaces/vmware.py, Volatility 3 framework/layers/vmware.py; crash 8 vmware_vmss.h; illumos mdb_vmware_vmss.
 *
 *	0   magic                32 bits, low byte first, as all; lowest four bits 0: sizes of blocks have 32 bits
 *	4   version              32 bits
 *	8   groups               32 bits: how many
 *	12  the groups           each a name of 64 bytes, where its tags begin and how long they are, 64 bits both
 *
 * A tag; two bytes of zero end the group:
 *
 *	0   bits 0 to 5          bytes of its value; 63: a block, 62: a packed one
 *	    bits 6 and 7         how many indices
 *	1   length of the name   8 bits
 *	2   name, indices        the latter of 32 bits
 *	    value; of a block    bytes in the file, bytes in memory (32 or 64 bits both), bytes of padding (16 bits), padding, bytes
 *
 * The length of a group is not needed, nor is the tag align_mask: the padding says it.
 */
#ifndef VMWARE_TAGS_H
#define VMWARE_TAGS_H

#include <stddef.h>
#include <stdint.h>

#include "../common/source.h"

#define VMSS_HEAD_SIZE 12u
#define VMSS_GROUP_SIZE 80u
#define VMSS_NAME_MAX 255u
/* Against hostile files: there are about a hundred groups, and some thousand tags of a processor. */
#define VMSS_GROUPS_MAX 4096u
#define VMSS_TAGS_MAX (1u << 20)

struct vmss {
	const struct source *source;
	uint32_t n_groups;
	uint32_t size_len; /* bytes of a block's size: 4 or 8 */
};

struct vmss_tag {
	char name[VMSS_NAME_MAX + 1]; /* terminated                                        */
	uint32_t index[3];            /* [n_index]                                         */
	uint32_t n_index;
	int packed;
	uint64_t off,
		len; /* of its bytes; off + len does not wrap, but may lie behind the file's end */
};

/* Returns 0, or what ends the walk. */
typedef int vmss_tag_fn(void *user, const struct vmss *vmss, const struct vmss_tag *tag);

/* Is this how one begins? */
int vmss_probe(const uint8_t *head, size_t len);

/* Returns 0; SONDE_E_BAD_FORMAT, _TRUNCATED, _LIMIT, _IO: *ret_why says what is wrong. source is kept. */
int vmss_open(struct vmss *ret, const struct source *source, const char **ret_why);

/*
 * Visit the tags of the first group of that name.
 *
 * Returns   0; what fn returned; SONDE_E_NOT_FOUND: no such group; SONDE_E_TRUNCATED: behind some tags, perhaps, the file ends;
 *           SONDE_E_LIMIT; SONDE_E_IO.
 */
int vmss_visit(const struct vmss *vmss, const char *group, vmss_tag_fn *fn, void *user);

/* The number in a tag of 1 to 8 bytes. Returns 1; 0: it holds none. */
int vmss_number(const struct vmss *vmss, const struct vmss_tag *tag, uint64_t *ret);

#endif

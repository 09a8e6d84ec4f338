/* SPDX-License-Identifier: MIT */
#include "tags.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <string.h>

enum { SIZE_PACKED = 62, SIZE_BLOCK = 63, GROUP_NAME = 64 };

/* All but a block's bytes: two bytes, the name, three indices, two sizes and the padding's length. */
#define TAG_HEAD_MAX (2u + VMSS_NAME_MAX + 3u * 4u + 2u * 8u + 2u)

int vmss_probe(const uint8_t *head, size_t len)
{
	/* 0xbed0bed0 to 0xbed3bed3: crash; 0xbed2bed0: Volatility. */
	static const uint32_t magics[] = { 0xbed0bed0u, 0xbed2bed0u, 0xbad1bad1u,
					   0xbad2bad2u, 0xbed2bed2u, 0xbed3bed3u };

	for (size_t i = 0; len >= VMSS_HEAD_SIZE && i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (sonde_le32(head) == magics[i])
			return 1;
	}
	return 0;
}

int vmss_open(struct vmss *ret, const struct source *source, const char **ret_why)
{
	uint8_t head[VMSS_HEAD_SIZE];
	int r = source_read(source, 0, head, sizeof(head));

	*ret = (struct vmss){ .source = source };
	*ret_why = "is no state file of VMware: it begins with none of their numbers";
	if (r == SONDE_E_IO)
		return r;
	if (r < 0 || !vmss_probe(head, sizeof(head)))
		return SONDE_E_BAD_FORMAT;
	ret->size_len = head[0] & 0xf ? 8 : 4;
	ret->n_groups = sonde_le32(head + 8);
	*ret_why = "claims more groups than a state file has";
	if (ret->n_groups > VMSS_GROUPS_MAX)
		return SONDE_E_LIMIT;
	*ret_why = "is cut off within its list of groups";
	return source->size - sizeof(head) < (uint64_t)ret->n_groups * VMSS_GROUP_SIZE
		       ? SONDE_E_TRUNCATED
		       : 0;
}

/* Where the tags of a group begin. Returns 0, SONDE_E_NOT_FOUND, or why the list cannot be read. */
static int find_group(const struct vmss *vmss, const char *name, uint64_t *ret_at)
{
	for (uint32_t i = 0; i < vmss->n_groups; i++) {
		uint8_t group[VMSS_GROUP_SIZE];
		int r = source_read(vmss->source, VMSS_HEAD_SIZE + (uint64_t)i * VMSS_GROUP_SIZE,
				    group, sizeof(group));
		if (r < 0)
			return r;
		if (strncmp((const char *)group, name, GROUP_NAME) != 0)
			continue;
		*ret_at = sonde_le64(group + GROUP_NAME);
		return 0;
	}
	return SONDE_E_NOT_FOUND;
}

/* ---- one tag ------------------------------------------------------------------------------------- */

/* Bytes of a tag up to its end, or to what is known of it without them. */
static size_t head_size(const struct vmss *vmss, const uint8_t *head)
{
	size_t size = 2 + (size_t)head[1] + 4 * (size_t)(head[0] >> 6);

	return (head[0] & 0x3f) < SIZE_PACKED ? size : size + 2 * (size_t)vmss->size_len + 2;
}

static void take_names(struct vmss_tag *ret, const uint8_t *head)
{
	memcpy(ret->name, head + 2, head[1]);
	ret->name[head[1]] = '\0';
	ret->n_index = head[0] >> 6;
	for (uint32_t i = 0; i < ret->n_index; i++)
		ret->index[i] = sonde_le32(head + 2 + head[1] + 4 * i);
}

/* The tag at an offset. Returns 1; 0 at the group's end; SONDE_E_TRUNCATED, SONDE_E_IO. */
static int read_tag(const struct vmss *vmss, uint64_t at, struct vmss_tag *ret)
{
	uint8_t head[TAG_HEAD_MAX];
	uint64_t left = at < vmss->source->size ? vmss->source->size - at : 0;
	size_t have = left < sizeof(head) ? (size_t)left : sizeof(head);
	int r = source_read(vmss->source, at, head, have);

	if (r < 0)
		return r;
	if (have < 2)
		return SONDE_E_TRUNCATED;
	if (head[0] == 0 && head[1] == 0)
		return 0;
	size_t size = head_size(vmss, head);
	if (size > have)
		return SONDE_E_TRUNCATED;
	take_names(ret, head);
	ret->packed = (head[0] & 0x3f) == SIZE_PACKED;
	ret->off = at + size;
	ret->len = head[0] & 0x3f;
	if (ret->len >= SIZE_PACKED) {
		const uint8_t *sizes = head + size - 2 - 2 * (size_t)vmss->size_len;
		ret->len = sonde_load(sizes, vmss->size_len, SONDE_LITTLE);
		ret->off += sonde_le16(head + size - 2);
	}
	return ret->len > UINT64_MAX - ret->off ? SONDE_E_TRUNCATED : 1;
}

int vmss_visit(const struct vmss *vmss, const char *group, vmss_tag_fn *fn, void *user)
{
	uint64_t at = 0;
	int r = find_group(vmss, group, &at);

	for (uint32_t n = 0; r == 0; n++) {
		struct vmss_tag tag;
		if (n == VMSS_TAGS_MAX)
			return SONDE_E_LIMIT;
		if ((r = read_tag(vmss, at, &tag)) <= 0)
			return r;
		r = fn(user, vmss, &tag);
		at = tag.off + tag.len;
	}
	return r;
}

int vmss_number(const struct vmss *vmss, const struct vmss_tag *tag, uint64_t *ret)
{
	uint8_t bytes[8] = { 0 };

	if (!tag->len || tag->len > sizeof(bytes) ||
	    source_read(vmss->source, tag->off, bytes, (size_t)tag->len) < 0)
		return 0;
	*ret = sonde_le64(bytes);
	return 1;
}

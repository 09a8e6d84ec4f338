/* SPDX-License-Identifier: MIT */
#include "ninep/words.h"

#include <errno.h>
#include <sonde/error.h>

/* linux: include/uapi/linux/stat.h; entries: include/linux/fs_types.h, which are these >> 12. */
enum {
	MODE_DIRECTORY = 0040000,
	MODE_FILE = 0100000,
	MODE_SYMLINK = 0120000,
	MODE_SOCKET = 0140000,
	MODE_KIND = 0170000,
	PERMISSIONS = 07777,
	TYPE_SHIFT = 12,
	BLOCK = 512,
};
static const int64_t second_ns = 1000000000;

/* ---- flags --------------------------------------------------------------------------------------- */

static const struct {
	uint32_t fs, wire;
} flags[] = {
	{ SONDE_FS_APPEND, NINEP_APPEND },       { SONDE_FS_CREATE, NINEP_CREATE },
	{ SONDE_FS_EXCLUSIVE, NINEP_EXCLUSIVE }, { SONDE_FS_TRUNCATE, NINEP_TRUNCATE },
	{ SONDE_FS_DIRECTORY, NINEP_DIRECTORY }, { SONDE_FS_NO_FOLLOW, NINEP_NO_FOLLOW },
};
enum { N_FLAGS = sizeof(flags) / sizeof(flags[0]) };

uint32_t ninep_open_flags(uint32_t fs_flags)
{
	bool writes = fs_flags & (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND);
	uint32_t found = !writes                        ? 0
			 : fs_flags & SONDE_FS_FOR_READ ? NINEP_READ_WRITE
							: NINEP_WRITE_ONLY;

	for (int i = 0; i < N_FLAGS; i++)
		found |= fs_flags & flags[i].fs ? flags[i].wire : 0;
	return found;
}

uint32_t ninep_fs_flags(uint32_t open_flags)
{
	uint32_t access = open_flags & NINEP_ACCESS, found = 0;

	for (int i = 0; i < N_FLAGS; i++)
		found |= open_flags & flags[i].wire ? flags[i].fs : 0;
	if (found & SONDE_FS_DIRECTORY && access == 0)
		return found & ~(SONDE_FS_APPEND | SONDE_FS_TRUNCATE);
	if (access != NINEP_WRITE_ONLY)
		found |= SONDE_FS_FOR_READ;
	if (access == 0)
		return found & ~(SONDE_FS_APPEND | SONDE_FS_TRUNCATE);
	return found & SONDE_FS_APPEND ? found : found | SONDE_FS_FOR_WRITE;
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static uint32_t mode_of(uint32_t kind)
{
	switch (kind) {
	case SONDE_KIND_DIRECTORY:
		return MODE_DIRECTORY;
	case SONDE_KIND_SYMLINK:
		return MODE_SYMLINK;
	case SONDE_KIND_FILE:
		return MODE_FILE;
	default: /* a kind that no client opens as a device of its own machine */
		return MODE_SOCKET;
	}
}

static uint32_t kind_of(uint32_t mode)
{
	switch (mode & MODE_KIND) {
	case MODE_DIRECTORY:
		return SONDE_KIND_DIRECTORY;
	case MODE_SYMLINK:
		return SONDE_KIND_SYMLINK;
	case MODE_FILE:
		return SONDE_KIND_FILE;
	default:
		return SONDE_KIND_OTHER;
	}
}

uint8_t ninep_entry_type(uint32_t kind)
{
	return kind == SONDE_KIND_UNKNOWN ? 0 : (uint8_t)(mode_of(kind) >> TYPE_SHIFT);
}

uint32_t ninep_entry_kind(uint8_t type)
{
	return type == 0 ? SONDE_KIND_UNKNOWN : kind_of((uint32_t)type << TYPE_SHIFT);
}

/* Times before 1970 count down in seconds and up in nanoseconds. */
static void tell_time(int64_t at_ns, uint64_t *ret_s, uint64_t *ret_ns)
{
	int64_t s = at_ns / second_ns, ns = at_ns % second_ns;

	*ret_s = (uint64_t)(s - (ns < 0));
	*ret_ns = (uint64_t)(ns < 0 ? ns + second_ns : ns);
}

/* Seconds that no int64_t of nanoseconds holds are not told. */
static int64_t take_time(uint64_t s, uint64_t ns)
{
	int64_t at = (int64_t)s;

	if (ns >= (uint64_t)second_ns || at >= INT64_MAX / second_ns || at <= INT64_MIN / second_ns)
		return 0;
	return at * second_ns + (int64_t)ns;
}

void ninep_tell_attr(const struct sonde_fs_info *info, struct ninep_attr *ret)
{
	*ret = (struct ninep_attr){
		.valid = NINEP_GETATTR_BASIC | (info->created_ns ? NINEP_GETATTR_CREATED : 0),
		.mode = mode_of(info->kind) | info->mode,
		.uid = info->uid,
		.gid = info->gid,
		.n_links = info->n_links,
		.size = info->length,
		.block = info->block,
		.blocks = info->allocated / BLOCK,
	};
	tell_time(info->accessed_ns, &ret->accessed_s, &ret->accessed_ns);
	tell_time(info->modified_ns, &ret->modified_s, &ret->modified_ns);
	tell_time(info->changed_ns, &ret->changed_s, &ret->changed_ns);
	tell_time(info->created_ns, &ret->created_s, &ret->created_ns);
}

void ninep_take_attr(const struct ninep_attr *attr, const struct ninep_qid *qid,
		     struct sonde_fs_info *ret)
{
	*ret = (struct sonde_fs_info){
		.length = attr->size,
		.allocated = attr->blocks * BLOCK,
		.node = qid->path,
		.kind = kind_of(attr->mode),
		.mode = attr->mode & PERMISSIONS,
		.n_links = attr->n_links > UINT32_MAX ? UINT32_MAX : (uint32_t)attr->n_links,
		.uid = attr->uid,
		.gid = attr->gid,
		.modified_ns = take_time(attr->modified_s, attr->modified_ns),
		.changed_ns = take_time(attr->changed_s, attr->changed_ns),
		.accessed_ns = take_time(attr->accessed_s, attr->accessed_ns),
	};
	if (attr->block <= 1u << 30 && (attr->block & (attr->block - 1)) == 0)
		ret->block = (uint32_t)attr->block;
	if (attr->valid & NINEP_GETATTR_CREATED)
		ret->created_ns = take_time(attr->created_s, attr->created_ns);
}

/* version: another one where it was changed, as far as the time of that is fine enough to tell. */
struct ninep_qid ninep_qid_of(const struct sonde_fs_info *info)
{
	uint64_t time = (uint64_t)info->changed_ns;

	return (struct ninep_qid){
		.type = info->kind == SONDE_KIND_DIRECTORY ? NINEP_QID_DIRECTORY
			: info->kind == SONDE_KIND_SYMLINK ? NINEP_QID_SYMLINK
							   : 0,
		.version = (uint32_t)(time ^ time >> 32),
		.path = info->node,
	};
}

/* ---- errors -------------------------------------------------------------------------------------- */

uint32_t ninep_code(int32_t result, int32_t os_code)
{
	if (os_code > 0)
		return (uint32_t)os_code;
	switch (result) {
	case SONDE_E_CANCELLED:
		return EINTR;
	case SONDE_E_NO_MEMORY:
		return ENOMEM;
	case SONDE_E_BAD_ARG:
		return EINVAL;
	case SONDE_E_UNSUPPORTED:
		return EOPNOTSUPP;
	default:
		return EIO;
	}
}

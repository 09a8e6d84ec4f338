/* SPDX-License-Identifier: MIT */
/* What files, flags and errors are called on the wire, where linux's numbers stand for them. */
#ifndef SONDE_NINEP_WORDS_H
#define SONDE_NINEP_WORDS_H

#include <sonde/fs.h>

#include "ninep/message.h"

/* Tlopen, Tlcreate: linux v6.1 include/net/9p/9p.h, P9_DOTL_...; the same on every machine. */
enum ninep_open_flag {
	NINEP_WRITE_ONLY = 01,
	NINEP_READ_WRITE = 02,
	NINEP_ACCESS = 03,
	NINEP_CREATE = 0100,
	NINEP_EXCLUSIVE = 0200,
	NINEP_TRUNCATE = 01000,
	NINEP_APPEND = 02000,
	NINEP_DIRECTORY = 0200000,
	NINEP_NO_FOLLOW = 0400000,
};

enum { NINEP_REMOVE_DIRECTORY = 0x200 }; /* Tunlinkat: AT_REMOVEDIR */

/* To and from flags of SONDE_FS_OPEN; what has no counterpart is left out. */
uint32_t ninep_open_flags(uint32_t fs_flags);
uint32_t ninep_fs_flags(uint32_t open_flags);

/* The attributes of what is known of a file, and back. */
void ninep_tell_attr(const struct sonde_fs_info *info, struct ninep_attr *ret);
void ninep_take_attr(const struct ninep_attr *attr, const struct ninep_qid *qid,
		     struct sonde_fs_info *ret);
struct ninep_qid ninep_qid_of(const struct sonde_fs_info *info);

/* The kind of an entry in a list: DT_... */
uint8_t ninep_entry_type(uint32_t kind);
uint32_t ninep_entry_kind(uint8_t type);

/* The errno that says what a request ended with: os_code where there is one. */
uint32_t ninep_code(int32_t result, int32_t os_code);

#endif

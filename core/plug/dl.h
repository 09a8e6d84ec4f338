/* SPDX-License-Identifier: MIT */
/*
 * What the loader needs of the host system: shared objects, and who may change a file.
 * One file a system (dl_posix.c). Texts for a person go to why, cut to cap.
 */
#ifndef SONDE_PLUG_DL_H
#define SONDE_PLUG_DL_H

#include "base/arena.h"

#include <stddef.h>

#define DL_SUFFIX ".so"

enum { DL_FILES_MAX = 1024 }; /* of one folder; what lies beyond is not looked at */

/*
 * Bind all symbols now and show none to others. NULL: why says what the system said, and *ret_code is
 * SONDE_E_BAD_FORMAT, or _EXHAUSTED or _NO_MEMORY where it had nothing left.
 */
void *dl_open(const char *path, int *ret_code, char *why, size_t cap);
void dl_close(void *handle);

/* Address of an exported object; *ret_size its size in bytes, 0 where the system cannot tell. */
const void *dl_symbol(void *handle, const char *name, size_t *ret_size);

/* May it be trusted? Returns 1; 0 and why; -1 and why when it is not there at all. */
int dl_check_folder(const char *path, char *why, size_t cap);
int dl_check_file(const char *path, char *why, size_t cap);

/*
 * Names in folder that end in DL_SUFFIX, sorted, into arena.
 * Returns how many; SONDE_E_NO_MEMORY, or another code when the folder cannot be read.
 */
int dl_list(struct arena *arena, const char *folder, const char *const **ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The loader's list of a process that runs Windows programs: thread (TEB), process (PEB), and from it the modules in
 * the order they were loaded. All of it is the process's own memory, and the process may lie.
 *
 *   TEB ──Peb──▶ PEB ──Ldr──▶ PEB_LDR_DATA ══ LDR_DATA_TABLE_ENTRY ══ LDR_DATA_TABLE_ENTRY ══ (back to it)
 *
 * Source: Wine 8.0 include/winternl.h (TEB, PEB, PEB_LDR_DATA, LDR_DATA_TABLE_ENTRY), which are Windows' for both
 * widths.
 */
#ifndef SONDE_NATIVE_LOADER_H
#define SONDE_NATIVE_LOADER_H

#include <sonde/space.h>

#include "base/arena.h"

#define LOADER_MODULES_MAX 4096u
#define LOADER_TEB_BYTES 0x68u /* as far as a thread's record is looked at */

enum loader_width { LOADER_32, LOADER_64 };

/* The PEB that a TEB at addr leads to. teb: [LOADER_TEB_BYTES] there. Returns 1; 0: it is none. */
int loader_peb(const uint8_t *teb, uint64_t addr, enum loader_width width, uint64_t *ret_peb);

struct loader_module {
	uint64_t base, size;
	const char *path; /* UTF-8, "C:\\windows\\..."; NULL: err */
	int32_t err;      /* of reading its name                   */
};

struct loader_list {
	struct loader_module *modules; /* [n], in an arena        */
	uint32_t n;
	const char *damage; /* NULL, or what could not be followed */
};

/*
 * Follow the list of a PEB. One trip a module, for each says where the next is; then all names in one.
 * Returns 0; SONDE_E_NOT_FOUND: it has none; what reading its head said; SONDE_E_NO_MEMORY.
 */
int loader_read(struct sonde_space *space, uint64_t peb, enum loader_width width,
		struct arena *arena, struct loader_list *ret);

#endif

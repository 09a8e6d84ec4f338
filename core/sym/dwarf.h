/* SPDX-License-Identifier: MIT */
/*
 * Types from DWARF, translated into BTF records when they are first asked for. Needs elfutils
 * (dwarf.c); without it dwarf_absent.c says so.
 */
#ifndef SONDE_SYM_DWARF_H
#define SONDE_SYM_DWARF_H

#include <sonde/sym.h>

/*
 * fd is that of an ELF file with .debug_info; kept until the types are destroyed. Reads no type
 * yet.
 *
 * Errors    UNSUPPORTED: built without elfutils; BAD_FORMAT: what libdw says.
 */
int dwarf_types(int fd, uint32_t pointer_size, const char *source, struct sonde_types **ret,
		struct sonde_error *err);

#endif

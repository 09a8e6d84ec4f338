/* SPDX-License-Identifier: MIT */
/*
 * A vmlinux or detached debug file given by the user (--symbols): its types (.BTF, else
 * DWARF where elfutils was there at build time), its symbol table, its build id.
 */
#ifndef SONDE_SYM_VMLINUX_H
#define SONDE_SYM_VMLINUX_H

#include <sonde/sym.h>

struct vmlinux; /* handle: owns the mapped file; types and symbols made from it must go first */

struct vmlinux_id {
	uint32_t len; /* bytes; 0 when the file has none */
	uint8_t bytes[64];
};

/*
 * Map the file and look at its sections.
 *
 * Errors    what the host says on opening it; BAD_FORMAT (no ELF), CORRUPT (a section out of the
 *           file). err: "symbols: 'PATH': ...".
 */
int vmlinux_open(const char *path, struct vmlinux **ret, struct sonde_error *err);
void vmlinux_close(struct vmlinux *vmlinux); /* NULL is allowed */

/* The GNU build id; len 0 for none. */
void vmlinux_build_id(const struct vmlinux *vmlinux, struct vmlinux_id *ret);

/*
 * NO_TYPES: neither .BTF nor DWARF; UNSUPPORTED: DWARF only, and built without elfutils; else as
 * btf_open.
 */
int vmlinux_types(const struct vmlinux *vmlinux, struct sonde_types **ret, struct sonde_error *err);

/*
 * The ELF symbol table, sealed; slide (the KASLR offset) is added to every address
 * of a section, not to absolute ones. NOT_FOUND: the file has no symbol table.
 */
int vmlinux_symbols(const struct vmlinux *vmlinux, uint64_t slide, struct sonde_symbols **ret,
		    struct sonde_error *err);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * __ksymtab: what a kernel exports to its modules, functions and data, by name. Unlike kallsyms it has the data of
 * kernels built without KALLSYMS_ALL. It is found by its shape in a copy of the read-only data: entries of three 32-bit
 * distances, to the value, to the name and to the name's space, each from its own place; names rise within a table, of
 * which there are two (GPL's alone). All bytes are hostile.
 *
 * Source: linux v6.1 and v6.12 include/linux/export.h, export-internal.h (PREL32: CONFIG_HAVE_ARCH_PREL32_RELOCATIONS,
 * which 64-bit architectures have), include/asm-generic/vmlinux.lds.h; entries of this size since v5.4.
 */
#ifndef SONDE_LINUX_KSYMTAB_H
#define SONDE_LINUX_KSYMTAB_H

#include <stddef.h>
#include <stdint.h>

#define KSYMTAB_NAME_MAX 128u  /* the terminator included              */
#define KSYMTAB_MIN 64u        /* entries of a table; kernels have thousands */
#define KSYMTAB_MAX (1u << 17) /* in all                               */

/* name is terminated and borrowed from the buffer. Anything but 0 stops the search and is handed back. */
typedef int ksymtab_fn(void *user, const char *name, uint64_t value);

/*
 * Tell all entries of all tables in len bytes at virtual address va. Values are not checked.
 *
 * Returns   how many were told; what fn returned to stop.
 */
int ksymtab_find(const uint8_t *buf, size_t len, uint64_t va, ksymtab_fn *fn, void *user);

#endif

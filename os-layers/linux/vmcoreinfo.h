/* SPDX-License-Identifier: MIT */
/*
 * vmcoreinfo: the page of KEY=VALUE lines in which a kernel describes itself to dump tools.
 * It lies page-aligned in RAM, and as a note in some dumps. This file reads the
 * text; it does not look for it. The text is hostile.
 *
 * Source: linux v6.1 kernel/crash_core.c, Documentation/admin-guide/kdump/vmcoreinfo.rst.
 */
#ifndef SONDE_LINUX_VMCOREINFO_H
#define SONDE_LINUX_VMCOREINFO_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

#define VMCOREINFO_MAX 4096u /* VMCOREINFO_BYTES: the kernel keeps it in one page */
#define VMCOREINFO_MAGIC 16u /* bytes that vmcoreinfo_looks_like wants            */

/* A value: it lies in the struct, so it may be copied freely. */
struct vmcoreinfo {
	uint32_t len;              /* bytes of text that make sense    */
	char text[VMCOREINFO_MAX]; /* whole lines, each ended by '\n'  */
};

/*
 * 1 when a page that begins with these bytes is worth vmcoreinfo_parse: "OSRELEASE=" and a digit.
 */
int vmcoreinfo_looks_like(const uint8_t first[VMCOREINFO_MAGIC]);

/*
 * Take the text from a page or note; at most VMCOREINFO_MAX bytes are looked at. It ends at the
 * first byte that text does not hold (the page's zeroes, or garbage) or the first line that is no
 * KEY=VALUE; an unfinished last line is dropped.
 *
 * Errors    BAD_FORMAT: it does not begin with a line OSRELEASE=.
 */
int vmcoreinfo_parse(const void *bytes, size_t len, struct vmcoreinfo *ret,
		     struct sonde_error *err);

/*
 * Questions: 1 and *ret, 0 when the line is absent or its value is no such number.
 * SYMBOL() is hexadecimal, OFFSET(), SIZE() and LENGTH() are decimal.
 */
int vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret);
int vmcoreinfo_offset(const struct vmcoreinfo *info, const char *member, uint64_t *ret);
int vmcoreinfo_size(const struct vmcoreinfo *info, const char *type, uint64_t *ret);
int vmcoreinfo_length(const struct vmcoreinfo *info, const char *name, uint64_t *ret);
/*
 * Tell each SYMBOL() whose value is a number, in order; name is borrowed for the call. Returns 0, or what fn returned
 * to stop. Names of 127 characters and above are left out.
 */
typedef int vmcoreinfo_symbol_fn(void *user, const char *name, uint64_t value);
int vmcoreinfo_each_symbol(const struct vmcoreinfo *info, vmcoreinfo_symbol_fn *fn, void *user);
/* NUMBER(name): decimal, signed, or hex with 0x. */
int vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret);
/* KEY=hex without 0x (KERNELOFFSET). */
int vmcoreinfo_hex(const struct vmcoreinfo *info, const char *key, uint64_t *ret);
/* KEY=text (OSRELEASE, BUILD-ID), terminated; 0 also when it does not fit in cap. */
int vmcoreinfo_text(const struct vmcoreinfo *info, const char *key, char *buf, size_t cap);

#endif

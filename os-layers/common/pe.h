/* SPDX-License-Identifier: MIT */
/*
 * PE images as they lie in memory: sections and exports. Whoever wrote the headers may lie.
 *
 * Source: Microsoft, "PE Format" (file headers, optional header, section table, the .edata section).
 */
#ifndef SONDE_COMMON_PE_H
#define SONDE_COMMON_PE_H

#include <stddef.h>
#include <stdint.h>

#define PE_SECTIONS_MAX 96u /* what Windows loads */
#define PE_SECTION_NAME 8u
#define PE_HEAD_BYTES 4096u
#define PE_EXPORTS_MAX (16u << 20) /* bytes of an export directory with all that belongs to it */

struct pe_section {
	char name[PE_SECTION_NAME + 1];
	uint32_t off, size; /* bytes behind the image's first */
	uint32_t flags;     /* SONDE_REGION_READ, _WRITE, _EXEC */
};

struct pe {
	uint32_t size; /* of the image, bytes               */
	uint32_t is_64;
	uint32_t exports_off, exports_size; /* size 0: it exports nothing */
	uint32_t n_sections;
	struct pe_section sections[PE_SECTIONS_MAX]; /* [n_sections] */
};

/* head: the image's first len bytes. Returns 1; 0 no PE; SONDE_E_CORRUPT, _LIMIT (what is asked for lies behind len). */
int pe_parse(const uint8_t *head, size_t len, struct pe *ret);

/* A function that is exported by name; off: bytes behind the image's first. Any result but 0 stops and is handed back. */
typedef int pe_export_fn(void *user, const char *name, size_t name_len, uint32_t off);

/*
 * Visit the exports with a name; those that lead to another module are passed over. bytes: [pe->exports_size] from
 * exports_off on, with all their arrays and names.
 * Returns 0, what fn returned, SONDE_E_CORRUPT: an array lies outside. A name that does is left out.
 */
int pe_exports(const struct pe *pe, const uint8_t *bytes, pe_export_fn *fn, void *user);

#endif

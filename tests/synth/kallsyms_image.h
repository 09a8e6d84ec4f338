/* SPDX-License-Identifier: MIT */
/*
 * A stretch of a kernel's read-only data with kallsyms tables in it, in any of the layouts and
 * forms that kernels have had. The symbols follow a rule (image_symbol), so tests know the answer.
 *
 * Source: linux v5.10, v6.2, v6.4, v6.12 scripts/kallsyms.c (write_src).
 */
#ifndef SYNTH_KALLSYMS_IMAGE_H
#define SYNTH_KALLSYMS_IMAGE_H

#include "linux/kallsyms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_VA UINT64_C(0xffffffff81000000)   /* of the image's first byte             */
#define IMAGE_BASE UINT64_C(0xffffffff81000000) /* of the first symbol that is not per-CPU */
#define IMAGE32_VA UINT64_C(0xc1000000)
#define IMAGE_PERCPU 5u  /* symbols of the per-CPU kind that come first in that form        */
#define IMAGE_LONG 7u    /* this symbol has a long name, of 200 tokens                      */
#define IMAGE_FRONT 512u /* zero bytes before the first table                              */

/* Until v6.1; v6.2 and v6.3; since v6.4. */
enum image_layout { IMAGE_OLD, IMAGE_OLD_SEQS, IMAGE_NEW };

struct image_plan {
	uint32_t n;
	enum image_layout layout;
	enum kallsyms_form form;
	uint32_t word_size;
};

struct image {
	uint8_t *bytes;
	size_t len, cap;
	size_t end; /* of the last table that decoding needs */
	uint64_t va;
	struct kallsyms_addresses at;
	struct image_plan plan;
};

/* The i-th symbol: what decoding must give. */
static inline void image_symbol(const struct image_plan *plan, uint32_t i, uint64_t *ret_addr,
				char *ret_type, char name[256])
{
	int percpu = plan->form == KALLSYMS_PERCPU && i < IMAGE_PERCPU;
	uint64_t base = plan->word_size == 8 ? IMAGE_BASE : IMAGE32_VA;

	/* Every second is an alias of the one before. */
	*ret_addr = percpu ? 64 * i : base + 16 * (uint64_t)(i / 2 * 2);
	*ret_type = percpu ? 'A' : i % 3 ? 't' : 'T';
	if (i == IMAGE_LONG) {
		memset(name, 'y', 199);
		name[199] = '\0';
	} else {
		snprintf(name, 256, i % 5 ? "sym_%u" : "a_longer_token_%u", i);
	}
}

/* The byte at a virtual address. */
static inline uint8_t *image_ptr(const struct image *m, uint64_t va)
{
	return m->bytes + (va - m->va);
}

static inline void image_put(struct image *m, const void *bytes, size_t len)
{
	if (m->len + len > m->cap) {
		m->cap = (m->len + len) * 2;
		m->bytes = realloc(m->bytes, m->cap);
	}
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static inline void image_put_le(struct image *m, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		uint8_t byte = (uint8_t)value;
		image_put(m, &byte, 1);
	}
}

/* Each table begins on a word; returns its virtual address. */
static inline uint64_t image_align(struct image *m)
{
	while (m->len % m->plan.word_size)
		image_put(m, "", 1);
	return m->va + m->len;
}

/*
 * Codes 1 and 2 are long tokens, every printable character stands for itself, the rest are
 * unused.
 */
static inline const char *image_token(unsigned code)
{
	static char one[2];

	one[0] = (char)code;
	if (code == 1)
		return "sym_";
	if (code == 2)
		return "a_longer_token_";
	return code > 0x20 && code < 0x7f ? one : "";
}

static inline void image_put_name(struct image *m, uint32_t i)
{
	char name[256], type;
	uint8_t row[300];
	uint64_t addr;
	unsigned n = 0, skip = 0;

	image_symbol(&m->plan, i, &addr, &type, name);
	row[n++] = (uint8_t)type;
	for (unsigned code = 1; code <= 2; code++) {
		size_t len = strlen(image_token(code));
		if (strncmp(name, image_token(code), len) == 0) {
			row[n++] = (uint8_t)code;
			skip = (unsigned)len;
		}
	}
	for (const char *p = name + skip; *p; p++)
		row[n++] = (uint8_t)*p;
	if (n > 127)
		image_put_le(m, (n & 0x7f) | 0x80 | (uint64_t)(n >> 7) << 8, 2);
	else
		image_put_le(m, n, 1);
	image_put(m, row, n);
}

static inline void image_put_addresses(struct image *m)
{
	const struct image_plan *plan = &m->plan;
	uint64_t base = plan->word_size == 8 ? IMAGE_BASE : IMAGE32_VA;
	uint64_t at = image_align(m);
	char name[256], type;

	for (uint32_t i = 0; i < plan->n; i++) {
		uint64_t addr, here = m->va + m->len;
		image_symbol(plan, i, &addr, &type, name);
		switch (plan->form) {
		case KALLSYMS_ABSOLUTE:
			image_put_le(m, addr, plan->word_size);
			break;
		case KALLSYMS_RELATIVE:
			image_put_le(m, addr - base, 4);
			break;
		case KALLSYMS_PERCPU:
			image_put_le(m, type == 'A' ? addr : base - 1 - addr, 4);
			break;
		case KALLSYMS_SELF_RELATIVE:
			image_put_le(m, addr - here, 4);
			break;
		}
	}
	if (plan->form == KALLSYMS_ABSOLUTE)
		m->at.addresses = at;
	else
		m->at.offsets = at;
	if (plan->form == KALLSYMS_RELATIVE || plan->form == KALLSYMS_PERCPU) {
		m->at.relative_base = image_align(m);
		image_put_le(m, base, plan->word_size);
	}
}

static inline void image_put_names(struct image *m)
{
	uint32_t *markers = calloc(m->plan.n / 256 + 1, sizeof(*markers));
	uint32_t n_markers = (m->plan.n + 255) / 256;

	m->at.num_syms = image_align(m);
	image_put_le(m, m->plan.n, 4);
	m->at.names = image_align(m);
	for (uint32_t i = 0; i < m->plan.n; i++) {
		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(m->va + m->len - m->at.names);
		image_put_name(m, i);
	}
	image_align(m);
	for (uint32_t i = 0; i < n_markers; i++)
		image_put_le(m, markers[i], 4);
	free(markers);
}

static inline void image_put_seqs(struct image *m)
{
	image_align(m);
	for (uint32_t i = 0; i < m->plan.n; i++)
		image_put_le(m, (i * 7919) % m->plan.n, 3);
}

static inline void image_put_tokens(struct image *m)
{
	uint16_t index[256];
	size_t start = image_align(m) - m->va;

	m->at.token_table = m->va + start;
	for (unsigned code = 0; code < 256; code++) {
		index[code] = (uint16_t)(m->len - start);
		image_put(m, image_token(code), strlen(image_token(code)) + 1);
	}
	m->at.token_index = image_align(m);
	for (unsigned code = 0; code < 256; code++)
		image_put_le(m, index[code], 2);
}

static inline struct image image_create(struct image_plan plan)
{
	struct image m = { .plan = plan, .va = plan.word_size == 8 ? IMAGE_VA : IMAGE32_VA };

	while (m.len < IMAGE_FRONT)
		image_put(&m, "", 1);
	if (plan.layout != IMAGE_NEW)
		image_put_addresses(&m);
	image_put_names(&m);
	if (plan.layout == IMAGE_OLD_SEQS)
		image_put_seqs(&m);
	image_put_tokens(&m);
	if (plan.layout == IMAGE_NEW)
		image_put_addresses(&m);
	m.end = m.len;
	if (plan.layout == IMAGE_NEW)
		image_put_seqs(&m);
	return m;
}

#endif

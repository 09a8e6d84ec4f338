/* SPDX-License-Identifier: MIT */
/* Tables of exported symbols, by their shape: so many rising names in a row are nothing else. */
#include "linux/ksymtab.h"

#include <sonde/types.h>
#include <string.h>

#define ENTRY 12u             /* struct kernel_symbol */
#define NAME_AT 4u            /* name_offset          */
#define MAX_STEPS (32u << 20) /* entries looked at: memory may be made to look right everywhere */

struct search {
	const uint8_t *buf;
	size_t len;
	uint64_t va;
	uint32_t steps; /* left of MAX_STEPS */
};

static uint64_t distant(const struct search *s, size_t at)
{
	return s->va + at + (uint64_t)(int64_t)(int32_t)sonde_le32(s->buf + at);
}

static int is_name_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '$';
}

/* The name of the entry at `at`; NULL when it is none. */
static const char *name_of(struct search *s, size_t at)
{
	if (s->len < ENTRY || at > s->len - ENTRY || !s->steps)
		return NULL;
	s->steps--;
	uint64_t off = distant(s, at + NAME_AT) - s->va;
	if (off >= s->len || !is_name_char(s->buf[off]))
		return NULL;
	size_t room = s->len - off, max = room < KSYMTAB_NAME_MAX ? room : KSYMTAB_NAME_MAX;
	size_t n = 1;
	while (n < max && is_name_char(s->buf[off + n]))
		n++;
	return n < max && !s->buf[off + n] ? (const char *)s->buf + off : NULL;
}

/* How many entries from `at` on have rising names. */
static size_t measure(struct search *s, size_t at)
{
	const char *last = name_of(s, at), *name;
	size_t n = 0;

	while (last && n < KSYMTAB_MAX) {
		n++;
		name = name_of(s, at + n * ENTRY);
		last = name && strcmp(last, name) < 0 ? name : NULL;
	}
	return n;
}

int ksymtab_find(const uint8_t *buf, size_t len, uint64_t va, ksymtab_fn *fn, void *user)
{
	struct search s = { buf, len, va, MAX_STEPS };
	uint32_t n_told = 0;

	for (size_t at = (size_t)(-va & 3); at < len && s.steps && n_told < KSYMTAB_MAX;) {
		size_t n = measure(&s, at);
		if (n < KSYMTAB_MIN) {
			at += 4;
			continue;
		}
		for (size_t i = 0; i < n; i++, n_told++) {
			const char *name =
				(const char *)buf + (distant(&s, at + i * ENTRY + NAME_AT) - va);
			int r = fn(user, name, distant(&s, at + i * ENTRY));
			if (r)
				return r;
		}
		at += n * ENTRY;
	}
	return (int)n_told;
}

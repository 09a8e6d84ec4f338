/* SPDX-License-Identifier: MIT */
/*
 * x86-64 page tables out of readable text, written into memory that the test owns. A line is
 *
 *	VA 4k|2m|1g PA [r|w|x...]       a page; tables on the way are made as needed
 *	VA raw LEVEL ENTRY              this very entry, in the table of LEVEL (0 the lowest)
 *
 * all numbers hex, '#' begins a comment. Layout: Intel SDM 3A 4.5, tables 4-14 to 4-20.
 */
#ifndef TESTS_SYNTH_PAGE_TABLES_H
#define TESTS_SYNTH_PAGE_TABLES_H

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct page_tables {
	uint8_t *mem; /* all of the physical memory, from address 0 */
	uint64_t size;
	uint64_t next; /* where the next table goes                  */
	uint64_t root;
	unsigned levels; /* 4 or 5                                     */
};

static inline uint64_t tables_new(struct page_tables *t)
{
	uint64_t at = t->next;

	assert(at % 4096 == 0 && at + 4096 <= t->size);
	memset(t->mem + at, 0, 4096);
	t->next += 4096;
	return at;
}

/* Can the walk go on through this entry, inside our memory? */
static inline int tables_leads_on(const struct page_tables *t, uint64_t entry)
{
	return (entry & 1) && !(entry & 0x80) &&
	       (entry & UINT64_C(0x000ffffffffff000)) + 4096 <= t->size;
}

/* The entry for va in the table of level; what is in the way is replaced by a table. */
static inline uint64_t *tables_entry(struct page_tables *t, uint64_t va, unsigned level)
{
	uint64_t table = t->root;

	for (unsigned l = t->levels - 1;; l--) {
		uint64_t *entry = (uint64_t *)(void *)(t->mem + table) + (va >> (12 + 9 * l) & 511);
		if (l == level)
			return entry;
		if (!tables_leads_on(t, *entry))
			*entry = tables_new(t) | 7;
		table = *entry & UINT64_C(0x000ffffffffff000);
	}
}

static inline void tables_line(struct page_tables *t, const char *line)
{
	uint64_t va, value;
	unsigned level = 0;
	char kind[8] = "", rights[8] = "rwx";

	if (sscanf(line, "%" SCNx64 " raw %u %" SCNx64, &va, &level, &value) == 3) {
		*tables_entry(t, va, level) = value;
		return;
	}
	if (sscanf(line, "%" SCNx64 " %7s %" SCNx64 " %7s", &va, kind, &value, rights) < 3)
		return; /* empty, or a comment */
	level = kind[0] == '4' ? 0 : kind[0] == '2' ? 1 : 2;
	*tables_entry(t, va, level) = value | 1 | (strchr(rights, 'w') ? 2u : 0u) |
				      (level ? 0x80u : 0u) |
				      (strchr(rights, 'x') ? 0 : UINT64_C(1) << 63);
}

/* mem [size] holds the tables from `at` on, the root first. */
static inline void tables_build(struct page_tables *t, uint8_t *mem, uint64_t size, uint64_t at,
				unsigned levels, const char *text)
{
	*t = (struct page_tables){ .mem = mem, .size = size, .next = at, .levels = levels };
	t->root = tables_new(t);
	for (const char *end; *text; text = end + (*end == '\n')) {
		char line[128];
		end = strchr(text, '\n') ? strchr(text, '\n') : text + strlen(text);
		snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		line[strcspn(line, "#")] = 0;
		tables_line(t, line);
	}
}

#endif

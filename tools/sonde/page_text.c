/* SPDX-License-Identifier: MIT */
#include "page_text.h"

#include "table.h"

#include <sonde/os.h>
#include <stdio.h>

void page_perms_text(char text[PAGE_PERMS_MAX], uint32_t flags)
{
	text[0] = flags & SONDE_PAGE_READ ? 'r' : '-';
	text[1] = flags & SONDE_PAGE_WRITE ? 'w' : '-';
	text[2] = flags & SONDE_PAGE_EXEC ? 'x' : '-';
	text[3] = '\0';
}

void page_attrs_text(char text[PAGE_ATTRS_MAX], uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {
		{ SONDE_PAGE_PRESENT, "present" },
		{ SONDE_PAGE_USER, "user" },
		{ SONDE_PAGE_GLOBAL, "global" },
		{ SONDE_PAGE_ACCESSED, "accessed" },
		{ SONDE_PAGE_DIRTY, "dirty" },
		{ SONDE_PAGE_SAME, "same" },
		{ SONDE_PAGE_SWAPPED, "swapped" },
		{ SONDE_PAGE_FILE, "file" },
		{ SONDE_PAGE_SOFT_DIRTY, "soft-dirty" },
		{ SONDE_PAGE_EXCLUSIVE, "exclusive" },
		{ SONDE_PAGE_HUGE, "huge" },
		{ SONDE_PAGE_ZERO, "zero" },
	};
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (flags & words[i].flag)
			len += (size_t)snprintf(text + len, PAGE_ATTRS_MAX - len, "%s%s",
						len ? " " : "", words[i].word);
	}
}

void page_cells(struct table *t, uint64_t page_size, uint32_t flags)
{
	char perms[PAGE_PERMS_MAX], attrs[PAGE_ATTRS_MAX];

	table_size(t, page_size);
	page_perms_text(perms, flags);
	table_str(t, perms);
	page_attrs_text(attrs, flags);
	table_str(t, attrs);
}

void page_pid_cell(struct table *t, int32_t pid)
{
	if (pid)
		table_i64(t, pid);
	else
		table_null(t);
}

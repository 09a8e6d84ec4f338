/* SPDX-License-Identifier: MIT */
#include "page_text.h"

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
		{ SONDE_PAGE_PRESENT, "present" }, { SONDE_PAGE_USER, "user" },
		{ SONDE_PAGE_GLOBAL, "global" },   { SONDE_PAGE_ACCESSED, "accessed" },
		{ SONDE_PAGE_DIRTY, "dirty" },     { SONDE_PAGE_SAME, "same" },
	};
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (flags & words[i].flag)
			len += (size_t)snprintf(text + len, PAGE_ATTRS_MAX - len, "%s%s",
						len ? " " : "", words[i].word);
	}
}

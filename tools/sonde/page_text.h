/* SPDX-License-Identifier: MIT */
/* What page tables say of a page, as text and as cells: shared by translate and pages. */
#ifndef SONDE_TOOL_PAGE_TEXT_H
#define SONDE_TOOL_PAGE_TEXT_H

#include <stdint.h>

#define PAGE_PERMS_MAX 4u
#define PAGE_ATTRS_MAX 128u

/* "rw-" */
void page_perms_text(char text[PAGE_PERMS_MAX], uint32_t flags);
/* "present user dirty"; "" for none. */
void page_attrs_text(char text[PAGE_ATTRS_MAX], uint32_t flags);

struct table;
/* The cells page_size, perms and attrs; and pid, null for 0. */
void page_cells(struct table *t, uint64_t page_size, uint32_t flags);
void page_pid_cell(struct table *t, int32_t pid);

#endif

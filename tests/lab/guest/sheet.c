/* SPDX-License-Identifier: MIT */
/* The command page: two pages of init that change places, rights and contents on command. */
#include "sheet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base.h"
#include "channel.h"
#include "spell.h"

#define SHEET_WORDS UINT64_C(0x5348454554000000)
#define ROW_PAGES 1024u

/*
 * Two pages of ours that the host looks at while they change; each is full of a word of its own, and len bytes of
 * addresses come with it: a page's, or all that one table maps.
 */
static struct {
	uint64_t *at, *other;
	size_t len;
	uint64_t word, other_word;
	unsigned n_made;
} sheet;

/* len bytes of addresses at a multiple of len; around them stays a hole. */
static void *sheet_place(void)
{
	char *all = mmap(NULL, 3 * sheet.len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	munmap(all, 3 * sheet.len);
	return all + sheet.len + (-(uintptr_t)all & (sheet.len - 1));
}

static uint64_t *new_sheet(void *where, uint64_t *ret_word)
{
	uint64_t *page = mmap(where, sheet.len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (!where || page == MAP_FAILED)
		return NULL;
	madvise(page, sheet.len, MADV_NOHUGEPAGE);
	*ret_word = SHEET_WORDS + ++sheet.n_made;
	for (size_t i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = *ret_word;
	return page;
}

/* Afterwards each of both pages lies where the other was. */
static bool swap_sheets(void)
{
	void *aside = sheet_place();
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	uint64_t word = sheet.word;
	size_t len = sheet.len;

	if (!aside || mremap(sheet.at, len, len, flags, aside) == MAP_FAILED ||
	    mremap(sheet.other, len, len, flags, sheet.at) == MAP_FAILED ||
	    mremap(aside, len, len, flags, sheet.other) == MAP_FAILED)
		return false;
	sheet.word = sheet.other_word;
	sheet.other_word = word;
	return true;
}

static bool flip_sheets(const char *ms)
{
	struct spell spell = spell_begin(ms);
	bool ok = true;

	while (ok && spell_lasts(&spell))
		ok = swap_sheets();
	return ok;
}

/* The first word of each page of a row: at any moment all of them hold one number, or the first ones that and the rest the one before. */
static void fill_row(uint64_t n)
{
	volatile uint64_t *row = sheet.at;

	for (size_t i = 0; i < sheet.len / PAGE; i++)
		row[i * (PAGE / sizeof(*row))] = n;
}

static bool count_in_row(const char *ms)
{
	struct spell spell = spell_begin(ms);

	for (uint64_t n = 2; spell_lasts(&spell); n++)
		fill_row(n);
	return true;
}

static bool map_row(void)
{
	sheet.len = ROW_PAGES * PAGE;
	sheet.at = new_sheet(sheet_place(), &sheet.word);
	if (sheet.at)
		fill_row(1);
	return sheet.at;
}

static bool map_sheets(size_t len)
{
	sheet.len = len;
	return (sheet.at = new_sheet(sheet_place(), &sheet.word)) &&
	       (sheet.other = new_sheet(sheet_place(), &sheet.other_word));
}

static bool change_sheet(const char *action)
{
	if (!strcmp(action, "map"))
		return map_sheets(PAGE);
	if (!strcmp(action, "map-table"))
		return map_sheets(HUGE_PAGE);
	if (!strcmp(action, "map-row"))
		return map_row();
	if (!sheet.at)
		return false;
	if (!strcmp(action, "swap"))
		return swap_sheets();
	if (!strncmp(action, "flip ", 5))
		return flip_sheets(action + 5);
	if (!strncmp(action, "count ", 6))
		return count_in_row(action + 6);
	if (!strcmp(action, "close"))
		return mprotect(sheet.at, sheet.len, PROT_NONE) == 0;
	if (!strcmp(action, "seal"))
		return mprotect(sheet.at, sheet.len, PROT_READ) == 0;
	if (!strcmp(action, "open"))
		return mprotect(sheet.at, sheet.len, PROT_READ | PROT_WRITE) == 0;
	if (!strcmp(action, "look")) { /* whoever may have written there */
		sheet.word = *(volatile uint64_t *)sheet.at;
		sheet.other_word = *(volatile uint64_t *)sheet.other;
		return true;
	}
	if (!strcmp(action, "unmap"))
		return munmap(sheet.at, sheet.len) == 0;
	return !strcmp(action, "renew") && new_sheet(sheet.at, &sheet.word);
}

void command_page(const char *action)
{
	if (change_sheet(action))
		emitf("ok %lx %llx %llx\n", (unsigned long)sheet.at, (unsigned long long)sheet.word,
		      (unsigned long long)sheet.other_word);
	else
		emitf("error page %s: %s\n", action, strerror(errno));
}

/* SPDX-License-Identifier: MIT */
#include "regions.h"
#include "../../plugins/common/numbers.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *at, char sign)
{
	at += strspn(at, " \t\r");
	if (sign && *at == sign)
		at++;
	return at + strspn(at, " \t\r");
}

static int ends_here(char c)
{
	return c == '\0' || c == ';' || c == '\n' || c == '#';
}

/* One entry at at; NULL: none. *off is where the last one ended, in the image. */
static const char *read_entry(const char *at, uint64_t off, struct flat_region *ret)
{
	at = number_read(at, &ret->addr);
	if (at)
		at = number_read(skip_blanks(at, '+'), &ret->len);
	if (!at)
		return NULL;
	int is_said = *skip_blanks(at, '\0') == '@';
	at = skip_blanks(at, '@');
	ret->off = off;
	if (is_said || !ends_here(*at)) {
		at = number_read(at, &ret->off);
		at = at ? skip_blanks(at, '\0') : NULL;
	}
	return at && ends_here(*at) ? at : NULL;
}

static int add(struct flat_regions *regions, const struct flat_region *region, const char **ret_why)
{
	*ret_why = "more regions than are taken";
	if (regions->n == FLAT_REGIONS_MAX)
		return SONDE_E_LIMIT;
	*ret_why = "out of memory";
	if (regions->n == regions->cap) {
		size_t cap = regions->cap ? regions->cap * 2 : 16;
		struct flat_region *at = realloc(regions->at, cap * sizeof(*at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		regions->at = at;
		regions->cap = cap;
	}
	regions->at[regions->n++] = *region;
	return 0;
}

static const char *fault_of(const struct flat_region *region)
{
	if (!region->len)
		return "it has no bytes";
	if (region->len - 1 > UINT64_MAX - region->addr)
		return "it ends beyond 2^64";
	if (region->off > INT64_MAX || region->len > INT64_MAX - region->off)
		return "it ends beyond any image";
	return NULL;
}

int flat_regions_parse(struct flat_regions *ret, const char *text, size_t *ret_entry,
		       const char **ret_why)
{
	uint64_t off = 0;
	int r = 0;

	*ret = (struct flat_regions){ 0 };
	*ret_entry = 0;
	for (const char *at = text; r == 0;) {
		struct flat_region region;
		at += strspn(at, " \t\r\n;");
		if (*at == '#') {
			at += strcspn(at, "\n");
			continue;
		}
		if (*at == '\0')
			break;
		++*ret_entry;
		at = read_entry(at, off, &region);
		*ret_why = at ? fault_of(&region) : "write ADDRESS+LENGTH or ADDRESS+LENGTH@OFFSET";
		if (*ret_why)
			return SONDE_E_BAD_ARG;
		off = region.off + region.len;
		r = add(ret, &region, ret_why);
	}
	*ret_why = r == 0 ? "there is none" : *ret_why;
	return r == 0 && !ret->n ? SONDE_E_BAD_ARG : r;
}

void flat_regions_finish(struct flat_regions *regions)
{
	free(regions->at);
	*regions = (struct flat_regions){ 0 };
}

/* SPDX-License-Identifier: MIT */
#include "numbered.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 6u

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int numbered_find(struct numbered *ret, const char *name, int is_url)
{
	size_t end = is_url ? strcspn(name, "?#") : strlen(name), at = end;

	while (at && name[at - 1] != '/' && !is_digit(name[at - 1]))
		at--;
	*ret = (struct numbered){ .name = name, .at = at, .end = end };
	while (ret->at && is_digit(name[ret->at - 1]))
		ret->at--;
	ret->digits = at - ret->at;
	for (size_t i = ret->at; ret->digits <= DIGITS_MAX && i < at; i++)
		ret->number = ret->number * 10 + (unsigned long)(name[i] - '0');
	return ret->digits > 0 && ret->digits <= DIGITS_MAX;
}

int numbered_name(const struct numbered *numbered, unsigned long number, char *ret, size_t cap)
{
	int used = snprintf(ret, cap, "%.*s%0*lu%s", (int)numbered->at, numbered->name,
			    (int)numbered->digits, number,
			    numbered->name + numbered->at + numbered->digits);

	return used > 0 && (size_t)used < cap;
}

/* SPDX-License-Identifier: MIT */
/* Names of files that count: image.001, vmcore-2, https://host/dumps/part7.kdump?sig=…: the last number of the last name. */
#ifndef NUMBERED_H
#define NUMBERED_H

#include <stddef.h>

struct numbered {
	const char *name;
	size_t at, digits; /* where its number stands, 1 to 6 digits */
	size_t end;        /* of the path: length, or where a URL's query begins */
	unsigned long number;
};

/* is_url: what follows ? or # is no part of the name. Returns 1; 0: it has no number. name is kept. */
int numbered_find(struct numbered *ret, const char *name, int is_url);

/* The name with number in it, as wide as the first one. Returns 1; 0: it does not fit. */
int numbered_name(const struct numbered *numbered, unsigned long number, char *ret, size_t cap);

#endif

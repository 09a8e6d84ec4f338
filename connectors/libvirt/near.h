/* SPDX-License-Identifier: MIT */
/* Which of many names somebody may have meant. */
#ifndef LIBVIRT_NEAR_H
#define LIBVIRT_NEAR_H

#include <stddef.h>

#define NEAR_NAME_MAX 64 /* bytes of a name that are compared */

struct near {
	const char *wanted;
	char close[120]; /* names that are like it, "'a', 'b'" */
	char all[120];   /* all names, as far as they fit      */
	char text[160];
};

void near_init(struct near *ret, const char *wanted); /* wanted is kept */
void near_add(struct near *near, const char *name);
/* "did you mean 'a'?", "there are 'a', 'b'" or "there is none". Borrowed from near. */
const char *near_text(struct near *near);

/* How many bytes have to be put in, taken out, changed or swapped to make one the other. */
size_t near_distance(const char *a, const char *b);

#endif

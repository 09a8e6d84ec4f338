/* SPDX-License-Identifier: MIT */
/* Tables of exported symbols: the input is an image to search. */
#include "linux/ksymtab.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE_VA UINT64_C(0xffffffff81000000)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct told {
	const uint8_t *bytes;
	size_t len;
	uint32_t n;
};

/* Names lie in the image and end there. */
static int check(void *user, const char *name, uint64_t value)
{
	struct told *told = user;
	const uint8_t *at = (const uint8_t *)name;

	(void)value;
	if (at < told->bytes || at >= told->bytes + told->len || !*name ||
	    !memchr(name, '\0', (size_t)(told->bytes + told->len - at)) ||
	    strlen(name) >= KSYMTAB_NAME_MAX)
		abort();
	return ++told->n == 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct told told = { .bytes = bytes, .len = len };
	int n = ksymtab_find(bytes, len, IMAGE_VA, check, &told);

	if (n < 0 || (n > 1 && (uint32_t)n != told.n))
		abort();
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Memory from the C library. */
#include "mem.h"

#include <stdlib.h>

/* Products are looked at here: the sanitizers end a program that asks calloc for too large a one. */
void *mem_alloc(size_t n, size_t size)
{
	size_t total;

	return __builtin_mul_overflow(n, size, &total) ? NULL : calloc(1, total);
}

void *mem_resize(void *p, size_t n, size_t size)
{
	size_t total;

	return __builtin_mul_overflow(n, size, &total) ? NULL : realloc(p, total);
}

void mem_release(void *p)
{
	free(p);
}

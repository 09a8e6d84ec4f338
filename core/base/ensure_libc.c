/* SPDX-License-Identifier: MIT */
/* A broken assertion where there is a C library: say so and abort, as its own do. */
#include "base/ensure.h"

#include <stdio.h>
#include <stdlib.h>

void ensure_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "sonde: %s:%d: not true: %s\n", file, line, what);
	abort();
}

/* SPDX-License-Identifier: MIT */
/* Messages by the C library. */
#include "base/text.h"

#include <stdio.h>

void text_vformat(char *to, size_t cap, const char *fmt, va_list ap)
{
	vsnprintf(to, cap, fmt, ap);
}

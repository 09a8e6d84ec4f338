/* SPDX-License-Identifier: MIT */
/* Files of /proc and /sys, whose size is known only when they have been read. */
#ifndef LOCAL_TEXT_H
#define LOCAL_TEXT_H

#include <stddef.h>

/* At most max bytes of it, terminated. NULL: errno says why. Owns: free. */
char *text_read(const char *path, size_t max);

#endif

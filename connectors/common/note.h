/* SPDX-License-Identifier: MIT */
/* A note that is text: what the slot of that name hands back. */
#ifndef CONNECTORS_NOTE_H
#define CONNECTORS_NOTE_H

#include <stdint.h>
#include <string.h>

static inline int64_t note_text(const char *text, void *buf, size_t cap)
{
	size_t len = strlen(text);

	if (cap)
		memcpy(buf, text, len < cap ? len : cap);
	return (int64_t)len;
}

#endif

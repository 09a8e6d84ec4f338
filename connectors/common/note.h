/* SPDX-License-Identifier: MIT */
/* A note that is bytes or text: what the slot of that name hands back. */
#ifndef CONNECTORS_NOTE_H
#define CONNECTORS_NOTE_H

#include <stdint.h>
#include <string.h>

static inline int64_t note_bytes(const void *bytes, size_t len, void *buf, size_t cap)
{
	if (cap && len)
		memcpy(buf, bytes, len < cap ? len : cap);
	return (int64_t)len;
}

static inline int64_t note_text(const char *text, void *buf, size_t cap)
{
	return note_bytes(text, strlen(text), buf, cap);
}

#endif

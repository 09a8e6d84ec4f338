/* SPDX-License-Identifier: MIT */
/* A spell of doing one thing, while the other side does something else. */
#ifndef GUEST_SPELL_H
#define GUEST_SPELL_H

#include <stdbool.h>
#include <stdint.h>

struct spell {
	uint64_t now, end; /* by now_ms() */
};

/* Tells the other side that it begins. */
struct spell spell_begin(const char *ms);
/* False after ms milliseconds, and as soon as the other side says something. */
bool spell_lasts(struct spell *spell);

#endif

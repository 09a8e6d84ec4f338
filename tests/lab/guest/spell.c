/* SPDX-License-Identifier: MIT */
#include "spell.h"

#include <stdlib.h>

#include "base.h"
#include "channel.h"

struct spell spell_begin(const char *ms)
{
	uint64_t now = now_ms();

	emitf("begun\n");
	chan_flush();
	return (struct spell){ .now = now, .end = now + strtoul(ms, NULL, 10) };
}

bool spell_lasts(struct spell *spell)
{
	uint64_t now = now_ms();

	if (now == spell->now) /* to ask for what was said takes long */
		return true;
	spell->now = now;
	return now < spell->end && !chan_was_heard();
}

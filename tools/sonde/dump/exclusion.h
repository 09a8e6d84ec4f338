/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a batch are left out for what the system uses them for. Of memory that stands still that is asked for
 * some thousands at once, and what is left out is not read. Of a live target all is read; a page is left out
 * whose use is such before and after, and kept where it has changed.
 */
#ifndef SONDE_TOOL_DUMP_EXCLUSION_H
#define SONDE_TOOL_DUMP_EXCLUSION_H

#include "batch.h"
#include "dump.h"

/* Zeroed before its first use. */
struct exclusion {
	const struct dump_source *source;
	uint64_t first; /* uses are those of the frames from here on */
	size_t n;
	uint8_t *uses; /* [n] */
};

/* Returns 0, SONDE_E_NO_MEMORY; exclusion_finish either way. */
int exclusion_init(struct exclusion *exclusion, const struct dump_source *source);
void exclusion_finish(struct exclusion *exclusion);

/* Of a batch that has its place: mark what is left out. Returns 0, what sonde_frames_read says. */
int exclusion_mark(struct exclusion *exclusion, struct batch *batch);
/* Of a live batch that was read: marks stay where it is so still. As exclusion_mark. */
int exclusion_confirm(struct exclusion *exclusion, struct batch *batch);

/* The same in makedumpfile's bits (-d, dump_level; makedumpfile 1.7.2 makedumpfile.h: DL_EXCLUDE_*). */
uint32_t exclusion_level(const struct dump_source *source);

#endif

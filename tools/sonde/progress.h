/* SPDX-License-Identifier: MIT */
/* How far a long piece of work is, on a terminal's line: bytes, rate, time left. What is over soon says nothing. */
#ifndef SONDE_TOOL_PROGRESS_H
#define SONDE_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "written"                                  */
	bool is_wanted;   /* standard error is a terminal               */
	bool is_said;     /* a line stands there                        */
	uint64_t began_ns, next_ns;
};

/* Begin with a piece of work, now. What was said of one before is wiped out. */
void progress_begin(struct progress *progress, const char *what);
void progress_say(struct progress *progress, uint64_t done, uint64_t total);
/* Leave no line behind. */
void progress_end(struct progress *progress);

/* "12.0M of 512M written, 2 %, 300M/s, 2 s left" after so long. */
void progress_text(char text[128], const char *what, uint64_t done, uint64_t total, uint64_t ns);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * --pause: a process of its own stops the target and lets it go on, so that it goes on whatever becomes of the
 * tool: ended, interrupted, crashed or killed. The guardian hears of that by the end of their socket.
 *
 * trace: the tool itself has the target's stub, and the guardian only watches: should the tool vanish, it opens and closes
 * the target, after which no breakpoint is left and it runs, and takes out probes.
 */
#ifndef SONDE_TOOL_GUARDIAN_H
#define SONDE_TOOL_GUARDIAN_H

#include "probe/probes.h"

#include <sonde/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct guardian {
	pid_t pid; /* 0: there is none */
	int fd;
	uint64_t since_ns; /* sonde_now_ns() when it stopped the target; 0: it did not */
	bool has_stopped;  /* ... and nobody else had before */
};

/* Before the first loop or thread. Opens nothing yet. probes: NULL, or shared with it until it ends. Returns 0 or an errno. */
int guardian_start(struct guardian *guardian, const char *target, struct probes_state *probes);

/* Stop the target; one that stands still already stays somebody else's. Returns 0, or a code of the library with its text in err. */
int guardian_pause(struct guardian *guardian, struct sonde_error *err);

/*
 * Let the target go on, and end the guardian; *ret_ns: how long it stood still, at most. Returns as guardian_pause: an
 * error means that it may stand still yet. Without a guardian nothing happens.
 */
int guardian_release(struct guardian *guardian, uint64_t *ret_ns, struct sonde_error *err);

/* From here on the target is opened and closed if the tool should vanish. Returns 0, or as guardian_pause. */
int guardian_watch(struct guardian *guardian, struct sonde_error *err);
/* It is not any more: all is as it should be. Ends the guardian; without one nothing happens. */
void guardian_dismiss(struct guardian *guardian);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A guest that runs frees a task and puts another in its place between two trips, so that what was read of one item
 * may be of two. What was read first is compared with what is there after everything else has been read.
 */
#ifndef SONDE_LINUX_RECHECK_H
#define SONDE_LINUX_RECHECK_H

#include "linux/linux.h"

/*
 * Of each of the n items whose task_struct is not what it was when row i of task was read, or is no member of its
 * struct pid any more, all of fields is missing, for SONDE_E_CHANGED. Costs two trips.
 *
 * Returns 0; SONDE_E_NO_MEMORY.
 */
int linux_recheck(struct linux_os *lx, const struct rows *task, struct sonde_process *items,
		  size_t n, uint32_t fields);

#endif

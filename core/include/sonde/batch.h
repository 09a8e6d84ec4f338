/* SPDX-License-Identifier: MIT */
/*
 * Gather many small reads, of one space or of several, and run them in one trip.
 *
 *	struct sonde_batch *batch = sonde_batch_create(loop);
 *	for (i = 0; i < n; i++)
 *		sonde_batch_add(batch, space, at[i], &value[i], sizeof(value[i]), &err[i]);
 *	sonde_batch_run(batch);
 */
#ifndef SONDE_BATCH_H
#define SONDE_BATCH_H

#include <sonde/loop.h>
#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_batch; /* handle */

struct sonde_batch *sonde_batch_create(struct sonde_loop *loop); /* NULL: out of memory */
void sonde_batch_destroy(struct sonde_batch *batch);             /* NULL is allowed     */

/*
 * Add one read. Nothing is read yet. *ret_err (NULL allowed) is written by run: 0 or the
 * error of the lowest failing byte. buf and ret_err are kept until run has returned.
 *
 * Returns   0; SONDE_E_BAD_ARG (NULL space or buf, a space of another loop, len 0 or above 2^31-1);
 *           SONDE_E_NO_MEMORY; SONDE_E_BUSY while another task runs this batch.
 */
int sonde_batch_add(struct sonde_batch *batch, struct sonde_space *space, uint64_t addr, void *buf,
		    size_t len, int32_t *ret_err);

/*
 * Run all that was added since the last run, then forget it.
 *
 * Returns   how many reads came in full; SONDE_E_NO_MEMORY; SONDE_E_BUSY as sonde_space_read,
 *           and while another task runs this batch.
 * Context   as sonde_space_read: blocks plain code, parks a task.
 */
int sonde_batch_run(struct sonde_batch *batch);

#ifdef __cplusplus
}
#endif
#endif

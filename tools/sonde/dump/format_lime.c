/* SPDX-License-Identifier: MIT */
/*
 * lime: for each run of memory a head and its bytes; the layout stands in connectors/lime/ranges.h. A head is written when
 * its run is at its end.
 */
#include "../../../connectors/lime/ranges.h"
#include "format.h"

#include <stdlib.h>
#include <string.h>

struct lime {
	uint64_t head_at; /* in the file: of the run that is being written */
	uint64_t addr, len;
};

static int lime_begin(struct dump_writer *writer, struct sonde_error *err)
{
	writer->state = calloc(1, sizeof(struct lime));
	return writer->state ? 0 : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
}

/* Its bytes may end in zeros, which nobody has written. */
static int end_run(struct dump_writer *writer, struct sonde_error *err)
{
	struct lime *lime = writer->state;
	uint64_t end = lime->head_at + LIME_HEAD_SIZE + lime->len;
	uint8_t head[LIME_HEAD_SIZE] = LIME_MAGIC;

	if (!lime->len)
		return 0;
	sonde_store(head + 4, 4, SONDE_LITTLE, 1);
	sonde_store(head + 8, 8, SONDE_LITTLE, lime->addr);
	sonde_store(head + 16, 8, SONDE_LITTLE, lime->addr + lime->len - 1);
	int r = dump_file_write(writer->file, lime->head_at, head, sizeof(head), err);
	*lime = (struct lime){ .head_at = end };
	return r < 0 ? r : dump_file_extend(writer->file, end, err);
}

static int add_run(struct dump_writer *writer, const struct batch *batch, struct batch_run run,
		   struct sonde_error *err)
{
	struct lime *lime = writer->state;
	uint32_t off = batch_offset(batch, run.first);
	uint32_t len = batch_offset(batch, run.first + run.n) - off;
	int r = 0;

	if (lime->addr + lime->len != batch->addr + off)
		r = end_run(writer, err);
	if (!lime->len)
		lime->addr = batch->addr + off;
	if (r == 0)
		r = write_sparsely(writer->file, lime->head_at + LIME_HEAD_SIZE + lime->len, batch,
				   run, err);
	lime->len += len;
	return r;
}

static int lime_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	int r = 0;

	for (struct batch_run run = { 0 };
	     r == 0 && batch_next_run(batch, STATES_THERE, run.first + run.n, &run);)
		r = add_run(writer, batch, run, err);
	return r;
}

static void lime_finish(struct dump_writer *writer)
{
	free(writer->state);
}

const struct dump_format format_lime = {
	.name = "lime",
	.begin = lime_begin,
	.batch = lime_batch,
	.end = end_run,
	.finish = lime_finish,
};

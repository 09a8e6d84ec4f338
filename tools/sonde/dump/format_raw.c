/* SPDX-License-Identifier: MIT */
/* raw: the byte at physical address a is byte a of the file. What is no memory, or missing, is a hole of it. */
#include "format.h"

#define RAW_MAX                                                                                    \
	(UINT64_C(1) << 48) /* bytes, holes included: 256 TiB, which nobody reads to its end */

static int raw_begin(struct dump_writer *writer, struct sonde_error *err)
{
	if (writer->plan->last >= RAW_MAX)
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"raw: memory goes up to 0x%llx, and a raw image would be as long: "
			"write elf or lime",
			(unsigned long long)writer->plan->last);
	return 0;
}

/* The file's size says how far it is, whatever the batch ends with. */
static int raw_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	struct batch_run all = { 0, batch->n_pages };
	int r = write_sparsely(writer->file, batch->addr, batch, all, err);

	return r < 0 ? r : dump_file_extend(writer->file, batch->addr + batch->len, err);
}

static int raw_end(struct dump_writer *writer, struct sonde_error *err)
{
	return dump_file_extend(writer->file, writer->plan->last + 1, err);
}

const struct dump_format format_raw = {
	.name = "raw",
	.can_resume = true,
	.begin = raw_begin,
	.batch = raw_batch,
	.end = raw_end,
};

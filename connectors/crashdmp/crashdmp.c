/* SPDX-License-Identifier: MIT */
/*
 * crashdmp: crash dumps of Windows: of its kernel (crash_file.h) and of a process (mini_file.h). Those files read the
 * headers; the bytes are moved by the engines, from where the extents told here lie.
 */
#include "../common/image_file.h"
#include "../common/note.h"
#include "../common/win_context.h"
#include "crash_file.h"
#include "facts.h"
#include "mini_file.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>

#define NOTE_HEADER "DUMP_HEADER"

struct crashdmp {
	struct image_file file;
	int writable;
	int is_mini; /* mini counts, else crash */
	struct crash_file crash;
	struct mini_file mini;
	struct note_lines facts, process; /* process: of virtual memory */
	char detail[200];
};

static const struct dump *dump_of(const struct crashdmp *dump)
{
	return dump->is_mini ? &dump->mini.dump : &dump->crash.dump;
}

static uint32_t n_cpus(const struct crashdmp *dump)
{
	const struct crash_file *crash = &dump->crash;
	struct full_cpu cpu = { 0 };

	if (dump->is_mini)
		return dump->mini.n_threads;
	return (uint32_t)win_context_cpu(crash->dump.arch, crash->header + crash->layout->context,
					 crash->layout->context_size, &cpu);
}

static void describe(struct crashdmp *dump)
{
	const struct dump *of = dump_of(dump);
	char kind[96], spoilt[64] = "";

	if (dump->is_mini)
		snprintf(kind, sizeof(kind), "minidump, %u thread%s, %u modules",
			 dump->mini.n_threads, dump->mini.n_threads == 1 ? "" : "s",
			 dump->mini.modules.count);
	else
		snprintf(kind, sizeof(kind), "Windows crash dump, %u bits, %s",
			 dump->crash.layout->word * 8, crash_type_text(dump->crash.type));
	if (of->n_spoilt)
		snprintf(spoilt, sizeof(spoilt), ", %llu stretches refused: they lie",
			 (unsigned long long)of->n_spoilt);
	snprintf(dump->detail, sizeof(dump->detail), "%s, %zu run%s%s%s", kind, of->n_runs,
		 of->n_runs == 1 ? "" : "s", of->cut ? ", cut off" : "", spoilt);
}

/* Returns 0; an error whose story is in dump_of(dump)->why, or SONDE_E_NO_MEMORY. */
static int read_dump(struct crashdmp *dump)
{
	struct image_file *file = &dump->file;
	uint8_t head[8] = { 0 };
	int r;

	image_file_some(file, 0, head, sizeof(head));
	dump->is_mini = mini_probe(head, sizeof(head));
	if (dump->is_mini) {
		if ((r = mini_file_read(&dump->mini, image_file_some, file, file->size)) == 0 &&
		    (r = mini_process(&dump->mini, &dump->process)) == 0)
			r = mini_facts(&dump->mini, &dump->facts);
		return r;
	}
	r = crash_file_read(&dump->crash, image_file_some, file, file->size);
	if (r == 0 && dump->crash.dump.is_virtual)
		r = crash_process(&dump->crash, &dump->process);
	return r < 0 ? r : crash_facts(&dump->crash, &dump->facts);
}

static int open_file(struct crashdmp *dump, const struct sonde_host *host,
		     const struct sonde_args *args, struct sonde_error *err)
{
	int r = image_file_open(&dump->file, host, args, "crashdmp", err);

	if (r < 0 || (r = read_dump(dump)) == 0)
		return r;
	return image_file_refuse(&dump->file, "crashdmp", r,
				 r == SONDE_E_NO_MEMORY ? "out of memory" : dump_of(dump)->why,
				 err);
}

static void crashdmp_close(void *conn)
{
	struct crashdmp *dump = conn;

	note_lines_finish(&dump->facts);
	note_lines_finish(&dump->process);
	crash_file_finish(&dump->crash);
	mini_file_finish(&dump->mini);
	image_file_close(&dump->file);
	free(dump);
}

static int crashdmp_open(const struct sonde_host *host, const struct sonde_args *args,
			 void **ret_conn, struct sonde_error *err)
{
	struct crashdmp *dump = calloc(1, sizeof(*dump));

	if (!dump)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	dump->writable = host->arg_write(args);
	int r = open_file(dump, host, args, err);
	if (r < 0) {
		crashdmp_close(dump);
		return r;
	}
	describe(dump);
	*ret_conn = dump;
	return 0;
}

static void crashdmp_info(void *conn, struct sonde_target_info *ret)
{
	const struct crashdmp *dump = conn;

	ret->detail = dump->detail;
	ret->arch = dump_of(dump)->arch;
	ret->flags = (dump_of(dump)->is_virtual ? SONDE_TARGET_PROCESS : SONDE_TARGET_PHYSICAL) |
		     (dump->writable ? SONDE_TARGET_WRITABLE : 0);
	ret->n_cpus = n_cpus(dump);
}

static uint32_t region_flags(const struct crashdmp *dump)
{
	return SONDE_REGION_READ | (dump_of(dump)->is_virtual ? 0 : SONDE_REGION_RAM) |
	       (dump->writable ? SONDE_REGION_WRITE : 0);
}

/* What is there before what is not: where runs overlap, bytes beat their lack. */
static int crashdmp_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct crashdmp *dump = conn;
	const struct dump *of = dump_of(dump);
	int r = 0;

	(void)err;
	for (int missing = 0; missing <= of->cut; missing++) {
		for (size_t i = 0; r == 0 && i < of->n_runs; i++) {
			const struct dump_run *run = &of->runs[i];
			r = image_file_tell(
				&dump->file,
				&(struct image_stretch){ run->addr, run->len, run->off, run->have },
				region_flags(dump), missing, fn, user);
		}
	}
	return r;
}

/* Of a kernel: of the processor that crashed; the others' registers lie in its memory. Of a process: of its threads. */
static int full_cpu(struct crashdmp *dump, uint32_t index, struct full_cpu *ret)
{
	const struct crash_file *crash = &dump->crash;

	if (dump->is_mini)
		return mini_cpu(&dump->mini, index, ret);
	if (index == 0 && win_context_cpu(crash->dump.arch, crash->header + crash->layout->context,
					  crash->layout->context_size, ret))
		return 0;
	return n_cpus(dump) ? SONDE_E_NOT_FOUND : SONDE_E_UNSUPPORTED;
}

static int crashdmp_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct full_cpu cpu = { 0 };
	int r = full_cpu(conn, index, &cpu);

	if (r == 0)
		*ret = cpu.cpu;
	return r;
}

static int64_t crashdmp_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct crashdmp *dump = conn;
	struct full_cpu cpu = { 0 };
	uint32_t index;

	if (full_cpu_asked(name, &index))
		return full_cpu(dump, index, &cpu) == 0 ? full_cpu_note(&cpu, buf, cap)
							: SONDE_E_NOT_FOUND;
	if (strcmp(name, SONDE_NOTE_FACTS) == 0)
		return note_bytes(dump->facts.text, dump->facts.len, buf, cap);
	if (strcmp(name, NOTE_HEADER) == 0 && !dump->is_mini)
		return note_bytes(dump->crash.header, dump->crash.layout->size, buf, cap);
	if (strcmp(name, SONDE_NOTE_PROCESS) == 0 && dump->process.text)
		return note_bytes(dump->process.text, dump->process.len, buf, cap);
	return SONDE_E_NOT_FOUND;
}

static int crashdmp_is(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return crash_probe(head, head_len) || mini_probe(head, head_len) ? 90 : 0;
}

static const struct sonde_connector_ops crashdmp_ops = {
	.size = sizeof(crashdmp_ops),
	.open = crashdmp_open,
	.close = crashdmp_close,
	.info = crashdmp_info,
	.extents = crashdmp_extents,
	.cpu = crashdmp_cpu,
	.note = crashdmp_note,
	.probe = crashdmp_is,
};

SONDE_PLUGIN(.name = "crashdmp",
	     .summary = "crash dump of Windows: of its kernel, or a minidump of a process",
	     .main_arg = "path",
	     .args_help = "path=FILE  the dump to read, or its URL (required)\n",
	     .connector = &crashdmp_ops);

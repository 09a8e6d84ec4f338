/* SPDX-License-Identifier: MIT */
/*
 * windows: a kernel crash dump of 64 bits, all memory as a bitmap; layouts: connectors/crashdmp/crash_format.h.
 *
 *	0          DUMP_HEADER64; of a dump that is converted its own
 *	0x2000     BMP_HEADER64, and a bit for each page of 4 KiB
 *	behind     the pages that have one, by rising number
 *
 * The header of another system's memory tells what any has: runs, registers, the root of its page tables. What only a
 * Windows has stays unset, and there is no KdDebuggerDataBlock.
 */
#include "../../../connectors/common/win_context.h"
#include "../../../connectors/crashdmp/crash_format.h"
#include "bitmap.h"
#include "format.h"
#include "notes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	HEAD_MAJOR = 8,            /* MajorVersion: 15 is a free build           */
	HEAD_VERSION_USER = 0x60,  /* text, 32 bytes                             */
	HEAD_N_PAGES = 0x90,       /* of PhysicalMemoryBlock                     */
	HEAD_SPACE = 0xfa0,        /* RequiredDumpSpace: bytes of the file       */
	HEAD_EXCEPTION_SIZE = 152, /* EXCEPTION_RECORD64                         */
	BITMAP_PRESENT = 0x28,     /* TotalPresentPages                          */
	CODE_LIVE_DUMP = 0x161,    /* bugcheck LIVE_SYSTEM_DUMP: nothing crashed */
};
#define PAGES_MAX (UINT64_C(1) << 32)
#define CR3_TABLE UINT64_C(0x000ffffffffff000) /* Intel SDM 3A 2.5: without PCID and flags */
#define UNIX_EPOCH UINT64_C(11644473600)       /* seconds since 1601 */

struct windows {
	uint64_t n_pages; /* bits of the bitmap                       */
	uint8_t *present; /* [bitmap_len]                             */
	size_t bitmap_len;
	uint64_t first;     /* where in the file pages begin            */
	uint64_t n_present; /* pages in the file                        */
};

/* ---- pages ------------------------------------------------------------------------------------------ */

static int check(const struct dump_writer *writer, struct sonde_error *err)
{
	if (writer->source->arch == SONDE_ARCH_I386)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "windows: of a machine of 32 bits no such dump is written: "
				       "write elf");
	if (writer->plan->last / CRASH_PAGE >= PAGES_MAX)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "windows: memory goes up to 0x%llx, and a bitmap of all "
				       "pages up to there would be too long: write elf or lime",
				       (unsigned long long)writer->plan->last);
	return 0;
}

static int windows_begin(struct dump_writer *writer, struct sonde_error *err)
{
	int r = check(writer, err);

	if (r < 0)
		return r;
	struct windows *windows = writer->state = calloc(1, sizeof(*windows));
	if (!windows)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	windows->n_pages = writer->plan->last / CRASH_PAGE + 1;
	windows->bitmap_len = (size_t)((windows->n_pages + 7) / 8);
	windows->present = calloc(1, windows->bitmap_len);
	windows->first =
		(crash_layout_64.size + BITMAP_BITMAP + windows->bitmap_len + CRASH_PAGE - 1) &
		~(CRASH_PAGE - 1);
	return windows->present ? 0 : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
}

static int add_run(struct dump_writer *writer, const struct batch *batch, struct batch_run run,
		   struct sonde_error *err)
{
	struct windows *windows = writer->state;
	const uint32_t off = batch_offset(batch, run.first);
	const uint64_t n = (batch_offset(batch, run.first + run.n) - off) / CRASH_PAGE;
	int r = write_sparsely(writer->file, windows->first + windows->n_present * CRASH_PAGE,
			       batch, run, err);

	bitmap_set(windows->present, (batch->addr + off) / CRASH_PAGE, n);
	windows->n_present += n;
	return r;
}

static int windows_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	int r = 0;

	for (struct batch_run run = { 0 };
	     r == 0 && batch_next_run(batch, STATES_THERE, run.first + run.n, &run);)
		r = add_run(writer, batch, run, err);
	return r;
}

/* ---- headers ---------------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint64_t value)
{
	sonde_store(at, 4, SONDE_LITTLE, value);
}

static void put64(uint8_t *at, uint64_t value)
{
	sonde_store(at, 8, SONDE_LITTLE, value);
}

/* Where there are more than it has room for, only the bitmap tells. */
static void put_runs(uint8_t *head, const struct dump_plan *plan)
{
	const struct crash_layout *l = &crash_layout_64;

	if (plan->n > (l->runs_end - l->runs) / 16)
		return;
	put64(head + l->n_runs, plan->n);
	put64(head + HEAD_N_PAGES, plan->total / CRASH_PAGE);
	for (size_t i = 0; i < plan->n; i++) {
		put64(head + l->runs + 16 * i, plan->at[i].addr / CRASH_PAGE);
		put64(head + l->runs + 16 * i + 8, plan->at[i].len / CRASH_PAGE);
	}
}

/* Of the first processor: it has room for one. */
static void put_cpu(uint8_t *head, const struct full_cpu *full)
{
	const struct crash_layout *l = &crash_layout_64;
	const struct sonde_cpu *cpu = &full->cpu;

	if (cpu->arch == SONDE_ARCH_X86_64 && cpu->valid & SONDE_CPU_CONTROL)
		put64(head + l->directory, cpu->cr[3] & CR3_TABLE);
	if (cpu->valid & SONDE_CPU_GENERAL)
		win_context_put(full, head + l->context, l->context_size);
}

static void put_names(uint8_t *head, const struct dump_source *source)
{
	char *comment = (char *)head + crash_layout_64.comment;

	memset(head + HEAD_VERSION_USER, 0, 32);
	memset(comment, 0, CRASH_COMMENT_SIZE);
	if (source->vmcoreinfo_len)
		dump_info_value(source, "OSRELEASE=", stpcpy(comment, "Linux "),
				CRASH_COMMENT_SIZE - 6);
}

/* What is unset reads "PAGE", over and over. */
static void make_head(uint8_t *head, const struct dump_writer *writer)
{
	const struct crash_layout *l = &crash_layout_64;
	const struct dump_source *source = writer->source;

	for (uint32_t at = 0; at < l->size; at += 4)
		put32(head + at, CRASH_UNSET);
	memcpy(head, CRASH_MAGIC_64, 8);
	put32(head + HEAD_MAJOR, 15);
	put32(head + CRASH_BUILD, 0);
	put64(head + l->directory, 0);
	put32(head + l->machine, win_arch_machine(source->arch));
	put32(head + l->n_cpus, source->n_cpus ? source->n_cpus : 1);
	put32(head + l->code, CODE_LIVE_DUMP);
	memset(head + l->params, 0, 4 * 8);
	put64(head + l->kdbg, 0);
	memset(head + l->context, 0, l->context_size);
	memset(head + l->exception, 0, HEAD_EXCEPTION_SIZE);
	put_names(head, source);
	put_runs(head, writer->plan);
	if (source->n_cpus)
		put_cpu(head, source->cpus);
	if (source->is_live) /* else it is not known of when the memory is */
		put64(head + l->time, ((uint64_t)time(NULL) + UNIX_EPOCH) * 10000000);
}

static int write_head(struct dump_writer *writer, struct sonde_error *err)
{
	const struct crash_layout *l = &crash_layout_64;
	uint8_t *head = malloc(l->size);

	if (!head)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (writer->source->crash_header)
		memcpy(head, writer->source->crash_header, l->size);
	else
		make_head(head, writer);
	put32(head + l->type, CRASH_BITMAP_FULL);
	put64(head + HEAD_SPACE, writer->file->size);
	int r = dump_file_write(writer->file, 0, head, l->size, err);
	free(head);
	return r;
}

static int write_bitmap(struct dump_writer *writer, struct sonde_error *err)
{
	const struct windows *windows = writer->state;
	const uint64_t at = crash_layout_64.size;
	uint8_t head[BITMAP_BITMAP] = "FDMPDUMP";

	put64(head + BITMAP_FIRST, windows->first);
	put64(head + BITMAP_PRESENT, windows->n_present);
	put64(head + BITMAP_BITS, windows->n_pages);
	int r = dump_file_write(writer->file, at, head, sizeof(head), err);
	return r == 0 ? bitmap_write(writer->file, at + sizeof(head), windows->present,
				     windows->bitmap_len, err)
		      : r;
}

static int windows_end(struct dump_writer *writer, struct sonde_error *err)
{
	const struct windows *windows = writer->state;
	int r = dump_file_extend(writer->file, windows->first + windows->n_present * CRASH_PAGE,
				 err);

	if (r == 0)
		r = write_bitmap(writer, err);
	return r == 0 ? write_head(writer, err) : r;
}

static void windows_finish(struct dump_writer *writer)
{
	struct windows *windows = writer->state;

	if (windows)
		free(windows->present);
	free(windows);
}

const struct dump_format format_windows = {
	.name = "windows",
	.has_pages = true,
	.has_notes = true,
	.begin = windows_begin,
	.batch = windows_batch,
	.end = windows_end,
	.finish = windows_finish,
};

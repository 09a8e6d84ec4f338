/* SPDX-License-Identifier: MIT */
#include "facts.h"

#include "../common/win_context.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

enum { EXCEPTION_CODE = 0, EXCEPTION_ADDRESS_32 = 12, EXCEPTION_ADDRESS_64 = 16 };

static void put_word(const struct crash_file *crash, struct note_lines *lines, const char *name,
		     uint32_t off)
{
	if (crash_is_set(crash, off))
		fprintf(lines->out, "%s=0x%" PRIx64 "\n", name, crash_word(crash, off));
}

static void put_bugcheck(const struct crash_file *crash, struct note_lines *lines)
{
	const struct crash_layout *l = crash->layout;

	if (crash_u32(crash, l->code) == CRASH_UNSET)
		return;
	fprintf(lines->out,
		"bugcheck_code=0x%" PRIx32 "\nbugcheck_parameters=", crash_u32(crash, l->code));
	for (uint32_t i = 0; i < 4; i++)
		fprintf(lines->out, "%s0x%" PRIx64, i ? "," : "",
			crash_word(crash, l->params + i * l->word));
	putc('\n', lines->out);
}

static void put_exception(const struct crash_file *crash, struct note_lines *lines)
{
	const struct crash_layout *l = crash->layout;
	uint32_t code = crash_u32(crash, l->exception + EXCEPTION_CODE);

	if (code == CRASH_UNSET || code == 0)
		return;
	fprintf(lines->out, "exception_code=0x%" PRIx32 "\n", code);
	put_word(crash, lines, "exception_address",
		 l->exception + (l->word == 8 ? EXCEPTION_ADDRESS_64 : EXCEPTION_ADDRESS_32));
}

/* 64 bits in both widths. */
static uint64_t time_at(const struct crash_file *crash, uint32_t off)
{
	return crash_u32(crash, off) == CRASH_UNSET ? 0 : sonde_le64(crash->header + off);
}

static void put_times(const struct crash_file *crash, struct note_lines *lines)
{
	uint64_t up = time_at(crash, crash->layout->up_time);
	char text[32];

	win_time_text(time_at(crash, crash->layout->time), text);
	if (text[0])
		fprintf(lines->out, "system_time=%s\n", text);
	if (up)
		fprintf(lines->out, "uptime_seconds=%" PRIu64 ".%03" PRIu64 "\n", up / 10000000,
			up % 10000000 / 10000);
}

static void put_comment(const struct crash_file *crash, struct note_lines *lines)
{
	const char *text = (const char *)crash->header + crash->layout->comment;

	if (crash_u32(crash, crash->layout->comment) != CRASH_UNSET && text[0])
		note_lines_text(lines, "comment=", text, strnlen(text, CRASH_COMMENT_SIZE));
}

int crash_facts(const struct crash_file *crash, struct note_lines *ret)
{
	const struct crash_layout *l = crash->layout;
	int r = note_lines_open(ret);

	if (r < 0)
		return r;
	fprintf(ret->out, "dump_type=%s\n", crash_type_text(crash->type));
	fprintf(ret->out, "windows_build=%" PRIu32 "\nprocessors=%" PRIu32 "\n",
		crash_u32(crash, CRASH_BUILD), crash_u32(crash, l->n_cpus));
	put_word(crash, ret, "directory_table_base", l->directory);
	put_word(crash, ret, "pfn_database", l->pfn_base);
	put_word(crash, ret, "loaded_module_list", l->modules);
	put_word(crash, ret, "active_process_head", l->processes);
	put_word(crash, ret, "debugger_data_block", l->kdbg);
	put_bugcheck(crash, ret);
	put_exception(crash, ret);
	put_times(crash, ret);
	put_comment(crash, ret);
	if (crash->n_drivers)
		fprintf(ret->out, "drivers=%" PRIu32 "\n", crash->n_drivers);
	return note_lines_close(ret);
}

/* ---- a triage dump as a process ---------------------------------------------------------------- */

static void put_thread(const struct crash_file *crash, struct note_lines *lines)
{
	struct win_register registers[WIN_REGISTERS_MAX];
	size_t n = win_context_name(crash->dump.arch, crash->header + crash->layout->context,
				    crash->layout->context_size, registers);

	if (!n)
		return;
	fputs("thread 0", lines->out);
	for (size_t i = 0; i < n; i++)
		fprintf(lines->out, " %s=%" PRIx64, registers[i].name, registers[i].value);
	putc('\n', lines->out);
}

static void put_driver(struct note_lines *lines, const struct crash_driver *driver)
{
	char word[64];

	snprintf(word, sizeof(word), "module %" PRIx64 " %" PRIx64 " ", driver->base, driver->size);
	note_lines_text(lines, word, driver->name, strlen(driver->name));
}

int crash_process(struct crash_file *crash, struct note_lines *ret)
{
	struct crash_driver *driver = malloc(sizeof(*driver));
	int r = note_lines_open(ret);

	if (r < 0 || !driver) {
		free(driver);
		return SONDE_E_NO_MEMORY;
	}
	fprintf(ret->out, "os windows %" PRIu32 "\n", crash_u32(crash, CRASH_BUILD));
	put_thread(crash, ret);
	for (uint32_t i = 0; i < crash->n_drivers; i++) {
		if (crash_driver(crash, i, driver) == 0)
			put_driver(ret, driver);
	}
	free(driver);
	return note_lines_close(ret);
}

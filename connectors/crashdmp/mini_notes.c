/* SPDX-License-Identifier: MIT */
/* What a minidump says of its process, as notes. */
#include "../common/win_context.h"
#include "mini_file.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a MINIDUMP_MODULE and a MINIDUMP_MEMORY_INFO, and what is in the latter: winnt.h, MEM_* and PAGE_*. */
enum {
	MODULE_BASE = 0,
	MODULE_IMAGE_SIZE = 8,
	MODULE_NAME = 20,
	MODULE_BYTES = 24,
	INFO_START = 0,
	INFO_SIZE = 24,
	INFO_STATE = 32,
	INFO_PROTECT = 36,
	INFO_TYPE = 40,
	INFO_BYTES = 48,
	STATE_COMMITTED = 0x1000,
	TYPE_MAPPED = 0x40000,
};

struct module {
	uint64_t base, size;
	uint8_t utf16[2 * MINI_NAME_MAX];
	char name[UTF16_ROOM(MINI_NAME_MAX)]; /* "": it cannot be read */
};

/* A MINIDUMP_STRING: a count of bytes, and so many of UTF-16. */
static void read_name(struct mini_file *mini, uint64_t at, struct module *ret)
{
	uint8_t head[4];

	ret->name[0] = '\0';
	if (dump_get(&mini->dump, "MINIDUMP_STRING", at, head, sizeof(head)) < 0)
		return;
	uint32_t len = sonde_le32(head);
	if (len / 2 <= MINI_NAME_MAX &&
	    dump_get(&mini->dump, "MINIDUMP_STRING", at + 4, ret->utf16, len & ~1u) == 0)
		utf16_to_utf8(ret->utf16, len / 2, ret->name);
}

/* Returns 0, SONDE_E_TRUNCATED. */
static int read_module(struct mini_file *mini, uint32_t index, struct module *ret)
{
	uint8_t bytes[MODULE_BYTES];
	int r = dump_get(&mini->dump, "MINIDUMP_MODULE",
			 mini->modules.off + (uint64_t)index * mini->modules.size, bytes,
			 sizeof(bytes));
	if (r < 0)
		return r;
	ret->base = sonde_le64(bytes + MODULE_BASE);
	ret->size = sonde_le32(bytes + MODULE_IMAGE_SIZE);
	read_name(mini, sonde_le32(bytes + MODULE_NAME), ret);
	return 0;
}

/* ---- registers ------------------------------------------------------------------------------------ */

/* Returns how many bytes of it are there. */
static size_t read_context(struct mini_file *mini, const struct mini_thread *thread,
			   uint8_t bytes[MINI_CONTEXT_MAX])
{
	size_t len =
		thread->context_size < MINI_CONTEXT_MAX ? thread->context_size : MINI_CONTEXT_MAX;

	return len && dump_get(&mini->dump, "CONTEXT", thread->context_off, bytes, len) == 0 ? len
											     : 0;
}

int mini_cpu(struct mini_file *mini, uint32_t index, struct full_cpu *ret)
{
	uint8_t *bytes = index < mini->n_threads ? malloc(MINI_CONTEXT_MAX) : NULL;

	if (!bytes)
		return index < mini->n_threads ? SONDE_E_NO_MEMORY : SONDE_E_NOT_FOUND;
	size_t len = read_context(mini, &mini->threads[index], bytes);
	int found = len && win_context_cpu(mini->dump.arch, bytes, len, ret);
	free(bytes);
	return found ? 0 : SONDE_E_NOT_SAVED;
}

static void put_thread(struct mini_file *mini, const struct mini_thread *thread, uint8_t *bytes,
		       struct note_lines *lines)
{
	struct win_register registers[WIN_REGISTERS_MAX];
	size_t len = read_context(mini, thread, bytes);
	size_t n = len ? win_context_name(mini->dump.arch, bytes, len, registers) : 0;

	fprintf(lines->out, "thread %" PRIu32, thread->tid);
	for (size_t i = 0; i < n; i++)
		fprintf(lines->out, " %s=%" PRIx64, registers[i].name, registers[i].value);
	putc('\n', lines->out);
}

/* ---- mappings ------------------------------------------------------------------------------------- */

static const char *rights_of(uint32_t protect)
{
	static const char *const rights[] = { "r--", "rw-", "rw-", "--x", "r-x", "rwx", "rwx" };

	/* PAGE_READONLY 2, PAGE_READWRITE 4, and so on: one bit each; 1 is PAGE_NOACCESS. */
	for (uint32_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (protect >> (i + 1) & 1)
			return rights[i];
	}
	return "---";
}

static void put_info(const uint8_t *info, struct note_lines *lines)
{
	uint64_t start = sonde_le64(info + INFO_START), size = sonde_le64(info + INFO_SIZE);

	if (sonde_le32(info + INFO_STATE) != STATE_COMMITTED || size == 0 ||
	    size > UINT64_MAX - start)
		return;
	fprintf(lines->out, "map %08" PRIx64 "-%08" PRIx64 " %s%c 00000000 00:00 0 \n", start,
		start + size, rights_of(sonde_le32(info + INFO_PROTECT)),
		sonde_le32(info + INFO_TYPE) == TYPE_MAPPED ? 's' : 'p');
}

static void put_infos(struct mini_file *mini, struct note_lines *lines)
{
	uint8_t info[INFO_BYTES];

	for (uint32_t i = 0; i < mini->infos.count; i++) {
		if (dump_get(&mini->dump, "MINIDUMP_MEMORY_INFO",
			     mini->infos.off + (uint64_t)i * mini->infos.size, info,
			     sizeof(info)) == 0)
			put_info(info, lines);
	}
}

/* ---- all ------------------------------------------------------------------------------------------ */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '\\');

	return slash ? slash + 1 : path;
}

/* The first module is the program. */
static void put_modules(struct mini_file *mini, struct module *m, struct note_lines *lines)
{
	char word[64];

	for (uint32_t i = 0; i < mini->modules.count; i++) {
		if (read_module(mini, i, m) < 0)
			continue;
		if (i == 0 && m->name[0]) {
			note_lines_text(lines, "name ", last_part(m->name),
					strlen(last_part(m->name)));
			note_lines_text(lines, "exe ", m->name, strlen(m->name));
		}
		snprintf(word, sizeof(word), "module %" PRIx64 " %" PRIx64 " ", m->base, m->size);
		note_lines_text(lines, word, m->name, strlen(m->name));
	}
}

int mini_process(struct mini_file *mini, struct note_lines *ret)
{
	struct module *m = malloc(sizeof(*m));
	uint8_t *context = malloc(MINI_CONTEXT_MAX);
	int r = note_lines_open(ret);

	if (r < 0 || !m || !context) {
		free(m);
		free(context);
		return SONDE_E_NO_MEMORY;
	}
	fprintf(ret->out, "os windows %" PRIu32 ".%" PRIu32 ".%" PRIu32 "\n", mini->major,
		mini->minor, mini->build);
	if (mini->pid && mini->pid <= INT32_MAX)
		fprintf(ret->out, "process pid=%" PRIu32 "\n", mini->pid);
	put_modules(mini, m, ret);
	for (uint32_t i = 0; i < mini->n_threads; i++)
		put_thread(mini, &mini->threads[i], context, ret);
	put_infos(mini, ret);
	free(m);
	free(context);
	return note_lines_close(ret);
}

static void put_time(struct note_lines *lines, const char *name, uint32_t unix_time)
{
	time_t seconds = unix_time;
	struct tm tm;
	char text[32];

	if (unix_time && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		fprintf(lines->out, "%s=%s\n", name, text);
}

int mini_facts(const struct mini_file *mini, struct note_lines *ret)
{
	int r = note_lines_open(ret);

	if (r < 0)
		return r;
	fprintf(ret->out, "dump_type=minidump\ndump_flags=0x%" PRIx64 "\n", mini->flags);
	put_time(ret, "dump_time", mini->time);
	fprintf(ret->out, "windows_version=%" PRIu32 ".%" PRIu32 ".%" PRIu32 "\n", mini->major,
		mini->minor, mini->build);
	fprintf(ret->out, "processors=%" PRIu32 "\n", mini->n_cpus);
	if (mini->pid)
		fprintf(ret->out, "process_id=%" PRIu32 "\n", mini->pid);
	put_time(ret, "process_created", mini->created);
	if (mini->exception_code)
		fprintf(ret->out,
			"exception_code=0x%" PRIx32 "\nexception_address=0x%" PRIx64
			"\nexception_thread=%" PRIu32 "\n",
			mini->exception_code, mini->exception_address, mini->exception_tid);
	fprintf(ret->out, "modules=%" PRIu32 "\n", mini->modules.count);
	return note_lines_close(ret);
}

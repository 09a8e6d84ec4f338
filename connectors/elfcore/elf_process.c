/* SPDX-License-Identifier: MIT */
#include "elf_process.h"

#include "../common/regset.h"
#include "elf_format.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/space.h>
#include <stdlib.h>
#include <string.h>

static uint64_t word(const struct elf_core *core, const uint8_t *at)
{
	return core->word == 8 ? elf_u64(core, at) : elf_u32(core, at);
}

/* ---- NT_AUXV -------------------------------------------------------------------------------------- */

int elf_aux_find(const struct elf_core *core, uint64_t type, uint64_t *ret)
{
	const struct elf_note *note = elf_note_find(core, "CORE", ELF_NOTE_AUXV, 0);
	uint32_t size = 2 * core->word;

	for (uint32_t at = 0; note && at + size <= note->len; at += size) {
		if (word(core, note->desc + at) != type)
			continue;
		*ret = word(core, note->desc + at + core->word);
		return 1;
	}
	return 0;
}

/* ---- NT_FILE -------------------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
	const struct elf_file *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void elf_files_sort(struct elf_files *files)
{
	qsort(files->at, files->n, sizeof(*files->at), by_start);
}

/* Offsets are in pages of a size that the note tells. */
static void take_file(const struct elf_core *core, const uint8_t *entry, uint64_t page,
		      const char *path, struct elf_files *files)
{
	struct elf_file file = { .start = word(core, entry),
				 .end = word(core, entry + core->word),
				 .path = path };

	if (file.end > file.start) {
		if (__builtin_mul_overflow(word(core, entry + 2 * core->word), page, &file.off))
			file.off = UINT64_MAX;
		files->at[files->n++] = file;
	}
}

int elf_files_read(const struct elf_core *core, struct elf_files *ret)
{
	const struct elf_note *note = elf_note_find(core, "CORE", ELF_NOTE_FILE, 0);
	uint32_t head = 2 * core->word, size = 3 * core->word;

	*ret = (struct elf_files){ 0 };
	if (!note || note->len < head)
		return 0;
	uint64_t n = word(core, note->desc), page = word(core, note->desc + core->word);
	if (n > (note->len - head) / size)
		n = (note->len - head) / size;
	ret->at = calloc((size_t)n + 1, sizeof(*ret->at));
	if (!ret->at)
		return SONDE_E_NO_MEMORY;
	const char *path = (const char *)note->desc + head + n * size;
	size_t left = note->len - head - (size_t)n * size;
	for (uint64_t i = 0; i < n; i++) {
		size_t len = strnlen(path, left);
		if (len == left)
			break;
		take_file(core, note->desc + head + i * size, page, path, ret);
		path += len + 1;
		left -= len + 1;
	}
	elf_files_sort(ret);
	return 0;
}

const struct elf_file *elf_file_at(const struct elf_files *files, uint64_t addr)
{
	size_t low = 0, high = files->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (files->at[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && addr < files->at[low - 1].end ? &files->at[low - 1] : NULL;
}

/* ---- mappings ------------------------------------------------------------------------------------- */

struct map {
	uint64_t start, end, off;
	uint32_t flags; /* ELF_FLAG_* */
	const char *path;
};

struct maps {
	const struct elf_core *core;
	struct elf_files files;
	struct map *at; /* [n] */
	size_t n;
	uint64_t vdso, stack; /* an address in each; 0: not known */
};

static int map_by_start(const void *a, const void *b)
{
	const struct map *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void add_segment(struct maps *maps, const struct elf_segment *s)
{
	uint64_t size = s->memsz > s->filesz ? s->memsz : s->filesz;
	struct map map = { s->vaddr, s->vaddr + size, 0, s->flags, "" };
	const struct elf_file *file = elf_file_at(&maps->files, s->vaddr);

	if (map.end <= map.start) /* it ends at 2^64, which is no number */
		map.end = UINT64_MAX;
	if (file) {
		map.path = file->path;
		map.off = file->off == UINT64_MAX ? 0 : file->off + (s->vaddr - file->start);
	} else if (maps->vdso >= map.start && maps->vdso < map.end) {
		map.path = "[vdso]";
	} else if (maps->stack >= map.start && maps->stack < map.end) {
		map.path = "[stack]";
	}
	maps->at[maps->n++] = map;
}

/* gcore leaves out what is as it is in its file: no segment is there, and nothing says what may be done with it. */
static void add_unsaved(struct maps *maps, size_t n_segments)
{
	for (size_t i = 0, k = 0; i < maps->files.n; i++) {
		const struct elf_file *file = &maps->files.at[i];
		while (k < n_segments && maps->at[k].end <= file->start)
			k++;
		if (k < n_segments && maps->at[k].start < file->end)
			continue;
		maps->at[maps->n++] =
			(struct map){ file->start, file->end,
				      file->off == UINT64_MAX ? 0 : file->off, 0, file->path };
	}
}

static int collect(struct maps *maps)
{
	const struct elf_core *core = maps->core;

	maps->at = calloc(core->n_segments + maps->files.n + 1, sizeof(*maps->at));
	if (!maps->at)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < core->n_segments; i++)
		add_segment(maps, &core->segments[i]);
	qsort(maps->at, maps->n, sizeof(*maps->at), map_by_start);
	add_unsaved(maps, maps->n);
	qsort(maps->at, maps->n, sizeof(*maps->at), map_by_start);
	return 0;
}

/* As /proc/PID/maps has them; device and inode no core tells. */
static int put_maps(const struct elf_core *core, struct note_lines *lines)
{
	struct sonde_cpu cpu = { 0 };
	struct maps maps = { .core = core };
	char head[96];
	int r = elf_files_read(core, &maps.files);

	elf_aux_find(core, ELF_AUX_VDSO, &maps.vdso);
	if (elf_core_cpu(core, 0, &cpu) == 0)
		maps.stack = cpu.sp;
	if (r == 0)
		r = collect(&maps);
	for (size_t i = 0; r == 0 && i < maps.n; i++) {
		const struct map *m = &maps.at[i];
		snprintf(head, sizeof(head),
			 "map %08" PRIx64 "-%08" PRIx64 " %c%c%cp %08" PRIx64 " 00:00 0 ", m->start,
			 m->end, m->flags & ELF_FLAG_READ ? 'r' : '-',
			 m->flags & ELF_FLAG_WRITE ? 'w' : '-',
			 m->flags & ELF_FLAG_EXEC ? 'x' : '-', m->off);
		note_lines_text(lines, head, m->path, strlen(m->path));
	}
	free(maps.at);
	free(maps.files.at);
	return r;
}

/* ---- the process and its threads ------------------------------------------------------------------ */

/* Where the fields of elf_prpsinfo are; uid and gid of 32 bits have 16 in the architectures known here. */
struct psinfo {
	uint32_t uid, gid, id_size, pid, ppid, name, args, size;
};

static const struct psinfo psinfo_64 = { 16, 20, 4, 24, 28, 40, 56, 136 };
static const struct psinfo psinfo_32 = { 8, 10, 2, 12, 16, 28, 44, 124 };

enum { PSINFO_STATE = 1, PSINFO_NAME_SIZE = 16, PSINFO_ARGS_SIZE = 80 };

static uint32_t id_at(const struct elf_core *core, const struct psinfo *l, const uint8_t *at)
{
	return l->id_size == 2 ? elf_u16(core, at) : elf_u32(core, at);
}

/* The kernel made blanks of the ends of arguments, so blanks within one cut it. */
static void put_args(struct note_lines *lines, const char *from)
{
	char args[PSINFO_ARGS_SIZE + 1];
	size_t len = strnlen(from, PSINFO_ARGS_SIZE);

	memcpy(args, from, len);
	while (len && args[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < len; i++)
		args[i] = args[i] == ' ' ? '\0' : args[i];
	args[len] = '\0';
	if (len)
		note_lines_text(lines, "args ", args, len + 1);
}

static void put_process(const struct elf_core *core, struct note_lines *lines)
{
	const struct psinfo *l = core->word == 8 ? &psinfo_64 : &psinfo_32;
	const struct elf_note *note = elf_note_find(core, "CORE", ELF_NOTE_PRPSINFO, 0);

	if (!note || note->len < l->size)
		return;
	const uint8_t *d = note->desc;
	char state = (char)d[PSINFO_STATE];
	fprintf(lines->out, "process pid=%" PRIu32 " ppid=%" PRIu32 " uid=%" PRIu32 " gid=%" PRIu32,
		elf_u32(core, d + l->pid), elf_u32(core, d + l->ppid), id_at(core, l, d + l->uid),
		id_at(core, l, d + l->gid));
	if (state > ' ' && state < 0x7f)
		fprintf(lines->out, " state=%c", state);
	putc('\n', lines->out);
	note_lines_text(lines, "name ", d + l->name,
			strnlen((const char *)d + l->name, PSINFO_NAME_SIZE));
	put_args(lines, (const char *)d + l->args);
}

/* The program is the file that the first instruction was in. */
static void put_exe(const struct elf_core *core, struct note_lines *lines)
{
	struct elf_files files;
	uint64_t entry;

	if (!elf_aux_find(core, ELF_AUX_ENTRY, &entry) || elf_files_read(core, &files) < 0)
		return;
	const struct elf_file *file = elf_file_at(&files, entry);
	if (file)
		note_lines_text(lines, "exe ", file->path, strlen(file->path));
	free(files.at);
}

static void put_thread(const struct elf_core *core, struct note_lines *lines,
		       const struct elf_note *note)
{
	struct sonde_register registers[SONDE_REGISTERS_MAX];
	uint32_t at = core->word == 8 ? PRSTATUS_REGS : PRSTATUS_REGS_32;
	int n = 0;

	if (note->len < at + core->word)
		return;
	/* Behind them is one word more: whether there are floating point registers. */
	if (!core->big)
		n = regset_name(note->desc + at, note->len - at - core->word, registers,
				SONDE_REGISTERS_MAX);
	fprintf(lines->out, "thread %" PRIu32,
		elf_u32(core, note->desc + (core->word == 8 ? PRSTATUS_PID : PRSTATUS_PID_32)));
	for (int i = 0; i < n; i++)
		fprintf(lines->out, " %s=%" PRIx64, registers[i].name, registers[i].value);
	putc('\n', lines->out);
}

static int is_prstatus(const struct elf_note *note)
{
	return note->type == ELF_NOTE_PRSTATUS && note->name_len == 4 &&
	       memcmp(note->name, "CORE", 4) == 0;
}

/* The headers of a guest's core that was cut off in front of its notes look like a process's. What writes processes writes these. */
static int is_told(const struct elf_core *core)
{
	return elf_note_find(core, "CORE", ELF_NOTE_PRPSINFO, 0) ||
	       elf_note_find(core, "CORE", ELF_NOTE_AUXV, 0) ||
	       elf_note_find(core, "CORE", ELF_NOTE_FILE, 0);
}

int elf_process_note(const struct elf_core *core, struct note_lines *ret)
{
	*ret = (struct note_lines){ 0 };
	if (!is_told(core))
		return 0;
	int r = note_lines_open(ret);

	if (r < 0)
		return r;
	fputs("os linux\n", ret->out);
	put_process(core, ret);
	put_exe(core, ret);
	for (size_t i = 0; i < core->n_notes; i++) {
		if (is_prstatus(&core->notes[i]))
			put_thread(core, ret, &core->notes[i]);
	}
	r = put_maps(core, ret);
	int closed = note_lines_close(ret);
	return r < 0 ? r : closed;
}

/* ---- facts ---------------------------------------------------------------------------------------- */

/* SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV: only of these there is an address. */
static int has_address(uint32_t signal)
{
	return signal == 4 || signal == 5 || signal == 7 || signal == 8 || signal == 11;
}

static void put_signal(const struct elf_core *core, struct note_lines *lines)
{
	const struct elf_note *status = elf_note_find(core, "CORE", ELF_NOTE_PRSTATUS, 0);
	const struct elf_note *info = elf_note_find(core, "CORE", ELF_NOTE_SIGINFO, 0);
	uint32_t addr = core->word == 8 ? 16 : 12;

	if (status && status->len >= PRSTATUS_CURSIG + 2)
		fprintf(lines->out, "signal=%" PRIu16 "\n",
			elf_u16(core, status->desc + PRSTATUS_CURSIG));
	if (!info || info->len < addr + core->word)
		return;
	fprintf(lines->out, "signal_code=%" PRId32 "\n", (int32_t)elf_u32(core, info->desc + 8));
	if (has_address(elf_u32(core, info->desc)))
		fprintf(lines->out, "signal_address=0x%" PRIx64 "\n",
			word(core, info->desc + addr));
}

int elf_process_facts(const struct elf_core *core, struct note_lines *lines)
{
	static const struct {
		uint64_t type;
		const char *name;
	} known[] = { { ELF_AUX_ENTRY, "entry" },
		      { ELF_AUX_BASE, "interpreter_base" },
		      { ELF_AUX_VDSO, "vdso" },
		      { ELF_AUX_PAGE_SIZE, "page_size" } };
	struct elf_files files;
	uint64_t value;

	put_signal(core, lines);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (elf_aux_find(core, known[i].type, &value))
			fprintf(lines->out, "%s=0x%" PRIx64 "\n", known[i].name, value);
	}
	int r = elf_files_read(core, &files);
	if (r == 0)
		fprintf(lines->out, "mapped_files=%zu\n", files.n);
	free(files.at);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * ELF cores: any bytes as a file; its headers, notes, processors. What the parser
 * hands out must keep the promises of elf_core.h.
 */
#include "../../connectors/elfcore/elf_core.h"
#include "../../connectors/elfcore/elf_mapped.h"
#include "../../connectors/elfcore/elf_process.h"
#include "../../connectors/elfcore/elf_root.h"
#include "../synth/elf.h"
#include "../synth/mapped_core.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_segments(const struct elf_core *core)
{
	for (size_t i = 0; i < core->n_segments; i++) {
		const struct elf_segment *s = &core->segments[i];
		uint64_t span = s->filesz > s->memsz ? s->filesz : s->memsz;
		if (span == 0 || span - 1 > UINT64_MAX - elf_segment_addr(core, s))
			abort();
	}
}

static uint8_t check_notes(const struct elf_core *core)
{
	const uint8_t *end = core->note_bytes ? core->note_bytes + core->n_note_bytes : NULL;
	uint8_t sum = 0;

	for (size_t i = 0; i < core->n_notes; i++) {
		const struct elf_note *note = &core->notes[i];
		if (note->desc < core->note_bytes || note->desc > end ||
		    note->len > (size_t)(end - note->desc))
			abort();
		for (uint32_t k = 0; k < note->len; k++)
			sum ^= note->desc[k];
		for (uint32_t k = 0; k < note->name_len; k++)
			sum ^= (uint8_t)note->name[k];
	}
	return sum;
}

/* What is said of a process: lines, each whole. */
static void check_process(const struct elf_core *core)
{
	struct note_lines lines;
	struct elf_files files;

	if (elf_files_read(core, &files) < 0)
		return;
	for (size_t i = 0; i < files.n; i++) {
		if (files.at[i].end <= files.at[i].start ||
		    (i && files.at[i].start < files.at[i - 1].start))
			abort();
	}
	free(files.at);
	if (note_lines_open(&lines) < 0 || elf_process_facts(core, &lines) < 0 ||
	    note_lines_close(&lines) < 0 || !lines.len || lines.text[lines.len - 1] != '\n')
		abort();
	note_lines_finish(&lines);
	if (elf_process_note(core, &lines) < 0 || (lines.len && lines.text[lines.len - 1] != '\n'))
		abort();
	note_lines_finish(&lines);
}

static char folder[] = "/tmp/sonde-fuzz-XXXXXX";

static void remove_folder(void)
{
	if (chdir(folder) == 0 && unlink("lib/elf") == 0 && rmdir("lib") == 0)
		rmdir(folder);
}

/* A folder with the file /lib/elf that the core of synth/mapped_core.h names. */
static int root_folder(void)
{
	static int root = -1;
	uint8_t elf[MAPPED_ELF_SIZE];

	if (root >= 0)
		return root;
	synth_mapped_elf(elf, 0x5a);
	if (!mkdtemp(folder) || (root = elf_root_open(folder)) < 0 || mkdirat(root, "lib", 0700))
		abort();
	int fd = openat(root, "lib/elf", O_CREAT | O_WRONLY, 0600);
	if (write(fd, elf, sizeof(elf)) != sizeof(elf))
		abort();
	close(fd);
	atexit(remove_folder);
	return root;
}

static int check_extent(void *user, const struct sonde_extent *extent)
{
	(void)user;
	if (!extent->len || extent->len - 1 > UINT64_MAX - extent->addr)
		abort();
	if (extent->kind == SONDE_EXTENT_FILE &&
	    (extent->off >= MAPPED_ELF_SIZE || extent->len > MAPPED_ELF_SIZE - extent->off))
		abort();
	return 0;
}

/* What is said of a file is said of each, and what is told of them lies in them. */
static void check_mapped(const struct elf_core *core, struct synth_image *file)
{
	struct elf_mapped mapped;
	struct note_lines lines;

	if (elf_mapped_find(&mapped, core, synth_image_read, file, root_folder()) == 0) {
		elf_mapped_extents(&mapped, check_extent, NULL);
		if (note_lines_open(&lines) < 0)
			abort();
		elf_mapped_facts(&mapped, &lines);
		if (note_lines_close(&lines) < 0 ||
		    !lines.len != !(mapped.n_files + mapped.n_beyond))
			abort();
		note_lines_finish(&lines);
	}
	elf_mapped_finish(&mapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct elf_core core;
	const char *why = NULL;

	int r = elf_core_read(&core, synth_image_read, &file, len, &why);
	if (r < 0 && (!why || !why[0]))
		abort();
	if (r == 0) {
		volatile uint8_t sum = check_notes(&core);
		(void)sum;
		if (core.n_segments == 0)
			abort();
		check_segments(&core);
		uint32_t n = elf_core_cpu_count(&core);
		for (uint32_t i = 0; i < n && i < 64; i++) {
			struct sonde_cpu cpu = { 0 };
			if (elf_core_cpu(&core, i, &cpu) == 0 && !cpu.valid)
				abort();
		}
		elf_core_arch(&core);
		if (core.by_vaddr) {
			check_process(&core);
			check_mapped(&core, &file);
		}
	}
	elf_core_finish(&core);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * ELF cores: any bytes as a file; its headers, notes, processors. What the parser
 * hands out must keep the promises of elf_core.h.
 */
#include "../../connectors/elfcore/elf_core.h"
#include "../../connectors/elfcore/elf_process.h"
#include "../synth/elf.h"

#include <stdlib.h>
#include <string.h>

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
	if (elf_process_facts(core, &lines) < 0 || !lines.len || lines.text[lines.len - 1] != '\n')
		abort();
	note_lines_finish(&lines);
	if (elf_process_note(core, &lines) < 0 || (lines.len && lines.text[lines.len - 1] != '\n'))
		abort();
	note_lines_finish(&lines);
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
		if (core.by_vaddr)
			check_process(&core);
	}
	elf_core_finish(&core);
	return 0;
}

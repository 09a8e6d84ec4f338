/* SPDX-License-Identifier: MIT */
/* Minidumps: any bytes as a file; what the parser hands out must keep the promises of mini_file.h. */
#include "../../connectors/crashdmp/mini_file.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(struct mini_file *mini)
{
	struct note_lines lines;
	struct full_cpu cpu = { 0 };

	for (size_t i = 0; i < mini->dump.n_runs; i++) {
		const struct dump_run *run = &mini->dump.runs[i];
		if (!run->len || run->have > run->len || run->addr + (run->len - 1) < run->addr ||
		    (run->have && (run->off > mini->dump.file_size ||
				   run->have > mini->dump.file_size - run->off)))
			abort();
	}
	if (mini_cpu(mini, 0, &cpu) == 0 && !cpu.cpu.valid)
		abort();
	if (mini_process(mini, &lines) < 0 || lines.text[lines.len - 1] != '\n')
		abort();
	note_lines_finish(&lines);
	if (mini_facts(mini, &lines) < 0 || lines.text[lines.len - 1] != '\n')
		abort();
	note_lines_finish(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct mini_file mini;
	int r = mini_file_read(&mini, synth_image_read, &file, len);

	if (r < 0 && !mini.dump.why[0])
		abort();
	if (r == 0)
		check(&mini);
	mini_file_finish(&mini);
	return 0;
}

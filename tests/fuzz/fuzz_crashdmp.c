/* SPDX-License-Identifier: MIT */
/*
 * Crash dumps of Windows: any bytes as a file; headers, runs, bitmaps, ranges, triage. The headers are long and mostly filler: an
 * input that does not begin like a dump is the fields of one, each a place and a value. What the parser hands out must keep the
 * promises of crash_file.h.
 */
#include "../../connectors/crashdmp/facts.h"
#include "../synth/elf.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#define MADE_SIZE 0x3000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* First byte: width and type; then place (2 bytes) and value (4) again and again. */
static void make(uint8_t *file, const uint8_t *bytes, size_t len)
{
	int wide = bytes[0] & 1;

	memset(file, 0, MADE_SIZE);
	memcpy(file, wide ? "PAGEDU64" : "PAGEDUMP", 8);
	synth_put(file + (wide ? 0xf98 : 0xf88), 0, 4, bytes[0] >> 1 & 15);
	for (size_t i = 1; i + 6 <= len; i += 6) {
		size_t at = (bytes[i] | (size_t)bytes[i + 1] << 8) % (MADE_SIZE - 4);
		memcpy(file + at, bytes + i + 2, 4);
	}
}

static void check(struct crash_file *crash)
{
	struct note_lines lines;

	for (size_t i = 0; i < crash->dump.n_runs; i++) {
		const struct dump_run *run = &crash->dump.runs[i];
		if (!run->len || run->have > run->len || run->addr + (run->len - 1) < run->addr ||
		    (run->have && (run->off > crash->dump.file_size ||
				   run->have > crash->dump.file_size - run->off)))
			abort();
		if (run->have < run->len && !crash->dump.cut)
			abort();
	}
	if (crash_facts(crash, &lines) < 0 || !lines.len || lines.text[lines.len - 1] != '\n')
		abort();
	note_lines_finish(&lines);
	if (crash->type == CRASH_TRIAGE && crash_process(crash, &lines) == 0)
		note_lines_finish(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static uint8_t made[MADE_SIZE];
	struct crash_file *crash = malloc(sizeof(*crash));
	struct synth_image file = { bytes, len };

	if (len && !crash_probe(bytes, len)) {
		make(made, bytes, len);
		file = (struct synth_image){ made, MADE_SIZE };
	}
	int r = crash_file_read(crash, synth_image_read, &file, file.size);
	if (r < 0 && !crash->dump.why[0])
		abort();
	if (r == 0)
		check(crash);
	crash_file_finish(crash);
	free(crash);
	return 0;
}

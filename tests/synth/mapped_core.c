/* SPDX-License-Identifier: MIT */
#include "mapped_core.h"

#include "elf.h"

enum { X86_64 = 62, TYPE_DYN = 3, NOTE_BUILD_ID = 3, NOTE_FILE = 0x46494c45, NOTES_AT = 0x300 };

void synth_mapped_elf(uint8_t bytes[MAPPED_ELF_SIZE], uint8_t build_id)
{
	const struct synth_segment segments[] = {
		{ SYNTH_LOAD, 0, 0, 0, MAPPED_ELF_SIZE, MAPPED_ELF_SIZE, 5, 0 },
		{ SYNTH_NOTE, NOTES_AT, NOTES_AT, NOTES_AT, 36, 36, 4, 1 },
	};
	uint8_t id[20];

	memset(id, build_id, sizeof(id));
	synth_elf(bytes, MAPPED_ELF_SIZE,
		  &(struct synth_elf){ .machine = X86_64,
				       .type = TYPE_DYN,
				       .segments = segments,
				       .n_segments = build_id ? 2 : 1 });
	if (build_id)
		synth_note(bytes, NOTES_AT, 0, "GNU", NOTE_BUILD_ID, id, sizeof(id));
}

static void put_files(uint8_t *core)
{
	static const uint64_t words[] = {
		3,
		MAPPED_PAGE,
		MAPPED_ELF_AT,
		MAPPED_ELF_AT + 3 * MAPPED_PAGE,
		0,
		MAPPED_DATA_AT,
		MAPPED_DATA_AT + 2 * MAPPED_PAGE,
		1,
		MAPPED_NONE_AT,
		MAPPED_NONE_AT + 2 * MAPPED_PAGE,
		0,
	};
	static const char paths[] = "/lib/elf\0/lib/data\0/lib/none";
	uint8_t files[sizeof(words) + sizeof(paths)];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		synth_put(files + 8 * i, 0, 8, words[i]);
	memcpy(files + sizeof(words), paths, sizeof(paths));
	synth_note(core, NOTES_AT, 0, "CORE", NOTE_FILE, files, sizeof(files));
}

void synth_mapped_core(uint8_t bytes[MAPPED_CORE_SIZE], const uint8_t *elf)
{
	static const struct synth_segment segments[] = {
		{ SYNTH_NOTE, NOTES_AT, 0, 0, 0x200, 0x200, 0, 1 },
		{ SYNTH_LOAD, 0x1000, MAPPED_ELF_AT, 0, MAPPED_PAGE, 3 * MAPPED_PAGE, 5, 1 },
		{ SYNTH_LOAD, 0x2000, MAPPED_DATA_AT, 0, 0, 2 * MAPPED_PAGE, 4, 1 },
		{ SYNTH_LOAD, MAPPED_STACK_OFF, MAPPED_STACK_AT, 0, MAPPED_PAGE, MAPPED_PAGE, 6,
		  0 },
	};

	synth_elf(bytes, MAPPED_CORE_SIZE,
		  &(struct synth_elf){ .machine = X86_64, .segments = segments, .n_segments = 4 });
	put_files(bytes);
	memcpy(bytes + 0x1000, elf, MAPPED_PAGE);
}

/* SPDX-License-Identifier: MIT */
/*
 * What is read of a process of this machine: the first byte says what the rest of the input is, the text of a file
 * in /proc, entries of its pagemap, or the beginning of an ELF image or its notes.
 */
#include "../../connectors/common/elf_image.h"
#include "../../connectors/common/maps.h"
#include "native/pagemap.h"
#include "native/proc.h"

#include <sonde/os.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(int holds)
{
	if (!holds)
		abort();
}

static void read_stat(char *text)
{
	struct proc_stat stat;

	if (proc_parse_stat(text, &stat))
		check(strlen(stat.name) <= PROC_NAME_MAX && stat.state != '\0');
}

static void read_status(char *text)
{
	uint64_t ids[4];

	proc_parse_status(text, "Uid", ids, 4);
	proc_parse_status(text, "TracerPid", ids, 1);
}

static void read_modules(char *text)
{
	struct proc_module module;
	char *at = text, *line;

	while ((line = proc_next_line(&at))) {
		if (proc_parse_module(line, &module))
			check(module.name[0] != '\0' && strlen(module.state) > 3);
	}
}

static void read_maps(char *text)
{
	struct maps_line map;
	char *at = text, *line;

	while ((line = proc_next_line(&at))) {
		if (maps_parse(line, &map))
			check(map.start < map.end &&
			      strlen(map.path) <= strlen(text) + strlen(at) + 4096);
	}
}

static void read_image(const uint8_t *bytes, size_t len)
{
	struct image image;

	if (image_parse(bytes, len, &image) <= 0)
		return;
	check(image.size > 0 && image.size % SONDE_PAGE_SIZE == 0 &&
	      image.n_notes <= IMAGE_NOTES_MAX);
	for (uint32_t i = 0; i < image.n_notes; i++)
		check(image.notes[i].off < image.size && image.notes[i].len <= IMAGE_NOTE_BYTES &&
		      image.notes[i].len <= image.size - image.notes[i].off);
}

static void read_notes(const uint8_t *bytes, size_t len)
{
	char text[2 * IMAGE_BUILD_ID_MAX + 1];

	for (uint32_t order = SONDE_LITTLE; order <= SONDE_BIG; order++) {
		if (image_build_id(bytes, len, order, text))
			check(strlen(text) % 2 == 0 && strlen(text) > 0);
	}
}

static void read_pagemap(const uint8_t *bytes, size_t len)
{
	struct pagemap_page page;

	for (; len >= 8; bytes += 8, len -= 8) {
		if (pagemap_decode(sonde_le64(bytes), &page))
			check(!(page.flags & SONDE_PAGE_PRESENT) !=
			      !(page.flags & SONDE_PAGE_SWAPPED));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static void (*const texts[])(char *text) = { read_stat, read_status, read_modules,
						     read_maps };
	static void (*const blobs[])(const uint8_t *bytes, size_t len) = { read_image, read_notes,
									   read_pagemap };
	const size_t n_texts = sizeof(texts) / sizeof(texts[0]);

	if (len == 0)
		return 0;
	/* On a heap block of exactly that size: the first byte beyond is seen. */
	size_t which = bytes[0] % (n_texts + sizeof(blobs) / sizeof(blobs[0]));
	char *block = calloc(1, len);
	if (!block)
		abort();
	memcpy(block, bytes + 1, len - 1);
	if (which < n_texts)
		texts[which](block);
	else
		blobs[which - n_texts]((const uint8_t *)block, len - 1);
	free(block);
	return 0;
}

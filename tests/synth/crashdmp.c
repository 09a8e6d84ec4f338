/* SPDX-License-Identifier: MIT */
#include "synth/crashdmp.h"

#include "synth/elf.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

/* A file that grows as it is written to. */
struct image {
	uint8_t *bytes;
	size_t size;
};

static uint8_t *room(struct image *image, size_t at, size_t len)
{
	if (at + len > image->size) {
		image->bytes = realloc(image->bytes, at + len);
		memset(image->bytes + image->size, 0, at + len - image->size);
		image->size = at + len;
	}
	return image->bytes + at;
}

static void put(struct image *image, size_t at, int size, uint64_t value)
{
	synth_put(room(image, at, (size_t)size), 0, size, value);
}

static void text(struct image *image, size_t at, const char *what)
{
	memcpy(room(image, at, strlen(what)), what, strlen(what));
}

static void fill_unset(struct image *image, size_t size)
{
	for (size_t at = 0; at < size; at += 4)
		text(image, at, "PAGE");
}

/* 2021-02-20 10:15:02 UTC as FILETIME; an hour. */
#define TIME UINT64_C(132582897020000000)
#define HOUR UINT64_C(36000000000)

static void head_64(struct image *image, uint32_t type, uint32_t machine)
{
	int arm = machine == 0xaa64;
	size_t context = 0x348;

	fill_unset(image, 0x2000);
	text(image, 0, "PAGEDU64");
	put(image, 0x8, 4, 15);
	put(image, 0xc, 4, 19041);
	put(image, 0x10, 8, SYNTH_CRASH_DIRECTORY);
	put(image, 0x20, 8, 0xfffff80400001000); /* PsLoadedModuleList; PfnDataBase is left unset */
	put(image, 0x28, 8, 0xfffff80400002000);
	put(image, 0x30, 4, machine);
	put(image, 0x34, 4, 2);
	put(image, 0x38, 4, SYNTH_CRASH_CODE);
	for (size_t i = 0; i < 4; i++)
		put(image, 0x40 + 8 * i, 8, 0x10 + i);
	put(image, 0x80, 8, 0xfffff80400003000);
	put(image, context + (arm ? 0 : 0x30), 4, arm ? 0x400007 : 0x10001f);
	put(image, context + (arm ? 0x108 : 0xf8), 8, SYNTH_CRASH_PC);
	put(image, context + (arm ? 0x100 : 0x98), 8, 0xfffff80400008000);
	put(image, context + (arm ? 0x8 : 0x78), 8, 0x1234);  /* x0 or rax */
	put(image, context + (arm ? 0x80 : 0xf0), 8, 0x5678); /* x15 or r15 */
	put(image, 0xf00, 4, 0x80000003);
	put(image, 0xf10, 8, SYNTH_CRASH_PC);
	put(image, 0xf98, 4, type);
	put(image, 0xfa8, 8, TIME);
	text(image, 0xfb0, "planted\n");
	put(image, 0xfb8, 1, 0);
	put(image, 0x1030, 8, HOUR);
}

static void head_32(struct image *image, uint32_t type, uint32_t machine)
{
	fill_unset(image, 0x1000);
	text(image, 0, "PAGEDUMP");
	put(image, 0x8, 4, 15);
	put(image, 0xc, 4, 2600);
	put(image, 0x10, 4, SYNTH_CRASH_DIRECTORY);
	put(image, 0x18, 4, 0x80001000);
	put(image, 0x1c, 4, 0x80002000);
	put(image, 0x20, 4, machine);
	put(image, 0x24, 4, 1);
	put(image, 0x28, 4, SYNTH_CRASH_CODE);
	for (size_t i = 0; i < 4; i++)
		put(image, 0x2c + 4 * i, 4, 0x10 + i);
	put(image, 0x60, 4, 0x80003000);
	put(image, 0x320, 4, 0x1003f);
	put(image, 0x320 + 0xb8, 4, (uint32_t)SYNTH_CRASH_PC);
	put(image, 0x320 + 0xb0, 4, 0x1234); /* eax */
	put(image, 0xf88, 4, type);
	put(image, 0xfb8, 8, HOUR);
	put(image, 0xfc0, 8, TIME);
}

/* Runs of '#'; returns how many, and in at their first pages and lengths. */
static size_t runs_of(const char *present, uint64_t (*at)[2])
{
	size_t n = 0;

	for (size_t i = 0; present[i]; i++) {
		if (present[i] != '#')
			continue;
		if (i == 0 || present[i - 1] != '#') {
			at[n][0] = i;
			at[n++][1] = 0;
		}
		at[n - 1][1]++;
	}
	return n;
}

static void put_header_runs(struct image *image, const struct synth_crash *spec)
{
	size_t block = spec->word == 8 ? 0x88 : 0x64, word = spec->word;
	uint64_t runs[64][2];
	size_t n = runs_of(spec->present, runs);

	put(image, block, 4, n);
	for (size_t i = 0; i < n; i++) {
		put(image, block + 2 * word + i * 2 * word, (int)word, runs[i][0]);
		put(image, block + 3 * word + i * 2 * word, (int)word, runs[i][1]);
	}
}

static void put_bitmap(struct image *image, size_t at, const char *present)
{
	for (size_t i = 0; present[i]; i++) {
		uint8_t *byte = room(image, at + i / 8, 1);
		*byte |= (uint8_t)((present[i] == '#') << i % 8);
	}
}

/* What tells of the pages; the first of them begins where this ends. */
static void put_pages_of(struct image *image, const struct synth_crash *spec)
{
	size_t behind = spec->word == 8 ? 0x2000 : 0x1000, n_bits = strlen(spec->present);
	uint64_t runs[64][2];

	if (spec->type == 1) {
		put_header_runs(image, spec);
	} else if (spec->type == 2) {
		text(image, behind, "SDMPDUMP");
		put(image, behind + 0x10, 4, n_bits);
		put_bitmap(image, behind + 0x20, spec->present);
		room(image, image->size, 8 - image->size % 8);
		put(image, behind + 0xc, 4, image->size);
	} else if (spec->type < 8) {
		text(image, behind, spec->signature ? spec->signature : "SDMP");
		text(image, behind + 4, "DUMP");
		put(image, behind + 0x30, 8, n_bits);
		put_bitmap(image, behind + 0x38, spec->present);
		room(image, image->size, 8 - image->size % 8);
		put(image, behind + 0x20, 8, image->size);
	} else {
		size_t n = runs_of(spec->present, runs), n_pages = 0;
		put(image, behind, 4, 0x40);
		text(image, behind + 4, "RDMPDUMP");
		for (size_t i = 0; i < n; i++) {
			put(image, behind + 0x30 + 16 * i, 8, runs[i][0]);
			put(image, behind + 0x38 + 16 * i, 8, runs[i][1]);
			n_pages += runs[i][1];
		}
		room(image, image->size, 16);
		put(image, behind + 0x10, 8, image->size - (behind + 0x40) + 32);
		put(image, behind + 0x18, 8, image->size);
		put(image, behind + 0x28, 8, n_pages);
	}
}

uint8_t *synth_crash(const struct synth_crash *spec, size_t *ret_size)
{
	struct image image = { 0 };

	(spec->word == 8 ? head_64 : head_32)(&image, spec->type, spec->machine);
	put_pages_of(&image, spec);
	for (size_t i = 0; spec->present[i]; i++) {
		if (spec->present[i] != '#')
			continue;
		uint8_t *page = room(&image, image.size, PAGE);
		for (size_t k = 0; k < PAGE; k++)
			page[k] = (uint8_t)((i * PAGE + k) / 16);
	}
	*ret_size = image.size;
	return image.bytes;
}

/* ---- triage dumps -------------------------------------------------------------------------------- */

static uint32_t put_stretch(struct image *image, uint32_t i, uint32_t size)
{
	uint32_t at = (uint32_t)image->size;

	memset(room(image, at, size), (int)(0x40 + i), size);
	return at;
}

static uint32_t put_name(struct image *image, const char *name)
{
	uint32_t at = (uint32_t)image->size;

	put(image, at, 4, strlen(name));
	for (size_t i = 0; name[i]; i++)
		put(image, at + 4 + 2 * i, 2, (uint8_t)name[i]);
	return at;
}

static void put_drivers(struct image *image, size_t triage, const char *const *names, uint32_t n)
{
	uint32_t list = (uint32_t)image->size;

	put(image, triage + 0x30, 4, list);
	put(image, triage + 0x34, 4, n);
	room(image, list, (size_t)n * 0x90);
	for (uint32_t i = 0; i < n; i++) {
		put(image, list + i * 0x90, 4, put_name(image, names[i]));
		put(image, list + i * 0x90 + 0x38, 8, SYNTH_DRIVER_BASE + i * 0x100000ull);
		put(image, list + i * 0x90 + 0x48, 4, 0x8000);
	}
}

uint8_t *synth_triage(uint32_t word, const struct synth_stretch *stretches, uint32_t n,
		      const char *const *drivers, uint32_t n_drivers, size_t *ret_size)
{
	struct image image = { 0 };
	size_t triage = word == 8 ? 0x2000 : 0x1000;

	if (word == 8)
		head_64(&image, 4, 0x8664);
	else
		head_32(&image, 4, 0x14c);
	room(&image, triage, 0x80);
	put(&image, triage + 0x28, 4, put_stretch(&image, 0, stretches[0].size));
	put(&image, triage + 0x2c, 4, stretches[0].size);
	put(&image, triage + 0x48, (int)word, stretches[0].addr);
	put(&image, triage + (word == 8 ? 0x70 : 0x58), 4,
	    put_stretch(&image, 1, stretches[1].size));
	put(&image, triage + (word == 8 ? 0x74 : 0x5c), 4, stretches[1].size);
	put(&image, word == 8 ? 0x80 : 0x60, (int)word, stretches[1].addr);
	if (n_drivers)
		put_drivers(&image, triage, drivers, n_drivers);
	uint32_t blocks = (uint32_t)image.size;
	put(&image, triage + (word == 8 ? 0x78 : 0x60), 4, blocks);
	put(&image, triage + (word == 8 ? 0x7c : 0x64), 4, n - 2);
	room(&image, blocks, (n - 2) * (size_t)16);
	for (uint32_t i = 2; i < n; i++) {
		put(&image, blocks + 16 * (i - 2), 8, stretches[i].addr);
		put(&image, blocks + 16 * (i - 2) + 8, 4,
		    put_stretch(&image, i, stretches[i].size));
		put(&image, blocks + 16 * (i - 2) + 12, 4, stretches[i].size);
	}
	put(&image, triage + 8, 4, image.size);
	text(&image, image.size, "TRGD");
	*ret_size = image.size;
	return image.bytes;
}

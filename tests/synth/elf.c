/* SPDX-License-Identifier: MIT */
/* ELF headers, written field by field. Source: System V gABI 4.1, "ELF Header", "Program Header".
 */
#include "elf.h"

#include <string.h>

void synth_put(uint8_t *at, int is_big, int size, uint64_t value)
{
	for (int i = 0; i < size; i++)
		at[is_big ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

/* A field, if it lies in the image. */
static void put(uint8_t *image, size_t image_size, const struct synth_elf *spec, uint64_t at,
		int size, uint64_t value)
{
	if (at <= image_size && (uint64_t)size <= image_size - at)
		synth_put(image + at, spec->is_big, size, value);
}

static void put_segment(uint8_t *image, size_t size, const struct synth_elf *spec, uint64_t at,
			const struct synth_segment *s)
{
	int w = spec->is_32 ? 4 : 8;

	put(image, size, spec, at, 4, s->type);
	if (!spec->is_32)
		put(image, size, spec, at + 4, 4, s->flags);
	at += spec->is_32 ? 4 : 8;
	const uint64_t words[] = { s->off, s->vaddr, s->paddr, s->filesz, s->memsz };
	for (int i = 0; i < 5; i++, at += (uint64_t)w)
		put(image, size, spec, at, w, words[i]);
	if (spec->is_32)
		put(image, size, spec, at, 4, s->flags);
}

static void fill(uint8_t *image, size_t size, const struct synth_segment *s, size_t number)
{
	for (uint64_t i = 0; i < s->filesz && s->off < size && i < size - s->off; i++)
		image[s->off + i] = (uint8_t)(i / 16 + number);
}

void synth_elf(uint8_t *image, size_t size, const struct synth_elf *spec)
{
	int w = spec->is_32 ? 4 : 8;
	uint64_t head = spec->is_32 ? 52 : 64, stride = spec->is_32 ? 32 : 56;
	uint64_t phoff = spec->phoff ? spec->phoff : head;
	uint64_t phnum = spec->phnum ? spec->phnum : spec->n_segments;

	memset(image, 0, size);
	for (size_t i = 0; i < spec->n_segments; i++) {
		if (spec->segments[i].type == SYNTH_LOAD && !spec->segments[i].no_fill)
			fill(image, size, &spec->segments[i], i);
	}
	if (size >= 16)
		memcpy(image, "\177ELF", 4);
	put(image, size, spec, 4, 1, spec->is_32 ? 1 : 2);
	put(image, size, spec, 5, 1, spec->is_big ? 2 : 1);
	put(image, size, spec, 6, 1, 1);
	put(image, size, spec, 16, 2, spec->type ? spec->type : 4);
	put(image, size, spec, 18, 2, spec->machine);
	put(image, size, spec, 20, 4, 1);
	put(image, size, spec, 24 + (uint64_t)w, w, phoff);
	put(image, size, spec, 24 + 2 * (uint64_t)w, w, spec->shoff);
	uint64_t at = 24 + 3 * (uint64_t)w + 4;
	put(image, size, spec, at, 2, 8); /* e_ehsize, as QEMU 7.2 writes it */
	put(image, size, spec, at + 2, 2, spec->phentsize ? spec->phentsize : stride);
	put(image, size, spec, at + 4, 2, spec->phnum_in_section ? 0xffff : phnum);
	if (spec->phnum_in_section) /* sh_info */
		put(image, size, spec, spec->shoff + (spec->is_32 ? 28 : 44), 4, phnum);
	for (size_t i = 0; i < spec->n_segments; i++)
		put_segment(image, size, spec,
			    phoff + i * (spec->phentsize ? spec->phentsize : stride),
			    &spec->segments[i]);
}

size_t synth_note(uint8_t *image, size_t at, int is_big, const char *name, uint32_t type,
		  const void *desc, uint32_t len)
{
	uint32_t name_len = (uint32_t)strlen(name) + 1;

	synth_put(image + at, is_big, 4, name_len);
	synth_put(image + at + 4, is_big, 4, len);
	synth_put(image + at + 8, is_big, 4, type);
	memcpy(image + at + 12, name, name_len);
	at += 12 + ((name_len + 3) & ~3u);
	memcpy(image + at, desc, len);
	return at + ((len + 3) & ~3u);
}

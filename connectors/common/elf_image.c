/* SPDX-License-Identifier: MIT */
#include "elf_image.h"

#include "../elfcore/elf_format.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdio.h>
#include <string.h>

enum { PT_LOAD = 1, PT_NOTE = 4, NT_GNU_BUILD_ID = 3 };

#define HEAD_BYTES 64u /* of the file header, in the longer class */
#define SIZE_MAX_PLAUSIBLE (UINT64_C(1) << 47)

/* Where the fields of a header are, by class: offset and size. */
struct elf_fields {
	uint32_t phoff, word, phentsize, phnum, ph_size; /* word: size of an address */
	uint32_t p_vaddr, p_filesz, p_memsz;
};

static const struct elf_fields fields_32 = { 28, 4, 42, 44, 32, 8, 16, 20 };
static const struct elf_fields fields_64 = { 32, 8, 54, 56, 56, 16, 32, 40 };

struct headers {
	const uint8_t *head;
	size_t len;
	const struct elf_fields *fields;
	uint32_t order;
	uint64_t table;
	uint32_t n, entry_size;
};

/* What both classes have in common. */
static int is_elf(const uint8_t *head, size_t len)
{
	return len >= HEAD_BYTES && memcmp(head, "\177ELF", 4) == 0 &&
	       (head[ELF_IDENT_CLASS] == ELF_CLASS_32 || head[ELF_IDENT_CLASS] == ELF_CLASS_64) &&
	       (head[ELF_IDENT_DATA] == ELF_DATA_LITTLE || head[ELF_IDENT_DATA] == ELF_DATA_BIG);
}

static uint32_t order_of(const uint8_t *head)
{
	return head[ELF_IDENT_DATA] == ELF_DATA_BIG ? SONDE_BIG : SONDE_LITTLE;
}

uint32_t image_arch(const uint8_t *head, size_t len)
{
	if (!is_elf(head, len) || order_of(head) == SONDE_BIG)
		return SONDE_ARCH_NONE;
	return elf_machine_arch(sonde_le16(head + ELF_MACHINE_AT),
				head[ELF_IDENT_CLASS] == ELF_CLASS_64 ? 8 : 4);
}

static int find_headers(const uint8_t *head, size_t len, struct headers *ret)
{
	if (!is_elf(head, len))
		return 0;
	const struct elf_fields *f =
		head[ELF_IDENT_CLASS] == ELF_CLASS_64 ? &fields_64 : &fields_32;
	uint32_t order = order_of(head);

	*ret = (struct headers){
		.head = head,
		.len = len,
		.fields = f,
		.order = order,
		.table = sonde_load(head + f->phoff, f->word, order),
		.entry_size = (uint32_t)sonde_load(head + f->phentsize, 2, order),
		.n = (uint32_t)sonde_load(head + f->phnum, 2, order),
	};
	if (ret->entry_size < f->ph_size || ret->n == 0)
		return SONDE_E_CORRUPT;
	if (ret->table > len || (uint64_t)ret->n * ret->entry_size > len - ret->table)
		return SONDE_E_LIMIT;
	return 1;
}

static uint64_t word_of(const struct headers *h, uint32_t i, uint32_t off)
{
	return sonde_load(h->head + h->table + (uint64_t)i * h->entry_size + off, h->fields->word,
			  h->order);
}

static uint32_t type_of(const struct headers *h, uint32_t i)
{
	return (uint32_t)sonde_load(h->head + h->table + (uint64_t)i * h->entry_size, 4, h->order);
}

/* The addresses that the image was linked for, rounded to pages. */
static int find_span(const struct headers *h, uint64_t *ret_first, uint64_t *ret_size)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		uint64_t va = word_of(h, i, h->fields->p_vaddr);
		uint64_t size = word_of(h, i, h->fields->p_memsz);
		if (type_of(h, i) != PT_LOAD || size == 0)
			continue;
		if (size - 1 > UINT64_MAX - va)
			return SONDE_E_CORRUPT;
		first = va < first ? va : first;
		last = va + (size - 1) > last ? va + (size - 1) : last;
	}
	if (first > last)
		return SONDE_E_CORRUPT;
	first &= ~(SONDE_PAGE_SIZE - 1);
	*ret_first = first;
	*ret_size = (last | (SONDE_PAGE_SIZE - 1)) - first + 1;
	return *ret_size == 0 || *ret_size > SIZE_MAX_PLAUSIBLE ? SONDE_E_CORRUPT : 0;
}

int image_parse(const uint8_t *head, size_t len, struct image *ret)
{
	struct headers h;
	uint64_t first;
	int r = find_headers(head, len, &h);

	if (r <= 0)
		return r;
	*ret = (struct image){ .order = h.order };
	r = find_span(&h, &first, &ret->size);
	for (uint32_t i = 0; r == 0 && i < h.n && ret->n_notes < IMAGE_NOTES_MAX; i++) {
		uint64_t off = word_of(&h, i, h.fields->p_vaddr) - first;
		uint64_t size = word_of(&h, i, h.fields->p_filesz);
		if (type_of(&h, i) != PT_NOTE || off >= ret->size || size > ret->size - off)
			continue;
		ret->notes[ret->n_notes++] =
			(struct image_note){ off, size < IMAGE_NOTE_BYTES ? (uint32_t)size
									  : IMAGE_NOTE_BYTES };
	}
	return r < 0 ? r : 1;
}

static size_t padded(uint32_t len)
{
	return ((size_t)len + 3) & ~(size_t)3;
}

int image_build_id(const uint8_t *notes, size_t len, uint32_t order,
		   char text[2 * IMAGE_BUILD_ID_MAX + 1])
{
	while (len >= 12) {
		uint32_t name_len = (uint32_t)sonde_load(notes, 4, order);
		uint32_t desc_len = (uint32_t)sonde_load(notes + 4, 4, order);
		uint32_t type = (uint32_t)sonde_load(notes + 8, 4, order);
		if (padded(name_len) > len - 12 || padded(desc_len) > len - 12 - padded(name_len))
			return 0;
		const uint8_t *desc = notes + 12 + padded(name_len);
		if (type == NT_GNU_BUILD_ID && name_len == 4 && memcmp(notes + 12, "GNU", 4) == 0 &&
		    desc_len > 0 && desc_len <= IMAGE_BUILD_ID_MAX) {
			for (uint32_t i = 0; i < desc_len; i++)
				snprintf(text + 2 * i, 3, "%02x", desc[i]);
			return 1;
		}
		notes = desc + padded(desc_len);
		len -= 12 + padded(name_len) + padded(desc_len);
	}
	return 0;
}

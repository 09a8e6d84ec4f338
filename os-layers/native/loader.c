/* SPDX-License-Identifier: MIT */
#include "native/loader.h"

#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/common/utf16.h"

#define NAME_BYTES_MAX 2048u /* of UTF-16: a path of 1024 */
#define ENTRY_BYTES_MAX 0x68u

/* Offsets, by width. A UNICODE_STRING is a length of 2 bytes and, one word on, the address of its characters. */
static const struct layout {
	uint32_t word, teb_self, teb_peb, peb_ldr, ldr_list;
	uint32_t entry_bytes, base, size, full_name;
} layouts[] = {
	[LOADER_32] = { 4, 0x18, 0x30, 0x0c, 0x0c, 0x34, 0x18, 0x20, 0x24 },
	[LOADER_64] = { 8, 0x30, 0x60, 0x18, 0x10, 0x68, 0x30, 0x40, 0x48 },
};

struct entry {
	struct loader_module module;
	uint64_t name_at;
	uint32_t name_len; /* bytes, even */
};

struct walk {
	struct sonde_space *space;
	const struct layout *layout;
	struct arena *arena;
	struct entry *entries; /* [n], room for cap */
	uint32_t n, cap;
	struct loader_list *list;
};

static uint64_t word_at(const struct layout *layout, const uint8_t *bytes, uint32_t off)
{
	return sonde_load(bytes + off, layout->word, SONDE_LITTLE);
}

int loader_peb(const uint8_t *teb, uint64_t addr, enum loader_width width, uint64_t *ret_peb)
{
	const struct layout *layout = &layouts[width];
	uint64_t peb = word_at(layout, teb, layout->teb_peb);

	if (word_at(layout, teb, layout->teb_self) != addr || peb == 0 ||
	    peb % SONDE_PAGE_SIZE != 0)
		return 0;
	*ret_peb = peb;
	return 1;
}

/* ---- the list --------------------------------------------------------------------------------------- */

static struct entry *add_entry(struct walk *w)
{
	if (w->n == w->cap) {
		uint32_t cap = w->cap ? 2 * w->cap : 64;
		struct entry *grown = realloc(w->entries, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		w->entries = grown;
		w->cap = cap;
	}
	w->entries[w->n] = (struct entry){ 0 };
	return &w->entries[w->n++];
}

static void damage(struct walk *w, uint64_t at, const char *why)
{
	w->list->damage =
		arena_printf(w->arena, "the loader's record at 0x%" PRIx64 " %s", at, why);
}

static int take_entry(struct walk *w, const uint8_t *bytes)
{
	const struct layout *l = w->layout;
	struct entry *e = add_entry(w);

	if (!e)
		return SONDE_E_NO_MEMORY;
	e->module.base = word_at(l, bytes, l->base);
	e->module.size = sonde_le32(bytes + l->size);
	e->name_len = sonde_le16(bytes + l->full_name) & ~1u;
	e->name_at = word_at(l, bytes, l->full_name + l->word);
	return 0;
}

/* Each record leads back to the one before it: so a walk that goes on never comes to one again, but for the head. */
static int follow(struct walk *w, uint64_t head, uint64_t first)
{
	uint8_t bytes[ENTRY_BYTES_MAX];
	uint64_t before = head;

	for (uint64_t at = first; at != head;) {
		if (w->n == LOADER_MODULES_MAX) {
			damage(w, at, "is one too many");
			return 0;
		}
		int r = sonde_space_get(w->space, at, bytes, w->layout->entry_bytes);
		if (r == SONDE_E_GONE)
			return r;
		if (r < 0 || word_at(w->layout, bytes, w->layout->word) != before) {
			damage(w, at,
			       r < 0 ? "cannot be read"
				     : "does not lead back to the one before it");
			return 0;
		}
		if ((r = take_entry(w, bytes)) < 0)
			return r;
		before = at;
		at = word_at(w->layout, bytes, 0);
	}
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------------ */

static const char *to_utf8(struct arena *arena, const uint8_t *from, size_t n_units)
{
	char *text = arena_alloc(arena, UTF16_ROOM(n_units));

	if (text)
		utf16_to_utf8(from, n_units, text);
	return text;
}

static int read_names(struct walk *w)
{
	struct sonde_xfer *xfers = calloc(w->n + 1, sizeof(*xfers));
	uint8_t *bytes = calloc(w->n + 1, NAME_BYTES_MAX);
	int r = xfers && bytes ? 0 : SONDE_E_NO_MEMORY;
	size_t n = 0;

	for (uint32_t i = 0; i < w->n && r == 0; i++) {
		struct entry *e = &w->entries[i];
		e->module.err = e->name_len > NAME_BYTES_MAX ? SONDE_E_LIMIT
				: e->name_len == 0           ? SONDE_E_CORRUPT
							     : 0;
		if (!e->module.err)
			xfers[n++] = (struct sonde_xfer){ .addr = e->name_at,
							  .buf = bytes + (size_t)i * NAME_BYTES_MAX,
							  .len = e->name_len };
	}
	if (r == 0 && n)
		sonde_space_read(w->space, xfers, n);
	n = 0;
	for (uint32_t i = 0; i < w->n && r == 0; i++) {
		struct entry *e = &w->entries[i];
		if (e->module.err || (e->module.err = xfers[n++].err) != 0)
			continue;
		e->module.path =
			to_utf8(w->arena, bytes + (size_t)i * NAME_BYTES_MAX, e->name_len / 2);
		r = e->module.path ? 0 : SONDE_E_NO_MEMORY;
	}
	free(xfers);
	free(bytes);
	return r;
}

static int hand_out(struct walk *w)
{
	w->list->modules = arena_array(w->arena, w->n, sizeof(*w->list->modules));
	if (!w->list->modules)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < w->n; i++)
		w->list->modules[i] = w->entries[i].module;
	w->list->n = w->n;
	return 0;
}

int loader_read(struct sonde_space *space, uint64_t peb, enum loader_width width,
		struct arena *arena, struct loader_list *ret)
{
	const struct layout *l = &layouts[width];
	struct walk w = { .space = space, .layout = l, .arena = arena, .list = ret };
	uint64_t ldr, first;

	*ret = (struct loader_list){ 0 };
	int r = sonde_space_uint(space, peb + l->peb_ldr, l->word, SONDE_LITTLE, &ldr);
	if (r == 0 && ldr == 0)
		return SONDE_E_NOT_FOUND;
	if (r == 0)
		r = sonde_space_uint(space, ldr + l->ldr_list, l->word, SONDE_LITTLE, &first);
	if (r == 0)
		r = follow(&w, ldr + l->ldr_list, first);
	if (r == 0 && w.n == 0)
		r = SONDE_E_NOT_FOUND;
	if (r == 0 && (r = read_names(&w)) == 0)
		r = hand_out(&w);
	free(w.entries);
	return r;
}

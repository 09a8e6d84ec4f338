/* SPDX-License-Identifier: MIT */
#include "common/pe_modules.h"

#include <stdlib.h>
#include <string.h>

#include "common/lists.h"
#include "common/pe.h"
#include "sym/symbols.h"

const char *pe_module_name(const char *path)
{
	const char *slash = strrchr(path, '\\');

	return slash ? slash + 1 : path;
}

/* ---- headers -------------------------------------------------------------------------------------------- */

/* The first bytes of n modules, PE_HEAD_BYTES each, in one trip, and in errs, which may be NULL, why one is not whole. NULL: no memory. */
static uint8_t *read_heads(struct sonde_space *memory, const struct sonde_module *modules, size_t n,
			   int32_t *errs)
{
	struct sonde_xfer *xfers = calloc(n + 1, sizeof(*xfers));
	uint8_t *heads = calloc(n + 1, PE_HEAD_BYTES);

	for (size_t i = 0; i < n && xfers && heads; i++)
		xfers[i] = (struct sonde_xfer){ .addr = modules[i].base,
						.buf = heads + i * PE_HEAD_BYTES,
						.len = PE_HEAD_BYTES };
	if (n && xfers && heads)
		sonde_space_read(memory, xfers, n);
	for (size_t i = 0; i < n && xfers && heads && errs; i++)
		errs[i] = xfers[i].err;
	if (!xfers) {
		free(heads);
		return NULL;
	}
	free(xfers);
	return heads;
}

static int take_sections(struct sonde_modules *list, struct sonde_module *m, const struct pe *pe)
{
	struct sonde_section *sections =
		arena_array(&list->arena, pe->n_sections, sizeof(*sections));

	if (!sections)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < pe->n_sections; i++) {
		const struct pe_section *from = &pe->sections[i];
		sections[i] = (struct sonde_section){ .addr = m->base + from->off,
						      .size = from->size,
						      .flags = from->flags };
		sections[i].name = arena_strndup(&list->arena, from->name, strlen(from->name));
		if (!sections[i].name)
			return SONDE_E_NO_MEMORY;
	}
	m->sections = sections;
	m->n_sections = pe->n_sections;
	return 0;
}

/* The loader's word against that of the image's own header. */
int pe_modules_check(struct sonde_space *memory, struct sonde_modules *list, size_t first,
		     enum pe_headers headers)
{
	int32_t *errs = calloc(list->n - first + 1, sizeof(*errs));
	uint8_t *heads =
		errs ? read_heads(memory, list->items + first, list->n - first, errs) : NULL;
	int r = heads ? 0 : SONDE_E_NO_MEMORY;
	struct pe pe;

	for (size_t i = first; i < list->n && r == 0; i++) {
		struct sonde_module *m = &list->items[i];
		if (errs[i - first] && headers == PE_HEADERS_MAY_LACK)
			continue;
		int parsed = pe_parse(heads + (i - first) * PE_HEAD_BYTES, PE_HEAD_BYTES, &pe);
		if (parsed > 0)
			r = take_sections(list, m, &pe);
		if (!m->err && (parsed <= 0 || pe.size != m->size))
			m->err = parsed < 0 ? parsed : SONDE_E_CORRUPT;
	}
	free(errs);
	free(heads);
	return r;
}

/* ---- exports --------------------------------------------------------------------------------------------- */

struct exporting {
	struct sonde_symbols *symbols;
	uint64_t base;
	uint32_t module;
};

static int add_export(void *user, const char *name, size_t name_len, uint32_t off)
{
	const struct exporting *e = user;

	return symbols_add(e->symbols, e->base + off, 'T', name, name_len, e->module);
}

/* What cannot be read of a module's exports, or contradicts itself, is left out. */
static int add_exports(struct sonde_space *memory, const struct sonde_module *m,
		       const struct pe *pe, struct sonde_symbols *symbols)
{
	struct exporting e = { .symbols = symbols, .base = m->base };

	if (pe->exports_size == 0 || pe->exports_size > PE_EXPORTS_MAX)
		return 0;
	uint8_t *bytes = malloc(pe->exports_size);
	int r = bytes ? symbols_add_module(symbols, m->name) : SONDE_E_NO_MEMORY;
	if (r > 0) {
		e.module = (uint32_t)r;
		r = sonde_space_get(memory, m->base + pe->exports_off, bytes, pe->exports_size);
	}
	if (r == 0)
		r = pe_exports(pe, bytes, add_export, &e);
	free(bytes);
	return r == SONDE_E_NO_MEMORY ? r : 0;
}

int pe_modules_symbols(struct sonde_space *memory, const struct sonde_modules *modules,
		       struct sonde_symbols *symbols)
{
	uint8_t *heads = read_heads(memory, modules->items, modules->n, NULL);
	int r = heads ? 0 : SONDE_E_NO_MEMORY;
	struct pe pe;

	for (size_t i = 0; i < modules->n && r == 0; i++) {
		if (pe_parse(heads + i * PE_HEAD_BYTES, PE_HEAD_BYTES, &pe) > 0)
			r = add_exports(memory, &modules->items[i], &pe, symbols);
	}
	free(heads);
	return r;
}

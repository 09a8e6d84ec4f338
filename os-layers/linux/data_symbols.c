/* SPDX-License-Identifier: MIT */
/* Data that kallsyms does not name: where it is looked for, and what proves it. */
#include "linux/data_symbols.h"

#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#include "linux/arch.h"
#include "linux/image.h"
#include "linux/kernel.h"
#include "linux/ksymtab.h"
#include "sym/btf.h"
#include "sym/symbols.h"

#define RO_MAX (UINT64_C(192) << 20) /* read-only data of a kernel; 15 MB are usual */
#define CODE_MAX 4096u               /* bytes of a function that are looked at      */
#define REFS_MAX 256u                /* addresses that it may refer to              */
#define LAST_MODULE_STATE 3u         /* linux v6.6 include/linux/module.h: MODULE_STATE_UNFORMED */

/* ---- the list ------------------------------------------------------------------------------------- */

static int add(struct linux_os *lx, const char *name, uint64_t addr, char type)
{
	struct data_symbols *list = &lx->data_symbols;

	if (list->n == list->cap) {
		uint32_t cap = list->cap ? 2 * list->cap : 256;
		struct data_symbol *grown = realloc(list->items, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		list->items = grown;
		list->cap = cap;
	}
	const char *copy = arena_strndup(&lx->arena, name, strlen(name));
	if (!copy)
		return SONDE_E_NO_MEMORY;
	list->items[list->n++] = (struct data_symbol){ copy, addr, type };
	return SONDE_OK;
}

int data_symbol_get(const struct data_symbols *symbols, const char *name, uint64_t *ret)
{
	for (uint32_t i = 0; i < symbols->n; i++) {
		if (strcmp(symbols->items[i].name, name) == 0) {
			*ret = symbols->items[i].addr;
			return 1;
		}
	}
	return 0;
}

int data_symbols_copy(const struct data_symbols *symbols, struct sonde_symbols *to)
{
	for (uint32_t i = 0; i < symbols->n; i++) {
		const struct data_symbol *one = &symbols->items[i];
		int r = symbols_add(to, one->addr, one->type, one->name, strlen(one->name),
				    SYMBOLS_KERNEL);
		if (r < 0)
			return r;
	}
	return (int)symbols->n;
}

void data_symbols_finish(struct data_symbols *symbols)
{
	free(symbols->items);
	*symbols = (struct data_symbols){ 0 };
}

/* ---- from read-only data ---------------------------------------------------------------------------- */

/* A copy of the image's read-only data; what could not be read of it is zero. */
struct constants {
	struct linux_os *lx;
	struct image image;
	uint8_t *bytes;
	size_t len;
};

static bool in_image(const struct constants *c, uint64_t addr)
{
	return addr >= c->image.text && addr < c->image.end;
}

static char type_of(const struct constants *c, uint64_t addr)
{
	return addr >= c->image.ro && addr < c->image.ro_end ? 'R' : 'D';
}

/* Functions are in kallsyms: only what it has not is news. */
static int add_export(void *user, const char *name, uint64_t value)
{
	struct constants *c = user;
	struct sonde_symbol known;

	if (!in_image(c, value) || sonde_symbol_find(c->lx->os.symbols, name, &known))
		return SONDE_OK;
	return add(c->lx, name, value, type_of(c, value));
}

static int add_noted(void *user, const char *name, uint64_t value)
{
	struct constants *c = user;
	uint64_t known;

	if (!in_image(c, value) || linux_symbol(c->lx, name, &known))
		return SONDE_OK;
	return add(c->lx, name, value, type_of(c, value));
}

/* The last: an early object of the kernel's has a copy of it (linux v6.2 init/version.c). */
static int add_banner(struct constants *c)
{
	static const char head[] = "Linux version ";
	const uint8_t *at = c->bytes, *end = c->bytes + c->len, *last = NULL;

	while ((at = memmem(at, (size_t)(end - at), head, sizeof(head) - 1))) {
		last = at;
		at += sizeof(head) - 1;
	}
	if (!last)
		return SONDE_OK;
	return add(c->lx, "linux_banner", c->image.ro + (uint64_t)(last - c->bytes), 'R');
}

/* Of several that look like BTF the first that is whole; image_types finds out whether it makes sense. */
static int add_btf(struct constants *c)
{
	for (size_t at = 0; at + BTF_HEADER_SIZE <= c->len; at += 4) {
		uint64_t len = btf_total_size(c->bytes + at);
		if (len <= BTF_HEADER_SIZE || len > c->len - at)
			continue;
		int r = add(c->lx, "__start_BTF", c->image.ro + at, 'R');
		return r < 0 ? r : add(c->lx, "__stop_BTF", c->image.ro + at + len, 'R');
	}
	return SONDE_OK;
}

static int search_constants(struct constants *c)
{
	int r = ksymtab_find(c->bytes, c->len, c->image.ro, add_export, c);

	if (r >= 0)
		r = vmcoreinfo_each_symbol(&c->lx->info, add_noted, c);
	if (r == SONDE_OK)
		r = add_banner(c);
	return r == SONDE_OK ? add_btf(c) : r;
}

/* ---- from code -------------------------------------------------------------------------------------- */

/* Is what is looked for at this address? */
typedef bool proof_fn(struct linux_os *lx, uint64_t at);

static uint32_t references_of(struct linux_os *lx, const char *function, uint64_t *ret)
{
	struct sonde_symbol symbol;
	uint8_t code[CODE_MAX];

	if (!lx->arch->references || !sonde_symbol_find(lx->os.symbols, function, &symbol))
		return 0;
	size_t len = symbol.size && symbol.size < sizeof(code) ? symbol.size : sizeof(code);
	if (sonde_space_get(lx->os.kernel_memory, symbol.addr, code, len) < 0)
		return 0;
	return (uint32_t)lx->arch->references(code, len, symbol.addr, ret, REFS_MAX);
}

/* Name the first address that function refers to and that passes. Returns 1 found, 0; SONDE_E_NO_MEMORY. */
static int add_referred(struct linux_os *lx, const char *name, const char *function,
			proof_fn *proof)
{
	uint64_t refs[REFS_MAX], known;

	if (linux_symbol(lx, name, &known))
		return 1;
	uint32_t n = references_of(lx, function, refs);
	for (uint32_t i = 0; i < n; i++) {
		if (refs[i] % 8 == 0 && proof(lx, refs[i])) {
			int r = add(lx, name, refs[i], 'D');
			return r < 0 ? r : 1;
		}
	}
	return 0;
}

static bool leads_to_vmcoreinfo(struct linux_os *lx, uint64_t at)
{
	struct sonde_space *kernel = lx->os.kernel_memory;
	uint8_t head[VMCOREINFO_MAGIC];
	uint64_t text;

	return sonde_space_u64(kernel, at, &text) == SONDE_OK &&
	       sonde_space_get(kernel, text, head, sizeof(head)) == SONDE_OK &&
	       vmcoreinfo_looks_like(head);
}

/* A pointer to text as boot loaders give it: at least one printable character, and no other. */
static bool leads_to_text(struct linux_os *lx, uint64_t at)
{
	struct sonde_space *kernel = lx->os.kernel_memory;
	char text[4096];
	uint64_t pointer;

	if (sonde_space_u64(kernel, at, &pointer) < 0 ||
	    sonde_space_string(kernel, pointer, text, sizeof(text)) <= 0)
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < ' ' || *p > '~')
			return false;
	}
	return true;
}

/* A module's own members say that it is one. */
static bool is_module(struct linux_os *lx, uint64_t module)
{
	const struct layout *l = &lx->layout;
	char name[KSYMTAB_NAME_MAX];
	uint32_t state;

	return sonde_space_u32(lx->os.kernel_memory, module + l->module_state.off, &state) ==
		       SONDE_OK &&
	       state <= LAST_MODULE_STATE &&
	       sonde_space_string(lx->os.kernel_memory, module + l->module_name.off, name,
				  l->module_name.size < sizeof(name) ? l->module_name.size
								     : sizeof(name)) > 0;
}

/* A list: its neighbours point back at it. An empty one is its own neighbour. */
static bool is_module_list(struct linux_os *lx, uint64_t head)
{
	struct sonde_space *kernel = lx->os.kernel_memory;
	uint64_t next, back;

	if (!has(lx->layout.module_list) || !has(lx->layout.module_name) ||
	    sonde_space_u64(kernel, head, &next) < 0 || !linux_pointer_plausible(lx, next) ||
	    sonde_space_u64(kernel, next + 8, &back) < 0 || back != head)
		return false;
	return next == head || is_module(lx, next - lx->layout.module_list.off);
}

static bool has_clocks(struct linux_os *lx, uint64_t core)
{
	return kernel_clock_at(lx, core) != 0;
}

/* ---- all together ----------------------------------------------------------------------------------- */

static bool is_needed(const struct linux_os *lx)
{
	uint64_t at;

	return !linux_symbol(lx, "linux_banner", &at);
}

int data_symbols_find_vmcoreinfo(struct linux_os *lx)
{
	int r = add_referred(lx, "vmcoreinfo_data", "vmcoreinfo_append_str", leads_to_vmcoreinfo);

	return r < 0 ? r : SONDE_OK;
}

int data_symbols_find(struct linux_os *lx)
{
	struct constants c = { .lx = lx };

	if (!is_needed(lx) || image_find(lx, &c.image) < 0 || c.image.ro_end - c.image.ro > RO_MAX)
		return SONDE_OK;
	c.len = (size_t)(c.image.ro_end - c.image.ro);
	c.bytes = malloc(c.len);
	if (!c.bytes)
		return SONDE_E_NO_MEMORY;
	sonde_space_get(lx->os.kernel_memory, c.image.ro, c.bytes, c.len);
	int r = search_constants(&c);
	free(c.bytes);
	return r < 0 ? r : data_symbols_find_vmcoreinfo(lx);
}

int data_symbols_find_by_types(struct linux_os *lx)
{
	static const struct {
		const char *name, *function;
		proof_fn *proof;
	} wanted[] = {
		{ "modules", "print_modules", is_module_list },
		{ "tk_core", "ktime_get", has_clocks },
		{ "tk_core", "ktime_get_real_ts64", has_clocks },
		{ "saved_command_line", "cmdline_proc_show", leads_to_text },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && lx->data_symbols.n; i++) {
		int r = add_referred(lx, wanted[i].name, wanted[i].function, wanted[i].proof);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Symbols of modules: each keeps the part of its own ELF symbol table that the kernel wants for
 * backtraces. Three trips in all behind those for the list: where the tables are, the tables, the
 * names.
 *
 * Source: linux v5.10 kernel/module.c (add_kallsyms), v6.1 kernel/module/kallsyms.c; ELF-64 object
 * file format 1.5 (symbols).
 */
#include <string.h>

#include "linux/module.h"
#include "sym/symbols.h"

#define MODULE_SYMS_MAX (1u << 20)   /* symbols of one module                   */
#define SYMTAB_BYTES_MAX (64u << 20) /* of all modules                          */
#define STRTAB_BYTES_MAX (64u << 20) /* likewise                                */
#define SYMBOL_NAME_MAX 512u         /* KSYM_NAME_LEN since v6.1                */
#define SYM_SIZE 24u                 /* Elf64_Sym: name at 0, info 4, shndx 6, value 8 */
#define STB_GLOBAL 1u                /* in the high half of info                       */

/* The tables of one module's symbols. */
struct table {
	const struct module *module;
	uint64_t symtab, strtab, typetab, n;
	uint8_t *syms, *types, *names; /* in an arena; NULL: left out */
	size_t names_len;
	int32_t syms_err, types_err, names_err;
};

struct tables {
	struct module_walk *w;
	struct table *items; /* [w->n_order] */
	struct arena arena;
	size_t left_syms, left_names; /* bytes that may still be asked for */
};

/* Which modules have tables, and where: one trip. */
static int read_places(struct tables *t)
{
	const struct layout *l = &t->w->lx->layout;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, l->mkall_symtab);
	plan_add(&plan, l->mkall_num_symtab);
	plan_add(&plan, l->mkall_strtab);
	plan_add(&plan, l->mkall_typetab);
	int r = rows_init(&rows, &plan, t->w->n_order);
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		t->items[i].module = &t->w->modules[t->w->order[i]];
		r = rows_want(&rows, i, t->items[i].module->kallsyms, t->w->lx->os.kernel_memory,
			      t->w->batch);
	}
	int run = sonde_batch_run(t->w->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (uint32_t i = 0; i < rows.n && r == SONDE_OK; i++) {
		struct table *table = &t->items[i];
		if (rows_u64(&rows, i, l->mkall_symtab, &table->symtab) ||
		    rows_u64(&rows, i, l->mkall_strtab, &table->strtab) ||
		    rows_u64(&rows, i, l->mkall_num_symtab, &table->n) ||
		    table->n > MODULE_SYMS_MAX)
			table->n = 0;
		rows_u64(&rows, i, l->mkall_typetab, &table->typetab);
	}
	rows_finish(&rows);
	return r;
}

static int want_syms(struct tables *t, struct table *table)
{
	struct sonde_space *kernel = t->w->lx->os.kernel_memory;
	size_t bytes = table->n * SYM_SIZE;

	table->syms_err = table->types_err = SONDE_E_NOT_FOUND;
	if (!bytes || bytes > t->left_syms)
		return SONDE_OK;
	t->left_syms -= bytes;
	table->syms = arena_alloc(&t->arena, bytes);
	table->types = arena_alloc(&t->arena, table->n);
	if (!table->syms || !table->types)
		return SONDE_E_NO_MEMORY;
	int r = sonde_batch_add(t->w->batch, kernel, table->symtab, table->syms, bytes,
				&table->syms_err);
	if (r == SONDE_OK && table->typetab)
		r = sonde_batch_add(t->w->batch, kernel, table->typetab, table->types, table->n,
				    &table->types_err);
	return r;
}

/* The table of names has no length of its own: it reaches as far as the furthest name. */
static int want_names(struct tables *t, struct table *table)
{
	uint32_t furthest = 0;

	table->names_err = SONDE_E_NOT_FOUND;
	if (!table->syms || table->syms_err)
		return SONDE_OK;
	for (uint64_t i = 0; i < table->n; i++) {
		uint32_t name = sonde_le32(table->syms + i * SYM_SIZE);
		furthest = name > furthest ? name : furthest;
	}
	table->names_len = (size_t)furthest + SYMBOL_NAME_MAX;
	if (table->names_len > t->left_names)
		return SONDE_OK;
	t->left_names -= table->names_len;
	table->names = arena_alloc(&t->arena, table->names_len);
	if (!table->names)
		return SONDE_E_NO_MEMORY;
	return sonde_batch_add(t->w->batch, t->w->lx->os.kernel_memory, table->strtab, table->names,
			       table->names_len, &table->names_err);
}

/* Undefined symbols, names of nothing and the mapping symbols of ARM ($x) are left out, as the kernel leaves them out
 * where it names an address. */
static int add_symbol(const struct table *table, uint64_t i, uint32_t module,
		      struct sonde_symbols *add_to)
{
	const uint8_t *sym = table->syms + i * SYM_SIZE;
	uint32_t at = sonde_le32(sym);
	const char *name = (const char *)table->names + at;
	size_t len = strnlen(name, SYMBOL_NAME_MAX);
	char type = table->types_err ? '?' : (char)table->types[i];

	if (!sonde_le16(sym + 6) || !len || len == SYMBOL_NAME_MAX || *name == '$')
		return 0;
	if (type < 'a' || type > 'z')
		type = '?';
	else if (sym[4] >> 4 == STB_GLOBAL)
		type = (char)(type - 'a' + 'A');
	int r = symbols_add(add_to, sonde_le64(sym + 8), type, name, len, module);
	return r < 0 ? r : 1;
}

/* Bytes at the end of names may lie behind the table, in no memory: they are zero then, so
 * names_err is no reason to stop. */
static int add_symbols(const struct table *table, struct sonde_symbols *add_to)
{
	int added = 0;

	if (!table->names)
		return 0;
	int module = symbols_add_module(add_to, table->module->name);
	for (uint64_t i = 0; i < table->n && module > 0; i++) {
		int r = add_symbol(table, i, (uint32_t)module, add_to);
		if (r < 0)
			return r;
		added += r;
	}
	return module < 0 ? module : added;
}

static int for_each_table(struct tables *t, int (*want)(struct tables *t, struct table *table))
{
	int r = SONDE_OK;

	for (uint32_t i = 0; i < t->w->n_order && r == SONDE_OK; i++)
		r = want(t, &t->items[i]);
	int run = sonde_batch_run(t->w->batch);
	return r == SONDE_OK && run < 0 ? run : r;
}

int linux_module_symbols(struct linux_os *lx, struct sonde_symbols *add_to)
{
	struct module_walk w = { .lx = lx };
	struct tables t = { .w = &w,
			    .left_syms = SYMTAB_BYTES_MAX,
			    .left_names = STRTAB_BYTES_MAX };
	int added = 0;
	int r = modules_collect(&w, NULL);

	if (r == SONDE_OK && w.n_order) {
		t.items = arena_array(&t.arena, w.n_order, sizeof(*t.items));
		r = t.items ? read_places(&t) : SONDE_E_NO_MEMORY;
		if (r == SONDE_OK)
			r = for_each_table(&t, want_syms);
		if (r == SONDE_OK)
			r = for_each_table(&t, want_names);
		for (uint32_t i = 0; i < w.n_order && r >= 0; i++) {
			r = add_symbols(&t.items[i], add_to);
			added += r > 0 ? r : 0;
		}
	}
	arena_finish(&t.arena);
	modules_finish(&w);
	return r < 0 ? r : added;
}

/* SPDX-License-Identifier: MIT */
/*
 * Kernel modules. The list `modules` is what the kernel shows in /proc/modules, but
 * following it costs a trip a module. The kernel also keeps a tree of the same modules by address
 * (mod_tree): that is read first, breadth-first, and all modules in one trip; then the list is
 * followed in what is here already. A module that only the list has costs a trip of its own; one
 * that only the tree has was hidden from the list, or is just being loaded or removed, and is said
 * to be.
 *
 * Trips: 1 + depth of the tree + 1, about 10 for 100 modules.
 *
 * Source: linux v5.10 kernel/module.c, v6.1 kernel/module/{main,procfs,tree_lookup,kallsyms}.c,
 * v6.4 include/linux/module.h (struct module_memory), include/linux/rbtree_latch.h.
 */
#include <stdlib.h>
#include <string.h>

#include "linux/module.h"

#define MODULES_MAX 16384u
#define TREE_NODES_MAX (8 * MODULES_MAX) /* a module has up to seven parts          */
#define TREE_LEVELS_MAX 64u
#define REF_BASE 1u /* MODULE_REF_BASE                         */

static const char *const state_names[] = { "live", "coming", "going", "unformed" };

static void first_error(int32_t *err, int32_t r)
{
	if (!*err)
		*err = r;
}

#define DAMAGE(w, ...)                                                                             \
	((w)->damage ? (void)0 : (void)((w)->damage = arena_printf(&(w)->arena, __VA_ARGS__)))

/* Returns 1 and *ret; 0 when it is no module's address or one too many; SONDE_E_NO_MEMORY. */
static int add_module(struct module_walk *w, uint64_t addr, uint32_t *ret)
{
	if (!linux_pointer_plausible(w->lx, addr) || w->n == MODULES_MAX) {
		DAMAGE(w, "a link to 0x%llx could not be followed: %s", (unsigned long long)addr,
		       w->n == MODULES_MAX ? "too many modules" : "no address of the kernel");
		return 0;
	}
	int r = addr_map_add(&w->map, addr, ret);
	if (r <= 0)
		return r < 0 ? SONDE_E_NO_MEMORY : 1;
	if (w->n == w->cap) {
		uint32_t cap = w->cap ? 2 * w->cap : 64;
		struct module *grown = realloc(w->modules, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		w->modules = grown;
		w->cap = cap;
	}
	w->modules[w->n++] = (struct module){ .addr = addr };
	return 1;
}

static struct field link_of(const struct layout *l)
{
	return (struct field){ l->module_list.off, 8 };
}

static struct plan module_plan(const struct layout *l)
{
	struct plan plan = { 0 };

	plan_add(&plan, l->module_state);
	plan_add(&plan, link_of(l));
	plan_add(&plan, l->module_name);
	plan_add(&plan, l->module_refcnt);
	plan_add(&plan, l->module_mem);
	plan_add(&plan, l->module_core_base);
	plan_add(&plan, l->module_core_size);
	plan_add(&plan, l->module_init_size);
	plan_add(&plan, l->module_data_size);
	plan_add(&plan, l->module_kallsyms);
	return plan;
}

/* Since v6.4: an array of parts, the first is the text. */
static void take_parts(const struct layout *l, struct module *m, const struct rows *rows,
		       size_t row)
{
	int32_t err = SONDE_OK;
	const uint8_t *parts = rows_bytes(rows, row, l->module_mem, &err);
	uint32_t each = l->module_mem_size;

	first_error(&m->err, err);
	if (!parts || !has(l->modmem_base) || !has(l->modmem_size) || each < 8 ||
	    l->modmem_base.off > each - 8 || l->modmem_size.off > each - 4) {
		first_error(&m->err, SONDE_E_NO_TYPES);
		return;
	}
	for (uint32_t at = 0; each <= l->module_mem.size - at; at += each)
		m->size += sonde_le32(parts + at + l->modmem_size.off);
	if (each <= l->module_mem.size)
		m->base = sonde_le64(parts + l->modmem_base.off);
}

/* Before: core and init parts, on some architectures data apart. */
static void take_layouts(const struct layout *l, struct module *m, const struct rows *rows,
			 size_t row)
{
	uint64_t core = 0, init = 0, data = 0;

	first_error(&m->err, rows_u64(rows, row, l->module_core_base, &m->base));
	first_error(&m->err, rows_u64(rows, row, l->module_core_size, &core));
	first_error(&m->err, rows_u64(rows, row, l->module_init_size, &init));
	if (has(l->module_data_size))
		first_error(&m->err, rows_u64(rows, row, l->module_data_size, &data));
	m->size = core + init + data;
}

static void take_module(struct module_walk *w, struct module *m, const struct rows *rows,
			size_t row)
{
	const struct layout *l = &w->lx->layout;
	const uint8_t *name = rows_bytes(rows, row, l->module_name, &m->err);
	uint64_t refs = 0;

	m->next_err = rows_u64(rows, row, link_of(l), &m->next);
	if (name)
		memcpy(m->name, name,
		       strnlen((const char *)name, l->module_name.size < sizeof(m->name)
							   ? l->module_name.size
							   : sizeof(m->name) - 1));
	first_error(&m->err, m->next_err);
	first_error(&m->err, rows_u64(rows, row, l->module_state, &m->state));
	/* Kernels that cannot unload modules do not count. */
	if (has(l->module_refcnt))
		first_error(&m->err, rows_u64(rows, row, l->module_refcnt, &refs));
	m->refs = refs > REF_BASE ? refs - REF_BASE : 0;
	if (has(l->module_kallsyms))
		rows_u64(rows, row, l->module_kallsyms, &m->kallsyms);
	if (has(l->module_mem))
		take_parts(l, m, rows, row);
	else
		take_layouts(l, m, rows, row);
}

static int read_modules(struct module_walk *w)
{
	struct plan plan = module_plan(&w->lx->layout);
	struct rows rows;
	int r = rows_init(&rows, &plan, w->n - w->n_read);

	for (size_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, w->modules[w->n_read + i].addr, w->lx->os.kernel_memory,
			      w->batch);
	int run = sonde_batch_run(w->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	for (size_t i = 0; i < rows.n && r == SONDE_OK; i++)
		take_module(w, &w->modules[w->n_read + i], &rows, i);
	w->n_read = w->n;
	rows_finish(&rows);
	return r;
}

/* One level of the tree by address. It is a hint: what it does not give, the list will. */
struct level {
	struct addr_map seen; /* of nodes in all levels              */
	uint64_t *nodes;      /* [n]: addresses of struct rb_node    */
	uint32_t n, cap;
};

static int add_node(struct module_walk *w, struct level *level, uint64_t node)
{
	uint32_t index;

	if (!linux_pointer_plausible(w->lx, node) || level->seen.n == TREE_NODES_MAX)
		return SONDE_OK;
	int r = addr_map_add(&level->seen, node, &index);
	if (r <= 0)
		return r;
	if (level->n == level->cap) {
		uint32_t cap = level->cap ? 2 * level->cap : 64;
		uint64_t *grown = realloc(level->nodes, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		level->nodes = grown;
		level->cap = cap;
	}
	level->nodes[level->n++] = node;
	return SONDE_OK;
}

static int take_node(struct module_walk *w, struct level *level, const struct rows *rows,
		     size_t row)
{
	const struct layout *l = &w->lx->layout;
	struct field left = l->rb_left, right = l->rb_right;
	uint64_t module = 0, child[2] = { 0, 0 };
	uint32_t index;

	left.off += l->modnode_node.off;
	right.off += l->modnode_node.off;
	rows_u64(rows, row, l->modnode_mod, &module);
	rows_u64(rows, row, left, &child[0]);
	rows_u64(rows, row, right, &child[1]);
	int r = linux_pointer_plausible(w->lx, module) ? add_module(w, module, &index) : 0;
	for (int i = 0; i < 2 && r >= 0; i++)
		r = child[i] ? add_node(w, level, child[i]) : r;
	return r < 0 ? r : SONDE_OK;
}

static int read_level(struct module_walk *w, struct level *level)
{
	const struct layout *l = &w->lx->layout;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, l->modnode_mod);
	plan_add(&plan, l->modnode_node);
	int r = rows_init(&rows, &plan, level->n);
	for (size_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = rows_want(&rows, i, level->nodes[i] - l->modnode_node.off,
			      w->lx->os.kernel_memory, w->batch);
	int run = sonde_batch_run(w->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	level->n = 0;
	for (size_t i = 0; i < rows.n && r == SONDE_OK; i++)
		r = take_node(w, level, &rows, i);
	rows_finish(&rows);
	return r;
}

static int walk_tree(struct module_walk *w, uint64_t root)
{
	struct level level = { 0 };
	int r = add_node(w, &level, root);

	for (uint32_t i = 0; r == SONDE_OK && level.n && i < TREE_LEVELS_MAX; i++)
		r = read_level(w, &level);
	addr_map_finish(&level.seen);
	free(level.nodes);
	return r;
}

/* The head of the list, and the root of the tree where there is one (0). */
static int read_roots(struct module_walk *w, uint64_t *ret_tree)
{
	const struct layout *l = &w->lx->layout;
	struct sonde_space *kernel = w->lx->os.kernel_memory;
	uint8_t head[8], tree[8];
	int32_t tree_err = SONDE_E_NOT_FOUND;
	uint64_t at;
	int r = sonde_batch_add(w->batch, kernel, w->head, head, sizeof(head), &w->first_err);

	if (r == SONDE_OK && has(l->modtree_tree) && has(l->modnode_mod) && has(l->modnode_node) &&
	    has(l->rb_left) && has(l->rb_right) && linux_symbol(w->lx, "mod_tree", &at))
		r = sonde_batch_add(w->batch, kernel, at + l->modtree_tree.off, tree, sizeof(tree),
				    &tree_err);
	int run = sonde_batch_run(w->batch);
	*ret_tree = tree_err ? 0 : sonde_le64(tree);
	w->first = sonde_le64(head);
	return r == SONDE_OK && run < 0 ? run : r;
}

/* Follow the list; what the tree did not bring costs a trip each. */
static int walk_list(struct module_walk *w)
{
	uint64_t at = w->first;

	while (at != w->head) {
		uint32_t index, off = w->lx->layout.module_list.off;
		/* Checked before: a small link less off would look like an address of the kernel.
		 */
		bool plausible = linux_pointer_plausible(w->lx, at);
		int r = add_module(w, plausible ? at - off : at, &index);
		if (r <= 0)
			return r;
		if (w->n_read < w->n && (r = read_modules(w)) < 0)
			return r;
		struct module *m = &w->modules[index];
		if (m->in_list) {
			DAMAGE(w, "the list of modules runs in a circle at 0x%llx",
			       (unsigned long long)m->addr);
			return SONDE_OK;
		}
		m->in_list = true;
		w->order[w->n_order++] = index;
		if (m->next_err) {
			DAMAGE(w, "the list of modules breaks off at 0x%llx: %s",
			       (unsigned long long)m->addr, sonde_strerror(m->next_err));
			return SONDE_OK;
		}
		at = m->next;
	}
	return SONDE_OK;
}

/* Modules of the tree that the list does not have, behind the others. */
static void append_unlisted(struct module_walk *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		struct module *m = &w->modules[i];
		if (m->in_list)
			continue;
		w->order[w->n_order++] = i;
		DAMAGE(w,
		       "module '%s' at 0x%llx is in the kernel's tree by address but not in its "
		       "list",
		       m->name, (unsigned long long)m->addr);
	}
}

int modules_collect(struct module_walk *w, struct sonde_error *err)
{
	uint64_t tree;

	if (!linux_symbol(w->lx, "modules", &w->head) || !has(w->lx->layout.module_list) ||
	    !has(w->lx->layout.module_name))
		return sonde_error_set(err, SONDE_E_NO_TYPES,
				       "linux: modules: this kernel's symbols or types do not tell "
				       "where they are; it may have been built without modules");
	w->batch = sonde_batch_create(w->lx->loop);
	w->order = calloc(MODULES_MAX, sizeof(*w->order));
	int r = w->batch && w->order ? read_roots(w, &tree) : SONDE_E_NO_MEMORY;
	if (r == SONDE_OK)
		r = walk_tree(w, tree);
	if (r == SONDE_OK)
		r = read_modules(w);
	if (r == SONDE_OK && !w->first_err)
		r = walk_list(w);
	if (w->first_err && w->n)
		DAMAGE(w, "the list of modules could not be read: %s",
		       sonde_strerror(w->first_err));
	if (r == SONDE_OK)
		append_unlisted(w);
	if (r == SONDE_OK && w->first_err && !w->n)
		r = w->first_err;
	if (r < 0)
		return sonde_error_set(err, r, "linux: modules: the list at 0x%llx: %s",
				       (unsigned long long)w->head, sonde_strerror(r));
	return SONDE_OK;
}

void modules_finish(struct module_walk *w)
{
	sonde_batch_destroy(w->batch);
	addr_map_finish(&w->map);
	arena_finish(&w->arena);
	free(w->modules);
	free(w->order);
}

static int list_module(struct sonde_modules *list, const struct module *m)
{
	struct sonde_module *item = modules_add(list);

	if (!item)
		return SONDE_E_NO_MEMORY;
	item->addr = m->addr;
	item->base = m->base;
	item->size = m->size;
	item->refs = (uint32_t)m->refs;
	item->err = m->err;
	item->name = arena_strndup(&list->arena, m->name, strlen(m->name));
	item->state = "";
	if (!m->err && m->state < sizeof(state_names) / sizeof(state_names[0]))
		item->state = state_names[m->state];
	else
		first_error(&item->err, SONDE_E_CORRUPT);
	return item->name ? SONDE_OK : SONDE_E_NO_MEMORY;
}

int linux_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err)
{
	struct module_walk w = { .lx = linux_of(os) };
	int r = modules_collect(&w, err);

	for (uint32_t i = 0; i < w.n_order && r == SONDE_OK; i++) {
		r = list_module(list, &w.modules[w.order[i]]);
		if (r < 0)
			sonde_error_set(err, r, NULL);
	}
	if (w.damage)
		LIST_DAMAGE(list, "%s", w.damage);
	modules_finish(&w);
	return r;
}

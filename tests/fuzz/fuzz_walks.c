/* SPDX-License-Identifier: MIT */
/*
 * The walks through a kernel's structures: the input is its memory. At fixed places
 * in it lie the root of a maple tree, pairs of mount and dentry, and the heads of the modules' list
 * and tree.
 */
#include "kernel_memory.h"
#include "linux/maple.h"
#include "sym/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define ROOT 0u     /* ma_root                      */
#define PATHS 8u    /* four pairs                   */
#define MODULES 72u /* struct list_head modules     */
#define TREE 88u    /* struct mod_tree_root         */
#define DNAME UINT64_C(0xffffffff81000000)

static const struct layout layout = {
	.maple_node_size = 256,
	.mn_r64_pivot = { 8, 120 },
	.mn_r64_slot = { 128, 128 },
	.mn_a64_pivot = { 8, 72 },
	.mn_a64_slot = { 80, 80 },
	.mn_alloc_slot = { 8, 248 },
	.dentry_hash_pprev = { 8, 8 },
	.dentry_parent = { 16, 8 },
	.dentry_name_len = { 28, 4 },
	.dentry_name = { 32, 8 },
	.dentry_inode = { 40, 8 },
	.dentry_iname = { 48, 32 },
	.dentry_op = { 80, 8 },
	.mount_parent = { 16, 8 },
	.mount_mountpoint = { 24, 8 },
	.mount_mnt = { 32, 32 },
	.vfsmount_root = { 0, 8 },
	.dop_dname = { 72, 8 },
	.inode_ino = { 64, 8 },
	.module_state = { 0, 4 },
	.module_list = { 8, 16 },
	.module_name = { 24, 56 },
	.module_kallsyms = { 80, 8 },
	.module_core_base = { 88, 8 },
	.module_core_size = { 96, 4 },
	.module_init_size = { 100, 4 },
	.module_refcnt = { 104, 4 },
	.modtree_tree = { 8, 16 },
	.modnode_mod = { 0, 8 },
	.modnode_node = { 8, 48 },
	.rb_right = { 8, 8 },
	.rb_left = { 16, 8 },
	.mkall_symtab = { 0, 8 },
	.mkall_num_symtab = { 8, 4 },
	.mkall_strtab = { 16, 8 },
	.mkall_typetab = { 24, 8 },
};

static void walk_paths(struct linux_os *lx, const uint8_t *bytes)
{
	struct linux_path paths[4] = { 0 };
	struct arena arena = { 0 };

	for (size_t i = 0; i < 4; i++) {
		paths[i].mnt = sonde_le64(bytes + PATHS + 16 * i);
		paths[i].dentry = sonde_le64(bytes + PATHS + 16 * i + 8);
	}
	if (linux_paths(lx, paths, 4, &arena) == 0) {
		for (size_t i = 0; i < 4; i++) {
			if (!paths[i].text == !paths[i].err)
				abort();
		}
	}
	arena_finish(&arena);
}

static void walk_modules(struct linux_os *lx)
{
	struct sonde_modules *list = calloc(1, sizeof(*list));
	struct sonde_symbols *symbols = symbols_create(0, 0);

	if (!list || !symbols)
		abort();
	linux_modules(&lx->os, list, NULL);
	linux_module_symbols(lx, symbols);
	symbols_destroy(symbols);
	sonde_modules_destroy(list);
}

static void walk_all(struct linux_os *lx, const uint8_t *bytes)
{
	struct maple_entries entries;

	maple_collect(lx->loop, lx->os.kernel_memory, &lx->layout, sonde_le64(bytes + ROOT),
		      &entries);
	free(entries.items);
	walk_paths(lx, bytes);
	walk_modules(lx);
}

static struct sonde_symbols *make_symbols(void)
{
	struct sonde_symbols *symbols = symbols_create(0, 0);

	if (!symbols || symbols_add(symbols, FUZZ_BASE + MODULES, 'D', "modules", 7, 0) < 0 ||
	    symbols_add(symbols, FUZZ_BASE + TREE, 'D', "mod_tree", 8, 0) < 0 ||
	    symbols_add(symbols, DNAME, 't', "simple_dname", 12, 0) < 0 ||
	    symbols_add(symbols, DNAME + 16, 't', "pipefs_dname", 12, 0) < 0 ||
	    symbols_seal(symbols) < 0)
		abort();
	return symbols;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_memory memory = { bytes, len };
	struct linux_os lx = { .layout = layout };

	if (len < TREE + 24)
		return 0;
	fuzz_kernel_make(&lx, &memory);
	lx.os.symbols = make_symbols();
	walk_all(&lx, bytes);
	symbols_destroy(lx.os.symbols);
	fuzz_kernel_finish(&lx);
	return 0;
}

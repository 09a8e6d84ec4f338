/* SPDX-License-Identifier: MIT */
/* Mappings of a process written by hand: as a maple tree, a red-black tree, a list; named and
 * broken. */
#include "kmem.h"

#include "linux/maple.h"

#define PID 7
#define STACK UINT64_C(0x7ffd00010000)
#define BRK_START UINT64_C(0x1000000)
#define BRK UINT64_C(0x1020000)
#define RO 0x1u
#define RW 0x3u
#define RX 0x5u
#define SHARED 0x80u
#define NAME_FN UINT64_C(0xffffffff81000000)
#define MOUNT_MNT 32u

/* Structures smaller than the kernel's, their members in its order. */
static const struct layout layout = {
	.task_pid = { 0, 4 },
	.task_mm = { 8, 8 },
	.task_pid_links = { 16, 64 },
	.pid_tasks = { 0, 32 },
	.pidns_idr_head = { 0, 8 },
	.xa_shift = { 0, 1 },
	.xa_slots = { 8, 512 },
	.mm_start_brk = { 32, 8 },
	.mm_brk = { 40, 8 },
	.mm_start_stack = { 48, 8 },
	.mm_map_count = { 56, 4 },
	.vma_start = { 0, 8 },
	.vma_end = { 8, 8 },
	.vma_flags = { 16, 8 },
	.vma_pgoff = { 24, 8 },
	.vma_file = { 32, 8 },
	.vma_ops = { 40, 8 },
	.vma_private = { 48, 8 },
	.vma_anon_name = { 56, 8 },
	.vma_mm = { 64, 8 },
	.vma_shared = { 104, 8 },
	.rb_right = { 8, 8 },
	.rb_left = { 16, 8 },
	.anon_name_text = { 4, 1 },
	.mapping_name = { 0, 8 },
	.vmops_name = { 24, 8 },
	.file_path = { 0, 16 },
	.path_mnt = { 0, 8 },
	.path_dentry = { 8, 8 },
	.file_inode = { 16, 8 },
	.inode_ino = { 0, 8 },
	.inode_sb = { 8, 8 },
	.sb_dev = { 0, 4 },
	.dentry_hash_pprev = { 8, 8 },
	.dentry_parent = { 16, 8 },
	.dentry_name_len = { 28, 4 },
	.dentry_name = { 32, 8 },
	.dentry_iname = { 48, 32 },
	.mount_parent = { 16, 8 },
	.mount_mountpoint = { 24, 8 },
	.mount_mnt = { MOUNT_MNT, 32 },
	.vfsmount_root = { 0, 8 },
};

struct world {
	struct kmem *k; /* first: kmem_teardown frees it */
	uint64_t task, mm, vma[16];
	uint32_t n;
	uint64_t root, mount; /* dentry and mount of "/" */
};

static uint64_t dentry_new(struct kmem *k, uint64_t parent, const char *name)
{
	uint64_t d = kmem_new(k, 128);

	kmem_put64(k, d + 8, KMEM_BASE + 8);
	kmem_put64(k, d + 16, parent ? parent : d);
	kmem_put32(k, d + 28, (uint32_t)strlen(name));
	kmem_put64(k, d + 32, d + 48);
	kmem_put(k, d + 48, name, strlen(name));
	return d;
}

static void make_process(struct world *w)
{
	struct kmem *k = w->k;
	uint64_t ns = kmem_new(k, 8), node = kmem_new(k, 640), pid = kmem_new(k, 32);

	w->task = kmem_new(k, 128);
	w->mm = kmem_new(k, 128);
	kmem_symbol(k, "init_pid_ns", ns);
	kmem_symbol(k, "special_mapping_name", NAME_FN);
	assert_int_equal(symbols_seal(k->symbols), 0);
	kmem_put64(k, ns, node | 2); /* an xarray node, shift 0 */
	kmem_put64(k, node + 8 + 8 * PID, pid);
	kmem_put64(k, pid, w->task + 16);
	kmem_put32(k, w->task, PID);
	kmem_put64(k, w->task + 8, w->mm);
	kmem_put64(k, w->mm + 32, BRK_START);
	kmem_put64(k, w->mm + 40, BRK);
	kmem_put64(k, w->mm + 48, STACK + 0x800);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	kmem_setup((void **)&w->k);
	w->k->lx.layout = layout;
	w->k->lx.kernel.release = "6.12.1";
	make_process(w);
	w->root = dentry_new(w->k, 0, "/");
	w->mount = kmem_new(w->k, 128);
	kmem_put64(w->k, w->mount + 16, w->mount);
	kmem_put64(w->k, w->mount + MOUNT_MNT, w->root);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	kmem_teardown((void **)&w->k);
	free(w);
	return 0;
}

static uint64_t vma_new(struct world *w, uint64_t start, uint64_t len, uint64_t flags)
{
	uint64_t v = kmem_new(w->k, 128);

	kmem_put64(w->k, v, start);
	kmem_put64(w->k, v + 8, start + len);
	kmem_put64(w->k, v + 16, flags);
	kmem_put64(w->k, v + 64, w->mm);
	w->vma[w->n++] = v;
	kmem_put32(w->k, w->mm + 56, w->n);
	return v;
}

/* All mappings made so far as one maple leaf. */
static void as_maple(struct world *w)
{
	struct layout *l = &w->k->lx.layout;
	uint64_t leaf = kmem_new(w->k, 256);

	l->mm_mt = (struct field){ 0, 16 };
	l->mt_root = (struct field){ 8, 8 };
	l->maple_node_size = 256;
	l->mn_r64_pivot = (struct field){ 8, 120 };
	l->mn_r64_slot = (struct field){ 128, 128 };
	l->mn_a64_pivot = (struct field){ 8, 72 };
	l->mn_a64_slot = (struct field){ 80, 80 };
	l->mn_alloc_slot = (struct field){ 8, 248 };
	for (uint32_t i = 0; i < w->n; i++) {
		kmem_put64(w->k, leaf + 8 + 8 * i, 0x1000 * (i + 1));
		kmem_put64(w->k, leaf + 128 + 8 * i, w->vma[i]);
	}
	kmem_put64(w->k, w->mm + 8, leaf | 1 << 3 | 4 | 2);
}

static void as_list(struct world *w)
{
	struct layout *l = &w->k->lx.layout;

	l->mm_mmap = (struct field){ 24, 8 };
	l->vma_next = (struct field){ 96, 8 };
	kmem_put64(w->k, w->mm + 24, w->vma[0]);
	for (uint32_t i = 0; i + 1 < w->n; i++)
		kmem_put64(w->k, w->vma[i] + 96, w->vma[i + 1]);
}

/* The mapping in the middle is the root, and so on down. Returns its node. */
static uint64_t rb_tree(struct world *w, uint32_t first, uint32_t end)
{
	uint32_t mid = first + (end - first) / 2;

	if (first == end)
		return 0;
	kmem_put64(w->k, w->vma[mid] + 72 + 16, rb_tree(w, first, mid));
	kmem_put64(w->k, w->vma[mid] + 72 + 8, rb_tree(w, mid + 1, end));
	return w->vma[mid] + 72;
}

/* Before v6.1 both are there. */
static void as_rb(struct world *w)
{
	as_list(w);
	w->k->lx.layout.mm_rb = (struct field){ 16, 8 };
	w->k->lx.layout.vma_rb = (struct field){ 72, 24 };
	kmem_put64(w->k, w->mm + 16, rb_tree(w, 0, w->n));
}

static uint64_t file_new(struct world *w, const char *name, uint64_t ino, uint32_t dev)
{
	uint64_t file = kmem_new(w->k, 64), inode = kmem_new(w->k, 16), sb = kmem_new(w->k, 8);

	kmem_put64(w->k, file, w->mount + MOUNT_MNT);
	kmem_put64(w->k, file + 8, dentry_new(w->k, w->root, name));
	kmem_put64(w->k, file + 16, inode);
	kmem_put64(w->k, inode, ino);
	kmem_put64(w->k, inode + 8, sb);
	kmem_put32(w->k, sb, dev);
	return file;
}

static struct sonde_mappings *list(struct world *w)
{
	struct sonde_mappings *got = calloc(1, sizeof(*got));
	struct sonde_error err;

	w->k->trips = 0;
	if (linux_mappings(&w->k->lx.os, PID, got, &err) < 0)
		fail_msg("%s", err.text);
	return got;
}

static void expect_one(struct world *w, const char *path)
{
	as_maple(w);
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, w->n);
	assert_string_equal(got->items[w->n - 1].path, path);
	assert_int_equal(got->items[w->n - 1].err, 0);
	assert_null(got->damage);
	sonde_mappings_destroy(got);
}

static void a_file_is_told_whole(void **state)
{
	struct world *w = *state;
	uint64_t v = vma_new(w, 0x400000, 0x3000, RX | SHARED);

	kmem_put64(w->k, v + 24, 5);
	kmem_put64(w->k, v + 32, file_new(w, "program", 1234, 8u << 20 | 3));
	as_maple(w);
	struct sonde_mappings *got = list(w);
	const struct sonde_mapping *m = &got->items[0];
	assert_int_equal(m->start, 0x400000);
	assert_int_equal(m->end, 0x403000);
	assert_int_equal(m->offset, 0x5000);
	assert_int_equal(m->inode, 1234);
	assert_int_equal(m->dev_major, 8);
	assert_int_equal(m->dev_minor, 3);
	assert_int_equal(m->flags, SONDE_REGION_READ | SONDE_REGION_EXEC | SONDE_REGION_SHARED);
	assert_string_equal(m->path, "/program");
	sonde_mappings_destroy(got);
}

/* A file of an overlay is mapped as the file below it; the path that was opened lies behind that.
 */
static void a_backing_file_is_told_by_the_path_that_was_opened(void **state)
{
	struct world *w = *state;
	uint64_t v = vma_new(w, 0x400000, 0x3000, RX), file = file_new(w, "lower", 5, 1);
	uint64_t upper = file_new(w, "upper", 9, 2), inode, dentry;

	w->k->lx.layout.file_mode = (struct field){ 24, 4 };
	w->k->lx.layout.backing_user_path = (struct field){ 32, 16 };
	w->k->lx.layout.dentry_inode = (struct field){ 40, 8 };
	memcpy(&dentry, w->k->bytes + (upper + 8 - KMEM_BASE), 8);
	memcpy(&inode, w->k->bytes + (upper + 16 - KMEM_BASE), 8);
	kmem_put64(w->k, dentry + 40, inode);
	kmem_put64(w->k, file + 32, w->mount + MOUNT_MNT);
	kmem_put64(w->k, file + 40, dentry);
	kmem_put64(w->k, v + 32, file);
	expect_one(w, "/lower"); /* without the flags it is a file like others */
	kmem_put32(w->k, file + 24, 0x21000000);
	as_maple(w);
	struct sonde_mappings *got = list(w);
	assert_string_equal(got->items[0].path, "/upper");
	assert_int_equal(got->items[0].inode, 9);
	assert_int_equal(got->items[0].dev_minor, 2);
	sonde_mappings_destroy(got);
	kmem_put64(w->k, file + 40, 0x1234);
	expect_one(w, "/lower");
}

static void what_only_touches_the_heap_is_heap_before_6_6(void **state)
{
	struct world *w = *state;

	vma_new(w, BRK_START - 0x1000, 0x1000, RW);
	w->k->lx.kernel.release = "6.1.0-50-cloud-amd64";
	expect_one(w, "[heap]");
	w->k->lx.kernel.release = "6.6.1";
	expect_one(w, "");
}

static void heap_and_stack_are_named(void **state)
{
	struct world *w = *state;

	vma_new(w, BRK_START, 0x20000, RW);
	expect_one(w, "[heap]");
	vma_new(w, STACK, 0x1000, RW);
	expect_one(w, "[stack]");
}

static void special_mappings_tell_their_name(void **state)
{
	struct world *w = *state;
	uint64_t v = vma_new(w, STACK + 0x100000, 0x2000, RX);
	uint64_t ops = kmem_new(w->k, 64), special = kmem_new(w->k, 16), text = kmem_new(w->k, 32);

	kmem_put64(w->k, ops + 24, NAME_FN);
	kmem_put64(w->k, special, text);
	kmem_put(w->k, text, "[vdso]", 7);
	kmem_put64(w->k, v + 40, ops);
	kmem_put64(w->k, v + 48, special);
	expect_one(w, "[vdso]");
	/* Another function's mapping has no name, whatever its private data look like. */
	kmem_put64(w->k, ops + 24, NAME_FN - 0x100);
	expect_one(w, "");
}

static void names_given_by_the_process_are_shown(void **state)
{
	struct world *w = *state;
	uint64_t v = vma_new(w, 0x700000, 0x1000, RW), name = kmem_new(w->k, 64);

	kmem_put(w->k, name + 4, "pool", 5);
	kmem_put64(w->k, v + 56, name);
	expect_one(w, "[anon:pool]");
	kmem_put64(w->k, v + 32, file_new(w, "memory", 1, 1));
	expect_one(w, "[anon_shmem:pool]");
	/* Before v6.2 that place in mappings of files means something else. */
	w->k->lx.layout.vma_shared = w->k->lx.layout.vma_anon_name;
	expect_one(w, "/memory");
}

static void a_tree_costs_its_depth_and_a_list_its_length(void **state)
{
	struct world *w = *state;

	for (int i = 14; i >= 0; i--)
		vma_new(w, 0x10000 * (uint64_t)(15 - i), 0x1000, RW);
	as_list(w);
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, 15);
	size_t along = w->k->trips;
	sonde_mappings_destroy(got);
	as_rb(w);
	got = list(w);
	assert_int_equal(got->n, 15);
	assert_null(got->damage);
	assert_int_equal(along - w->k->trips, 15 - 4);
	for (size_t i = 0; i < got->n; i++)
		assert_int_equal(got->items[i].start, 0x10000 * (i + 1));
	sonde_mappings_destroy(got);
}

static void the_list_helps_a_damaged_tree(void **state)
{
	struct world *w = *state;

	for (uint64_t i = 0; i < 7; i++)
		vma_new(w, 0x10000 * (i + 1), 0x1000, RW);
	as_rb(w);
	kmem_put64(w->k, w->vma[3] + 72 + 8, 0x10); /* half the tree is cut off */
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, 7);
	assert_non_null(got->damage);
	sonde_mappings_destroy(got);
}

static void circles_end(void **state)
{
	struct world *w = *state;

	for (uint64_t i = 0; i < 3; i++)
		vma_new(w, 0x10000 * (i + 1), 0x1000, RW);
	as_list(w);
	kmem_put64(w->k, w->vma[2] + 96, w->vma[0]);
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, 3);
	assert_non_null(strstr(got->damage, "circle"));
	sonde_mappings_destroy(got);
	as_rb(w);
	kmem_put64(w->k, w->vma[0] + 72 + 8, w->vma[1] + 72);
	got = list(w);
	assert_int_equal(got->n, 3);
	sonde_mappings_destroy(got);
}

static void a_broken_mapping_is_listed_with_its_error(void **state)
{
	struct world *w = *state;

	vma_new(w, 0x10000, 0x1000, RW);
	vma_new(w, 0x20000, 0x1000, RW);
	kmem_put64(w->k, w->vma[1] + 32, KMEM_HOLE); /* its file */
	vma_new(w, 0x30000, 0x1000, RW);
	kmem_put64(w->k, w->vma[2] + 8, 0x1000); /* ends before it begins */
	vma_new(w, 0x40000, 0x1000, RW);
	kmem_put64(w->k, w->vma[3] + 64, w->mm + 0x1000); /* of another process */
	vma_new(w, 0x50000, 0x1000, RW);
	w->vma[4] = KMEM_HOLE;
	as_maple(w);
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, 5);
	assert_int_equal(got->items[0].err, SONDE_E_NOT_MAPPED);
	assert_int_equal(got->items[1].err, 0);
	assert_int_equal(got->items[2].err, SONDE_E_NOT_MAPPED);
	assert_int_equal(got->items[2].start, 0x20000);
	assert_int_equal(got->items[3].err, SONDE_E_CORRUPT);
	assert_int_equal(got->items[4].err, SONDE_E_CORRUPT);
	assert_non_null(strstr(got->damage, "1 mapping"));
	sonde_mappings_destroy(got);
}

static void a_wrong_count_is_damage(void **state)
{
	struct world *w = *state;

	vma_new(w, 0x10000, 0x1000, RO);
	kmem_put32(w->k, w->mm + 56, 4);
	as_maple(w);
	struct sonde_mappings *got = list(w);
	assert_int_equal(got->n, 1);
	assert_non_null(strstr(got->damage, "counts 4"));
	sonde_mappings_destroy(got);
}

static void expect_refusal(struct world *w, int32_t pid, int want, const char *story)
{
	struct sonde_mappings got = { 0 };
	struct sonde_error err;

	assert_int_equal(linux_mappings(&w->k->lx.os, pid, &got, &err), want);
	assert_non_null(strstr(err.text, story));
}

static void processes_without_memory_are_refused_with_a_reason(void **state)
{
	struct world *w = *state;

	expect_refusal(w, PID, SONDE_E_NO_TYPES, "mappings");
	as_maple(w);
	expect_refusal(w, 5, SONDE_E_NOT_FOUND, "5");
	kmem_put64(w->k, w->task + 8, 0x1234);
	expect_refusal(w, PID, SONDE_E_CORRUPT, "0x1234");
	kmem_put64(w->k, w->task + 8, KMEM_HOLE);
	expect_refusal(w, PID, SONDE_E_NOT_MAPPED, "mappings");
	kmem_put64(w->k, w->task + 8, 0);
	expect_refusal(w, PID, SONDE_E_NOT_MAPPED, "kernel thread");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_file_is_told_whole),
		TEST(a_backing_file_is_told_by_the_path_that_was_opened),
		TEST(heap_and_stack_are_named),
		TEST(what_only_touches_the_heap_is_heap_before_6_6),
		TEST(special_mappings_tell_their_name),
		TEST(names_given_by_the_process_are_shown),
		TEST(a_tree_costs_its_depth_and_a_list_its_length),
		TEST(the_list_helps_a_damaged_tree),
		TEST(circles_end),
		TEST(a_broken_mapping_is_listed_with_its_error),
		TEST(a_wrong_count_is_damage),
		TEST(processes_without_memory_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

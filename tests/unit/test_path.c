/* SPDX-License-Identifier: MIT */
/* Names of files out of dentries and mounts written by hand: what d_path would say, and liars. */
#include "kmem.h"

#define INLINE_NAME 32u

/* struct dentry, mount, vfsmount, dentry_operations, inode: order as in v6.1, gaps left out. */
static const struct layout layout = {
	.dentry_hash_pprev = { 8, 8 },
	.dentry_parent = { 16, 8 },
	.dentry_name_len = { 28, 4 },
	.dentry_name = { 32, 8 },
	.dentry_inode = { 40, 8 },
	.dentry_iname = { 48, INLINE_NAME },
	.dentry_op = { 80, 8 },
	.mount_parent = { 16, 8 },
	.mount_mountpoint = { 24, 8 },
	.mount_mnt = { 32, 32 },
	.vfsmount_root = { 0, 8 },
	.dop_dname = { 72, 8 },
	.inode_ino = { 64, 8 },
};

static int setup(void **state)
{
	kmem_setup(state);
	((struct kmem *)*state)->lx.layout = layout;
	return 0;
}

/* parent 0: its own. */
static uint64_t dentry_new(struct kmem *k, uint64_t parent, const char *name)
{
	uint64_t d = kmem_new(k, 128), at = d + 48;

	if (strlen(name) >= INLINE_NAME)
		at = kmem_new(k, strlen(name));
	kmem_put64(k, d + 8, KMEM_BASE + 8);
	kmem_put64(k, d + 16, parent ? parent : d);
	kmem_put32(k, d + 28, (uint32_t)strlen(name));
	kmem_put64(k, d + 32, at);
	kmem_put(k, at, name, strlen(name));
	return d;
}

/* parent 0: its own. */
static uint64_t mount_new(struct kmem *k, uint64_t parent, uint64_t mountpoint, uint64_t root)
{
	uint64_t m = kmem_new(k, 128);

	kmem_put64(k, m + 16, parent ? parent : m);
	kmem_put64(k, m + 24, mountpoint ? mountpoint : root);
	kmem_put64(k, m + 32, root);
	return m;
}

static void resolve(struct kmem *k, struct linux_path *paths, size_t n, struct arena *arena)
{
	k->trips = 0;
	assert_int_equal(linux_paths(&k->lx, paths, n, arena), 0);
}

static void expect(struct kmem *k, uint64_t mount, uint64_t dentry, const char *want)
{
	struct linux_path path = { .mnt = mount + 32, .dentry = dentry };
	struct arena arena = { 0 };

	resolve(k, &path, 1, &arena);
	assert_int_equal(path.err, 0);
	assert_string_equal(path.text, want);
	arena_finish(&arena);
}

static void expect_err(struct kmem *k, uint64_t mount, uint64_t dentry, int32_t err)
{
	struct linux_path path = { .mnt = mount + 32, .dentry = dentry };
	struct arena arena = { 0 };

	resolve(k, &path, 1, &arena);
	assert_int_equal(path.err, err);
	assert_null(path.text);
	arena_finish(&arena);
}

static void components_are_joined_from_the_root(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	uint64_t bin = dentry_new(k, root, "bin"), sh = dentry_new(k, bin, "sh");

	expect(k, m, root, "/");
	expect(k, m, bin, "/bin");
	expect(k, m, sh, "/bin/sh");
}

static void a_mount_continues_at_its_mountpoint(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), top = mount_new(k, 0, 0, root);
	uint64_t mnt = dentry_new(k, root, "mnt");
	uint64_t disk = dentry_new(k, 0, "/"), m = mount_new(k, top, mnt, disk);
	uint64_t dir = dentry_new(k, disk, "dir");
	/* Bound: a folder of the disk is the root of a mount of its own. */
	uint64_t bind = mount_new(k, top, dentry_new(k, root, "bind"), dir);
	uint64_t file = dentry_new(k, dir, "file");

	expect(k, m, disk, "/mnt");
	expect(k, m, file, "/mnt/dir/file");
	expect(k, bind, file, "/bind/file");
	expect(k, bind, dir, "/bind");
}

/* The root of the namespace is covered by another mount: switch_root leaves it so. */
static void a_mount_on_the_root_adds_no_component(void **state)
{
	struct kmem *k = *state;
	uint64_t rootfs = dentry_new(k, 0, "/"), bottom = mount_new(k, 0, 0, rootfs);
	uint64_t disk = dentry_new(k, 0, "/"), m = mount_new(k, bottom, rootfs, disk);

	expect(k, m, disk, "/");
	expect(k, m, dentry_new(k, disk, "etc"), "/etc");
}

static void long_names_lie_outside(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	char name[256], want[300];

	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(want, sizeof(want), "/%s/x", name);
	expect(k, m, dentry_new(k, dentry_new(k, root, name), "x"), want);
}

static void unlinked_files_are_marked(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	uint64_t gone = dentry_new(k, root, "gone");

	kmem_put64(k, gone + 8, 0);
	kmem_put64(k, root + 8, 0); /* roots never are in the hash */
	expect(k, m, gone, "/gone (deleted)");
	expect(k, m, root, "/");
}

static void pseudo_files_are_named_by_their_operations(void **state)
{
	static const struct {
		const char *function, *name, *want;
	} cases[] = {
		{ "simple_dname", "memfd:x", "/memfd:x (deleted)" },
		{ "simple_dname", "dev/zero", "/dev/zero (deleted)" },
		{ "pipefs_dname", "", "pipe:[77]" },
		{ "sockfs_dname", "TCP", "socket:[77]" },
		{ "ns_dname", "", "ns:[77]" },
		{ "anon_inodefs_dname", "[eventpoll]", "anon_inode:[eventpoll]" },
		{ "dmabuffs_dname", "dmabuf", "/dmabuf:" },
	};
	const size_t n = sizeof(cases) / sizeof(cases[0]);
	struct kmem *k = *state;
	uint64_t m = mount_new(k, 0, 0, dentry_new(k, 0, "mem:")), inode = kmem_new(k, 128);
	uint64_t dentries[sizeof(cases) / sizeof(cases[0])];

	kmem_put64(k, inode + 64, 77);
	for (size_t i = 0; i < n; i++) {
		uint64_t op = kmem_new(k, 128), function = UINT64_C(0xffffffff81000000) + 16 * i;
		dentries[i] = dentry_new(k, 0, cases[i].name);
		kmem_put64(k, op + 72, function);
		kmem_put64(k, dentries[i] + 80, op);
		kmem_put64(k, dentries[i] + 40, inode);
		kmem_symbol(k, cases[i].function, function);
	}
	assert_int_equal(symbols_seal(k->symbols), 0);
	for (size_t i = 0; i < n; i++)
		expect(k, m, dentries[i], cases[i].want);
}

/* Trips follow the depth; a thousand paths of one folder are no dearer than one. */
static void shared_folders_are_read_once(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root), dir = root;
	struct linux_path *paths = calloc(1000, sizeof(*paths));
	struct arena arena = { 0 };
	char name[16], want[64];

	for (int i = 0; i < 5; i++)
		dir = dentry_new(k, dir, "d");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		paths[i] = (struct linux_path){ .mnt = m + 32, .dentry = dentry_new(k, dir, name) };
	}
	resolve(k, paths, 1000, &arena);
	assert_int_equal(k->trips, 7);
	for (int i = 0; i < 1000; i++) {
		snprintf(want, sizeof(want), "/d/d/d/d/d/f%d", i);
		assert_string_equal(paths[i].text, want);
	}
	arena_finish(&arena);
	free(paths);
}

static void a_broken_path_leaves_the_others(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	struct linux_path paths[] = {
		{ .mnt = m + 32, .dentry = KMEM_HOLE },
		{ .mnt = m + 32, .dentry = dentry_new(k, root, "good") },
		{ .mnt = KMEM_HOLE + 32, .dentry = root },
		{ .mnt = m + 32, .dentry = 0x1000 },
		{ .mnt = 0, .dentry = 0 },
		{ .mnt = m + 32, .dentry = dentry_new(k, KMEM_HOLE, "orphan") },
		{ .mnt = m + 32, .dentry = dentry_new(k, 0x7fff0000, "user") },
	};
	static const int32_t want[] = { SONDE_E_NOT_MAPPED, 0,
					SONDE_E_NOT_MAPPED, SONDE_E_CORRUPT,
					SONDE_E_CORRUPT,    SONDE_E_NOT_MAPPED,
					SONDE_E_CORRUPT };
	struct arena arena = { 0 };

	resolve(k, paths, 7, &arena);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(paths[i].err, want[i]);
	assert_string_equal(paths[1].text, "/good");
	arena_finish(&arena);
}

static void circles_end(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	uint64_t a = dentry_new(k, root, "a"), b = dentry_new(k, a, "b");
	uint64_t r1 = dentry_new(k, 0, "/"), m1 = mount_new(k, m, root, r1);
	uint64_t r2 = dentry_new(k, 0, "/"), m2 = mount_new(k, m1, r1, r2);

	kmem_put64(k, a + 16, b);
	expect_err(k, m, b, SONDE_E_LIMIT);
	assert_true(k->trips < 8); /* a circle is known soon: nothing new to read */
	kmem_put64(k, m1 + 16, m2);
	kmem_put64(k, m1 + 24, r2);
	expect_err(k, m2, r2, SONDE_E_LIMIT);
}

static void depth_and_length_are_limited(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root), deep = root;
	char name[252];

	for (int i = 0; i < 256; i++)
		deep = dentry_new(k, deep, "d");
	struct linux_path path = { .mnt = m + 32, .dentry = deep };
	struct arena arena = { 0 };
	resolve(k, &path, 1, &arena);
	assert_int_equal(path.err, 0);
	assert_int_equal(strlen(path.text), 512);
	arena_finish(&arena);
	expect_err(k, m, dentry_new(k, deep, "d"), SONDE_E_LIMIT);

	memset(name, 'n', 251);
	name[251] = '\0';
	deep = root;
	for (int i = 0; i < 17; i++)
		deep = dentry_new(k, deep, name);
	expect_err(k, m, deep, SONDE_E_LIMIT);
}

static void names_that_lie_are_errors(void **state)
{
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);
	uint64_t d = dentry_new(k, root, "short");

	kmem_put32(k, d + 28, INLINE_NAME + 1);
	expect_err(k, m, d, SONDE_E_CORRUPT);
	kmem_put32(k, d + 28, UINT32_MAX);
	expect_err(k, m, d, SONDE_E_LIMIT);
	kmem_put32(k, d + 28, 40);
	kmem_put64(k, d + 32, KMEM_HOLE);
	expect_err(k, m, d, SONDE_E_NOT_MAPPED);
}

/* ---- the program of a process ------------------------------------------------------------------ */

static void put_task_layout(struct layout *l)
{
	l->task_tasks = (struct field){ 0, 16 };
	l->task_pid = (struct field){ 16, 4 };
	l->task_tgid = (struct field){ 20, 4 };
	l->task_mm = (struct field){ 24, 8 };
	l->task_comm = (struct field){ 32, 16 };
	l->task_state = (struct field){ 48, 4 };
	l->task_exit_state = (struct field){ 52, 4 };
	l->task_flags = (struct field){ 56, 4 };
	l->task_real_parent = (struct field){ 64, 8 };
	l->mm_pgd = (struct field){ 0, 8 };
	l->mm_exe_file = (struct field){ 8, 8 };
	l->file_path = (struct field){ 16, 16 };
	l->path_mnt = (struct field){ 0, 8 };
	l->path_dentry = (struct field){ 8, 8 };
}

/* init_task and one process, whose program is this file. */
static void put_process(struct kmem *k, uint64_t mount, uint64_t dentry)
{
	uint64_t init = kmem_new(k, 128), task = kmem_new(k, 128), mm = kmem_new(k, 128);
	uint64_t file = kmem_new(k, 128);

	put_task_layout(&k->lx.layout);
	kmem_symbol(k, "init_task", init);
	assert_int_equal(symbols_seal(k->symbols), 0);
	kmem_put64(k, init, task);
	kmem_put64(k, task, init);
	kmem_put32(k, task + 16, 7);
	kmem_put32(k, task + 20, 7);
	kmem_put64(k, task + 24, mm);
	kmem_put64(k, task + 64, init);
	kmem_put64(k, mm + 8, file);
	kmem_put64(k, file + 16, mount + 32);
	kmem_put64(k, file + 24, dentry);
}

static void the_program_of_a_process_is_where_types_say(void **state)
{
	static const struct {
		uint32_t path_mnt;
		const char *exe;
	} cases[] = { { 0, "/sh" }, { 1u << 20, NULL } };
	struct kmem *k = *state;
	uint64_t root = dentry_new(k, 0, "/"), m = mount_new(k, 0, 0, root);

	put_process(k, m, dentry_new(k, root, "sh"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_processes list = { 0 };
		k->lx.layout.path_mnt.off = cases[i].path_mnt;
		assert_int_equal(
			linux_tasks(&k->lx.os, OS_PROCESSES, 0, SONDE_PROCESS_EXE, &list, NULL), 0);
		assert_int_equal(list.n, 1);
		assert_int_equal(!list.items[0].exe, !cases[i].exe);
		if (cases[i].exe)
			assert_string_equal(list.items[0].exe, cases[i].exe);
		else
			assert_true(list.items[0].missing & SONDE_PROCESS_EXE);
		arena_finish(&list.arena);
		free(list.items);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kmem_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(components_are_joined_from_the_root),
		TEST(a_mount_continues_at_its_mountpoint),
		TEST(a_mount_on_the_root_adds_no_component),
		TEST(long_names_lie_outside),
		TEST(unlinked_files_are_marked),
		TEST(pseudo_files_are_named_by_their_operations),
		TEST(shared_folders_are_read_once),
		TEST(a_broken_path_leaves_the_others),
		TEST(the_program_of_a_process_is_where_types_say),
		TEST(circles_end),
		TEST(depth_and_length_are_limited),
		TEST(names_that_lie_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

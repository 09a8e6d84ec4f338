/* SPDX-License-Identifier: MIT */
/* Files with a position, whole, replaced and copied; directories listed and walked: on every file system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/dir.h>
#include <sonde/error.h>
#include <sonde/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs_subject.h"

#define ROOT SONDE_FS_ROOT
#define NEW (SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE | SONDE_FS_TRUNCATE)

static char byte_at(size_t i)
{
	return (char)(i * 7 + i / 256 + i / 65536);
}

static void make_file(struct sonde_fs *fs, const char *path, size_t len)
{
	char *bytes = malloc(len + 1);
	struct sonde_file file;

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(i);
	assert_int_equal(sonde_file_open(NULL, fs, ROOT, path, NEW, 0640, &file), 0);
	assert_int_equal(sonde_file_write(NULL, &file, bytes, len), 0);
	assert_int_equal(file.position, len);
	assert_int_equal(sonde_file_close(NULL, &file), 0);
	free(bytes);
}

static struct sonde_file_load load_of(struct sonde_fs *fs, const char *path)
{
	return (struct sonde_file_load){ .fs = fs, .dir = ROOT, .path = path };
}

static void assert_bytes(const struct sonde_file_load *load, size_t len)
{
	assert_int_equal(load->result, 0);
	assert_int_equal(load->len, len);
	assert_int_equal(load->bytes[len], 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(load->bytes[i], byte_at((size_t)load->off + i));
}

static void assert_file(struct sonde_fs *fs, const char *path, size_t len)
{
	struct sonde_file_load load = load_of(fs, path);

	assert_int_equal(sonde_file_load(NULL, &load), 0);
	assert_bytes(&load, len);
	free(load.bytes);
}

/* How many names a directory has. */
static int count_names(struct sonde_fs *fs, const char *path)
{
	struct sonde_dir *dir;
	const struct sonde_fs_entry *entry;
	int n = 0, r;

	assert_int_equal(sonde_dir_open(NULL, fs, ROOT, path, 0, &dir), 0);
	while ((r = sonde_dir_next(NULL, dir, &entry)) > 0)
		n++;
	assert_int_equal(r, 0);
	sonde_dir_close(NULL, dir);
	return n;
}

/* ---- a position ---------------------------------------------------------------------------------- */

static void reading_and_writing_move_the_position(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_file file;
	char buf[8];

	assert_int_equal(sonde_file_open(NULL, fs, ROOT, "a", NEW, 0600, &file), 0);
	assert_int_equal(sonde_file_write(NULL, &file, "abcdef", 6), 0);
	file.position = 2;
	assert_int_equal(sonde_file_read(NULL, &file, buf, 3), 3);
	assert_memory_equal(buf, "cde", 3);
	assert_int_equal(sonde_file_read(NULL, &file, buf, 3), 1);
	assert_int_equal(sonde_file_read(NULL, &file, buf, 3), 0);
	assert_int_equal(file.position, 6);
	assert_int_equal(sonde_file_close(NULL, &file), 0);
	assert_int_equal(sonde_file_open(NULL, fs, ROOT, "none", SONDE_FS_FOR_READ, 0, &file),
			 SONDE_E_NOT_FOUND);
}

/* ---- all of a file ------------------------------------------------------------------------------- */

static void a_file_is_read_to_its_end_whatever_its_length(void **state)
{
	static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 1000000 };
	struct sonde_fs *fs = subject_fs(state);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_file(fs, "a", lengths[i]);
		assert_file(fs, "a", lengths[i]);
	}
}

static void a_load_has_a_bound(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_file_load load = load_of(fs, "a");

	make_file(fs, "a", 10000);
	load.max = 9999;
	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_LIMIT);
	assert_null(load.bytes);
	load.max = 10000;
	assert_int_equal(sonde_file_load(NULL, &load), 0);
	assert_bytes(&load, 10000);
	free(load.bytes);
	load.off = 9990;
	load.max = 10;
	assert_int_equal(sonde_file_load(NULL, &load), 0);
	assert_bytes(&load, 10);
	free(load.bytes);
	load.off = 20000;
	assert_int_equal(sonde_file_load(NULL, &load), 0);
	assert_int_equal(load.len, 0);
	free(load.bytes);
}

static void an_open_file_is_read_to_its_end_and_stays_open(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_file_load load = { .fs = fs, .off = 3 };
	char byte;

	make_file(fs, "a", 100);
	load.dir = sonde_fs_open(NULL, fs, ROOT, "a", SONDE_FS_FOR_READ, 0);
	assert_int_equal(sonde_file_load(NULL, &load), 0);
	assert_bytes(&load, 97);
	free(load.bytes);
	assert_int_equal(sonde_fs_read(NULL, fs, load.dir, 0, &byte, 1), 1);
	assert_int_equal(sonde_fs_close(NULL, fs, load.dir), 0);
}

static void what_cannot_be_loaded_says_why(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_file_load load = load_of(fs, "none");

	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_NOT_FOUND);
	load.path = ".";
	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_IS_DIRECTORY);
	assert_null(load.bytes);
	load.flags = SONDE_FS_CREATE;
	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_BAD_ARG);
}

static void note_loaded(struct sonde_file_load *load)
{
	++*(int *)load->user;
}

static void a_load_calls_back_once_cancelled_or_not(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_file_load load = load_of(fs, "a");
	int n_done = 0;

	make_file(fs, "a", 5000);
	load.done = note_loaded;
	load.user = &n_done;
	assert_int_equal(sonde_file_load_submit(&load), 0);
	assert_int_equal(sonde_file_load_submit(&load), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_BAD_ARG);
	assert_int_equal(n_done, 0);
	sonde_loop_run(sonde_fs_loop(fs));
	assert_int_equal(n_done, 1);
	assert_bytes(&load, 5000);
	free(load.bytes);
	assert_int_equal(sonde_file_load_cancel(&load), 0);
	assert_int_equal(sonde_file_load_submit(&load), 0);
	assert_int_equal(sonde_file_load_cancel(&load), 1);
	sonde_loop_run(sonde_fs_loop(fs));
	assert_int_equal(n_done, 2);
	assert_int_equal(load.result, SONDE_E_CANCELLED);
	assert_null(load.bytes);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "a", 0), 0);
}

/* ---- replacing ----------------------------------------------------------------------------------- */

static void a_file_is_replaced_at_once(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_replacement new;

	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	for (size_t len = 10; len < 13; len++) {
		assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "d/a", 0, 0644, &new), 0);
		for (size_t i = 0; i < len; i++) {
			char byte = byte_at(i);
			assert_int_equal(sonde_file_write(NULL, &new.file, &byte, 1), 0);
		}
		if (len > 10)
			assert_file(fs, "d/a", len - 1);
		assert_int_equal(sonde_replace_commit(NULL, &new), 0);
		assert_file(fs, "d/a", len);
		assert_int_equal(count_names(fs, "d"), 1);
	}
}

static void what_is_abandoned_leaves_nothing(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_replacement new;

	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "a", 0, 0644, &new), 0);
	assert_int_equal(sonde_file_write(NULL, &new.file, "x", 1), 0);
	sonde_replace_abandon(NULL, &new);
	assert_int_equal(count_names(fs, "."), 0);
	make_file(fs, "a", 5);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "a", SONDE_FS_NO_REPLACE, 0644, &new),
			 0);
	assert_int_equal(sonde_replace_commit(NULL, &new), SONDE_E_EXISTS);
	assert_file(fs, "a", 5);
	assert_int_equal(count_names(fs, "."), 1);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "d", 0, 0644, &new), 0);
	assert_int_equal(sonde_replace_commit(NULL, &new), SONDE_E_IS_DIRECTORY);
	assert_int_equal(count_names(fs, "."), 2);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "d/", 0, 0644, &new), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "..", 0, 0644, &new), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "x/y", 0, 0644, &new),
			 SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_replace_begin(NULL, fs, ROOT, "../y", SONDE_FS_BENEATH, 0644, &new),
			 SONDE_E_NO_ACCESS);
}

/* ---- copying ------------------------------------------------------------------------------------- */

struct progress {
	uint64_t last;
	int n;
};

static void note_progress(struct sonde_copy *copy)
{
	struct progress *progress = copy->user;

	assert_true(copy->done > progress->last);
	progress->last = copy->done;
	progress->n++;
}

static void a_file_is_copied_whatever_its_length(void **state)
{
	static const size_t lengths[] = { 0, 1, 65536, 65537, 3000000 };
	struct sonde_fs *fs = subject_fs(state);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (uint32_t flags = 0; flags <= SONDE_COPY_BYTES; flags += SONDE_COPY_BYTES) {
			struct progress progress = { 0 };
			struct sonde_copy copy = { .from_fs = fs,
						   .from = "a",
						   .to = "b",
						   .from_dir = ROOT,
						   .to_dir = ROOT,
						   .flags = flags,
						   .in_flight = 200000,
						   .progress = note_progress,
						   .user = &progress };
			struct sonde_fs_info info;
			make_file(fs, "a", lengths[i]);
			make_file(fs, "b", 100); /* what is there is longer, or shorter */
			assert_int_equal(sonde_file_copy(NULL, &copy), 0);
			assert_int_equal(copy.done, lengths[i]);
			assert_int_equal(copy.total, lengths[i]);
			assert_int_equal(progress.last, lengths[i]);
			assert_file(fs, "b", lengths[i]);
			assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "b", 0, &info), 0);
			assert_int_equal(info.mode, 0640);
		}
	}
}

static void copies_that_make_no_sense_change_nothing(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_copy copy = {
		.from_fs = fs, .from = "a", .to = "b", .from_dir = ROOT, .to_dir = ROOT
	};

	make_file(fs, "a", 10);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "a", ROOT, "b"), 0);
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_BAD_ARG);
	assert_file(fs, "a", 10);
	make_file(fs, "c", 20);
	copy.to = "c";
	copy.flags = SONDE_COPY_NO_REPLACE;
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_EXISTS);
	assert_file(fs, "c", 20);
	copy.from = "none";
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_NOT_FOUND);
	copy.from = ".";
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_IS_DIRECTORY);
	copy.flags = 1u << 31;
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_BAD_ARG);
}

/* The same folder opened twice: the file is known by its device, or it would be emptied before it is read. */
static void a_copy_onto_itself_by_another_way_changes_nothing(void **state)
{
	struct sonde_fs *fs = subject_fs(state), *again;
	const char *folder = ((struct subject *)*state)->folder;
	struct sonde_copy copy = {
		.from_fs = fs, .from = "a", .to = "a", .from_dir = ROOT, .to_dir = ROOT
	};

	if (!*folder || subject_kind->served)
		skip();
	assert_int_equal(sonde_fs_native(sonde_fs_loop(fs), folder, 0, &again, NULL), 0);
	copy.to_fs = again;
	make_file(fs, "a", 1000);
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_BAD_ARG);
	assert_file(fs, "a", 1000);
	sonde_fs_destroy(again);
}

static void a_copy_to_another_file_system_that_is_full_says_so(void **state)
{
	struct sonde_fs *fs = subject_fs(state), *small;
	struct sonde_fs_memory_options options = { .size = sizeof(options), .max_bytes = 1000000 };
	struct sonde_copy copy = { .from_fs = fs,
				   .from = "a",
				   .to = "b",
				   .from_dir = ROOT,
				   .to_dir = ROOT,
				   .flags = SONDE_COPY_SYNC };

	assert_int_equal(sonde_fs_memory(sonde_fs_loop(fs), &options, &small), 0);
	copy.to_fs = small;
	make_file(fs, "a", 1000000);
	assert_int_equal(sonde_file_copy(NULL, &copy), 0);
	assert_file(small, "b", 1000000);
	make_file(fs, "a", 1000001);
	assert_int_equal(sonde_file_copy(NULL, &copy), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_remove(NULL, small, ROOT, "b", 0), 0);
	sonde_fs_destroy(small);
}

/* ---- directories --------------------------------------------------------------------------------- */

#define TREE_DEPTH 5

/* Files f0.. and directories d in each other, and links that lead back up. */
static void make_tree(struct sonde_fs *fs)
{
	char path[64] = "t", name[80];

	for (int depth = 0; depth < TREE_DEPTH; depth++) {
		assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, path, 0755), 0);
		for (int i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "%s/f%d", path, i);
			make_file(fs, name, 1);
		}
		snprintf(name, sizeof(name), "%s/up", path);
		assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, name, ".."), 0);
		strcat(path, "/d");
	}
}

struct seen {
	int files, dirs, links, limits;
};

/* Every directory comes before what is in it: its path begins with one that was told. */
static struct seen walk_tree(struct sonde_fs *fs, uint32_t max_depth)
{
	struct seen seen = { 0 };
	const struct sonde_walk_entry *entry;
	struct sonde_walk *walk;
	struct sonde_fs_info info;
	int r;

	assert_int_equal(sonde_walk_open(NULL, fs, ROOT, "t", max_depth, &walk), 0);
	while ((r = sonde_walk_next(NULL, walk, &entry)) > 0) {
		size_t slashes = 0;
		for (const char *at = entry->path; *at; at++)
			slashes += *at == '/';
		assert_int_equal(entry->depth, slashes + 1);
		assert_int_equal(
			sonde_fs_stat(NULL, fs, entry->dir, entry->name, SONDE_FS_NO_FOLLOW, &info),
			0);
		assert_int_equal(info.kind, entry->kind);
		assert_int_equal(info.node, entry->node);
		seen.files += entry->kind == SONDE_KIND_FILE;
		seen.links += entry->kind == SONDE_KIND_SYMLINK;
		seen.dirs += entry->kind == SONDE_KIND_DIRECTORY;
		seen.limits += entry->err == SONDE_E_LIMIT;
		assert_true(entry->err == 0 || entry->err == SONDE_E_LIMIT);
	}
	assert_int_equal(r, 0);
	assert_int_equal(sonde_walk_next(NULL, walk, &entry), 0);
	sonde_walk_close(NULL, walk);
	return seen;
}

static void a_walk_tells_all_and_follows_no_links(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_walk *walk;
	struct seen seen;

	make_tree(fs);
	seen = walk_tree(fs, 32);
	assert_int_equal(seen.files, 3 * TREE_DEPTH);
	assert_int_equal(seen.links, TREE_DEPTH);
	assert_int_equal(seen.dirs, TREE_DEPTH - 1);
	assert_int_equal(seen.limits, 0);
	seen = walk_tree(fs, 2);
	assert_int_equal(seen.files, 6);
	assert_int_equal(seen.dirs, 2);
	assert_int_equal(seen.limits, 1);
	assert_int_equal(sonde_walk_open(NULL, fs, ROOT, "t", 0, &walk), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_walk_open(NULL, fs, ROOT, "t", 257, &walk), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_walk_open(NULL, fs, ROOT, "t/f0", 1, &walk), SONDE_E_NOT_DIRECTORY);
}

static void a_walk_that_is_left_early_leaves_nothing_open(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	const struct sonde_walk_entry *entry;
	struct sonde_walk *walk;
	int first, again;

	make_tree(fs);
	first = sonde_fs_open(NULL, fs, ROOT, "t", SONDE_FS_DIRECTORY, 0);
	assert_int_equal(sonde_walk_open(NULL, fs, ROOT, "t", 32, &walk), 0);
	do
		assert_int_equal(sonde_walk_next(NULL, walk, &entry), 1);
	while (entry->depth < 3);
	sonde_walk_close(NULL, walk);
	again = sonde_fs_open(NULL, fs, ROOT, "t", SONDE_FS_DIRECTORY, 0);
	assert_int_equal(again, first + 1); /* the lowest that is free */
	assert_int_equal(sonde_fs_close(NULL, fs, again), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, first), 0);
}

/* More than one buffer holds; and some vanish meanwhile. */
static void a_large_directory_is_told_once_each(void **state)
{
	enum { N = 600 };
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_dir *dir;
	const struct sonde_fs_entry *entry;
	char name[32], *seen = calloc(N, 1);
	int r;

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "a-longer-name-%d", i);
		assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, name, "x"), 0);
	}
	assert_int_equal(sonde_dir_open(NULL, fs, ROOT, ".", 0, &dir), 0);
	while ((r = sonde_dir_next(NULL, dir, &entry)) > 0) {
		int i = atoi(entry->name + strlen("a-longer-name-"));
		assert_in_range(i, 0, N - 1);
		assert_int_equal(seen[i]++, 0);
		assert_int_equal(sonde_fs_remove(NULL, fs, sonde_dir_handle(dir), entry->name, 0),
				 0);
	}
	assert_int_equal(r, 0);
	sonde_dir_close(NULL, dir);
	assert_null(memchr(seen, 0, N));
	free(seen);
}

#define BODY(name)                                                                                 \
	{                                                                                          \
#name, name, subject_setup, subject_teardown, NULL                                 \
	}

static const struct CMUnitTest body[] = {
	BODY(reading_and_writing_move_the_position),
	BODY(a_file_is_read_to_its_end_whatever_its_length),
	BODY(a_load_has_a_bound),
	BODY(an_open_file_is_read_to_its_end_and_stays_open),
	BODY(what_cannot_be_loaded_says_why),
	BODY(a_load_calls_back_once_cancelled_or_not),
	BODY(a_file_is_replaced_at_once),
	BODY(what_is_abandoned_leaves_nothing),
	BODY(a_file_is_copied_whatever_its_length),
	BODY(copies_that_make_no_sense_change_nothing),
	BODY(a_copy_onto_itself_by_another_way_changes_nothing),
	BODY(a_copy_to_another_file_system_that_is_full_says_so),
	BODY(a_walk_tells_all_and_follows_no_links),
	BODY(a_walk_that_is_left_early_leaves_nothing_open),
	BODY(a_large_directory_is_told_once_each),
};

int main(void)
{
	return subject_run_all(body, sizeof(body) / sizeof(body[0]), SUBJECTS_ALL);
}

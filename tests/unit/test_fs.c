/* SPDX-License-Identifier: MIT */
/*
 * File systems: one body of tests, run on each of them: this machine's through every engine, and
 * the one in memory, both over loopback, and what somebody else's server makes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sonde/error.h>
#include <sonde/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs_subject.h"

#define RW (SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE)
#define NEW (RW | SONDE_FS_CREATE | SONDE_FS_EXCLUSIVE)
#define ROOT SONDE_FS_ROOT

/* ---- shorthands ---------------------------------------------------------------------------------- */

static int open_file(struct sonde_fs *fs, const char *path, uint32_t flags)
{
	return sonde_fs_open(NULL, fs, ROOT, path, flags, 0644);
}

static int open_dir(struct sonde_fs *fs, const char *path)
{
	return open_file(fs, path, SONDE_FS_DIRECTORY);
}

static void make_file(struct sonde_fs *fs, const char *path, const char *text)
{
	int file = open_file(fs, path, NEW);

	assert_true(file >= 0);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, text, (uint32_t)strlen(text)),
			 strlen(text));
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

static void assert_text(struct sonde_fs *fs, const char *path, const char *text)
{
	char buf[256] = "";
	int file = open_file(fs, path, SONDE_FS_FOR_READ);

	assert_true(file >= 0);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 0, buf, sizeof(buf) - 1), strlen(text));
	assert_string_equal(buf, text);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

static struct sonde_fs_info info_of(struct sonde_fs *fs, const char *path, uint32_t flags)
{
	struct sonde_fs_info info = { 0 };

	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, path, flags, &info), 0);
	return info;
}

/* ---- files --------------------------------------------------------------------------------------- */

static void bytes_that_were_written_are_read(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char buf[8] = "";
	int file = open_file(fs, "a", NEW);

	assert_true(file >= 0);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "0123456789", 10), 10);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 2, buf, 3), 3);
	assert_memory_equal(buf, "234", 3);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 8, buf, 8), 2);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 10, buf, 8), 0);
	assert_int_equal(sonde_fs_read(NULL, fs, file, UINT64_C(1) << 40, buf, 8), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

static void what_lies_between_two_writes_is_zero(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char buf[8], want[8] = "a\0\0\0\0\0\0b";
	int file = open_file(fs, "a", NEW);

	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "a", 1), 1);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 7, "b", 1), 1);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 0, buf, 8), 8);
	assert_memory_equal(buf, want, 8);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

static void appending_writes_at_the_end(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int file;

	make_file(fs, "a", "one");
	file = open_file(fs, "a", SONDE_FS_APPEND);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "two", 3), 3);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "three", 5), 5);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_text(fs, "a", "onetwothree");
}

static void opening_creates_truncates_or_refuses(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int file;

	assert_int_equal(open_file(fs, "a", SONDE_FS_FOR_READ), SONDE_E_NOT_FOUND);
	assert_int_equal(open_file(fs, "a", RW), SONDE_E_NOT_FOUND);
	make_file(fs, "a", "text");
	assert_int_equal(open_file(fs, "a", NEW), SONDE_E_EXISTS);
	file = open_file(fs, "a", RW | SONDE_FS_CREATE);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_text(fs, "a", "text");
	file = open_file(fs, "a", RW | SONDE_FS_TRUNCATE);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_text(fs, "a", "");
}

static void a_handle_does_only_what_it_was_opened_for(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char byte = 0;
	int file;

	make_file(fs, "a", "text");
	file = open_file(fs, "a", SONDE_FS_FOR_READ);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "x", 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_set_length(NULL, fs, file, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	file = open_file(fs, "a", SONDE_FS_FOR_WRITE);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 0, &byte, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_read(NULL, fs, 1 << 30, 0, &byte, 1), SONDE_E_BAD_ARG);
	assert_text(fs, "a", "text");
}

static void a_length_is_set(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char buf[8] = "", want[8] = "te\0\0\0";
	int file = open_file(fs, "a", NEW);

	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "text", 4), 4);
	assert_int_equal(sonde_fs_set_length(NULL, fs, file, 2), 0);
	assert_int_equal(info_of(fs, "a", 0).length, 2);
	assert_int_equal(sonde_fs_set_length(NULL, fs, file, 5), 0);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 0, buf, 8), 5);
	assert_memory_equal(buf, want, 5);
	assert_int_equal(sonde_fs_sync(NULL, fs, file, 0), 0);
	assert_int_equal(sonde_fs_sync(NULL, fs, file, SONDE_FS_DATA), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

static void a_removed_file_lives_until_it_is_closed(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_info info = { 0 };
	char buf[8];
	int file;

	if (subject_goes_by_paths())
		skip();
	make_file(fs, "a", "text");
	file = open_file(fs, "a", SONDE_FS_FOR_READ);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "a", 0), 0);
	assert_int_equal(open_file(fs, "a", SONDE_FS_FOR_READ), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_read(NULL, fs, file, 0, buf, 8), 4);
	assert_int_equal(sonde_fs_stat(NULL, fs, file, NULL, 0, &info), 0);
	assert_int_equal(info.n_links, 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

/* ---- what is known ------------------------------------------------------------------------------- */

static void what_a_file_is_is_told(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_info file, same = { 0 };
	int handle;

	make_file(fs, "a", "text");
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0750), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "l", "a"), 0);
	file = info_of(fs, "a", 0);
	assert_int_equal(file.kind, SONDE_KIND_FILE);
	assert_int_equal(file.length, 4);
	assert_int_equal(file.mode, 0644);
	assert_int_equal(file.n_links, 1);
	assert_true(file.modified_ns > 0);
	assert_int_equal(info_of(fs, "d", 0).kind, SONDE_KIND_DIRECTORY);
	assert_int_equal(info_of(fs, "d", 0).mode, 0750);
	assert_int_equal(info_of(fs, "l", 0).node, file.node);
	assert_int_equal(info_of(fs, "l", SONDE_FS_NO_FOLLOW).kind, SONDE_KIND_SYMLINK);
	assert_int_equal(info_of(fs, "l", SONDE_FS_NO_FOLLOW).length, 1);
	handle = open_file(fs, "a", SONDE_FS_FOR_READ);
	assert_int_equal(sonde_fs_stat(NULL, fs, handle, NULL, 0, &same), 0);
	assert_int_equal(same.node, file.node);
	assert_int_equal(same.device, file.device);
	assert_int_equal(sonde_fs_close(NULL, fs, handle), 0);
}

static void permissions_are_set(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int file;

	make_file(fs, "a", "");
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "a", 0600), 0);
	assert_int_equal(info_of(fs, "a", 0).mode, 0600);
	file = open_file(fs, "a", SONDE_FS_FOR_READ);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, file, NULL, 0444), 0);
	assert_int_equal(info_of(fs, "a", 0).mode, 0444);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "none", 0444), SONDE_E_NOT_FOUND);
}

/* ---- names --------------------------------------------------------------------------------------- */

static void renaming_replaces_or_refuses(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	make_file(fs, "a", "from a");
	make_file(fs, "b", "from b");
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "a", ROOT, "b", SONDE_FS_NO_REPLACE),
			 SONDE_E_EXISTS);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "a", ROOT, "b", 0), 0);
	assert_text(fs, "b", "from a");
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "a", ROOT, "c", 0), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "b", ROOT, "c", SONDE_FS_NO_REPLACE), 0);
	assert_text(fs, "c", "from a");
}

static void directories_are_renamed_where_that_makes_sense(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d/e", 0755), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "empty", 0755), 0);
	make_file(fs, "f", "");
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "d", ROOT, "d/e/x", 0), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "f", ROOT, "d", 0), SONDE_E_IS_DIRECTORY);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "d", ROOT, "f", 0), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "empty", ROOT, "d", 0), SONDE_E_NOT_EMPTY);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "d", ROOT, "empty", 0), 0);
	assert_int_equal(info_of(fs, "empty/e/..", 0).node, info_of(fs, "empty", 0).node);
}

static void removing_tells_files_from_directories(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), SONDE_E_EXISTS);
	make_file(fs, "d/f", "");
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d", 0), SONDE_E_IS_DIRECTORY);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d", SONDE_FS_DIRECTORY),
			 SONDE_E_NOT_EMPTY);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d/f", SONDE_FS_DIRECTORY),
			 SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d/f", 0), 0);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d/f", 0), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d", SONDE_FS_DIRECTORY), 0);
	assert_int_equal(open_dir(fs, "d"), SONDE_E_NOT_FOUND);
}

static void a_hard_link_is_the_same_file(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	make_file(fs, "a", "text");
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "a", ROOT, "d/b"), 0);
	assert_int_equal(info_of(fs, "a", 0).n_links, 2);
	assert_int_equal(info_of(fs, "d/b", 0).node, info_of(fs, "a", 0).node);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "a", ROOT, "d/b"), SONDE_E_EXISTS);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "d", ROOT, "e"), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "a", 0), 0);
	assert_text(fs, "d/b", "text");
}

static void symbolic_links_are_followed_and_read(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char text[16] = "";
	int file;

	make_file(fs, "a", "text");
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/l", "../a"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/l", "other"), SONDE_E_EXISTS);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "to-d", "d"), 0);
	assert_text(fs, "d/l", "text");
	assert_text(fs, "to-d/l", "text");
	assert_int_equal(sonde_fs_read_link(NULL, fs, ROOT, "d/l", text, sizeof(text)), 4);
	assert_memory_equal(text, "../a", 4);
	assert_int_equal(sonde_fs_read_link(NULL, fs, ROOT, "d/l", text, 2), 2);
	assert_int_equal(sonde_fs_read_link(NULL, fs, ROOT, "a", text, 2), SONDE_E_BAD_ARG);
	assert_int_equal(open_file(fs, "d/l", SONDE_FS_FOR_READ | SONDE_FS_NO_FOLLOW),
			 SONDE_E_LOOP);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "dangling", "made"), 0);
	assert_int_equal(open_file(fs, "dangling", SONDE_FS_FOR_READ), SONDE_E_NOT_FOUND);
	assert_int_equal(open_file(fs, "dangling", NEW), SONDE_E_EXISTS);
	file = open_file(fs, "dangling", RW | SONDE_FS_CREATE);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_text(fs, "made", "");
}

/* Names are taken and given where they stand: the slash leads nowhere. */
static void a_slash_behind_a_link_does_not_change_what_it_leads_to(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "to-d", "d"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "dangling", "made"), 0);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "to-d/", SONDE_FS_DIRECTORY),
			 SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "to-d/", ROOT, "e", 0),
			 SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "to-d/", 0), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "dangling/", 0755), SONDE_E_EXISTS);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "to-d", ROOT, "to-d/"), SONDE_E_EXISTS);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "dangling/", "x"), SONDE_E_EXISTS);
	assert_int_equal(info_of(fs, "d", 0).kind, SONDE_KIND_DIRECTORY);
	assert_int_equal(info_of(fs, "to-d/", SONDE_FS_NO_FOLLOW).kind, SONDE_KIND_DIRECTORY);
}

static void links_that_lead_to_each_other_end(void **state)
{
	struct sonde_fs *fs = subject_fs(state);

	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "a", "b"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "b", "a"), 0);
	assert_int_equal(open_file(fs, "a", SONDE_FS_FOR_READ), SONDE_E_LOOP);
	assert_int_equal(open_file(fs, "a/c", SONDE_FS_FOR_READ), SONDE_E_LOOP);
}

static void names_and_paths_have_a_length(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char name[SONDE_FS_NAME_MAX + 2], path[SONDE_FS_PATH_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	assert_int_equal(open_file(fs, name, NEW), SONDE_E_NAME_TOO_LONG);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, name, 0755), SONDE_E_NAME_TOO_LONG);
	name[SONDE_FS_NAME_MAX] = 0;
	make_file(fs, name, "long");
	assert_text(fs, name, "long");
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 ? '/' : '.';
	path[sizeof(path) - 1] = 0;
	assert_int_equal(open_dir(fs, path), SONDE_E_NAME_TOO_LONG);
	path[SONDE_FS_PATH_MAX] = 0;
	int dir = open_dir(fs, path);
	assert_true(dir >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
	assert_int_equal(open_file(fs, "", SONDE_FS_FOR_READ), SONDE_E_NOT_FOUND);
}

static void files_are_no_directories(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	char byte;

	make_file(fs, "a", "");
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(open_dir(fs, "a"), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(open_file(fs, "a/b", SONDE_FS_FOR_READ), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "a/b", 0755), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(open_file(fs, "d", SONDE_FS_FOR_WRITE), SONDE_E_IS_DIRECTORY);
	int dir = open_dir(fs, "d");
	assert_int_equal(sonde_fs_read(NULL, fs, dir, 0, &byte, 1), SONDE_E_IS_DIRECTORY);
	assert_int_equal(sonde_fs_sync(NULL, fs, dir, 0), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
}

/* ---- handles of directories ---------------------------------------------------------------------- */

static void paths_are_relative_to_a_handle(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_info info;

	if (subject_goes_by_paths())
		skip();
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	int dir = open_dir(fs, "d");
	int file = sonde_fs_open(NULL, fs, dir, "f", NEW, 0644);
	assert_true(dir >= 0 && file >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "d", ROOT, "moved", 0), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, dir, "f", 0, &info), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, dir, "e", 0755), 0);
	assert_int_equal(sonde_fs_rename(NULL, fs, dir, "f", ROOT, "g", 0), 0);
	assert_int_equal(sonde_fs_link(NULL, fs, ROOT, "g", dir, "h"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, dir, "l", "h"), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "moved/l", 0, &info), 0);
	assert_int_equal(info.n_links, 2);
	assert_int_equal(sonde_fs_remove(NULL, fs, dir, "e", SONDE_FS_DIRECTORY), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
	assert_int_equal(sonde_fs_open(NULL, fs, 1 << 30, "f", RW, 0), SONDE_E_BAD_ARG);
}

/* What must not be reached lies beside the directory. */
static void nothing_outside_is_reached_beneath(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_info info;
	const uint32_t below = SONDE_FS_BENEATH;

	make_file(fs, "out", "");
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d/in", 0755), 0);
	make_file(fs, "d/in/f", "");
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/up", "../out"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/top", "/"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/good", "in/f"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "d/dir", ".."), 0);
	int dir = open_dir(fs, "d");
	static const char *const refused[] = { "../out", "up",      "top",
					       "/",      "dir/out", "in/../../d/good" };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(
			sonde_fs_open(NULL, fs, dir, refused[i], SONDE_FS_FOR_READ | below, 0),
			SONDE_E_NO_ACCESS);
		assert_int_equal(sonde_fs_stat(NULL, fs, dir, refused[i], below, &info),
				 SONDE_E_NO_ACCESS);
		assert_int_equal(sonde_fs_stat(NULL, fs, dir, refused[i], 0, &info), 0);
	}
	int file = sonde_fs_open(NULL, fs, dir, "good", SONDE_FS_FOR_READ | below, 0);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, dir, "in/../good", below, &info), 0);
	assert_int_equal(sonde_fs_remove(NULL, fs, dir, "../out", below), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_remove(NULL, fs, dir, "dir/out", below), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_rename(NULL, fs, dir, "in/f", dir, "../f", below),
			 SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_rename(NULL, fs, dir, "in/f", dir, "f", below), 0);
	assert_int_equal(sonde_fs_remove(NULL, fs, dir, "up", below), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
	assert_text(fs, "out", "");
}

static void a_file_without_a_name_gets_one(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int file = open_file(fs, ".", RW | SONDE_FS_UNNAMED);

	if (file == SONDE_E_UNSUPPORTED)
		skip(); /* not every disk has it: replacing a file does without */
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, "text", 4), 4);
	assert_int_equal(sonde_fs_link(NULL, fs, file, NULL, ROOT, "a"), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	assert_text(fs, "a", "text");
}

/* ---- lists --------------------------------------------------------------------------------------- */

#define N_LISTED 100

/* In as many lists as it takes with the smallest buffer; each name once. */
static void a_directory_is_listed(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_io io = { .op = SONDE_FS_LIST, .len = SONDE_FS_LIST_MIN };
	uint64_t room[SONDE_FS_LIST_MIN / 8];
	char name[8];
	int seen[N_LISTED] = { 0 }, lists = 0;

	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	int dir = open_dir(fs, "d");
	io.file = dir;
	io.buf = room;
	assert_int_equal(sonde_fs_run(NULL, fs, &io), 0);
	for (int i = 0; i < N_LISTED; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (i % 2)
			assert_int_equal(sonde_fs_mkdir(NULL, fs, dir, name, 0755), 0);
		else
			assert_int_equal(sonde_fs_symlink(NULL, fs, dir, name, "x"), 0);
	}
	while (sonde_fs_run(NULL, fs, &io) > 0) {
		const struct sonde_fs_entry *entry;
		for (int32_t at = 0; at < io.result; at += entry->size) {
			entry = (const void *)((const char *)room + at);
			int i = atoi(entry->name + 1);
			assert_in_range(i, 0, N_LISTED - 1);
			seen[i]++;
			if (entry->kind != SONDE_KIND_UNKNOWN)
				assert_int_equal(entry->kind,
						 i % 2 ? SONDE_KIND_DIRECTORY : SONDE_KIND_SYMLINK);
			io.off = (uint64_t)entry->next;
		}
		lists++;
	}
	assert_int_equal(io.result, 0);
	assert_true(lists > 2);
	for (int i = 0; i < N_LISTED; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
	make_file(fs, "f", "");
	io.file = open_file(fs, "f", SONDE_FS_FOR_READ);
	io.off = 0;
	assert_int_equal(sonde_fs_run(NULL, fs, &io), SONDE_E_NOT_DIRECTORY);
	assert_int_equal(sonde_fs_close(NULL, fs, io.file), 0);
}

static void bytes_are_copied_between_files_or_that_is_refused(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_io io = { .op = SONDE_FS_COPY, .off = 1, .to_off = 2, .len = 3 };

	make_file(fs, "a", "01234");
	make_file(fs, "b", "abcdefg");
	io.file = open_file(fs, "a", SONDE_FS_FOR_READ);
	io.to_file = open_file(fs, "b", SONDE_FS_FOR_WRITE);
	int r = sonde_fs_run(NULL, fs, &io);
	assert_true(r == 3 || r == SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_fs_close(NULL, fs, io.file), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, io.to_file), 0);
	assert_text(fs, "b", r == 3 ? "ab123fg" : "abcdefg");
}

/* ---- doors --------------------------------------------------------------------------------------- */

struct chain {
	struct sonde_fs *fs;
	struct sonde_fs_io io;
	char buf[8];
	int n_done, file;
};

static void chain_next(struct sonde_fs_io *io)
{
	struct chain *chain = io->user;

	chain->n_done++;
	if (io->op == SONDE_FS_OPEN) {
		chain->file = io->file = io->result;
		io->op = SONDE_FS_READ;
		io->flags = 0;
		io->buf = chain->buf;
		io->len = sizeof(chain->buf);
	} else if (io->op == SONDE_FS_READ) {
		io->op = SONDE_FS_CLOSE;
		assert_int_equal(sonde_fs_close(NULL, chain->fs, chain->file), SONDE_E_BUSY);
	} else {
		return;
	}
	assert_int_equal(sonde_fs_submit(chain->fs, io), 0);
}

static void callbacks_run_in_the_loop_only(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct chain chain = { .fs = fs };

	make_file(fs, "a", "text");
	chain.io = (struct sonde_fs_io){ .op = SONDE_FS_OPEN,
					 .dir = ROOT,
					 .path = "a",
					 .flags = SONDE_FS_FOR_READ,
					 .done = chain_next,
					 .user = &chain };
	assert_int_equal(sonde_fs_submit(fs, &chain.io), 0);
	assert_int_equal(sonde_fs_submit(fs, &chain.io), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fs_run(NULL, fs, &chain.io), SONDE_E_BAD_ARG);
	assert_int_equal(chain.n_done, 0);
	assert_int_equal(sonde_loop_run(sonde_fs_loop(fs)), 0);
	assert_int_equal(chain.n_done, 3);
	assert_int_equal(chain.io.result, 0);
	assert_memory_equal(chain.buf, "text", 4);
}

struct job {
	struct sonde_fs *fs;
	int index;
};

static int make_in_task(struct sonde_task *task, void *arg)
{
	const struct job *job = arg;
	char name[16];

	snprintf(name, sizeof(name), "f%d", job->index);
	int file = sonde_fs_open(task, job->fs, ROOT, name, NEW, 0600);
	if (file < 0)
		return file;
	int r = sonde_fs_write(task, job->fs, file, 0, name, sizeof(name));
	int closed = sonde_fs_close(task, job->fs, file);
	return r < 0 ? r : closed;
}

static void many_tasks_make_files_at_once(void **state)
{
	enum { N = 64 };
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_task *tasks[N];
	struct job jobs[N];
	char name[16];

	for (int i = 0; i < N; i++) {
		jobs[i] = (struct job){ fs, i };
		assert_int_equal(
			sonde_task_spawn(sonde_fs_loop(fs), make_in_task, &jobs[i], &tasks[i]), 0);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(sonde_task_join(NULL, tasks[i]), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(info_of(fs, name, 0).length, sizeof(name));
	}
}

static void count(struct sonde_fs_io *io)
{
	++*(int *)io->user;
}

/* More than any ring has entries. */
static void more_requests_than_an_engine_holds_all_end(void **state)
{
	enum { N = 1500 };
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_info *infos = calloc(N, sizeof(*infos));
	struct sonde_fs_io *ios = calloc(N, sizeof(*ios));
	char byte[N];
	int n_done = 0;

	make_file(fs, "a", "text");
	int file = open_file(fs, "a", SONDE_FS_FOR_READ);
	for (int i = 0; i < N; i++) {
		ios[i].done = count;
		ios[i].user = &n_done;
		ios[i].file = file;
		ios[i].op = i % 2 ? SONDE_FS_STAT : SONDE_FS_READ;
		ios[i].info = &infos[i];
		ios[i].buf = &byte[i];
		ios[i].len = 1;
		assert_int_equal(sonde_fs_submit(fs, &ios[i]), 0);
	}
	assert_int_equal(n_done, 0);
	assert_int_equal(sonde_loop_run(sonde_fs_loop(fs)), 0);
	assert_int_equal(n_done, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(ios[i].result, !(i % 2));
		assert_int_equal(i % 2 ? (int)infos[i].length : byte[i], i % 2 ? 4 : 't');
	}
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	free(infos);
	free(ios);
}

static void a_cancelled_request_still_ends_once(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int n_done = 0;
	struct sonde_fs_io io = { .op = SONDE_FS_MKDIR,
				  .dir = ROOT,
				  .path = "d",
				  .mode = 0755,
				  .done = count,
				  .user = &n_done };
	struct sonde_fs_info info;

	assert_int_equal(sonde_fs_cancel(&io), 0);
	assert_int_equal(sonde_fs_submit(fs, &io), 0);
	sonde_fs_cancel(&io);
	assert_int_equal(sonde_loop_run(sonde_fs_loop(fs)), 0);
	assert_int_equal(n_done, 1);
	assert_true(io.result == 0 || io.result == SONDE_E_CANCELLED);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "d", 0, &info),
			 io.result ? SONDE_E_NOT_FOUND : 0);
}

static void a_handle_is_gone_though_its_closing_was_called_off(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int n_done = 0, file = open_file(fs, "a", NEW);
	struct sonde_fs_io io = {
		.op = SONDE_FS_CLOSE, .file = file, .done = count, .user = &n_done
	};
	struct sonde_fs_info info;

	assert_true(file >= 0);
	assert_int_equal(sonde_fs_submit(fs, &io), 0);
	sonde_fs_cancel(&io);
	assert_int_equal(sonde_loop_run(sonde_fs_loop(fs)), 0);
	assert_int_equal(n_done, 1);
	assert_int_equal(sonde_fs_stat(NULL, fs, file, NULL, 0, &info), SONDE_E_BAD_ARG);
}

static void errors_carry_the_number(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct sonde_fs_io io = { .op = SONDE_FS_REMOVE, .dir = ROOT, .path = "none" };

	assert_int_equal(sonde_fs_run(NULL, fs, &io), SONDE_E_NOT_FOUND);
	assert_int_equal(io.os_code, ENOENT);
}

static void what_is_out_of_range_is_refused(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	int n_done = 0;
	char byte;
	const struct sonde_fs_io good = {
		.op = SONDE_FS_READ, .buf = &byte, .len = 1, .done = count, .user = &n_done
	};
	struct sonde_fs_io bad;

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		assert_int_equal(sonde_fs_submit(fs, &bad), SONDE_E_BAD_ARG);                      \
	} while (0)
	REFUSED(bad.op = SONDE_FS_N_OPS);
	REFUSED(bad.done = NULL);
	REFUSED(bad.state = SONDE_IO_IN_FLIGHT);
	REFUSED(bad.file = -1);
	REFUSED(bad.buf = NULL);
	REFUSED(bad.len = 0x80000000u);
	REFUSED(bad.off = INT64_MAX);
	REFUSED(bad.flags = SONDE_FS_DATA);
	REFUSED(bad.op = SONDE_FS_OPEN);
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a");
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a"; bad.flags = SONDE_FS_FOR_READ;
		bad.dir = -2);
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a";
		bad.flags = SONDE_FS_FOR_READ | SONDE_FS_TRUNCATE);
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a"; bad.flags = RW | SONDE_FS_EXCLUSIVE);
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a"; bad.flags = RW | SONDE_FS_DIRECTORY);
	REFUSED(bad.op = SONDE_FS_OPEN; bad.path = "a"; bad.flags = RW; bad.mode = 010000);
	REFUSED(bad.op = SONDE_FS_RENAME; bad.path = "a");
	REFUSED(bad.op = SONDE_FS_STAT; bad.path = "a");
	REFUSED(bad.op = SONDE_FS_LIST; bad.len = SONDE_FS_LIST_MIN - 1);
	REFUSED(bad.op = SONDE_FS_COPY; bad.to_file = -1);
#undef REFUSED
	assert_int_equal(n_done, 0);
}

#define BODY(name)                                                                                 \
	{                                                                                          \
#name, name, subject_setup, subject_teardown, NULL                                 \
	}

static const struct CMUnitTest body[] = {
	BODY(bytes_that_were_written_are_read),
	BODY(what_lies_between_two_writes_is_zero),
	BODY(appending_writes_at_the_end),
	BODY(opening_creates_truncates_or_refuses),
	BODY(a_handle_does_only_what_it_was_opened_for),
	BODY(a_length_is_set),
	BODY(a_removed_file_lives_until_it_is_closed),
	BODY(what_a_file_is_is_told),
	BODY(permissions_are_set),
	BODY(renaming_replaces_or_refuses),
	BODY(directories_are_renamed_where_that_makes_sense),
	BODY(removing_tells_files_from_directories),
	BODY(a_hard_link_is_the_same_file),
	BODY(symbolic_links_are_followed_and_read),
	BODY(a_slash_behind_a_link_does_not_change_what_it_leads_to),
	BODY(links_that_lead_to_each_other_end),
	BODY(names_and_paths_have_a_length),
	BODY(files_are_no_directories),
	BODY(paths_are_relative_to_a_handle),
	BODY(nothing_outside_is_reached_beneath),
	BODY(a_file_without_a_name_gets_one),
	BODY(a_directory_is_listed),
	BODY(bytes_are_copied_between_files_or_that_is_refused),
	BODY(callbacks_run_in_the_loop_only),
	BODY(many_tasks_make_files_at_once),
	BODY(more_requests_than_an_engine_holds_all_end),
	BODY(a_cancelled_request_still_ends_once),
	BODY(a_handle_is_gone_though_its_closing_was_called_off),
	BODY(errors_carry_the_number),
	BODY(what_is_out_of_range_is_refused),
};

int main(void)
{
	return subject_run_all(body, sizeof(body) / sizeof(body[0]), SUBJECTS_ALL);
}

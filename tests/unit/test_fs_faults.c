/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong with files, each told by its own name: no space, limits, permissions; and file
 * systems that do not do what they should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sonde/dir.h>
#include <sonde/error.h>
#include <sonde/file.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fs_subject.h"

#define ROOT SONDE_FS_ROOT
#define NEW (SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE)
#define NOBODY 65534

static int open_new(struct sonde_fs *fs, const char *path)
{
	int file = sonde_fs_open(NULL, fs, ROOT, path, NEW, 0644);

	assert_true(file >= 0);
	return file;
}

static struct sonde_fs_io write_of(int file, uint64_t off, void *buf, uint32_t len)
{
	return (struct sonde_fs_io){
		.op = SONDE_FS_WRITE, .file = file, .off = off, .buf = buf, .len = len
	};
}

/* ---- this machine's ------------------------------------------------------------------------------ */

static void a_full_device_is_said_to_be_full(void **state)
{
	struct subject *subject = *state;
	struct sonde_fs *dev;
	struct sonde_fs_io io;
	char byte = 0;

	assert_int_equal(sonde_fs_native(subject->loop, "/dev", 0, &dev, NULL), 0);
	int file = sonde_fs_open(NULL, dev, ROOT, "full", SONDE_FS_FOR_WRITE, 0);
	assert_true(file >= 0);
	io = write_of(file, 0, &byte, 1);
	assert_int_equal(sonde_fs_run(NULL, dev, &io), SONDE_E_NO_SPACE);
	assert_int_equal(io.os_code, ENOSPC);
	assert_int_equal(sonde_fs_close(NULL, dev, file), 0);
	sonde_fs_destroy(dev);
}

/* The kernel sends SIGXFSZ as well: see SONDE_FS_WRITE. */
static void a_file_does_not_grow_above_its_limit(void **state)
{
	struct sonde_fs *fs = subject_fs(state);
	struct rlimit old, small;
	char buf[100] = "";

	int file = open_new(fs, "a");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 4096, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	struct sonde_fs_io io = write_of(file, 4046, buf, 100);
	int first = sonde_fs_run(NULL, fs, &io);
	io.off = 4096;
	int second = sonde_fs_run(NULL, fs, &io);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(first, 50);
	assert_int_equal(second, SONDE_E_TOO_LARGE);
	assert_int_equal(io.os_code, EFBIG);
	assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
}

/* As somebody whom permissions bind, which root is not. */
static void what_is_not_allowed_is_said_to_be_so(void **state)
{
	struct subject *subject = *state;
	bool root = geteuid() == 0;

	assert_int_equal(chmod(subject->folder, 0555), 0);
	if (root)
		assert_int_equal(seteuid(NOBODY), 0);
	int made = sonde_fs_mkdir(NULL, subject->fs, ROOT, "d", 0755);
	int opened = sonde_fs_open(NULL, subject->fs, ROOT, "a", NEW, 0644);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(subject->folder, 0755), 0);
	assert_int_equal(made, SONDE_E_NO_ACCESS);
	assert_int_equal(opened, SONDE_E_NO_ACCESS);
}

/* A pipe whose other end nobody has makes nobody wait. */
static void opening_a_pipe_does_not_wait(void **state)
{
	struct subject *subject = *state;
	char path[64];

	snprintf(path, sizeof(path), "%s/pipe", subject->folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	int file = sonde_fs_open(NULL, subject->fs, ROOT, "pipe", SONDE_FS_FOR_READ, 0);
	assert_true(file >= 0);
	assert_int_equal(sonde_fs_close(NULL, subject->fs, file), 0);
}

static void a_root_that_is_no_directory_is_refused(void **state)
{
	struct subject *subject = *state;
	struct sonde_error err = { 0 };
	struct sonde_fs *fs;

	assert_int_equal(sonde_fs_native(subject->loop, "/dev/null", 0, &fs, &err),
			 SONDE_E_NOT_DIRECTORY);
	assert_non_null(strstr(err.text, "/dev/null"));
	assert_int_equal(sonde_fs_native(subject->loop, "/none/such", 0, &fs, &err),
			 SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_native(subject->loop, "/", SONDE_FS_CREATE, &fs, &err),
			 SONDE_E_BAD_ARG);
}

static void beneath_holds_for_all_of_a_file_system(void **state)
{
	struct subject *subject = *state;
	struct sonde_fs_info info;
	struct sonde_fs *fs;

	assert_int_equal(
		sonde_fs_native(subject->loop, subject->folder, SONDE_FS_BENEATH, &fs, NULL), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, open_new(fs, "a")), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "a", 0, &info), 0);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "a", 0600), 0);
	assert_int_equal(sonde_fs_symlink(NULL, fs, ROOT, "l", "/etc/passwd"), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "l", 0, &info), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "l", 0600), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "..", 0, &info), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "../d", 0755), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "..", 0755), SONDE_E_NO_ACCESS);
	sonde_fs_destroy(fs);
}

/* ---- in memory ----------------------------------------------------------------------------------- */

struct small {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
};

static struct small make_small(const struct sonde_fs_memory_options *options)
{
	struct small small;

	assert_int_equal(subject_loop(SONDE_ENGINE_SYNC, &small.loop), 0);
	assert_int_equal(sonde_fs_memory(small.loop, options, &small.fs), 0);
	return small;
}

static void free_small(struct small *small)
{
	sonde_fs_destroy(small->fs);
	sonde_loop_destroy(small->loop);
}

static void memory_is_full_when_its_bytes_are_used_up(void **state)
{
	struct sonde_fs_memory_options options = { .size = sizeof(options), .max_bytes = 100 };
	struct small small = make_small(&options);
	char buf[100] = "";

	(void)state;
	int file = open_new(small.fs, "a");
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 0, buf, 60), 60);
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 60, buf, 60), 40);
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 100, buf, 1), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 0, buf, 100), 100);
	assert_int_equal(sonde_fs_symlink(NULL, small.fs, ROOT, "l", "x"), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, 101), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, INT64_MAX), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, 50), 0);
	assert_int_equal(sonde_fs_symlink(NULL, small.fs, ROOT, "l", "x"), 0);
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 1000, buf, 1), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_remove(NULL, small.fs, ROOT, "a", 0), 0);
	int other = open_new(small.fs, "b");
	assert_int_equal(sonde_fs_write(NULL, small.fs, other, 0, buf, 100), 49);
	assert_int_equal(sonde_fs_close(NULL, small.fs, file), 0); /* now the removed one is gone */
	assert_int_equal(sonde_fs_write(NULL, small.fs, other, 49, buf, 100), 50);
	assert_int_equal(sonde_fs_close(NULL, small.fs, other), 0);
	free_small(&small);
}

/* Else many files, each made long and short again, would hold many times what all may. */
static void a_file_made_shorter_gives_its_memory_back(void **state)
{
	const struct sonde_fs_memory_options options = { .size = sizeof(options),
							 .max_bytes = 1 << 20 };
	struct small small = make_small(&options);
	int file = open_new(small.fs, "a");
	struct sonde_fs_info info;

	(void)state;
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, 1 << 20), 0);
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, 100), 0);
	assert_int_equal(sonde_fs_stat(NULL, small.fs, file, NULL, 0, &info), 0);
	assert_in_range(info.allocated, 100, 151);
	assert_int_equal(sonde_fs_set_length(NULL, small.fs, file, 0), 0);
	assert_int_equal(sonde_fs_stat(NULL, small.fs, file, NULL, 0, &info), 0);
	assert_in_range(info.allocated, 0, 1);
	assert_int_equal(sonde_fs_write(NULL, small.fs, file, 0, "b", 1), 1);
	assert_int_equal(sonde_fs_close(NULL, small.fs, file), 0);
	free_small(&small);
}

static void memory_is_full_when_its_nodes_are_used_up(void **state)
{
	struct sonde_fs_memory_options options = { .size = sizeof(options), .max_nodes = 4 };
	struct small small = make_small(&options);

	(void)state;
	assert_int_equal(sonde_fs_mkdir(NULL, small.fs, ROOT, "a", 0755), 0);
	assert_int_equal(sonde_fs_close(NULL, small.fs, open_new(small.fs, "b")), 0);
	assert_int_equal(sonde_fs_link(NULL, small.fs, ROOT, "b", ROOT, "c"), 0);
	assert_int_equal(sonde_fs_symlink(NULL, small.fs, ROOT, "d", "x"), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, small.fs, ROOT, "e", 0755), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_link(NULL, small.fs, ROOT, "b", ROOT, "e"), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_open(NULL, small.fs, ROOT, "e", NEW, 0644), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_rename(NULL, small.fs, ROOT, "b", ROOT, "e", 0), 0);
	assert_int_equal(sonde_fs_rename(NULL, small.fs, ROOT, "e", ROOT, "d", 0), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, small.fs, ROOT, "e", 0755), 0);
	free_small(&small);
}

static void without_a_handle_nothing_new_is_there(void **state)
{
	struct small small = make_small(NULL);
	struct sonde_fs *fs = small.fs;
	struct sonde_fs_info info;
	int last = open_new(fs, "a"), file;

	(void)state;
	while ((file = sonde_fs_open(NULL, fs, ROOT, "a", SONDE_FS_FOR_READ, 0)) >= 0)
		last = file;
	assert_int_equal(file, SONDE_E_EXHAUSTED);
	assert_int_equal(sonde_fs_open(NULL, fs, ROOT, "b", NEW, 0644), SONDE_E_EXHAUSTED);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "b", 0, &info), SONDE_E_NOT_FOUND);
	for (file = 5; file <= last; file += last - 5) {
		assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
		assert_int_equal(open_new(fs, "b"), file);
	}
	for (file = 0; file <= last; file++)
		assert_int_equal(sonde_fs_close(NULL, fs, file), 0);
	free_small(&small);
}

static void memory_checks_permissions_when_asked_to(void **state)
{
	struct sonde_fs_memory_options options = { .size = sizeof(options),
						   .flags = SONDE_FS_CHECKS_MODE };
	struct small small = make_small(&options);
	struct sonde_fs *fs = small.fs;
	struct sonde_fs_info info;

	(void)state;
	assert_int_equal(sonde_fs_close(NULL, fs, open_new(fs, "a")), 0);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "a", 0400), 0);
	assert_int_equal(sonde_fs_open(NULL, fs, ROOT, "a", SONDE_FS_FOR_WRITE, 0),
			 SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "a", 0200), 0);
	assert_int_equal(sonde_fs_open(NULL, fs, ROOT, "a", SONDE_FS_FOR_READ, 0),
			 SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0500), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d/e", 0755), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_rename(NULL, fs, ROOT, "a", ROOT, "d/a", 0), SONDE_E_NO_ACCESS);
	assert_int_equal(sonde_fs_set_mode(NULL, fs, ROOT, "d", 0600), 0);
	assert_int_equal(sonde_fs_stat(NULL, fs, ROOT, "d/e", 0, &info), SONDE_E_NO_ACCESS);
	free_small(&small);
}

static void a_directory_that_is_gone_takes_nothing_new(void **state)
{
	struct small small = make_small(NULL);
	struct sonde_fs *fs = small.fs;
	struct sonde_fs_info info;

	(void)state;
	assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, "d", 0755), 0);
	int dir = sonde_fs_open(NULL, fs, ROOT, "d", SONDE_FS_DIRECTORY, 0);
	assert_int_equal(sonde_fs_remove(NULL, fs, ROOT, "d", SONDE_FS_DIRECTORY), 0);
	assert_int_equal(sonde_fs_mkdir(NULL, fs, dir, "e", 0755), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_stat(NULL, fs, dir, "..", 0, &info), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_fs_stat(NULL, fs, dir, ".", 0, &info), 0);
	assert_int_equal(sonde_fs_close(NULL, fs, dir), 0);
	free_small(&small);
}

/* ---- somebody else's ----------------------------------------------------------------------------- */

/* Answers LIST with what it was given, holds all that is asked of it until it is told to go on. */
struct odd {
	struct sonde_fs_io *held[64];
	uint32_t n_held, most, n_cancelled;
	const void *list;
	uint32_t list_len, lies; /* lies: so many times as many bytes are told */
	bool holds;
};

static void odd_submit(void *impl, struct sonde_fs_io *io)
{
	struct odd *odd = impl;

	if (io->op == SONDE_FS_READ && odd->holds) {
		assert_true(odd->n_held < 64);
		odd->held[odd->n_held++] = io;
		odd->most = odd->n_held > odd->most ? odd->n_held : odd->most;
		return;
	}
	if (io->op == SONDE_FS_STAT)
		*io->info = (struct sonde_fs_info){ .length = 1 << 30, .kind = SONDE_KIND_FILE };
	if (io->op == SONDE_FS_LIST) {
		memcpy(io->buf, odd->list, odd->list_len);
		sonde_fs_finish(io, (int32_t)(odd->list_len * odd->lies), 0);
		return;
	}
	sonde_fs_finish(io, io->op == SONDE_FS_READ && odd->lies > 1 ? INT32_MAX : 0, 0);
}

static void odd_cancel(void *impl, struct sonde_fs_io *io)
{
	struct odd *odd = impl;

	for (uint32_t i = 0; i < odd->n_held; i++) {
		if (odd->held[i] != io)
			continue;
		odd->held[i] = odd->held[--odd->n_held];
		odd->n_cancelled++;
		sonde_fs_finish(io, SONDE_E_CANCELLED, 0);
		return;
	}
}

static const struct sonde_fs_ops odd_ops = {
	.size = sizeof(odd_ops),
	.submit = odd_submit,
	.cancel = odd_cancel,
};

static struct small make_odd(struct odd *odd)
{
	struct small small;

	assert_int_equal(subject_loop(SONDE_ENGINE_SYNC, &small.loop), 0);
	assert_int_equal(sonde_fs_create(small.loop, &odd_ops, odd, &small.fs), 0);
	return small;
}

static void a_table_of_operations_is_checked(void **state)
{
	struct sonde_fs_ops ops = odd_ops;
	struct sonde_fs *fs;
	struct odd odd = { 0 };
	struct small small = make_odd(&odd);

	(void)state;
	ops.size = 8;
	assert_int_equal(sonde_fs_create(small.loop, &ops, NULL, &fs), SONDE_E_BAD_ARG);
	ops = odd_ops;
	ops.submit = NULL;
	assert_int_equal(sonde_fs_create(small.loop, &ops, NULL, &fs), SONDE_E_BAD_ARG);
	free_small(&small);
}

static void a_deadline_and_a_cancel_reach_whoever_serves(void **state)
{
	struct odd odd = { .holds = true };
	struct small small = make_odd(&odd);
	char byte;
	struct sonde_fs_io io = { .op = SONDE_FS_READ, .buf = &byte, .len = 1, .deadline_ns = 1 };

	(void)state;
	assert_int_equal(sonde_fs_run(NULL, small.fs, &io), SONDE_E_TIMED_OUT);
	assert_int_equal(odd.n_cancelled, 1);
	free_small(&small);
}

static void more_bytes_than_were_asked_for_are_an_error(void **state)
{
	struct odd odd = { .list = "0123456789", .list_len = 10, .lies = 1 };
	struct small small = make_odd(&odd);
	char room[SONDE_FS_LIST_MIN];
	struct sonde_fs_io io = { .op = SONDE_FS_LIST, .buf = room, .len = sizeof(room) };
	struct sonde_file_load load = { .fs = small.fs, .dir = SONDE_FS_ROOT, .path = "a" };

	(void)state;
	assert_int_equal(sonde_fs_run(NULL, small.fs, &io), 10);
	odd.lies = SONDE_FS_LIST_MIN;
	assert_int_equal(sonde_fs_run(NULL, small.fs, &io), SONDE_E_CORRUPT);
	assert_int_equal(sonde_file_load(NULL, &load), SONDE_E_CORRUPT);
	free_small(&small);
}

static int copy_in_task(struct sonde_task *task, void *arg)
{
	return sonde_file_copy(task, arg);
}

/* The reads are held; what is read ahead is what in_flight allows, and a cancelled copy calls it all off. */
static void a_copy_keeps_as_much_in_flight_as_it_may(void **state)
{
	struct odd odd = { .holds = true };
	struct small small = make_odd(&odd);
	struct sonde_task *task;
	struct sonde_copy copy = { .from_fs = small.fs,
				   .from = "a",
				   .to = "b",
				   .from_dir = ROOT,
				   .to_dir = ROOT,
				   .flags = SONDE_COPY_BYTES,
				   .in_flight = 16 << 20 };
	struct sonde_fs *memory;
	uint64_t bytes = 0;

	(void)state;
	assert_int_equal(sonde_fs_memory(small.loop, NULL, &memory), 0);
	copy.to_fs = memory;
	assert_int_equal(sonde_task_spawn(small.loop, copy_in_task, &copy, &task), 0);
	while (sonde_loop_turn(small.loop) > 0)
		;
	for (uint32_t i = 0; i < odd.n_held; i++)
		bytes += odd.held[i]->len;
	assert_int_equal(bytes, 16 << 20);
	assert_int_equal(odd.n_held, 16);
	sonde_task_cancel(task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(odd.n_held, 0);
	assert_int_equal(odd.n_cancelled, 16);
	sonde_fs_destroy(memory);
	free_small(&small);
}

/* Lists that no directory gives, each broken in one way. */
static void what_no_directory_holds_is_not_told(void **state)
{
	struct odd odd = { .lies = 1 };
	struct small small = make_odd(&odd);
	union {
		struct sonde_fs_entry entry;
		char bytes[32];
	} good = { .entry = { .next = 1, .size = 24 } }, bad;
	const struct sonde_fs_entry *entry;
	char *name = bad.entry.name;

	(void)state;
	strcpy(good.entry.name, "ab");
	odd.list = &bad;
	odd.list_len = 24;
#define TOLD(change)                                                                               \
	({                                                                                         \
		struct sonde_dir *dir;                                                             \
		bad = good;                                                                        \
		change;                                                                            \
		assert_int_equal(sonde_dir_open(NULL, small.fs, ROOT, ".", 0, &dir), 0);           \
		int r = sonde_dir_next(NULL, dir, &entry);                                         \
		if (r < 0)                                                                         \
			assert_int_equal(sonde_dir_next(NULL, dir, &entry), r);                    \
		sonde_dir_close(NULL, dir);                                                        \
		r;                                                                                 \
	})
	assert_int_equal(TOLD((void)0), 1);
	assert_int_equal(TOLD(bad.entry.size = 0), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(bad.entry.size = 16), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(bad.entry.size = 23), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(bad.entry.size = 32), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(bad.entry.next = 0), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(bad.entry.next = -1), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(name[0] = 0), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(name[1] = '/'), SONDE_E_CORRUPT);
	assert_int_equal(TOLD(memset(name, 'x', 5)), SONDE_E_CORRUPT);
	odd.list_len = 19;
	assert_int_equal(TOLD((void)0), SONDE_E_CORRUPT);
	odd.list_len = 24;
	assert_int_equal(TOLD(strcpy(name, ".."); bad.entry.next = 0), SONDE_E_CORRUPT);
#undef TOLD
	free_small(&small);
}

#define BODY(name)                                                                                 \
	{                                                                                          \
#name, name, subject_setup, subject_teardown, NULL                                 \
	}

int main(void)
{
	const struct CMUnitTest body[] = {
		BODY(a_full_device_is_said_to_be_full),
		BODY(a_file_does_not_grow_above_its_limit),
		BODY(what_is_not_allowed_is_said_to_be_so),
		BODY(opening_a_pipe_does_not_wait),
		BODY(a_root_that_is_no_directory_is_refused),
		BODY(beneath_holds_for_all_of_a_file_system),
	};
	const struct CMUnitTest others[] = {
		cmocka_unit_test(memory_is_full_when_its_bytes_are_used_up),
		cmocka_unit_test(a_file_made_shorter_gives_its_memory_back),
		cmocka_unit_test(memory_is_full_when_its_nodes_are_used_up),
		cmocka_unit_test(without_a_handle_nothing_new_is_there),
		cmocka_unit_test(memory_checks_permissions_when_asked_to),
		cmocka_unit_test(a_directory_that_is_gone_takes_nothing_new),
		cmocka_unit_test(a_table_of_operations_is_checked),
		cmocka_unit_test(a_deadline_and_a_cancel_reach_whoever_serves),
		cmocka_unit_test(more_bytes_than_were_asked_for_are_an_error),
		cmocka_unit_test(a_copy_keeps_as_much_in_flight_as_it_may),
		cmocka_unit_test(what_no_directory_holds_is_not_told),
	};

	return subject_run_all(body, sizeof(body) / sizeof(body[0]), SUBJECTS_NATIVE) +
	       cmocka_run_group_tests(others, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The journal by itself: what is on the disk when it says so, and what it says when the disk does not take it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"

static const char *path_of_journal(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/sonde-journal-%d", (int)getpid());
	return path;
}

/* ---- the disk ----------------------------------------------------------------------------------- */

/* What was in the file when it was last asked to be on the disk, and how often it was. */
static struct {
	off_t size;
	unsigned n_file, n_folder;
	int fails; /* errno for the next call; 0 none */
} disk;

int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);

int __wrap_fdatasync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	disk.n_file++;
	errno = disk.fails;
	if (disk.fails)
		return -1;
	disk.size = st.st_size;
	return 0;
}

int __wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	disk.n_folder++;
	return 0;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static bool no_memory;

void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_realloc(void *at, size_t size)
{
	return no_memory ? NULL : __real_realloc(at, size);
}

static int setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	unlink(path_of_journal());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path_of_journal());
	return 0;
}

static void open_it(struct journal *journal, enum journal_mode mode)
{
	struct sonde_error err = { 0 };

	if (journal_open(journal, path_of_journal(), mode, "ram:4k", "memory of a test", &err) < 0)
		fail_msg("%s", err.text);
}

static const uint8_t old[100] = { 1, 2, 3 }, new[100] = { 4, 5, 6 };

static void add(struct journal *journal, uint64_t addr, uint32_t len)
{
	const struct journal_write write = { .time_ns = 5, .addr = addr, .pid = 7, .len = len };

	assert_int_equal(journal_add(journal, &write, old, new, NULL), 0);
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void what_is_synchronised_is_all_that_was_added(void **state)
{
	struct journal journal, read;

	(void)state;
	open_it(&journal, JOURNAL_ADD);
	assert_int_equal(disk.n_folder, 1);
	for (uint32_t i = 1; i <= 3; i++) {
		unsigned before = disk.n_file;
		add(&journal, i, i);
		add(&journal, 16 * i, 100);
		assert_int_equal(journal_sync(&journal, NULL), 0);
		assert_int_equal(disk.n_file, before + 1);
		/* A machine that stops now has the file up to here. */
		assert_int_equal(truncate(path_of_journal(), disk.size), 0);
		open_it(&read, JOURNAL_READ);
		assert_int_equal(read.n, 2 * i);
		assert_int_equal(read.end, JOURNAL_WHOLE);
		journal_close(&read);
	}
	journal_close(&journal);
	open_it(&journal, JOURNAL_ADD);
	assert_int_equal(disk.n_folder, 1); /* it was there */
	journal_close(&journal);
}

static void a_mark_is_on_the_disk_too(void **state)
{
	struct journal journal;

	(void)state;
	open_it(&journal, JOURNAL_ADD);
	add(&journal, 1, 1);
	add(&journal, 2, 2);
	assert_int_equal(journal_sync(&journal, NULL), 0);
	journal_close(&journal);
	open_it(&journal, JOURNAL_UNDO);
	assert_int_equal(journal_undone(&journal, &journal.writes[0], NULL), 0);
	assert_int_equal(truncate(path_of_journal(), disk.size), 0);
	journal_close(&journal);
	open_it(&journal, JOURNAL_READ);
	assert_int_equal(journal.n, 2);
	assert_true(journal.writes[0].undone);
	assert_false(journal.writes[1].undone);
	journal_close(&journal);
}

static void a_disk_that_refuses_is_an_error_that_names_the_file(void **state)
{
	struct sonde_error err = { 0 };
	struct journal journal;

	(void)state;
	open_it(&journal, JOURNAL_ADD);
	add(&journal, 1, 1);
	disk.fails = EIO;
	assert_true(journal_sync(&journal, &err) < 0);
	assert_int_equal(err.os_code, EIO);
	assert_non_null(strstr(err.text, path_of_journal()));
	journal_close(&journal);
	unlink(path_of_journal());
	assert_true(journal_open(&journal, path_of_journal(), JOURNAL_ADD, "", "", &err) < 0);
	journal_close(&journal);
}

static void without_memory_it_is_not_called_damaged(void **state)
{
	struct sonde_error err = { 0 };
	struct journal journal;

	(void)state;
	open_it(&journal, JOURNAL_ADD);
	add(&journal, 1, 1);
	assert_int_equal(journal_sync(&journal, NULL), 0);
	journal_close(&journal);
	no_memory = true;
	int r = journal_open(&journal, path_of_journal(), JOURNAL_READ, "", "", &err);
	no_memory = false;
	assert_int_equal(r, SONDE_E_NO_MEMORY);
	assert_non_null(strstr(err.text, path_of_journal()));
	assert_int_equal(journal.end, JOURNAL_WHOLE);
	journal_close(&journal);
}

static void it_gives_back_what_it_was_given(void **state)
{
	uint8_t old_back[100], new_back[100];
	struct journal journal;

	(void)state;
	open_it(&journal, JOURNAL_ADD);
	add(&journal, UINT64_MAX, 1);
	add(&journal, 0xffffffff81000000, 100);
	assert_int_equal(journal_sync(&journal, NULL), 0);
	journal_close(&journal);
	open_it(&journal, JOURNAL_READ);
	assert_string_equal(journal.target, "ram:4k");
	assert_true(journal_is_of(&journal, "memory of a test"));
	assert_true(journal_is_of(&journal, "")); /* nobody knows */
	assert_false(journal_is_of(&journal, "memory of another"));
	const struct journal_write *w = &journal.writes[1];
	assert_true(w->addr == 0xffffffff81000000 && w->pid == 7 && w->len == 100 &&
		    w->time_ns == 5);
	assert_int_equal(journal_bytes(&journal, w, old_back, new_back), 0);
	assert_memory_equal(old_back, old, 100);
	assert_memory_equal(new_back, new, 100);
	journal_close(&journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_synchronised_is_all_that_was_added, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_mark_is_on_the_disk_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_refuses_is_an_error_that_names_the_file,
						setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_it_is_not_called_damaged, setup,
						teardown),
		cmocka_unit_test_setup_teardown(it_gives_back_what_it_was_given, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The file of a dump, and another program that finishes it in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "dump/file.h"

static char folder[] = "/tmp/sonde-dump-file-XXXXXX";
static char path[64], partial[64];
static bool is_finished_meanwhile;

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);

int __wrap_flock(int fd, int how)
{
	if (is_finished_meanwhile)
		assert_int_equal(rename(partial, path), 0);
	return __real_flock(fd, how);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void expect(const char *name, const char *text)
{
	char got[64] = "";
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	assert_non_null(fgets(got, sizeof(got), file));
	fclose(file);
	assert_string_equal(got, text);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(partial, sizeof(partial), "%s/a.partial", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(partial);
	return rmdir(folder);
}

static void it_has_its_name_when_it_is_whole(void **state)
{
	(void)state;
	struct dump_file file;

	is_finished_meanwhile = false;
	put(path, "old");
	put(partial, "left behind by one that was killed");
	assert_int_equal(dump_file_open(&file, path, 0, NULL), 0);
	assert_int_equal(dump_file_write(&file, 0, "new", 3, NULL), 0);
	expect(path, "old");
	assert_int_equal(dump_file_commit(&file, NULL), 0);
	dump_file_close(&file);
	expect(path, "new");
	assert_int_equal(access(partial, F_OK), -1);
}

static void one_that_another_program_finishes_is_its_own(void **state)
{
	(void)state;
	const uint32_t grains[] = { 0, 4096 };
	struct dump_file file;

	is_finished_meanwhile = true;
	for (size_t i = 0; i < sizeof(grains) / sizeof(grains[0]); i++) {
		put(partial, "the dump of another program");
		assert_int_equal(dump_file_open(&file, path, grains[i], NULL), SONDE_E_BUSY);
		dump_file_close(&file);
		expect(path, "the dump of another program");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_its_name_when_it_is_whole),
		cmocka_unit_test(one_that_another_program_finishes_is_its_own),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: MIT */
/* The description of a process, taken apart. */
#include "process/description.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct parsed {
	char *text;
	struct arena arena;
	struct description said;
};

static struct parsed parse(const char *text)
{
	struct parsed p = { .text = strdup(text) };

	assert_int_equal(description_parse(p.text, &p.arena, &p.said), 0);
	return p;
}

static void finish(struct parsed *p)
{
	arena_finish(&p->arena);
	free(p->text);
}

static void each_line_says_one_thing(void **state)
{
	struct parsed p =
		parse("os windows 10.0.19041\n"
		      "process pid=42 ppid=1 uid=1000 gid=100 state=S\n"
		      "name a\\134b\n"
		      "exe /bin/with\\012newline\n"
		      "args /bin/x\\000-v\\000\n"
		      "thread 43 rip=401000 rsp=7ffe0000\n"
		      "thread 44\n"
		      "map 00400000-00401000 r-xp 00001000 00:00 0 /bin/with\\012newline\n"
		      "module 140000000 3e000 C:\\134md.exe\n");

	(void)state;
	assert_string_equal(p.said.system, "windows");
	assert_string_equal(p.said.release, "10.0.19041");
	assert_int_equal(p.said.pid, 42);
	assert_int_equal(p.said.ppid, 1);
	assert_int_equal(p.said.uid, 1000);
	assert_int_equal(p.said.gid, 100);
	assert_int_equal(p.said.has_uid, 1);
	assert_int_equal(p.said.state, 'S');
	assert_string_equal(p.said.name, "a\\b");
	assert_string_equal(p.said.exe, "/bin/with\nnewline");
	assert_int_equal(p.said.args_len, 10);
	assert_memory_equal(p.said.args, "/bin/x\0-v\0", 10);
	assert_int_equal(p.said.n_threads, 2);
	assert_int_equal(p.said.threads[0].tid, 43);
	assert_int_equal(p.said.threads[0].n, 2);
	assert_string_equal(p.said.threads[0].registers[1].name, "rsp");
	assert_int_equal(p.said.threads[0].registers[1].value, 0x7ffe0000);
	assert_int_equal(p.said.threads[1].n, 0);
	assert_int_equal(p.said.n_maps, 1);
	assert_int_equal(p.said.maps[0].off, 0x1000);
	assert_string_equal(p.said.maps[0].path, "/bin/with\nnewline");
	assert_int_equal(p.said.n_modules, 1);
	assert_int_equal(p.said.modules[0].base, 0x140000000);
	assert_int_equal(p.said.modules[0].size, 0x3e000);
	assert_string_equal(p.said.modules[0].path, "C:\\md.exe");
	assert_int_equal(p.said.n_bad, 0);
	finish(&p);
}

static void what_makes_no_sense_is_counted_and_the_rest_is_taken(void **state)
{
	static const char *const bad[] = {
		"process pid=-1",     "process pid=4294967296",
		"process pid",        "process state=SS",
		"process what=1",     "thread x rip=1",
		"thread 1 rip",       "thread 1 rip=xyz",
		"thread 1 =4",        "thread 99999999999",
		"map 1000-1000 r-xp", "map nonsense",
		"module 1",           "module x y z",
		"left-out",           "os ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "os linux\n%s\nname after\n", bad[i]);
		struct parsed p = parse(text);
		if (p.said.n_bad != 1)
			fail_msg("'%s': %zu bad lines", bad[i], p.said.n_bad);
		assert_string_equal(p.said.name, "after");
		assert_int_equal(p.said.n_threads + p.said.n_maps + p.said.n_modules, 0);
		finish(&p);
	}
}

static void a_thread_has_no_more_registers_than_any_machine(void **state)
{
	char text[4096] = "thread 1";

	(void)state;
	for (int i = 0; i < 100; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " r%d=%x", i, i);
	struct parsed p = parse(text);
	assert_int_equal(p.said.threads[0].n, SONDE_REGISTERS_MAX);
	assert_int_equal(p.said.threads[0].registers[SONDE_REGISTERS_MAX - 1].value,
			 SONDE_REGISTERS_MAX - 1);
	finish(&p);
}

static void nothing_at_all_is_a_description(void **state)
{
	struct parsed p = parse("");

	(void)state;
	assert_null(p.said.system);
	assert_int_equal(p.said.n_bad, 0);
	finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_says_one_thing),
		cmocka_unit_test(what_makes_no_sense_is_counted_and_the_rest_is_taken),
		cmocka_unit_test(a_thread_has_no_more_registers_than_any_machine),
		cmocka_unit_test(nothing_at_all_is_a_description),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

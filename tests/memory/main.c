/* SPDX-License-Identifier: MIT */
/* Every scenario with each of its allocations refused. */
#include "refuse.h"

static void run(const struct scenario *scenarios, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refuse_each(&scenarios[i]);
}

static void loops_and_spaces(void **state)
{
	(void)state;
	run(space_scenarios, n_space_scenarios);
}

static void tasks_and_descriptors(void **state)
{
	(void)state;
	run(task_scenarios, n_task_scenarios);
}

static void layers_connectors_and_targets(void **state)
{
	(void)state;
	run(plugin_scenarios, n_plugin_scenarios);
}

static void files_of_other_machines(void **state)
{
	(void)state;
	run(file_scenarios, n_file_scenarios);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loops_and_spaces),
		cmocka_unit_test(tasks_and_descriptors),
		cmocka_unit_test(layers_connectors_and_targets),
		cmocka_unit_test(files_of_other_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory that is refused: between the library (and the plugins, which are linked in here) and the C library
 * stands refuse.c. Each scenario is run with each of its allocations refused in turn, alone and with all that
 * follow it. It has to end with the right answer or with NO_MEMORY, and to leave nothing behind.
 */
#ifndef TESTS_MEMORY_REFUSE_H
#define TESTS_MEMORY_REFUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scenario {
	const char *name;
	int (*run)(uint32_t arg); /* 0; SONDE_E_NO_MEMORY: cleanly refused */
	uint32_t arg;
};

/* Run one as described above. */
void refuse_each(const struct scenario *scenario);

/* From here to there the test itself allocates, and is refused nothing. */
void refuse_pause(void);
void refuse_resume(void);

extern const struct scenario space_scenarios[], task_scenarios[], plugin_scenarios[],
	file_scenarios[];
extern const size_t n_space_scenarios, n_task_scenarios, n_plugin_scenarios, n_file_scenarios;

#endif

/* SPDX-License-Identifier: MIT */
/* The description that comes with the image of a process: any text; what is handed out must keep the promises of description.h. */
#include "process/description.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_threads(const struct description *said)
{
	for (size_t i = 0; i < said->n_threads; i++) {
		const struct described_thread *thread = &said->threads[i];
		check(thread->tid >= 0 && thread->n <= SONDE_REGISTERS_MAX);
		for (uint32_t k = 0; k < thread->n; k++)
			check(thread->registers[k].name[0] != '\0');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = calloc(1, len + 1);
	struct arena arena = { 0 };
	struct description said;

	if (!text)
		abort();
	memcpy(text, bytes, len);
	check(description_parse(text, &arena, &said) == 0);
	check_threads(&said);
	for (size_t i = 0; i < said.n_maps; i++)
		check(said.maps[i].start < said.maps[i].end && strlen(said.maps[i].path) <= len);
	for (size_t i = 0; i < said.n_modules; i++)
		check(strlen(said.modules[i].path) <= len);
	check(said.args_len <= len && (!said.args_len || said.args));
	check(said.pid >= 0 && said.ppid >= 0);
	arena_finish(&arena);
	free(text);
	return 0;
}

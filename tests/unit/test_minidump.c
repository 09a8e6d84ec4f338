/* SPDX-License-Identifier: MIT */
/* Minidumps, whole and broken: what the parser believes, and through the connector and the OS layer what is told of the process. */
#include "../../connectors/crashdmp/mini_file.h"
#include "synth/elf.h"
#include "synth/minidump.h"

#include <sonde/loop.h>
#include <sonde/os.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What was parsed reads the image again when it is told of. */
static struct synth_image image;

static int parse(struct mini_file *mini, const uint8_t *bytes, size_t size)
{
	image = (struct synth_image){ bytes, size };
	return mini_file_read(mini, synth_image_read, &image, size);
}

static void lists_with_and_without_padding(void **state)
{
	(void)state;
	for (int padded = 0; padded < 2; padded++) {
		struct synth_minidump d = synth_minidump(padded);
		struct mini_file mini;
		assert_int_equal(parse(&mini, d.bytes, d.size), 0);
		assert_int_equal(mini.n_threads, 2);
		assert_int_equal(mini.threads[1].tid, 8);
		assert_int_equal(mini.modules.count, 2);
		assert_int_equal(mini.infos.count, 4);
		assert_int_equal(mini.dump.n_runs, 3);
		assert_int_equal(mini.dump.cut, 0);
		assert_int_equal(mini.dump.n_spoilt, 0);
		assert_int_equal(mini.dump.runs[2].addr, MINI_HIGH + 0x4000);
		assert_int_equal(d.bytes[mini.dump.runs[2].off],
				 (uint8_t)((MINI_HIGH + 0x4000) / 16));
		mini_file_finish(&mini);
		free(d.bytes);
	}
}

/* What the parser hands out, and what is said of it, whatever the bytes were. */
static void check(struct mini_file *mini, int r)
{
	struct note_lines lines;

	assert_true(r == 0 || mini->dump.why[0]);
	for (size_t i = 0; r == 0 && i < mini->dump.n_runs; i++) {
		const struct dump_run *run = &mini->dump.runs[i];
		assert_true(run->len > 0 && run->addr + (run->len - 1) >= run->addr);
		assert_true(run->have == 0 || (run->off <= mini->dump.file_size &&
					       run->have <= mini->dump.file_size - run->off));
	}
	if (r == 0) {
		assert_int_equal(mini_process(mini, &lines), 0);
		note_lines_finish(&lines);
		assert_int_equal(mini_facts(mini, &lines), 0);
		note_lines_finish(&lines);
	}
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	struct synth_minidump d = synth_minidump(0);

	(void)state;
	for (size_t size = 0; size < d.size; size += size < 0x300 ? 1 : 13) {
		uint8_t *copy = malloc(size + 1);
		struct mini_file mini;
		memcpy(copy, d.bytes, size);
		int r = parse(&mini, copy, size);
		check(&mini, r);
		assert_true(r < 0 || mini.dump.cut);
		mini_file_finish(&mini);
		free(copy);
	}
	free(d.bytes);
}

static void a_lie_in_any_bit_is_an_error_or_harmless(void **state)
{
	struct synth_minidump d = synth_minidump(0);
	size_t heads = d.at[9] + 48;

	(void)state;
	for (size_t at = 0; at < heads; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct mini_file mini;
			d.bytes[at] ^= (uint8_t)(1 << bit);
			check(&mini, parse(&mini, d.bytes, d.size));
			mini_file_finish(&mini);
			d.bytes[at] ^= (uint8_t)(1 << bit);
		}
	}
	free(d.bytes);
}

static void a_stream_that_lies_is_left_out_alone(void **state)
{
	static const struct {
		uint32_t type,
			off; /* of the field in the stream; 100: in its entry of the directory */
		uint64_t value;
		int size;
		size_t n_runs;
		uint64_t n_spoilt;
		int cut;
	} lies[] = {
		{ 5, 0, UINT32_MAX, 4, 3, 0, 1 },     /* more ranges than bytes     */
		{ 5, 4, UINT64_MAX - 1, 8, 2, 1, 0 }, /* one that wraps             */
		{ 5, 16, 4, 4, 2, 1, 0 },             /* one that is the header     */
		{ 5, 12, UINT32_MAX, 4, 3, 0, 1 },    /* one longer than the file   */
		{ 9, 0, UINT64_MAX, 8, 3, 0, 1 },
		{ 9, 8, UINT64_MAX - 8, 8, 2, 0, 1 },
		{ 9, 24, UINT64_MAX, 8, 1, 1, 0 }, /* the rest has no place then */
		{ 16, 4, 4, 4, 3, 1, 0 },          /* entries too short          */
		{ 3, 104, 2, 4, 3, 1, 0 },
		{ 4, 108, UINT32_MAX, 4, 3, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct synth_minidump d = synth_minidump(0);
		struct mini_file mini;
		size_t at = lies[i].off >= 100 ? d.entry[lies[i].type] + lies[i].off - 100
					       : d.at[lies[i].type] + lies[i].off;
		synth_put(d.bytes + at, 0, lies[i].size, lies[i].value);
		int r = parse(&mini, d.bytes, d.size);
		check(&mini, r);
		if (r < 0 || mini.dump.n_runs != lies[i].n_runs ||
		    mini.dump.n_spoilt != lies[i].n_spoilt || mini.dump.cut != lies[i].cut)
			fail_msg("lie %zu: %d '%s': %zu runs, %llu spoilt, cut %d", i, r,
				 mini.dump.why, mini.dump.n_runs,
				 (unsigned long long)mini.dump.n_spoilt, mini.dump.cut);
		mini_file_finish(&mini);
		free(d.bytes);
	}
}

static void a_directory_without_end_is_refused(void **state)
{
	struct synth_minidump d = synth_minidump(0);
	struct mini_file mini;

	(void)state;
	synth_put(d.bytes + 8, 0, 4, UINT32_MAX);
	assert_int_equal(parse(&mini, d.bytes, d.size), SONDE_E_CORRUPT);
	assert_non_null(strstr(mini.dump.why, "MINIDUMP_HEADER.NumberOfStreams at 0x8"));
	mini_file_finish(&mini);
	free(d.bytes);
}

/* ---- through the connector and the OS layer ----------------------------------------------------- */

struct opened {
	char path[32];
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_os *os;
};

static int setup(void **state)
{
	struct opened *o = calloc(1, sizeof(*o));
	struct synth_minidump d = synth_minidump(0);
	struct sonde_error err = { 0 };

	strcpy(o->path, "/tmp/sonde-mini-XXXXXX");
	FILE *file = fdopen(mkstemp(o->path), "wb");
	fwrite(d.bytes, 1, d.size, file);
	fclose(file);
	free(d.bytes);
	*state = o;
	if (sonde_loop_create(NULL, &o->loop, &err) < 0 ||
	    sonde_target_open(o->loop, o->path, NULL, &o->target, &err) < 0 ||
	    sonde_os_attach(o->target, NULL, &o->os, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	struct opened *o = *state;

	sonde_os_detach(o->os);
	sonde_target_close(o->target);
	sonde_loop_destroy(o->loop);
	unlink(o->path);
	free(o);
	return 0;
}

static void the_dump_is_a_process_of_windows(void **state)
{
	struct opened *o = *state;
	struct sonde_target_info info;
	struct sonde_kernel kernel;
	struct sonde_processes *ps;
	uint8_t got[32];

	sonde_target_info(o->target, &info);
	assert_string_equal(info.detail, "minidump, 2 threads, 2 modules, 3 runs");
	assert_int_equal(info.flags, SONDE_TARGET_PROCESS);
	assert_int_equal(info.arch, SONDE_ARCH_X86_64);
	sonde_os_kernel(o->os, &kernel);
	assert_string_equal(kernel.family, "windows");
	assert_string_equal(kernel.release, "10.0.19041");
	assert_int_equal(sonde_os_processes(o->os, SONDE_PROCESS_EXE, &ps, NULL), 0);
	assert_int_equal(sonde_processes_count(ps), 1);
	assert_int_equal(sonde_processes_at(ps, 0)->pid, 42);
	assert_string_equal(sonde_processes_at(ps, 0)->name, "synth.exe");
	assert_string_equal(sonde_processes_at(ps, 0)->exe, "C:\\synth.exe");
	sonde_processes_destroy(ps);
	assert_int_equal(
		sonde_space_get(sonde_target_memory(o->target), MINI_HIGH + 0x1ff0, got, 16), 0);
	assert_int_equal(got[0], (uint8_t)((MINI_HIGH + 0x1ff0) / 16));
	assert_int_equal(
		sonde_space_get(sonde_target_memory(o->target), MINI_HIGH + 0x2000, got, 16),
		SONDE_E_NOT_MAPPED);
}

static void its_threads_have_registers(void **state)
{
	struct opened *o = *state;
	struct sonde_register registers[SONDE_REGISTERS_MAX];
	struct sonde_processes *threads;
	struct sonde_cpu cpu = { 0 };

	assert_int_equal(sonde_os_threads(o->os, 0, 0, &threads, NULL), 0);
	assert_int_equal(sonde_processes_count(threads), 2);
	assert_int_equal(sonde_processes_at(threads, 1)->pid, 8);
	assert_int_equal(sonde_processes_at(threads, 1)->tgid, 42);
	sonde_processes_destroy(threads);
	int n = sonde_os_registers(o->os, 8, registers, SONDE_REGISTERS_MAX, NULL);
	assert_true(n > 16);
	assert_string_equal(registers[0].name, "rax");
	assert_int_equal(registers[0].value, 0x1234);
	for (int i = 0; i < n; i++) {
		if (strcmp(registers[i].name, "rip") == 0)
			assert_int_equal(registers[i].value, MINI_PC + 1);
	}
	assert_int_equal(sonde_os_registers(o->os, 9, registers, 1, NULL), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_target_cpu(o->target, 0, &cpu), 0);
	assert_int_equal(cpu.pc, MINI_PC);
}

static void its_mappings_and_modules_are_told(void **state)
{
	struct opened *o = *state;
	struct sonde_mappings *maps;
	struct sonde_modules *modules;

	assert_int_equal(sonde_os_mappings(o->os, 0, &maps, NULL), 0);
	assert_int_equal(sonde_mappings_count(maps), 3); /* what is free is none */
	assert_int_equal(sonde_mappings_at(maps, 0)->start, MINI_LOW);
	assert_int_equal(sonde_mappings_at(maps, 0)->flags, SONDE_REGION_READ | SONDE_REGION_WRITE);
	assert_int_equal(sonde_mappings_at(maps, 1)->flags, SONDE_REGION_READ | SONDE_REGION_EXEC);
	assert_int_equal(sonde_mappings_at(maps, 2)->flags,
			 SONDE_REGION_READ | SONDE_REGION_SHARED);
	sonde_mappings_destroy(maps);
	assert_int_equal(sonde_os_modules(o->os, &modules, NULL), 0);
	assert_int_equal(sonde_modules_count(modules), 2);
	assert_string_equal(sonde_modules_at(modules, 1)->name, "ntdll.dll");
	assert_int_equal(sonde_modules_at(modules, 1)->base, MINI_MODULE + 0x100000);
	assert_int_equal(sonde_modules_at(modules, 1)->size, 0x9000);
	assert_int_equal(sonde_modules_at(modules, 1)->err, 0); /* its header is not in the dump */
	sonde_modules_destroy(modules);
}

static void what_it_knows_beyond_bytes_comes_along(void **state)
{
	static const char *const facts[] = {
		"dump_type=minidump\n",
		"\ndump_time=2021-02-20T10:15:02Z\n",
		"\nwindows_version=10.0.19041\nprocessors=4\nprocess_id=42\n",
		"\nprocess_created=2020-09-13T12:26:40Z\n",
		"\nexception_code=0xc0000005\nexception_address=0x140001234\nexception_thread=7\n",
	};
	struct opened *o = *state;
	char text[1024] = "";

	sonde_target_note(o->target, SONDE_NOTE_FACTS, text, sizeof(text) - 1);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (!strstr(text, facts[i]))
			fail_msg("no '%s' in:\n%s", facts[i], text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_with_and_without_padding),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_lie_in_any_bit_is_an_error_or_harmless),
		cmocka_unit_test(a_stream_that_lies_is_left_out_alone),
		cmocka_unit_test(a_directory_without_end_is_refused),
		cmocka_unit_test_setup_teardown(the_dump_is_a_process_of_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(its_threads_have_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(its_mappings_and_modules_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_knows_beyond_bytes_comes_along, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Windows' crash dumps, whole and broken: what the parser believes, and through the connector what is read where. */
#include "../../connectors/common/win_context.h"
#include "../../connectors/crashdmp/crash_file.h"
#include "synth/crashdmp.h"
#include "synth/elf.h"

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

#define PAGE 4096u
/* A hole, single pages, a run across bytes of a bitmap, and the last page of a byte. */
#define PRESENT ".##.#..#########.#.....#"
#define BEHIND SYNTH_CRASH_BEHIND

struct bytes {
	uint8_t *at;
	size_t size;
};

static const struct synth_crash kinds[] = {
	{ 8, 1, 0x8664, PRESENT, NULL },   { 8, 2, 0x8664, PRESENT, NULL },
	{ 8, 5, 0x8664, PRESENT, "FDMP" }, { 8, 6, 0xaa64, PRESENT, "SDMP" },
	{ 8, 8, 0x8664, PRESENT, NULL },   { 8, 9, 0xaa64, PRESENT, NULL },
	{ 8, 10, 0x8664, PRESENT, NULL },  { 4, 1, 0x14c, PRESENT, NULL },
	{ 4, 2, 0x14c, PRESENT, NULL },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct synth_stretch stretches[] = {
	{ 0xffff850429890ee8, 0x118 },  { 0xfffff8047c600b20, 0x80 }, { 0xfffff8047c62a7a0, 0x9c },
	{ 0xfffff804782d4180, 0x1000 }, { UINT64_MAX - 0xf, 0x10 },
};
static const char *const drivers[] = { "\\SystemRoot\\system32\\ntoskrnl.exe", "hal.dll" };

static struct bytes build(const struct synth_crash *spec)
{
	struct bytes bytes;

	bytes.at = synth_crash(spec, &bytes.size);
	return bytes;
}

static struct bytes build_triage(uint32_t word)
{
	struct bytes bytes;

	bytes.at = synth_triage(word, stretches, word == 8 ? 5 : 4, drivers, word == 8 ? 2 : 0,
				&bytes.size);
	return bytes;
}

static int parse(struct crash_file *crash, const struct bytes *bytes)
{
	struct synth_image image = { bytes->at, bytes->size };

	return crash_file_read(crash, synth_image_read, &image, bytes->size);
}

/* The byte of the file that tells of physical address addr; NULL: it holds none. */
static const uint8_t *byte_at(const struct crash_file *crash, const struct bytes *bytes,
			      uint64_t addr)
{
	for (size_t i = 0; i < crash->dump.n_runs; i++) {
		const struct dump_run *run = &crash->dump.runs[i];
		if (addr >= run->addr && addr - run->addr < run->have)
			return bytes->at + run->off + (addr - run->addr);
	}
	return NULL;
}

static void each_kind_tells_where_its_pages_are(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct bytes bytes = build(&kinds[k]);
		struct crash_file crash;
		assert_int_equal(parse(&crash, &bytes), 0);
		assert_int_equal(crash.type, kinds[k].type);
		assert_int_equal(crash.dump.n_runs, 5);
		assert_int_equal(crash.dump.cut, 0);
		for (uint64_t page = 0; page < sizeof(PRESENT) + 1; page++) {
			const uint8_t *byte = byte_at(&crash, &bytes, page * PAGE + 0x120);
			int has = page < sizeof(PRESENT) - 1 && PRESENT[page] == '#';
			assert_int_equal(byte != NULL, has);
			if (has)
				assert_int_equal(*byte, (uint8_t)((page * PAGE + 0x120) / 16));
		}
		crash_file_finish(&crash);
		free(bytes.at);
	}
}

/* Wherever the file ends: an error with words, or fewer bytes, and never one beyond the end. */
static void a_file_that_ends_anywhere(struct bytes bytes)
{
	size_t whole = bytes.size;

	for (size_t size = 0; size < whole;
	     size +=
	     size < 0x20 || (size >= 0xfe0 && size < 0x1080) || (size >= 0x1fe0 && size < 0x2200)
		     ? 1
		     : 37) {
		struct crash_file crash;
		uint8_t *copy =
			malloc(size + 1); /* so that a byte beyond is seen by the sanitizer */
		memcpy(copy, bytes.at, size);
		struct bytes cut = { copy, size };
		int r = parse(&crash, &cut);
		assert_true(r == 0 ? crash.dump.cut : crash.dump.why[0]);
		for (size_t i = 0; r == 0 && i < crash.dump.n_runs; i++) {
			const struct dump_run *run = &crash.dump.runs[i];
			assert_true(run->have == 0 || run->off + run->have <= size);
		}
		crash_file_finish(&crash);
		free(copy);
	}
	free(bytes.at);
}

static void a_dump_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		a_file_that_ends_anywhere(build(&kinds[k]));
	a_file_that_ends_anywhere(build_triage(8));
	a_file_that_ends_anywhere(build_triage(4));
}

/* Every bit of the headers that matter, one at a time. */
static void flip_all(struct bytes bytes, size_t from, size_t to)
{
	for (size_t at = from; at < to && at < bytes.size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct crash_file crash;
			bytes.at[at] ^= (uint8_t)(1 << bit);
			int r = parse(&crash, &bytes);
			assert_true(r == 0 || crash.dump.why[0]);
			for (size_t i = 0; r == 0 && i < crash.dump.n_runs; i++) {
				const struct dump_run *run = &crash.dump.runs[i];
				assert_true(run->len > 0 &&
					    run->addr + (run->len - 1) >= run->addr);
				assert_true(run->have == 0 || (run->off <= bytes.size &&
							       run->have <= bytes.size - run->off));
			}
			crash_file_finish(&crash);
			bytes.at[at] ^= (uint8_t)(1 << bit);
		}
	}
}

static void a_lie_in_any_bit_is_an_error_or_harmless(void **state)
{
	(void)state;
	for (size_t k = 0; k <= N_KINDS; k++) {
		struct bytes bytes = k < N_KINDS ? build(&kinds[k]) : build_triage(8);
		size_t behind = k < N_KINDS && kinds[k].word == 4 ? 0x1000 : BEHIND;
		flip_all(bytes, 0, 0xb8);
		flip_all(bytes, 0xf88, 0xfb0);
		flip_all(bytes, behind, behind + 0x90);
		free(bytes.at);
	}
}

static void expect(struct bytes *bytes, int code, const char *words)
{
	struct crash_file crash;

	assert_int_equal(parse(&crash, bytes), code);
	if (!strstr(crash.dump.why, words))
		fail_msg("'%s' does not say '%s'", crash.dump.why, words);
	crash_file_finish(&crash);
}

static void lies_are_told_with_structure_field_and_place(void **state)
{
	static const struct {
		size_t kind, at;
		uint64_t value;
		int size, code;
		const char *words;
	} lies[] = {
		{ 0, SYNTH_CRASH_N_RUNS, 0x45474150, 4, SONDE_E_CORRUPT,
		  "DUMP_HEADER64.PhysicalMemoryBlock.NumberOfRuns at 0x88" },
		{ 0, SYNTH_CRASH_N_RUNS, 43, 4, SONDE_E_CORRUPT, "NumberOfRuns at 0x88" },
		{ 0, SYNTH_CRASH_RUN + 8, UINT64_MAX, 8, SONDE_E_CORRUPT,
		  "Run at 0x98: its addresses wrap" },
		{ 0, SYNTH_CRASH_TYPE, 3, 4, SONDE_E_UNSUPPORTED,
		  "DUMP_HEADER64.DumpType at 0xf98" },
		{ 1, BEHIND + 0x10, UINT32_MAX, 4, SONDE_E_TRUNCATED,
		  "SUMMARY_DUMP.Bitmap at 0x2020" },
		{ 1, BEHIND + 0xc, 0x100, 4, SONDE_E_CORRUPT, "FirstPage at 0x200c" },
		{ 1, BEHIND, 0, 4, SONDE_E_CORRUPT, "SUMMARY_DUMP.Signature at 0x2000" },
		{ 2, BEHIND + 0x30, UINT64_MAX, 8, SONDE_E_TRUNCATED,
		  "BMP_HEADER64.Bitmap at 0x2038" },
		{ 2, BEHIND + 0x20, UINT64_MAX - 4096, 8, SONDE_E_CORRUPT,
		  "offsets of its pages wrap" },
		{ 2, BEHIND + 0x38, 0, 3, SONDE_E_CORRUPT, "without a page" },
		{ 4, BEHIND + 0x10, 31, 8, SONDE_E_CORRUPT,
		  "RDMP_HEADER64.MetadataSize at 0x2010" },
		{ 4, BEHIND + 0x30, UINT64_MAX / 2, 8, SONDE_E_CORRUPT,
		  "RDMP_HEADER64.Range at 0x2030" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct bytes bytes = build(&kinds[lies[i].kind]);
		for (int k = 0; k < lies[i].size; k++)
			bytes.at[lies[i].at + (size_t)k] = (uint8_t)(lies[i].value >> 8 * k);
		expect(&bytes, lies[i].code, lies[i].words);
		free(bytes.at);
	}
}

static void a_bitmap_of_32_bits_is_refused_by_name(void **state)
{
	struct bytes bytes = build(&kinds[7]);

	(void)state;
	synth_put(bytes.at + 0xf88, 0, 4, 5);
	expect(&bytes, SONDE_E_UNSUPPORTED, "DUMP_HEADER32.DumpType at 0xf88: a bitmap");
	free(bytes.at);
}

/* Each bit alone is a run of its own. */
static void more_runs_than_a_space_takes_are_refused(void **state)
{
	size_t n_bits = 2 * (DUMP_RUNS_MAX + 2), size = BEHIND + 0x38 + n_bits / 8;
	struct bytes bytes = build(&kinds[2]);

	(void)state;
	bytes.at = realloc(bytes.at, size);
	assert_non_null(bytes.at);
	bytes.size = size;
	synth_put(bytes.at + BEHIND + 0x30, 0, 8, n_bits);
	memset(bytes.at + BEHIND + 0x38, 0x55, n_bits / 8);
	expect(&bytes, SONDE_E_LIMIT, "more than 1048574 runs");
	free(bytes.at);
}

static void a_stretch_that_lies_is_left_out_alone(void **state)
{
	struct bytes bytes = build_triage(8);
	struct crash_file crash;
	uint32_t blocks;

	(void)state;
	memcpy(&blocks, bytes.at + BEHIND + 0x78, 4);
	synth_put(bytes.at + blocks, 0, 8, UINT64_MAX - 2); /* wraps */
	synth_put(bytes.at + blocks + 16 + 8, 0, 4, 0x10);  /* in the header */
	assert_int_equal(parse(&crash, &bytes), 0);
	assert_int_equal(crash.dump.n_runs, 3);
	assert_int_equal(crash.dump.n_spoilt, 2);
	crash_file_finish(&crash);
	synth_put(bytes.at + BEHIND + 8, 0, 4, 0x2100);
	expect(&bytes, SONDE_E_CORRUPT, "TRIAGE_DUMP64.ValidOffset at 0x2008");
	free(bytes.at);
}

/* What a hole in the file would make of them. */
static void there_are_bounds_to_pages_and_drivers(void **state)
{
	const size_t room = (CRASH_DRIVERS_MAX + 1000) * (size_t)0x90;
	struct bytes bytes = build(&kinds[2]);
	struct crash_file crash;

	(void)state;
	synth_put(bytes.at + BEHIND + 0x30, 0, 8, CRASH_PAGES_MAX + 1);
	struct synth_image image = { bytes.at, bytes.size };
	assert_int_equal(crash_file_read(&crash, synth_image_read, &image, UINT64_C(1) << 40),
			 SONDE_E_LIMIT);
	assert_non_null(strstr(crash.dump.why, "more than any machine has"));
	crash_file_finish(&crash);
	free(bytes.at);
	bytes = build_triage(8);
	bytes.at = realloc(bytes.at, bytes.size + room);
	memset(bytes.at + bytes.size, 0, room);
	bytes.size += room;
	synth_put(bytes.at + BEHIND + 0x34, 0, 4, UINT32_MAX);
	assert_int_equal(parse(&crash, &bytes), 0);
	assert_int_equal(crash.n_drivers, CRASH_DRIVERS_MAX);
	crash_file_finish(&crash);
	free(bytes.at);
}

/* ---- through the connector -------------------------------------------------------------------- */

struct opened {
	char path[32];
	struct sonde_loop *loop;
	struct sonde_target *target;
};

static void open_bytes(struct opened *ret, struct bytes bytes)
{
	struct sonde_error err;

	strcpy(ret->path, "/tmp/sonde-crash-XXXXXX");
	FILE *file = fdopen(mkstemp(ret->path), "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.at, 1, bytes.size, file), bytes.size);
	fclose(file);
	free(bytes.at);
	assert_int_equal(sonde_loop_create(NULL, &ret->loop, NULL), 0);
	if (sonde_target_open(ret->loop, ret->path, NULL, &ret->target, &err) < 0)
		fail_msg("%s", err.text);
}

static void close_bytes(struct opened *opened)
{
	sonde_target_close(opened->target);
	sonde_loop_destroy(opened->loop);
	unlink(opened->path);
}

static void expect_facts(struct sonde_target *target, const char *const *facts)
{
	char text[2048] = "";

	assert_true(sonde_target_note(target, SONDE_NOTE_FACTS, text, sizeof(text) - 1) <
		    (int64_t)sizeof(text));
	for (; *facts; facts++) {
		if (!strstr(text, *facts))
			fail_msg("no '%s' in:\n%s", *facts, text);
	}
}

static void what_a_dump_knows_beyond_bytes_comes_along(void **state)
{
	static const char *const facts[] = {
		"dump_type=all memory\n",
		"windows_build=19041\nprocessors=2\n",
		"\ndirectory_table_base=0x1ad000\nloaded_module_list=",
		"\ndebugger_data_block=0xfffff80400003000\n",
		"\nbugcheck_code=0xd1\nbugcheck_parameters=0x10,0x11,0x12,0x13\n",
		"\nexception_code=0x80000003\n",
		"\nsystem_time=2021-02-20T10:15:02Z\nuptime_seconds=3600.000\n",
		"\ncomment=planted\\012\n",
		NULL
	};
	struct sonde_target_info info;
	struct sonde_cpu cpu = { 0 };
	struct opened opened;
	uint8_t header[8];

	(void)state;
	open_bytes(&opened, build(&kinds[0]));
	expect_facts(opened.target, facts);
	sonde_target_info(opened.target, &info);
	assert_string_equal(info.connector, "crashdmp");
	assert_string_equal(info.detail, "Windows crash dump, 64 bits, all memory, 5 runs");
	assert_int_equal(info.arch, SONDE_ARCH_X86_64);
	assert_int_equal(info.flags, SONDE_TARGET_PHYSICAL);
	assert_int_equal(info.n_cpus, 1);
	assert_int_equal(sonde_target_cpu(opened.target, 0, &cpu), 0);
	assert_true(cpu.pc == SYNTH_CRASH_PC && cpu.general[0] == 0x1234 &&
		    cpu.general[15] == 0x5678);
	assert_int_equal(cpu.sp, 0xfffff80400008000);
	assert_int_equal(sonde_target_cpu(opened.target, 1, &cpu), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_target_note(opened.target, "DUMP_HEADER", header, 8), 0x2000);
	assert_memory_equal(header, "PAGEDU64", 8);
	close_bytes(&opened);
}

static void registers_of_each_machine(void **state)
{
	static const uint32_t archs[] = { [3] = SONDE_ARCH_AARCH64, [7] = SONDE_ARCH_I386 };

	(void)state;
	for (size_t k = 3; k <= 7; k += 4) {
		struct sonde_cpu cpu = { 0 };
		struct opened opened;
		open_bytes(&opened, build(&kinds[k]));
		assert_int_equal(sonde_target_cpu(opened.target, 0, &cpu), 0);
		assert_int_equal(cpu.arch, archs[k]);
		assert_int_equal((uint32_t)cpu.pc, (uint32_t)SYNTH_CRASH_PC);
		assert_int_equal(cpu.general[0], 0x1234);
		close_bytes(&opened);
	}
}

/* "PAGE", which nobody set, is no set of registers. */
static void a_header_without_registers_has_none(void **state)
{
	struct bytes bytes = build(&kinds[0]);
	struct sonde_cpu cpu = { 0 };
	struct opened opened;

	(void)state;
	memcpy(bytes.at + 0x348 + 0x30, "PAGE", 4);
	open_bytes(&opened, bytes);
	assert_int_equal(sonde_target_cpu(opened.target, 0, &cpu), SONDE_E_UNSUPPORTED);
	close_bytes(&opened);
}

static void what_was_cut_off_is_said_and_the_rest_is_read(void **state)
{
	struct bytes bytes = build(&kinds[2]);
	struct opened opened;
	uint8_t got[16];

	(void)state;
	bytes.size -= PAGE / 2; /* of page 23, the last */
	open_bytes(&opened, bytes);
	struct sonde_space *memory = sonde_target_memory(opened.target);
	assert_int_equal(sonde_space_get(memory, 23 * PAGE + PAGE / 2, got, 16), SONDE_E_TRUNCATED);
	assert_int_equal(sonde_space_get(memory, 23 * PAGE, got, 16), 0);
	assert_int_equal(got[0], (uint8_t)(23 * PAGE / 16));
	assert_int_equal(sonde_space_get(memory, 3 * PAGE, got, 16), SONDE_E_NOT_MAPPED);
	close_bytes(&opened);
}

static void a_triage_dump_is_virtual_memory(void **state)
{
	(void)state;
	for (uint32_t word = 4; word <= 8; word += 4) {
		struct sonde_target_info info;
		struct opened opened;
		uint8_t got[0x80];
		open_bytes(&opened, build_triage(word));
		sonde_target_info(opened.target, &info);
		assert_int_equal(info.flags, SONDE_TARGET_PROCESS);
		for (uint32_t i = 0; i < (word == 8 ? 5 : 3); i++) {
			uint64_t addr = i < 2 && word == 4 ? (uint32_t)stretches[i].addr
							   : stretches[i].addr;
			uint32_t len = stretches[i].size < 0x80 ? stretches[i].size : 0x80;
			assert_int_equal(
				sonde_space_get(sonde_target_memory(opened.target), addr, got, len),
				0);
			assert_int_equal(got[0], 0x40 + i);
			assert_int_equal(got[len - 1], 0x40 + i);
		}
		close_bytes(&opened);
	}
}

static void registers_that_are_put_come_back(void **state)
{
	static const uint32_t arches[] = { SONDE_ARCH_X86_64, SONDE_ARCH_I386, SONDE_ARCH_AARCH64 };
	(void)state;

	for (size_t a = 0; a < sizeof(arches) / sizeof(arches[0]); a++) {
		uint8_t context[3000] = { 0 };
		struct full_cpu full = { .cpu = { .arch = arches[a], .valid = SONDE_CPU_GENERAL },
					 .n_upper = full_cpu_upper(arches[a]) },
				back = { 0 };
		struct sonde_cpu *cpu = &full.cpu;

		for (uint64_t i = 0; i < (arches[a] == SONDE_ARCH_I386 ? 8 : 16); i++)
			cpu->general[i] = 0x10010000 + i;
		for (uint32_t i = 0; i < full.n_upper; i++)
			full.upper[i] = 0x20020000 + i;
		cpu->sp = arches[a] == SONDE_ARCH_AARCH64 ? 0x5000 : cpu->general[6];
		cpu->pc = 0x6000;
		cpu->flags = 0x246;
		assert_int_equal(win_context_put(&full, context, 100), 0);
		assert_int_equal(win_context_put(&full, context, sizeof(context)), 1);
		assert_int_equal(win_context_cpu(arches[a], context, sizeof(context), &back), 1);
		assert_memory_equal(&back, &full, sizeof(full));
		assert_int_equal(win_machine_arch(win_arch_machine(arches[a])), arches[a]);
	}
	assert_int_equal(win_arch_machine(SONDE_ARCH_RISCV64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_that_are_put_come_back),
		cmocka_unit_test(each_kind_tells_where_its_pages_are),
		cmocka_unit_test(a_dump_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_lie_in_any_bit_is_an_error_or_harmless),
		cmocka_unit_test(lies_are_told_with_structure_field_and_place),
		cmocka_unit_test(a_bitmap_of_32_bits_is_refused_by_name),
		cmocka_unit_test(more_runs_than_a_space_takes_are_refused),
		cmocka_unit_test(a_stretch_that_lies_is_left_out_alone),
		cmocka_unit_test(there_are_bounds_to_pages_and_drivers),
		cmocka_unit_test(what_a_dump_knows_beyond_bytes_comes_along),
		cmocka_unit_test(registers_of_each_machine),
		cmocka_unit_test(a_header_without_registers_has_none),
		cmocka_unit_test(what_was_cut_off_is_said_and_the_rest_is_read),
		cmocka_unit_test(a_triage_dump_is_virtual_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Hibernation files of Windows, whole and broken: what the index believes, and through the connector what is read where. */
#include "../../connectors/hiberfil/hiber_file.h"
#include "synth/elf.h"
#include "synth/hiberfil.h"

#include <sonde/loop.h>
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
#define N_PAGES 2048u

static uint8_t memory[N_PAGES * PAGE];

/* Runs of 1 to 150 pages with gaps between them, and one of a thousand single ones; the last lies above 4 GiB. */
static struct synth_hiber_run runs[1100];
static size_t n_runs;

static void make_memory(void)
{
	uint64_t at = 0, page = 1;
	uint32_t x = 7;

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] =
			i / PAGE % 3 ? (uint8_t)(i / 64) : (uint8_t)(x = x * 1664525 + 1013904223);
	for (n_runs = 0; at < N_PAGES; n_runs++) {
		uint64_t n = n_runs < 1000 ? 1 : 1 + n_runs * 37 % 150;
		n = n < N_PAGES - at ? n : N_PAGES - at;
		if (at + n == N_PAGES)
			page = 0x180000;
		runs[n_runs] = (struct synth_hiber_run){ page, n, memory + at * PAGE };
		at += n;
		page += n + 1 + n_runs % 3;
	}
}

static const uint32_t kinds[] = { SYNTH_WINDOWS_7, SYNTH_WINDOWS_7_32, SYNTH_WINDOWS_81,
				  SYNTH_WINDOWS_10, SYNTH_WINDOWS_10_32 };
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static uint8_t *make(uint32_t kind, size_t *ret_size)
{
	struct synth_hiber spec = { .length = kind, .runs = runs, .n_runs = n_runs };

	return synth_hiber_bytes(&spec, ret_size);
}

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static int parse(struct hiber_file *file, struct synth_image *image, struct source *source)
{
	*source = (struct source){ .read = read_bytes, .user = image, .size = image->size };
	return hiber_file_read(file, source);
}

static void every_page_is_in_the_index_once(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct synth_image image = { 0 };
		struct source source;
		struct hiber_file file;
		uint8_t *bytes = make(kinds[k], &image.size);
		image.bytes = bytes;
		assert_int_equal(parse(&file, &image, &source), 0);
		assert_int_equal(file.n_pages, N_PAGES);
		assert_int_equal(file.n_missing + file.n_twice, 0);
		assert_int_equal(file.cut, 0);
		assert_string_equal(hiber_state(&file), "hibernated");
		assert_int_equal(hiber_bits(&file), k == 1 || k == 4 ? 32 : 64);
		for (size_t i = 0; i < n_runs; i++) {
			size_t at = hiber_file_find(&file, runs[i].page + runs[i].n - 1);
			assert_true(at < file.n_runs &&
				    file.runs[at].page <= runs[i].page + runs[i].n - 1);
			at = hiber_file_find(&file, runs[i].page + runs[i].n);
			assert_true(at == file.n_runs ||
				    file.runs[at].page > runs[i].page + runs[i].n);
		}
		hiber_file_finish(&file);
		free(bytes);
	}
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct synth_image image = { 0 };
		size_t whole;
		uint8_t *bytes = make(kinds[k], &whole);
		image.bytes = bytes;
		for (image.size = 0; image.size < whole; image.size += 1 + whole / 97) {
			struct source source;
			struct hiber_file file;
			int r = parse(&file, &image, &source);
			assert_true(r == 0 || file.why[0]);
			assert_true(r == 0 ? file.cut || file.n_missing
					   : r == SONDE_E_TRUNCATED || r == SONDE_E_CORRUPT);
			/* Of Windows 7 the tables alone know how many there are. */
			assert_true(r < 0 || kinds[k] < SYNTH_WINDOWS_81 ||
				    file.n_pages + file.n_missing == N_PAGES);
			hiber_file_finish(&file);
		}
		free(bytes);
	}
}

static int refusal(uint8_t *bytes, size_t size, const char *text)
{
	struct synth_image image = { bytes, size };
	struct source source;
	struct hiber_file file;
	int r = parse(&file, &image, &source);

	assert_non_null(strstr(file.why, text));
	hiber_file_finish(&file);
	return r;
}

static void what_was_resumed_from_says_so(void **state)
{
	size_t size;
	uint8_t *bytes = make(SYNTH_WINDOWS_10, &size);

	(void)state;
	memcpy(bytes, "WAKE", 4);
	memset(bytes + PAGE, 0, size - PAGE);
	assert_int_equal(refusal(bytes, size, "was resumed from (its signature is WAKE)"),
			 SONDE_E_NOT_SAVED);
	memcpy(bytes, "HIBR", 4);
	assert_int_equal(refusal(bytes, size, "no set of pages is where"), SONDE_E_CORRUPT);
	memset(bytes, 0, PAGE);
	assert_int_equal(refusal(bytes, size, "its header is zeros"), SONDE_E_NOT_SAVED);
	bytes[0] = 'x';
	assert_int_equal(refusal(bytes, size, "begins with neither"), SONDE_E_BAD_FORMAT);
	assert_int_equal(refusal(bytes, 64, "ends within its header"), SONDE_E_TRUNCATED);
	free(bytes);
}

static void headers_that_are_not_known_are_refused(void **state)
{
	size_t size;
	uint8_t *bytes = make(SYNTH_WINDOWS_10, &size);

	(void)state;
	synth_put(bytes + 0x18, 0, 4, 8192);
	assert_int_equal(refusal(bytes, size, "8192 bytes"), SONDE_E_CORRUPT);
	synth_put(bytes + 0xc, 0, 4, 0x3e8);
	assert_int_equal(refusal(bytes, size, "0x3e8 bytes"), SONDE_E_UNSUPPORTED);
	free(bytes);
}

/* The first set of Windows 10 lies at 0x3000, its first descriptor at 0x3004: page 1. */
static void sets_that_lie_end_their_row(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		uint64_t n_pages; /* that are believed all the same: those of the kernel's */
	} lies[] = {
		{ 0x3000, 0, 1 },          /* no descriptors           */
		{ 0x3000, 17, 1 },         /* too many                 */
		{ 0x3000, 16, 1 },         /* nothing packed           */
		{ 0x3000, 0x3fffff10, 1 }, /* more than fits           */
		{ 0x3004, 0x1f, 1 },       /* more pages than a set has */
		{ 0x68, 0xffffffff, 1 },   /* a set behind the end     */
		{ 0x58, 0, 1 },            /* no pages of the loader's */
		{ 0x230, 0, 0 },           /* none of the kernel's     */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct synth_image image = { 0 };
		struct source source;
		struct hiber_file file;
		uint8_t *bytes = make(SYNTH_WINDOWS_10, &image.size);
		synth_put(bytes + lies[i].at, 0, 4, lies[i].value);
		image.bytes = bytes;
		assert_int_equal(parse(&file, &image, &source), 0);
		assert_true(file.n_pages > 0 && file.n_pages < N_PAGES);
		/* Page 1 is the first of the loader's. */
		assert_int_equal(file.runs[0].page != 1, lies[i].n_pages);
		assert_int_equal(file.n_missing ? file.n_pages + file.n_missing : N_PAGES, N_PAGES);
		hiber_file_finish(&file);
		free(bytes);
	}
}

static void tables_that_lead_back_end(void **state)
{
	struct synth_image image = { 0 };
	struct source source;
	struct hiber_file file;
	uint8_t *bytes = make(SYNTH_WINDOWS_7, &image.size);

	(void)state;
	image.bytes = bytes;
	assert_int_equal(bytes[0x3008], 255); /* it is full, so the next one counts */
	size_t original = bytes[0x3000] | (size_t)bytes[0x3001] << 8;
	synth_put(bytes + 0x3000, 0, 8, 3);
	assert_int_equal(parse(&file, &image, &source), 0);
	assert_int_equal(file.n_pages, 255);
	hiber_file_finish(&file);
	size_t second = original * PAGE;
	assert_int_equal(bytes[second + 8], 255);
	synth_put(bytes + 0x3000, 0, 8, original);
	synth_put(bytes + second, 0, 8, 3);
	assert_int_equal(parse(&file, &image, &source), 0);
	assert_int_equal(file.n_pages, 2 * 255);
	hiber_file_finish(&file);
	synth_put(bytes + 0x3008, 0, 4, 256);
	assert_int_equal(refusal(bytes, image.size, "no set of pages"), SONDE_E_CORRUPT);
	free(bytes);
}

/* ---- the processor ----------------------------------------------------------------------------------- */

static void registers_count_where_all_of_them_are_sound(void **state)
{
	struct synth_processor processor = { .context = 0xf0,
					     .pc = 0xfffff80000001000,
					     .flags = 0x246,
					     .cr = { 0x80050033, 0, 0x1000, 0x1aa000, 0x6f8 },
					     .gdt = 11,
					     .idt = 12,
					     .gs = 13,
					     .kernel_gs = 14 };
	static uint8_t page[PAGE];
	struct synth_hiber spec = {
		.length = SYNTH_WINDOWS_10, .processor = page, .runs = runs, .n_runs = 4
	};

	(void)state;
	for (int i = 0; i < 16; i++)
		processor.general[i] = 0x100u + (unsigned)i;
	for (int lie = 0; lie < 5; lie++) {
		struct synth_image image = { 0 };
		struct source source;
		struct hiber_file file;
		spec.length = lie == 1 ? SYNTH_WINDOWS_7 : SYNTH_WINDOWS_10;
		processor.context = lie == 1 ? 0xe0 : 0xf0;
		processor.cr[0] = lie == 2 ? 0x33 : 0x80050033; /* paging is off */
		processor.cr[3] = lie == 3 ? 0 : 0x1aa000;
		synth_processor(&processor, page);
		if (lie == 4)
			synth_put(page + 0xf0 + 0x30, 0, 4, 0x400007); /* of another architecture */
		uint8_t *bytes = synth_hiber_bytes(&spec, &image.size);
		image.bytes = bytes;
		assert_int_equal(parse(&file, &image, &source), 0);
		assert_int_equal(file.cpu.valid != 0, lie < 2);
		if (lie < 2) {
			assert_int_equal(file.cpu.arch, SONDE_ARCH_X86_64);
			assert_int_equal(file.cpu.cr[3], 0x1aa000);
			assert_int_equal(file.cpu.cr[4], 0x6f8);
			assert_int_equal(file.cpu.general[6], 0x106);
			assert_int_equal(file.cpu.pc, 0xfffff80000001000);
			assert_int_equal(file.cpu.gdt_base * 1000 + file.cpu.idt_base, 11012);
			assert_int_equal(file.cpu.gs_base * 1000 + file.cpu.kernel_gs_base, 13014);
		}
		hiber_file_finish(&file);
		free(bytes);
	}
}

/* ---- through the connector -------------------------------------------------------------------------- */

static struct sonde_target *open_bytes(struct sonde_loop *loop, char *path, const uint8_t *bytes,
				       size_t size)
{
	int fd = mkstemp(path);
	struct sonde_target *target;
	struct sonde_error err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	if (sonde_target_open(loop, path, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	return target;
}

/* Each run, and in one piece with it the gap behind: runs of one set do not run into each other. */
static void check_memory(struct sonde_space *space)
{
	static uint8_t got[151 * PAGE];

	for (size_t i = 0; i < n_runs; i++) {
		uint32_t len = (uint32_t)runs[i].n * PAGE;
		struct sonde_xfer x = { .addr = runs[i].page * PAGE,
					.buf = got,
					.len = len + PAGE };
		assert_int_equal(sonde_space_read(space, &x, 1), 0);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x.err_off, len);
		assert_memory_equal(got, runs[i].bytes, len);
	}
	assert_int_equal(sonde_space_get(space, runs[0].page * PAGE + 100, got, 8), 0);
	assert_memory_equal(got, runs[0].bytes + 100, 8);
}

static void all_memory_is_read_where_it_belongs(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		char path[] = "/tmp/sonde-hiberfil-XXXXXX", facts[256] = "";
		struct sonde_loop *loop;
		struct sonde_target_info info;
		size_t size;
		uint8_t *bytes = make(kinds[k], &size);
		assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
		struct sonde_target *target = open_bytes(loop, path, bytes, size);
		sonde_target_info(target, &info);
		assert_string_equal(info.connector, "hiberfil");
		assert_non_null(strstr(info.detail, "hibernated, 2048 pages in"));
		assert_true(sonde_target_note(target, SONDE_NOTE_FACTS, facts, sizeof(facts) - 1) >
			    0);
		assert_non_null(strstr(facts, "system_time=2021-02-20T10:15:02Z"));
		check_memory(sonde_target_memory(target));
		sonde_target_close(target);
		sonde_loop_destroy(loop);
		unlink(path);
		free(bytes);
	}
}

/* Of those that overlap the run that begins first. */
static void check_overlaps(struct sonde_space *space)
{
	static const uint8_t want[] = { 0, 1, 2, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15 };
	uint8_t got[PAGE];

	for (size_t i = 0; i < sizeof(want); i++) {
		assert_int_equal(sonde_space_get(space, (2 + i) * PAGE, got, PAGE), 0);
		assert_memory_equal(got, memory + want[i] * PAGE, PAGE);
	}
}

static void pages_that_are_told_twice_are_those_of_the_first(void **state)
{
	struct synth_hiber_run same[3] = { { 4, 8, memory },
					   { 8, 8, memory + 8 * PAGE },
					   { 2, 3, memory } };

	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		struct synth_hiber spec = { .length = kinds[k], .runs = same, .n_runs = 3 };
		char path[] = "/tmp/sonde-hiberfil-XXXXXX";
		struct sonde_loop *loop;
		struct sonde_target_info info;
		size_t size;
		uint8_t *bytes = synth_hiber_bytes(&spec, &size);
		assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
		struct sonde_target *target = open_bytes(loop, path, bytes, size);
		sonde_target_info(target, &info);
		assert_non_null(strstr(info.detail, ", 5 pages told twice"));
		check_overlaps(sonde_target_memory(target));
		sonde_target_close(target);
		sonde_loop_destroy(loop);
		unlink(path);
		free(bytes);
	}
}

static void a_set_that_is_broken_hides_no_other(void **state)
{
	char path[] = "/tmp/sonde-hiberfil-XXXXXX";
	struct sonde_loop *loop;
	uint8_t got[PAGE];
	size_t size;
	uint8_t *bytes = make(SYNTH_WINDOWS_10, &size);

	(void)state;
	/* Its head takes 4 and 16 times 8 bytes; codes of no length are none. */
	memset(bytes + 0x3000 + 4 + 16 * 8, 0, 256);
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	struct sonde_target *target = open_bytes(loop, path, bytes, size - 40);
	struct sonde_space *space = sonde_target_memory(target);
	assert_int_equal(sonde_space_get(space, runs[0].page * PAGE, got, PAGE), SONDE_E_CORRUPT);
	assert_int_equal(sonde_space_get(space, runs[16].page * PAGE, got, PAGE), 0);
	assert_memory_equal(got, runs[16].bytes, PAGE);
	uint64_t last = runs[n_runs - 1].page + runs[n_runs - 1].n - 1;
	assert_int_equal(sonde_space_get(space, last * PAGE, got, 8), SONDE_E_TRUNCATED);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	unlink(path);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_is_in_the_index_once),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(what_was_resumed_from_says_so),
		cmocka_unit_test(headers_that_are_not_known_are_refused),
		cmocka_unit_test(sets_that_lie_end_their_row),
		cmocka_unit_test(pages_that_are_told_twice_are_those_of_the_first),
		cmocka_unit_test(tables_that_lead_back_end),
		cmocka_unit_test(registers_count_where_all_of_them_are_sound),
		cmocka_unit_test(all_memory_is_read_where_it_belongs),
		cmocka_unit_test(a_set_that_is_broken_hides_no_other),
	};
	make_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

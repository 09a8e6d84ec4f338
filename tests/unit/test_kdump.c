/* SPDX-License-Identifier: MIT */
/*
 * kdump-compressed dumps, whole and broken: what the parser believes, and through the connector what is read where.
 * Every dump is built here from a table.
 */
#include "../../connectors/common/flattened.h"
#include "../../connectors/kdump/kdump_file.h"
#include "synth/elf.h"
#include "synth/flat.h"
#include "synth/kdump.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_PAGES 300u
#define PAGE 4096u

struct bytes {
	uint8_t *at;
	size_t size;
};

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	const struct bytes *bytes = user;
	struct synth_image file = { bytes->at, bytes->size };

	return (int64_t)synth_image_read(&file, off, buf, len);
}

static struct source source_of(struct bytes *bytes)
{
	return (struct source){ .read = read_bytes, .user = bytes, .size = bytes->size };
}

static int open_bytes(struct kdump_file *file, struct bytes *bytes, const char **why)
{
	struct source source = source_of(bytes);

	*why = "";
	return kdump_file_open(file, &source, why);
}

/* Every kind of page in turn, with a hole and pages that were left out. */
static void set_kinds(uint8_t *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kinds[i] = (uint8_t)(i % 7);
}

static struct bytes build(const struct synth_kdump *spec)
{
	struct bytes bytes;

	bytes.at = synth_kdump(spec, &bytes.size);
	return bytes;
}

/* ---- the parser ------------------------------------------------------------------------------- */

static void check_heads(uint32_t version, uint32_t word, int is_big, const char *machine)
{
	static const char info[] = "OSRELEASE=6.1.0-synth\nPAGESIZE=4096\n";
	uint8_t kinds[N_PAGES];
	struct synth_kdump spec = { .version = version,
				    .word = word,
				    .is_big = is_big,
				    .machine = machine,
				    .kinds = kinds,
				    .n_pages = N_PAGES,
				    .info = info };
	struct kdump_file file;
	const char *why;

	set_kinds(kinds, N_PAGES);
	struct bytes bytes = build(&spec);
	assert_int_equal(open_bytes(&file, &bytes, &why), 0);
	assert_int_equal(file.version, version);
	assert_int_equal(file.word, word);
	assert_int_equal(file.big, is_big);
	assert_int_equal(file.n_pages, N_PAGES);
	assert_int_equal(file.page_size, PAGE);
	assert_int_equal(file.seconds, 1700000000);
	assert_string_equal(file.release, "6.1.0-synth");
	assert_string_equal(file.machine, machine);
	assert_int_equal(file.info_len, version >= 3 ? sizeof(info) - 1 : 0);
	if (version >= 3)
		assert_memory_equal(file.info, info, sizeof(info) - 1);
	kdump_file_finish(&file);
	free(bytes.at);
}

static void heads_of_each_version_word_and_byte_order(void **state)
{
	(void)state;
	for (uint32_t version = 1; version <= 6; version++) {
		check_heads(version, 8, 0, "x86_64");
		check_heads(version, 8, 1, "s390x");
		check_heads(version, 4, 0, "i686");
		check_heads(version, 4, 0, "armv7l");
		check_heads(version, 4, 1, "ppc");
	}
}

/* One field of the head or sub head at a time says something else. */
static void a_lie_in_any_field_is_an_error_or_harmless(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t kinds[64];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 64, .info = "A=1\n" };
	size_t n_refused = 0;

	(void)state;
	set_kinds(kinds, 64);
	struct bytes bytes = build(&spec);
	for (size_t at = 0; at < PAGE + 104; at += at == 470 ? PAGE - 470 : 1) {
		uint8_t old = bytes.at[at];
		for (size_t i = 0; i < sizeof(values); i++) {
			struct kdump_file file;
			const char *why;
			bytes.at[at] = values[i];
			int r = open_bytes(&file, &bytes, &why);
			assert_true(r <= 0);
			assert_true(r == 0 || why[0]);
			n_refused += r < 0;
			for (uint64_t page = 0; r == 0 && page < 70; page++) {
				struct kdump_page where;
				uint64_t index;
				if (kdump_file_find(&file, page, &index) == 0 &&
				    file.descs_at + index * 24 + 24 <= bytes.size)
					kdump_file_desc(&file,
							bytes.at + file.descs_at + index * 24,
							&where);
			}
			kdump_file_finish(&file);
		}
		bytes.at[at] = old;
	}
	assert_true(n_refused > 50);
	free(bytes.at);
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	uint8_t kinds[64];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 64 };

	(void)state;
	set_kinds(kinds, 64);
	struct bytes bytes = build(&spec);
	size_t whole = bytes.size, n_opened = 0;
	for (bytes.size = 0; bytes.size < whole; bytes.size++) {
		struct kdump_file file;
		const char *why;
		int r = open_bytes(&file, &bytes, &why);
		if (bytes.size < 3 * PAGE + 8) /* the second bitmap */
			assert_true(r < 0 && why[0]);
		else
			assert_int_equal(r, 0);
		n_opened += r == 0;
		kdump_file_finish(&file);
	}
	assert_true(n_opened > 1000);
	free(bytes.at);
}

static void what_is_too_much_is_refused_by_name(void **state)
{
	uint8_t kinds[8] = { SYNTH_PLAIN };
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 8 };
	struct kdump_file file;
	const char *why;

	(void)state;
	struct bytes bytes = build(&spec);
	memset(bytes.at + PAGE + 96, 0xff, 8); /* max_mapnr_64 */
	assert_int_equal(open_bytes(&file, &bytes, &why), SONDE_E_LIMIT);
	assert_non_null(strstr(why, "max_mapnr"));
	kdump_file_finish(&file);
	memset(bytes.at + PAGE + 96, 0, 8);
	assert_int_equal(open_bytes(&file, &bytes, &why), SONDE_E_BAD_FORMAT);
	kdump_file_finish(&file);
	memcpy(bytes.at + PAGE + 96, "\0\0\0\1\0\0\0\0",
	       8); /* 2^24 pages in a bitmap of 4096 bytes */
	assert_int_equal(open_bytes(&file, &bytes, &why), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(why, "bitmap"));
	kdump_file_finish(&file);
	free(bytes.at);
}

/* ---- flattened -------------------------------------------------------------------------------- */

static void pieces_in_any_order_make_the_same_dump(void **state)
{
	static const size_t sizes[] = { 1, 7, 64, 500, 4096, 5000, 1u << 20 };
	uint8_t kinds[8];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 8 };

	(void)state;
	set_kinds(kinds, 8);
	struct bytes dump = build(&spec);
	uint8_t *got = malloc(dump.size);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bytes flat;
		struct flattened flattened;
		const char *why;
		flat.at = synth_flatten(dump.at, dump.size, sizes[i], &flat.size);
		struct source below = source_of(&flat);
		assert_int_equal(flattened_open(&flattened, &below, &why), 0);
		struct source plain = flattened_source(&flattened);
		assert_int_equal(plain.size, dump.size);
		assert_int_equal(flattened.cut, 0);
		assert_int_equal(plain.read(plain.user, 0, got, dump.size), dump.size);
		assert_memory_equal(got, dump.at, dump.size);
		for (size_t off = 0; off < dump.size; off += 97) {
			size_t len = dump.size - off < 333 ? dump.size - off : 333;
			assert_int_equal(plain.read(plain.user, off, got, 333), len);
			assert_memory_equal(got, dump.at + off, len);
		}
		assert_int_equal(plain.read(plain.user, dump.size, got, 8), 0);
		flattened_finish(&flattened);
		free(flat.at);
	}
	free(got);
	free(dump.at);
}

/* Random pieces that overlap, against bytes that were written one after the other. */
static void pieces_that_overlap_stand_as_written_last(void **state)
{
	enum { SIZE = 600, N = 40 };

	(void)state;
	srandom(3);
	for (int round = 0; round < 300; round++) {
		uint8_t want[SIZE] = { 0 }, got[SIZE];
		struct bytes flat = { .at = calloc(1, 4096 + N * (16 + SIZE) + 16), .size = 4096 };
		uint64_t end = 0;
		memcpy(flat.at, "makedumpfile", 12);
		flat.at[23] = flat.at[31] = 1;
		for (int i = 0; i < N; i++) {
			uint64_t off = (uint64_t)random() % SIZE,
				 len = (uint64_t)random() % (SIZE - off);
			uint64_t big[2] = { __builtin_bswap64(off), __builtin_bswap64(len) };
			memcpy(flat.at + flat.size, big, 16);
			memset(flat.at + flat.size + 16, i + 1, len);
			memset(want + off, i + 1, len);
			flat.size += 16 + len;
			end = len && off + len > end ? off + len : end;
		}
		memset(flat.at + flat.size, 0xff, 16);
		flat.size += 16;
		struct flattened flattened;
		struct source below = source_of(&flat);
		const char *why;
		assert_int_equal(flattened_open(&flattened, &below, &why), 0);
		assert_int_equal(flattened.size, end);
		struct source plain = flattened_source(&flattened);
		assert_int_equal(plain.read(plain.user, 0, got, SIZE), end);
		assert_memory_equal(got, want, end);
		flattened_finish(&flattened);
		free(flat.at);
	}
}

/* A piece, and behind it a hole of which each 16 bytes are the head of one without bytes; at last an end. */
static int64_t read_hole(void *user, uint64_t off, void *buf, size_t len)
{
	uint8_t head[4096 + 17] = "makedumpfile";
	size_t *n_reads = user;

	head[23] = head[31] = head[4096 + 15] = 1;
	memset(buf, ++*n_reads > 4 * FLAT_EMPTY_MAX ? 0xff : 0, len);
	for (size_t i = 0; i < len && off + i < sizeof(head); i++)
		((uint8_t *)buf)[i] = head[off + i];
	return (int64_t)len;
}

static void a_hole_in_a_flattened_file_is_not_walked_to_its_end(void **state)
{
	size_t n_reads = 0;
	struct source below = { .read = read_hole, .user = &n_reads, .size = UINT64_C(1) << 50 };
	struct flattened flattened;
	const char *why;

	(void)state;
	assert_int_equal(flattened_open(&flattened, &below, &why), SONDE_E_LIMIT);
	assert_string_equal(why, "flattened: more pieces than are taken");
	flattened_finish(&flattened);
}

static void a_flattened_file_that_ends_anywhere_keeps_what_came(void **state)
{
	uint8_t kinds[4] = { SYNTH_PLAIN, SYNTH_ZLIB, SYNTH_PLAIN, SYNTH_PLAIN };
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 4 };

	(void)state;
	struct bytes dump = build(&spec), flat;
	flat.at = synth_flatten(dump.at, dump.size, 500, &flat.size);
	size_t whole = flat.size;
	for (flat.size = 0; flat.size < whole; flat.size += 13) {
		struct flattened flattened;
		struct source below = source_of(&flat);
		const char *why = "";
		int r = flattened_open(&flattened, &below, &why);
		if (flat.size <= 4096 + 16) /* nothing of a piece */
			assert_true(r < 0 && why[0]);
		else
			assert_int_equal(r, 0);
		assert_true(r < 0 || flattened.cut || flat.size + 16 > whole);
		flattened_finish(&flattened);
	}
	free(flat.at);
	free(dump.at);
}

static void numbers_beyond_any_file_are_refused(void **state)
{
	struct bytes flat = { .at = calloc(1, 4096 + 64), .size = 4096 + 64 };
	struct flattened flattened;
	struct source below = source_of(&flat);
	const char *why;

	(void)state;
	memcpy(flat.at, "makedumpfile", 12);
	flat.at[23] = flat.at[31] = 1;
	flat.at[4096] = 0x7f; /* far away, and far too long */
	flat.at[4096 + 8] = 0x7f;
	assert_int_equal(flattened_open(&flattened, &below, &why), SONDE_E_BAD_FORMAT);
	flattened_finish(&flattened);
	flat.at[31] = 2;
	assert_int_equal(flattened_open(&flattened, &below, &why), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(why, "version"));
	flattened_finish(&flattened);
	free(flat.at);
}

/* ---- through the connector -------------------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/sonde-kdump-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void save(const char *name, const struct bytes *bytes)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes->at, 1, bytes->size, file), bytes->size);
	fclose(file);
}

static void forget(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
}

struct opened {
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *memory;
	struct sonde_target_info info;
};

static void open_dump(struct opened *ret, const char *before, const char *name, const char *after)
{
	struct sonde_error err = { 0 };
	char path[160];

	snprintf(path, sizeof(path), "%s%s/%s%s", before, folder, name, after);
	assert_int_equal(sonde_loop_create(NULL, &ret->loop, &err), 0);
	if (sonde_target_open(ret->loop, path, NULL, &ret->target, &err) < 0)
		fail_msg("%s", err.text);
	ret->memory = sonde_target_memory(ret->target);
	sonde_target_info(ret->target, &ret->info);
}

static void close_dump(struct opened *opened)
{
	sonde_target_close(opened->target);
	sonde_loop_destroy(opened->loop);
}

static void must_tell(const struct opened *opened, const char *facts)
{
	char text[512] = "";
	int64_t n = sonde_target_note(opened->target, SONDE_NOTE_FACTS, text, sizeof(text) - 1);

	assert_int_equal(n, strlen(text));
	assert_string_equal(text, facts);
}

/* What reading this page gives. */
static int code_of(uint8_t kind, uint32_t level)
{
	if (kind == SYNTH_NO_MEMORY)
		return SONDE_E_NOT_MAPPED;
	return kind == SYNTH_LEFT_OUT && level != 1 ? SONDE_E_NOT_SAVED : 0;
}

static void check_byte(const uint8_t *got, uint64_t addr, const uint8_t *kinds, uint32_t level)
{
	uint8_t kind = kinds[addr / PAGE];
	int there = code_of(kind, level) == 0 && kind != SYNTH_LEFT_OUT;

	if (*got != (there ? (uint8_t)(addr / 16) : 0))
		fail_msg("0x%llx: %u", (unsigned long long)addr, *got);
}

/* Each page alone, all at once, pieces that cross pages, and small ones over and over. */
static void check_reads(struct sonde_space *memory, const uint8_t *kinds, uint32_t level)
{
	static uint8_t buf[N_PAGES * PAGE];
	static struct sonde_xfer xfers[N_PAGES];

	for (uint32_t i = 0; i < N_PAGES; i++)
		xfers[i] =
			(struct sonde_xfer){ .addr = i * PAGE, .buf = buf + i * PAGE, .len = PAGE };
	memset(buf, 0xa5, sizeof(buf));
	sonde_space_read(memory, xfers, N_PAGES);
	for (uint32_t i = 0; i < N_PAGES; i++)
		assert_int_equal(xfers[i].err, code_of(kinds[i], level));
	for (uint64_t a = 0; a < sizeof(buf); a += 61)
		check_byte(buf + a, a, kinds, level);

	memset(buf, 0xa5, sizeof(buf));
	struct sonde_xfer all = { .addr = 0, .buf = buf, .len = sizeof(buf) };
	sonde_space_read(memory, &all, 1);
	for (uint64_t a = 0; a < sizeof(buf); a += 61)
		check_byte(buf + a, a, kinds, level);

	for (int round = 0; round < 50; round++) {
		uint32_t at = 0;
		for (uint32_t i = 0; i < N_PAGES; i++) {
			uint32_t len = (uint32_t)random() % 100 + 1;
			xfers[i] = (struct sonde_xfer){ .addr = (uint64_t)random() %
								(N_PAGES * PAGE - len),
							.buf = buf + at,
							.len = len };
			at += len;
		}
		sonde_space_read(memory, xfers, N_PAGES);
		for (uint32_t i = 0; i < N_PAGES; i++) {
			for (uint32_t k = 0; k < xfers[i].len; k++)
				check_byte((uint8_t *)xfers[i].buf + k, xfers[i].addr + k, kinds,
					   level);
		}
	}
	uint64_t behind = 0;
	assert_int_equal(sonde_space_get(memory, N_PAGES * PAGE, &behind, 8), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_get(memory, UINT64_MAX - 3, &behind, 8), SONDE_E_NOT_MAPPED);
}

static void every_way_of_packing_is_read(void **state)
{
	static const char *const options[] = { "", ",keep=0", ",keep=64" };
	uint8_t kinds[N_PAGES];

	(void)state;
	set_kinds(kinds, N_PAGES);
	for (uint32_t level = 0; level <= 31; level += level ? 30 : 1) {
		struct synth_kdump spec = {
			.kinds = kinds, .n_pages = N_PAGES, .level = level, .status = 1
		};
		struct bytes dump = build(&spec);
		save("dump", &dump);
		free(dump.at);
		for (int i = 0; i < 3; i++) {
			struct opened opened;
			open_dump(&opened, "kdump:", "dump", options[i]);
			assert_int_equal(opened.info.arch, SONDE_ARCH_X86_64);
			assert_int_equal(opened.info.flags, SONDE_TARGET_PHYSICAL);
			check_reads(opened.memory, kinds, level);
			close_dump(&opened);
		}
	}
	forget("dump");
}

static int count(void *user, const struct sonde_region *region)
{
	uint64_t *sum = user;

	sum[0]++;
	sum[1] += region->len;
	assert_true(region->flags & SONDE_REGION_RAM);
	return 0;
}

static void a_flattened_one_is_sniffed_and_read(void **state)
{
	uint8_t kinds[N_PAGES];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = N_PAGES };
	struct opened opened;
	uint64_t sum[2] = { 0 };

	(void)state;
	set_kinds(kinds, N_PAGES);
	struct bytes dump = build(&spec), flat;
	flat.at = synth_flatten(dump.at, dump.size, dump.size, &flat.size);
	/* The first piece is what it is known by: there the head is nonsense. */
	memcpy(flat.at + 4096 + 16, "KDUMP   ", 8);
	save("flat", &flat);
	open_dump(&opened, "", "flat", "");
	assert_string_equal(opened.info.connector, "kdump");
	assert_non_null(strstr(opened.info.detail, "flattened"));
	check_reads(opened.memory, kinds, 0);
	assert_int_equal(sonde_space_regions(opened.memory, count, sum), 0);
	assert_int_equal(sum[0], N_PAGES / 7 + 1);
	assert_int_equal(sum[1] / PAGE, N_PAGES / 7 * 5 + 4);
	close_dump(&opened);
	forget("flat");
	free(flat.at);
	free(dump.at);
}

static void parts_of_a_dump_find_each_other(void **state)
{
	static const uint64_t bounds[] = { 0, 100, 101, 250, N_PAGES };
	static const char *const names[] = { "c", "a", "d", "b" };
	uint8_t kinds[N_PAGES];
	struct opened opened;
	uint64_t value;

	(void)state;
	set_kinds(kinds, N_PAGES);
	for (int i = 0; i < 4; i++) {
		struct synth_kdump spec = { .kinds = kinds,
					    .n_pages = N_PAGES,
					    .split = 1,
					    .first = bounds[i],
					    .end = bounds[i + 1] };
		struct bytes dump = build(&spec);
		save(names[i], &dump);
		if (i == 1) { /* of another moment */
			dump.at[408]++;
			save("other", &dump);
		}
		free(dump.at);
	}
	save("short", &(struct bytes){ (uint8_t *)"KDUMP   ", 8 });
	open_dump(&opened, "", "d", "");
	assert_non_null(strstr(opened.info.detail, "4 parts"));
	must_tell(&opened, "pages=257\npages_saved=214\npages_left_out=43\n");
	check_reads(opened.memory, kinds, 0);
	close_dump(&opened);

	open_dump(&opened, "kdump:", "d", ",parts=one");
	assert_non_null(strstr(opened.info.detail, "1 part,"));
	assert_int_equal(sonde_space_get(opened.memory, 2 * PAGE, &value, 8), SONDE_E_NOT_SAVED);
	assert_int_equal(sonde_space_get(opened.memory, 102 * PAGE, &value, 8), 0);
	close_dump(&opened);

	forget("a");
	open_dump(&opened, "", "d", "");
	assert_non_null(strstr(opened.info.detail, "3 parts, 1 pages in parts that are not here"));
	must_tell(&opened,
		  "pages=257\npages_saved=213\npages_left_out=43\npages_in_other_parts=1\n");
	assert_int_equal(sonde_space_get(opened.memory, 2 * PAGE, &value, 8), 0);
	assert_int_equal(sonde_space_get(opened.memory, 100 * PAGE, &value, 8), SONDE_E_NOT_SAVED);
	close_dump(&opened);
	for (int i = 0; i < 4; i++)
		forget(names[i]);
	forget("other");
	forget("short");
}

/* Opening it does not read all of its bitmap. */
static void pages_of_a_large_dump_are_counted_when_asked_for(void **state)
{
	size_t n = KDUMP_COUNTED_MAX + 5000;
	uint8_t *kinds = calloc(n, 1);
	struct opened opened;

	(void)state;
	memset(kinds + 77, SYNTH_LEFT_OUT, 10);
	memset(kinds + n - 3, SYNTH_PLAIN, 3);
	for (uint32_t level = 0; level < 2; level++) {
		struct synth_kdump spec = { .kinds = kinds, .n_pages = n, .level = level };
		struct bytes dump = build(&spec);
		dump.size -= 3 * PAGE;
		for (int cut = 0; cut < 2; cut++) {
			char facts[128];
			dump.size -= cut ? 24 : 0; /* a descriptor */
			save("large", &dump);
			open_dump(&opened, "", "large", "");
			assert_non_null(strstr(opened.info.detail, " CPUs, pages of 4096 bytes"));
			snprintf(facts, sizeof(facts), "pages=13\npages_saved=3\npages_%s=10\n%s",
				 level ? "zero" : "left_out", cut ? "cut_off=1\n" : "");
			must_tell(&opened, facts);
			close_dump(&opened);
		}
		free(dump.at);
	}
	forget("large");
	free(kinds);
}

/* A page whose bytes are spoiled fails alone, whatever is in it. */
static void a_damaged_page_fails_alone(void **state)
{
	uint8_t kinds[N_PAGES];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = N_PAGES };
	struct kdump_file file;
	const char *why;

	(void)state;
	set_kinds(kinds, N_PAGES);
	struct bytes dump = build(&spec);
	assert_int_equal(open_bytes(&file, &dump, &why), 0);
	uint64_t descs = file.descs_at;
	srandom(5);
	for (int round = 0; round < 60; round++) {
		uint32_t page = 7 * (uint32_t)(random() % 40) + 3 + (uint32_t)random() % 4;
		uint64_t index;
		struct opened opened;
		uint8_t buf[3 * PAGE];
		assert_int_equal(kdump_file_find(&file, page, &index), 0);
		uint8_t *desc = dump.at + descs + index * 24, old[24];
		memcpy(old, desc, 24);
		desc[random() % 16] ^= (uint8_t)(1u << random() % 8);
		if (memcmp(old, desc, 24) == 0)
			continue;
		save("dump", &dump);
		open_dump(&opened, "kdump:", "dump", "");
		struct sonde_xfer xfers[2] = {
			{ .addr = (page - 1) * PAGE, .buf = buf, .len = 2 * PAGE },
			{ .addr = (page + 1) * PAGE, .buf = buf + 2 * PAGE, .len = PAGE }
		};
		sonde_space_read(opened.memory, xfers, 2);
		assert_int_equal(xfers[1].err, code_of(kinds[page + 1], 0));
		if (kinds[page - 1] > SYNTH_LEFT_OUT) {
			assert_int_equal(xfers[0].err_off, xfers[0].err ? PAGE : 0);
			for (uint32_t i = 0; i < PAGE; i++)
				check_byte(buf + i, (page - 1) * PAGE + i, kinds, 0);
		}
		if (xfers[0].err) {
			static const uint8_t zeros[PAGE];
			assert_memory_equal(buf + PAGE, zeros, PAGE);
		}
		close_dump(&opened);
		memcpy(desc, old, 24);
	}
	kdump_file_finish(&file);
	forget("dump");
	free(dump.at);
}

/* A stream that says it makes more than a page, much more, or less. */
static void a_page_that_is_no_page_is_refused(void **state)
{
	uint8_t kinds[4] = { SYNTH_ZLIB, SYNTH_LZO, SYNTH_SNAPPY, SYNTH_ZSTD };

	(void)state;
	for (uint32_t size = PAGE / 2; size <= PAGE * 2; size *= 4) {
		/* Pages of another size than the head says. */
		struct synth_kdump spec = { .kinds = kinds, .n_pages = 4, .page_size = size };
		struct bytes dump = build(&spec);
		struct kdump_file file;
		const char *why;
		assert_int_equal(open_bytes(&file, &dump, &why), 0);
		struct bytes other = { .at = calloc(1, 16 * PAGE + dump.size),
				       .size = 16 * PAGE + dump.size };
		struct synth_kdump heads = { .kinds = kinds, .n_pages = 4 };
		struct bytes right = build(&heads);
		memcpy(other.at, right.at, 4 * PAGE);
		memcpy(other.at + 16 * PAGE, dump.at, dump.size);
		for (uint64_t i = 0; i < 4; i++) {
			uint8_t *desc = other.at + 4 * PAGE + i * 24;
			memcpy(desc, dump.at + file.descs_at + i * 24, 24);
			uint64_t at = sonde_le64(desc) + 16 * PAGE;
			memcpy(desc, &at, 8);
		}
		save("dump", &other);
		struct opened opened;
		open_dump(&opened, "kdump:", "dump", "");
		for (uint64_t i = 0; i < 4; i++) {
			uint64_t value = 1;
			assert_int_equal(sonde_space_get(opened.memory, i * PAGE, &value, 8),
					 SONDE_E_CORRUPT);
		}
		close_dump(&opened);
		kdump_file_finish(&file);
		free(other.at);
		free(right.at);
		free(dump.at);
	}
	forget("dump");
}

static void writing_is_refused_with_a_way_out(void **state)
{
	uint8_t kinds[4] = { SYNTH_ZLIB };
	struct synth_kdump spec = { .kinds = kinds, .n_pages = 4 };
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_error err = { 0 };
	struct sonde_loop *loop;
	struct sonde_target *target;
	char name[128];

	(void)state;
	struct bytes dump = build(&spec);
	save("dump", &dump);
	free(dump.at);
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	snprintf(name, sizeof(name), "%s/dump", folder);
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err), SONDE_E_READ_ONLY);
	assert_non_null(strstr(err.text, "overlay"));
	snprintf(name, sizeof(name), "%s/dump|overlay", folder);
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err), 0);
	assert_int_equal(sonde_space_put(sonde_target_memory(target), 16, "abc", 3), 0);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	forget("dump");
}

static void a_pipe_is_read_to_its_end(void **state)
{
	uint8_t kinds[N_PAGES];
	struct synth_kdump spec = { .kinds = kinds, .n_pages = N_PAGES };
	struct opened opened;
	char path[128];

	(void)state;
	set_kinds(kinds, N_PAGES);
	struct bytes dump = build(&spec), flat;
	flat.at = synth_flatten(dump.at, dump.size, 1000, &flat.size);
	snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	pid_t pid = fork();
	if (pid == 0) {
		FILE *file = fopen(path, "wb");
		_exit(!file || fwrite(flat.at, 1, flat.size, file) != flat.size || fclose(file));
	}
	open_dump(&opened, "kdump:", "pipe", "");
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_reads(opened.memory, kinds, 0);
	close_dump(&opened);
	forget("pipe");
	free(flat.at);
	free(dump.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_of_each_version_word_and_byte_order),
		cmocka_unit_test(a_lie_in_any_field_is_an_error_or_harmless),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(what_is_too_much_is_refused_by_name),
		cmocka_unit_test(pieces_in_any_order_make_the_same_dump),
		cmocka_unit_test(pieces_that_overlap_stand_as_written_last),
		cmocka_unit_test(a_flattened_file_that_ends_anywhere_keeps_what_came),
		cmocka_unit_test(a_hole_in_a_flattened_file_is_not_walked_to_its_end),
		cmocka_unit_test(numbers_beyond_any_file_are_refused),
		cmocka_unit_test(every_way_of_packing_is_read),
		cmocka_unit_test(a_flattened_one_is_sniffed_and_read),
		cmocka_unit_test(parts_of_a_dump_find_each_other),
		cmocka_unit_test(pages_of_a_large_dump_are_counted_when_asked_for),
		cmocka_unit_test(a_damaged_page_fails_alone),
		cmocka_unit_test(a_page_that_is_no_page_is_refused),
		cmocka_unit_test(writing_is_refused_with_a_way_out),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* SPDX-License-Identifier: MIT */
/* Packed images of AVML, whole and broken: what the parser believes, and through the connector what is read where. */
#include "../../connectors/avml/chunks.h"
#include "../../connectors/common/crc32c.h"
#include "synth/avml.h"
#include "synth/elf.h"

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

#define CHUNK 0x10000u
#define MEMORY 0x58000u
#define SECOND 0x100000u /* where the second range lies; the first one is [0x1000, 0x29000) */

static uint8_t memory[MEMORY];

static int make_memory(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < MEMORY; i++)
		memory[i] = (uint8_t)(i / 97 + (i >> 16));
	return 0;
}

/* Three ranges: two and a half chunks, two of which one is not packed, half a chunk that touches the second range. */
static struct synth_avml make(void)
{
	struct synth_avml image = { 0 };

	synth_avml_add(&image, 0x1000, memory, 0x28000, 0);
	synth_avml_add(&image, SECOND, memory + 0x28000, 0x20000, 2);
	synth_avml_add(&image, SECOND + 0x20000, memory + 0x48000, 0x8000, 0);
	return image;
}

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static int parse(struct avml_chunks *chunks, const struct synth_avml *image, const char **why)
{
	struct synth_image file = { image->bytes, image->size };
	struct source source = { .read = read_bytes, .user = &file, .size = image->size };

	*why = "";
	return avml_chunks_read(chunks, &source, why);
}

static uint64_t bytes_there(const struct avml_chunks *chunks, int err)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < chunks->n; i++)
		sum += chunks->at[i].err == err ? chunks->at[i].size : 0;
	return sum;
}

/* ---- the parser ------------------------------------------------------------------------------- */

static void chunks_are_told_in_order_and_none_is_unpacked(void **state)
{
	struct synth_avml image = make();
	struct avml_chunks chunks;
	const char *why;

	(void)state;
	assert_int_equal(parse(&chunks, &image, &why), 0);
	assert_int_equal(chunks.n_ranges, 3);
	assert_int_equal(chunks.n, 6);
	assert_int_equal(chunks.n_broken + chunks.n_refused, 0);
	assert_int_equal(chunks.cut + chunks.trailing, 0);
	assert_int_equal(chunks.at[2].addr, 0x21000);
	assert_int_equal(chunks.at[2].size, 0x8000);
	assert_int_equal(chunks.at[3].plain, 0);
	assert_int_equal(chunks.at[4].plain, 1);
	assert_int_equal(bytes_there(&chunks, 0), 0x50000);
	avml_chunks_finish(&chunks);
	free(image.bytes);
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	struct synth_avml image = make();
	size_t whole = image.size;
	uint64_t last = 0;

	(void)state;
	for (image.size = 0; image.size < whole; image.size++) {
		struct avml_chunks chunks;
		const char *why;
		int r = parse(&chunks, &image, &why);
		assert_int_equal(r, image.size < AVML_HEAD_SIZE ? SONDE_E_TRUNCATED : 0);
		assert_true(r == 0 || why[0]);
		uint64_t there = bytes_there(&chunks, 0);
		assert_true(there >= last);
		last = there;
		if (r == 0 && there < 0x28000)
			assert_int_equal(bytes_there(&chunks, SONDE_E_TRUNCATED), 0x28000 - there);
		avml_chunks_finish(&chunks);
	}
	assert_int_equal(last, 0x50000);
	free(image.bytes);
}

/* Every bit of every head, and many of the chunks: what no bit of it touches is told as before. */
static void a_bit_that_is_flipped_costs_its_range_at_most(void **state)
{
	struct synth_avml image = make();
	size_t n_refused = 0;

	(void)state;
	for (size_t bit = 0; bit < image.size * 8; bit += bit < 2000 ? 1 : 7) {
		struct avml_chunks chunks;
		const char *why;
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = parse(&chunks, &image, &why);
		assert_true(r <= 0);
		assert_true(r == 0 || why[0]);
		n_refused += r < 0;
		if (r == 0 && bit / 8 >= AVML_HEAD_SIZE && bytes_there(&chunks, 0) < 0x28000)
			fail_msg("bit %zu: %#llx bytes are left", bit,
				 (unsigned long long)bytes_there(&chunks, 0));
		avml_chunks_finish(&chunks);
		image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(n_refused >= 8 * 8); /* magic and version */
	free(image.bytes);
}

/* Where the chunk begins that holds an address, in the file: its head. */
static size_t head_of(const struct synth_avml *image, uint64_t addr)
{
	struct avml_chunks chunks;
	const char *why;

	assert_int_equal(parse(&chunks, image, &why), 0);
	size_t off = (size_t)chunks.at[avml_chunks_find(&chunks, addr)].off - AVML_CHUNK_HEAD;
	avml_chunks_finish(&chunks);
	return off;
}

static const struct {
	const char *what;
	uint64_t addr; /* of a chunk                       */
	int at, size;  /* bytes of it that say something else */
	uint64_t value;
	uint64_t lost; /* bytes */
	int err;
} lies[] = {
	{ "makes gigabytes", 0x1000, 8, 4, 0x7fffffff, CHUNK, SONDE_E_CORRUPT },
	{ "makes nothing", 0x1000, 8, 1, 0, CHUNK, SONDE_E_CORRUPT },
	{ "makes more than the range has", 0x21000, 8, 4, 0x00048080, 0x8000, SONDE_E_CORRUPT },
	{ "is of a type that is reserved", 0x11000, 0, 1, 2, 0x18000, SONDE_E_CORRUPT },
	{ "is another beginning", 0x11000, 0, 1, 0xff, 0x18000, SONDE_E_CORRUPT },
	{ "is longer than the file", 0x11000, 1, 3, 0xffffff, 0x18000, SONDE_E_CORRUPT },
	{ "is shorter than it is", 0x11000, 1, 3, 9, 0x28000 - CHUNK, SONDE_E_CORRUPT },
};

static void a_chunk_that_lies_is_lost_and_the_next_range_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct synth_avml image = make();
		struct avml_chunks chunks;
		const char *why;
		synth_put(image.bytes + head_of(&image, lies[i].addr) + lies[i].at, 0, lies[i].size,
			  lies[i].value);
		assert_int_equal(parse(&chunks, &image, &why), 0);
		uint64_t lost = bytes_there(&chunks, lies[i].err);
		if (chunks.n_ranges != 3 || lost > lies[i].lost ||
		    bytes_there(&chunks, 0) + lost != 0x50000)
			fail_msg("%s: %zu ranges, %#llx bytes lost", lies[i].what, chunks.n_ranges,
				 (unsigned long long)lost);
		if (i < 6)
			assert_int_equal(lost, lies[i].lost);
		avml_chunks_finish(&chunks);
		free(image.bytes);
	}
}

static void a_broken_head_of_a_range_hides_that_range_alone(void **state)
{
	struct synth_avml image = make();
	struct avml_chunks chunks;
	const char *why;
	size_t first_size = head_of(&image, SECOND) - 10 - AVML_HEAD_SIZE;

	(void)state;
	image.bytes[first_size] = 'X';
	assert_int_equal(parse(&chunks, &image, &why), 0);
	assert_int_equal(chunks.n_ranges, 2);
	assert_int_equal(chunks.n_broken, 1);
	assert_int_equal(chunks.trailing, 0);
	assert_int_equal(bytes_there(&chunks, 0), 0x30000);
	avml_chunks_finish(&chunks);
	free(image.bytes);
}

static void ranges_may_come_in_any_order_and_the_first_told_counts(void **state)
{
	struct synth_avml image = { 0 };
	struct avml_chunks chunks;
	const char *why;

	(void)state;
	synth_avml_add(&image, 0x200000, memory, 0x20000, 0);
	synth_avml_add(&image, 0x1000, memory, 0x10000, 0);
	synth_avml_add(&image, 0x1f8000, memory, 0x10000, 0); /* over the first */
	synth_avml_add(&image, 0x1000, memory, 0x10000, 0);   /* over the second */
	synth_avml_add(&image, UINT64_MAX - 0xffff, memory, 0x10000, 0);
	assert_int_equal(parse(&chunks, &image, &why), 0);
	assert_int_equal(chunks.n, 4);
	assert_int_equal(chunks.n_refused, 2);
	assert_int_equal(chunks.at[0].addr, 0x1000);
	assert_int_equal(chunks.at[1].addr, 0x200000);
	assert_int_equal(avml_chunks_find(&chunks, UINT64_MAX), 3);
	avml_chunks_finish(&chunks);
	free(image.bytes);
}

/* Each range is all of the file behind its head, up to chunks that are passed over and an end that is too early. */
static void ranges_in_ranges_are_not_gone_through_each_to_the_end(void **state)
{
	enum { N = 300, HEAD = AVML_HEAD_SIZE + 4 + 8, TAIL = 4000 };
	struct synth_avml image = { .size = N * HEAD + TAIL * 4 };
	struct avml_chunks chunks;
	const char *why;

	(void)state;
	image.bytes = calloc(1, image.size);
	for (size_t i = 0; i < N; i++) {
		uint8_t *head = image.bytes + i * HEAD;
		memcpy(head, AVML_MAGIC, 4);
		synth_put(head + 4, 0, 4, 2);
		synth_put(head + 8, 0, 8, i << 24);
		synth_put(head + 16, 0, 8, (i << 24) + 0xffffff);
		synth_put(head + 32, 0, 4, 0x80 | ((N - 1 - i) * HEAD + 8) << 8);
		synth_put(head + 36, 0, 8, 4);
	}
	for (size_t i = 0; i < TAIL; i++)
		image.bytes[N * HEAD + i * 4] = 0x80;
	assert_int_equal(parse(&chunks, &image, &why), SONDE_E_LIMIT);
	assert_non_null(strstr(why, "its ranges lie in each other"));
	avml_chunks_finish(&chunks);
	free(image.bytes);
}

static void heads_that_are_none_are_refused_with_the_reason(void **state)
{
	static const struct {
		int at, byte, code;
		const char *why;
	} broken[] = {
		{ 0, 'X', SONDE_E_BAD_FORMAT, "does not begin with 'AVML'" },
		{ 4, 3, SONDE_E_UNSUPPORTED, "another version" },
		{ 15, 0xff, SONDE_E_BAD_FORMAT, "its last address lies before its first" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct synth_avml image = { 0 };
		struct avml_chunks chunks;
		const char *why;
		synth_avml_add(&image, 0x1000, memory, 0x1000, 0);
		image.bytes[broken[i].at] = (uint8_t)broken[i].byte;
		assert_int_equal(parse(&chunks, &image, &why), broken[i].code);
		assert_non_null(strstr(why, broken[i].why));
		avml_chunks_finish(&chunks);
		free(image.bytes);
	}
}

/* RFC 3720 B.4, and the sum of any length as a bit-by-bit one has it. */
static void sums_are_those_of_the_standard(void **state)
{
	uint8_t bytes[32];

	(void)state;
	memset(bytes, 0, 32);
	assert_int_equal(crc32c(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(crc32c(bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c(bytes, 32), 0x46dd794e);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
}

/* ---- through the connector -------------------------------------------------------------------- */

struct opened {
	char path[32];
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
	struct sonde_target_info info;
};

static void open_image(struct opened *opened, struct synth_avml *image)
{
	struct sonde_error err;

	snprintf(opened->path, sizeof(opened->path), "/tmp/sonde-avml-XXXXXX");
	int fd = mkstemp(opened->path);
	assert_int_equal(write(fd, image->bytes, image->size), image->size);
	close(fd);
	free(image->bytes);
	assert_int_equal(sonde_loop_create(NULL, &opened->loop, NULL), 0);
	if (sonde_target_open(opened->loop, opened->path, NULL, &opened->target, &err) < 0)
		fail_msg("%s", err.text);
	opened->space = sonde_target_memory(opened->target);
	sonde_target_info(opened->target, &opened->info);
	assert_string_equal(opened->info.connector, "avml");
}

static void close_image(struct opened *opened)
{
	sonde_target_close(opened->target);
	sonde_loop_destroy(opened->loop);
	unlink(opened->path);
}

static void check(struct opened *opened, uint64_t addr, uint32_t len, const uint8_t *want)
{
	uint8_t *bytes = malloc(len);

	assert_int_equal(sonde_space_get(opened->space, addr, bytes, len), 0);
	assert_memory_equal(bytes, want, len);
	free(bytes);
}

static void memory_is_read_across_chunks_and_ranges(void **state)
{
	struct synth_avml image = make();
	struct opened opened;
	uint8_t byte;

	(void)state;
	open_image(&opened, &image);
	assert_string_equal(opened.info.detail, "AVML image, version 2, snappy, 3 ranges");
	check(&opened, 0x1000, 0x28000, memory);
	check(&opened, SECOND, 0x28000, memory + 0x28000);
	check(&opened, SECOND + 0x1fff0, 0x20, memory + 0x48000 - 0x10);
	for (uint32_t i = 0; i < 0x28000; i += 4093)
		check(&opened, 0x1000 + i, 1, memory + i);
	assert_int_equal(sonde_space_get(opened.space, 0xfff, &byte, 1), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_get(opened.space, 0x29000, &byte, 1), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_get(opened.space, SECOND + 0x28000, &byte, 1),
			 SONDE_E_NOT_MAPPED);
	close_image(&opened);
}

static void a_damaged_chunk_fails_alone(void **state)
{
	struct synth_avml image = make();
	struct opened opened;
	uint8_t bytes[CHUNK + 2];
	size_t packed = head_of(&image, 0x11000), plain = head_of(&image, SECOND + CHUNK);

	(void)state;
	image.bytes[packed + 40] ^= 0x10;
	image.bytes[plain + 5000] ^= 1; /* unpacks, but is not what was written: its sum tells */
	open_image(&opened, &image);
	struct sonde_xfer x = { .addr = 0x11000 - 1, .buf = bytes, .len = CHUNK + 2 };
	assert_int_equal(sonde_space_read(opened.space, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_CORRUPT);
	assert_int_equal(x.err_off, 1);
	assert_int_equal(x.done, 2);
	assert_int_equal(bytes[1], 0);
	assert_int_equal(bytes[CHUNK + 1], memory[0x20000]);
	assert_int_equal(sonde_space_get(opened.space, SECOND + CHUNK + 9, bytes, 1),
			 SONDE_E_CORRUPT);
	check(&opened, SECOND, CHUNK, memory + 0x28000);
	check(&opened, SECOND + 2 * CHUNK, 0x8000, memory + 0x48000);
	close_image(&opened);
}

static void what_was_cut_off_says_so(void **state)
{
	struct synth_avml image = make();
	struct opened opened;
	uint8_t byte;

	(void)state;
	image.size = head_of(&image, SECOND) + 20;
	open_image(&opened, &image);
	assert_string_equal(opened.info.detail,
			    "AVML image, version 2, snappy, 2 ranges, 1 broken off, cut off");
	check(&opened, 0x1000, 0x28000, memory);
	assert_int_equal(sonde_space_get(opened.space, SECOND, &byte, 1), SONDE_E_TRUNCATED);
	close_image(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_told_in_order_and_none_is_unpacked),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(a_bit_that_is_flipped_costs_its_range_at_most),
		cmocka_unit_test(a_chunk_that_lies_is_lost_and_the_next_range_is_found),
		cmocka_unit_test(a_broken_head_of_a_range_hides_that_range_alone),
		cmocka_unit_test(ranges_may_come_in_any_order_and_the_first_told_counts),
		cmocka_unit_test(ranges_in_ranges_are_not_gone_through_each_to_the_end),
		cmocka_unit_test(heads_that_are_none_are_refused_with_the_reason),
		cmocka_unit_test(sums_are_those_of_the_standard),
		cmocka_unit_test(memory_is_read_across_chunks_and_ranges),
		cmocka_unit_test(a_damaged_chunk_fails_alone),
		cmocka_unit_test(what_was_cut_off_says_so),
	};
	return cmocka_run_group_tests(tests, make_memory, NULL);
}

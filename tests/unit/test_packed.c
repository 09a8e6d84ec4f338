/* SPDX-License-Identifier: MIT */
/* Packed images: what is read of each is what was packed, of broken ones too, as far as anything is. */
#include "image/image.h"
#include "synth/packed.h"

#include <sonde/error.h>
#include <sonde/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN 300001u
#define BLOCK 50000u

static uint8_t body[LEN];

struct packed {
	uint8_t *bytes;
	size_t len;
};

static int make_body(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < LEN; i++) {
		x = x * 1664525u + 1013904223u;
		body[i] = (i >> 12) % 3 == 0 ? 0 : (uint8_t)(x >> (i & 64 ? 29 : 24));
	}
	return 0;
}

static struct packed pack(enum synth_packing packing)
{
	struct packed file;

	file.bytes = synth_pack(packing, body, LEN, BLOCK, &file.len);
	return file;
}

/* By a descriptor, which is to be closed, and a name for it. */
static int put_file(const void *bytes, size_t len, char name[64])
{
	int fd = memfd_create("packed", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	snprintf(name, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static int open_bytes(const void *bytes, size_t len, struct sonde_image **ret,
		      struct sonde_error *err)
{
	char name[64];
	int fd = put_file(bytes, len, name);
	int r = image_open_by_name("test", name, 0, ret, err);

	close(fd);
	return r;
}

static struct sonde_image *open_packed(const struct packed *file)
{
	struct sonde_error err = { 0 };
	struct sonde_image *image;

	if (open_bytes(file->bytes, file->len, &image, &err) < 0)
		fail_msg("%s", err.text);
	return image;
}

static void expect_refusal(const void *bytes, size_t len, int want, const char *text)
{
	struct sonde_error err = { 0 };
	struct sonde_image *image = NULL;
	int r = open_bytes(bytes, len, &image, &err);

	if (r != want || !strstr(err.text, text))
		fail_msg("got %d '%s', want %d '%s'", r, err.text, want, text);
}

static void expect_body(struct sonde_image *image)
{
	static uint8_t got[LEN + 1];

	assert_int_equal(image->size, LEN);
	assert_int_equal(image_read_at(image, 0, got, sizeof(got)), LEN);
	assert_memory_equal(got, body, LEN);
}

/* Pieces of all over it in one call, backwards and over the edges of blocks. */
static void expect_pieces(struct sonde_image *image)
{
	enum { N = 3000, PIECE = 97 };
	static uint8_t got[N][PIECE];
	static struct sonde_image_read reads[N];

	for (size_t i = 0; i < N; i++)
		reads[i] = (struct sonde_image_read){ .off = LEN - 99 * (i + 1),
						      .buf = got[i],
						      .len = PIECE };
	image_read(image, reads, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(reads[i].err, 0);
		assert_int_equal(reads[i].done, PIECE);
		assert_memory_equal(got[i], body + reads[i].off, PIECE);
	}
}

static int is_in_blocks(enum synth_packing packing)
{
	return packing != SYNTH_GZIP && packing != SYNTH_ZSTD && packing != SYNTH_LZ4_LINKED &&
	       packing != SYNTH_BZIP2;
}

static void what_was_packed_is_read(void **state)
{
	(void)state;
	for (int i = 0; i < SYNTH_PACKINGS; i++) {
		struct packed file = pack(i);
		struct sonde_image *image = open_packed(&file);
		print_message("%s\n", synth_packing_names[i]);
		expect_pieces(image);
		expect_body(image);
		assert_int_equal(image->fd >= 0, !is_in_blocks(i));
		assert_int_equal(image_failure(image, NULL), 0);
		image_unref(image);
		free(file.bytes);
	}
}

static int count_figures(void *user, const struct sonde_image_figures *figures)
{
	struct sonde_image_figures *all = user;

	all->blocks += figures->blocks;
	all->unpacked += figures->unpacked;
	return 0;
}

static void a_block_is_unpacked_when_it_is_wanted_and_once(void **state)
{
	struct packed file = pack(SYNTH_ZSTD_FRAMES);
	struct sonde_image *image = open_packed(&file);
	struct sonde_image_figures figures = { 0 };
	uint8_t got[16];

	(void)state;
	image_figures(image, count_figures, &figures);
	assert_int_equal(figures.blocks, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(image_read_at(image, 2 * BLOCK + 8, got, sizeof(got)), 16);
	image_figures(image, count_figures, &figures);
	assert_int_equal(figures.blocks, 1);
	assert_int_equal(figures.unpacked, BLOCK);
	image_unref(image);
	free(file.bytes);
}

static void a_damaged_block_fails_alone_and_is_named(void **state)
{
	static const enum synth_packing kinds[] = { SYNTH_BGZF,        SYNTH_XZ_BLOCKS,
						    SYNTH_ZSTD_FRAMES, SYNTH_ZSTD_TABLE,
						    SYNTH_LZ4,         SYNTH_LZ4_SIZED,
						    SYNTH_LZOP };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct packed file = pack(kinds[k]);
		struct sonde_error err = { 0 };
		size_t n_bad = 0;
		file.bytes[file.len / 2] ^= 0x10;
		struct sonde_image *image = open_packed(&file);
		print_message("%s\n", synth_packing_names[kinds[k]]);
		assert_int_equal(image->size, LEN);
		for (size_t at = 0; at < LEN; at += 1000) {
			uint8_t got[1000];
			size_t len = LEN - at < 1000 ? LEN - at : 1000;
			int64_t n = image_read_at(image, at, got, len);
			n_bad += n == SONDE_E_CORRUPT;
			if (n != SONDE_E_CORRUPT) {
				assert_int_equal(n, len);
				assert_memory_equal(got, body + at, len);
			}
		}
		assert_in_range(n_bad, 1, 70);
		assert_int_equal(image_failure(image, &err), SONDE_E_CORRUPT);
		assert_non_null(strstr(err.text, " block "));
		assert_non_null(strstr(err.text, "/proc/self/fd/"));
		assert_non_null(strstr(err.text, "damaged"));
		image_unref(image);
		free(file.bytes);
	}
}

/* What is said of bytes is true: of those that come each is right, where a failure was not told of them. */
static void expect_no_lie(const uint8_t *bytes, size_t len)
{
	static uint8_t got[LEN + 1000];
	struct sonde_image *image;
	struct sonde_error err = { 0 };

	if (open_bytes(bytes, len, &image, &err) < 0) {
		assert_non_null(strstr(err.text, "test: '/proc/self/fd/"));
		return;
	}
	for (size_t at = 0; at < sizeof(got); at += 100000) {
		int64_t n = image_read_at(image, at, got, sizeof(got) - at < 100000 ? 0 : 100000);
		int whole = image->fd >= 0 && image_failure(image, NULL);
		if (n > 0 && !whole && (n > LEN - (int64_t)at || memcmp(got, body + at, (size_t)n)))
			fail_msg("%zu bytes, %lld of them at %zu: wrong", len, (long long)n, at);
	}
	if (image->size < LEN)
		assert_int_not_equal(image_failure(image, NULL), 0);
	image_unref(image);
}

/* Every byte of the first and last heads, and some between. */
static size_t step(size_t at, size_t len)
{
	return at < 40 || len - at < 150 ? 1 : 2999;
}

static void a_file_cut_anywhere_has_what_stands_before(void **state)
{
	(void)state;
	for (int i = 0; i < SYNTH_PACKINGS; i++) {
		struct packed file = pack(i);
		for (size_t at = 8; at < file.len; at += step(at, file.len)) {
			struct sonde_image *image;
			if (at > file.len - 40 && open_bytes(file.bytes, at, &image, NULL) == 0)
				image_unref(image);
			else
				expect_no_lie(file.bytes, at);
		}
		free(file.bytes);
	}
}

/* Those whose blocks have sums. */
static void a_byte_that_is_wrong_anywhere_is_found(void **state)
{
	static const enum synth_packing kinds[] = { SYNTH_BGZF,        SYNTH_XZ_BLOCKS,
						    SYNTH_ZSTD_FRAMES, SYNTH_ZSTD_TABLE,
						    SYNTH_LZ4_SIZED,   SYNTH_LZOP };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct packed file = pack(kinds[k]);
		for (size_t at = 6; at < file.len; at += step(at, file.len)) {
			file.bytes[at] ^= 0x04;
			expect_no_lie(file.bytes, file.len);
			file.bytes[at] ^= 0x04;
		}
		free(file.bytes);
	}
}

static void seek_tables_that_lie_are_not_believed(void **state)
{
	static const uint8_t short_table[] = { 0x5e, 0x2a, 0x4d, 0x18, 17,   0,    0,   0, 8,
					       0,    0,    0,    8,    0,    0,    0,   1, 0,
					       0,    0,    0,    0xb1, 0xea, 0x92, 0x8f };
	struct packed file = pack(SYNTH_ZSTD_FRAMES), table = pack(SYNTH_ZSTD_TABLE);
	size_t n = (LEN + BLOCK - 1) / BLOCK, entries = table.len - 9 - n * 8;

	(void)state;
	/* The first block a byte longer, the second a byte shorter. */
	uint32_t first = sonde_le32(table.bytes + entries + 4);
	sonde_store(table.bytes + entries + 4, 4, SONDE_LITTLE, first + 1);
	sonde_store(table.bytes + entries + 12, 4, SONDE_LITTLE, first - 1);
	expect_no_lie(table.bytes, table.len);
	/* A number that is not that of the entries. */
	sonde_store(table.bytes + table.len - 9, 4, SONDE_LITTLE, UINT32_MAX);
	expect_no_lie(table.bytes, table.len);
	/* One that leaves out most of the file: frames that tell their sizes are found without it. */
	file.bytes = realloc(file.bytes, file.len + sizeof(short_table));
	memcpy(file.bytes + file.len, short_table, sizeof(short_table));
	file.len += sizeof(short_table);
	struct sonde_image *image = open_packed(&file);
	expect_body(image);
	image_unref(image);
	free(file.bytes);
	free(table.bytes);
}

/* More than may be is not unpacked, whatever the file is called and however small it is. */
static void a_bomb_goes_off_at_the_limit(void **state)
{
	static const enum synth_packing kinds[] = { SYNTH_GZIP, SYNTH_ZSTD, SYNTH_LZ4_LINKED,
						    SYNTH_BZIP2 };
	size_t len = 3u << 20, packed_len;
	uint8_t *zeros = calloc(1, len);

	(void)state;
	setenv("SONDE_UNPACK_MAX", "2", 1);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint8_t *packed = synth_pack(kinds[k], zeros, len, len, &packed_len);
		expect_refusal(packed, packed_len, SONDE_E_LIMIT,
			       k ? "of more than 2 MiB" : "of more than 3 MiB");
		expect_refusal(packed, packed_len, SONDE_E_LIMIT, "xz -T0 --block-size=1MiB");
		free(packed);
	}
	unsetenv("SONDE_UNPACK_MAX");
	free(zeros);
}

static void a_block_larger_than_any_is_none(void **state)
{
	size_t len = 65u << 20, packed_len;
	uint8_t *zeros = calloc(1, len);

	(void)state;
	setenv("SONDE_UNPACK_MAX", "16", 1);
	uint8_t *packed = synth_pack(SYNTH_ZSTD_FRAMES, zeros, len, len, &packed_len);
	expect_refusal(packed, packed_len, SONDE_E_LIMIT, "of more than 65 MiB");
	free(packed);
	packed = synth_pack(SYNTH_XZ, zeros, len, len, &packed_len);
	expect_refusal(packed, packed_len, SONDE_E_LIMIT, "of more than 65 MiB");
	free(packed);
	unsetenv("SONDE_UNPACK_MAX");
	free(zeros);
}

static void what_only_begins_like_it_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int want;
	} cases[] = { { "\x1f\x8b\x08\0rest of a head", 18, SONDE_E_CORRUPT },
		      { "\xfd"
			"7zXZ\0 and",
			10, SONDE_E_TRUNCATED },
		      { "\x28\xb5\x2f\xfd    and", 11, SONDE_E_CORRUPT },
		      { "\x04\x22\x4d\x18 and", 8, SONDE_E_CORRUPT },
		      { "BZh9\x31\x41\x59\x26\x53\x59 and more", 20, SONDE_E_CORRUPT },
		      { "\x89LZO\0\r\n\x1a\n\x10\x40\x20\xa0\x09\x40\1\5\0\0\0\1 and", 25,
			SONDE_E_TRUNCATED },
		      { "\x50\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18", 12, SONDE_E_TRUNCATED } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(cases[i].bytes, cases[i].len, cases[i].want, "begins like ");
}

static void it_is_not_written(void **state)
{
	struct packed file = pack(SYNTH_XZ);
	struct sonde_error err = { 0 };
	struct sonde_image *image;
	char name[64];
	int fd = put_file(file.bytes, file.len, name);

	(void)state;
	assert_int_equal(image_open_by_name("test", name, 1, &image, &err), SONDE_E_READ_ONLY);
	assert_non_null(strstr(err.text, "is packed (xz)"));
	close(fd);
	free(file.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_is_read),
		cmocka_unit_test(a_block_is_unpacked_when_it_is_wanted_and_once),
		cmocka_unit_test(a_damaged_block_fails_alone_and_is_named),
		cmocka_unit_test(a_file_cut_anywhere_has_what_stands_before),
		cmocka_unit_test(a_byte_that_is_wrong_anywhere_is_found),
		cmocka_unit_test(seek_tables_that_lie_are_not_believed),
		cmocka_unit_test(a_bomb_goes_off_at_the_limit),
		cmocka_unit_test(a_block_larger_than_any_is_none),
		cmocka_unit_test(what_only_begins_like_it_is_refused),
		cmocka_unit_test(it_is_not_written),
	};
	return cmocka_run_group_tests(tests, make_body, NULL);
}

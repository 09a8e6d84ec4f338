/* SPDX-License-Identifier: MIT */
/* Images of LiME, whole and broken: what the parser believes, and through the connector what is read where. */
#include "../../connectors/lime/ranges.h"
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

#define SIZE 4096u

struct image {
	uint8_t bytes[SIZE];
	size_t size;
};

/* One more range; its byte i is fill + i. */
static void add(struct image *image, uint64_t first, uint64_t last, uint8_t fill)
{
	uint8_t *head = image->bytes + image->size;

	memcpy(head, "EMiL", 4);
	synth_put(head + 4, 0, 4, 1);
	synth_put(head + 8, 0, 8, first);
	synth_put(head + 16, 0, 8, last);
	image->size += LIME_HEAD_SIZE;
	for (uint64_t i = 0; i <= last - first; i++)
		image->bytes[image->size++] = (uint8_t)(fill + i);
}

static int parse(struct lime_ranges *ranges, struct image *image, const char **why)
{
	struct synth_image file = { image->bytes, image->size };

	*why = "";
	return lime_ranges_read(ranges, synth_image_read, &file, image->size, why);
}

static void make(struct image *image)
{
	*image = (struct image){ 0 };
	add(image, 0x1000, 0x10ff, 1);
	add(image, 0x100000, 0x1000ff, 2);
	add(image, 0x1080, 0x117f, 3); /* over the first */
}

static void ranges_are_told_in_order(void **state)
{
	struct image image;
	struct lime_ranges ranges;
	const char *why;

	(void)state;
	make(&image);
	assert_int_equal(parse(&ranges, &image, &why), 0);
	assert_int_equal(ranges.n, 3);
	assert_int_equal(ranges.cut, 0);
	assert_int_equal(ranges.trailing, 0);
	assert_int_equal(ranges.at[1].addr, 0x100000);
	assert_int_equal(ranges.at[1].len, 0x100);
	assert_int_equal(ranges.at[1].off, 2 * LIME_HEAD_SIZE + 0x100);
	lime_ranges_finish(&ranges);
}

static void a_file_that_ends_anywhere_is_read_as_far_as_it_goes(void **state)
{
	struct image image;
	size_t whole, one = LIME_HEAD_SIZE + 0x100;

	(void)state;
	make(&image);
	whole = image.size;
	for (image.size = 0; image.size <= whole; image.size++) {
		struct lime_ranges ranges;
		const char *why;
		int r = parse(&ranges, &image, &why);
		assert_int_equal(r, image.size < LIME_HEAD_SIZE ? SONDE_E_BAD_FORMAT : 0);
		assert_true(r == 0 || why[0]);
		assert_int_equal(ranges.n, (image.size + one - LIME_HEAD_SIZE) / one);
		assert_int_equal(ranges.cut, image.size % one != 0);
		lime_ranges_finish(&ranges);
	}
}

static void heads_that_lie_end_the_list(void **state)
{
	static const struct {
		uint64_t first, last;
		size_t n; /* ranges that are believed */
		int cut;
	} lies[] = {
		{ 0x2000, 0x1fff, 1, 0 },         /* ends before it begins */
		{ 0, UINT64_MAX, 1, 0 },          /* all there is          */
		{ 1, UINT64_MAX, 2, 1 },          /* nearly                */
		{ UINT64_MAX, UINT64_MAX, 3, 0 }, /* one byte, the last; what follows is no head */
		{ 0x100000, UINT64_C(1) << 62, 2, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct image image;
		struct lime_ranges ranges;
		const char *why;
		make(&image);
		uint8_t *head = image.bytes + LIME_HEAD_SIZE + 0x100;
		synth_put(head + 8, 0, 8, lies[i].first);
		synth_put(head + 16, 0, 8, lies[i].last);
		if (lies[i].n == 3)
			memmove(head + LIME_HEAD_SIZE + 1, head + LIME_HEAD_SIZE + 0x100, 0x120);
		assert_int_equal(parse(&ranges, &image, &why), 0);
		assert_int_equal(ranges.n, lies[i].n);
		assert_int_equal(ranges.cut, lies[i].cut);
		lime_ranges_finish(&ranges);
	}
}

/* Nothing of the second range. */
static size_t read_first(void *user, uint64_t off, void *buf, size_t len)
{
	return off < LIME_HEAD_SIZE + 0x100 ? synth_image_read(user, off, buf, len) : 0;
}

static void what_cannot_be_read_is_not_taken_for_an_end(void **state)
{
	struct image image;
	struct lime_ranges ranges;
	const char *why;

	(void)state;
	make(&image);
	struct synth_image file = { image.bytes, image.size };
	assert_int_equal(lime_ranges_read(&ranges, read_first, &file, image.size, &why), 0);
	assert_int_equal(ranges.n, 1);
	assert_int_equal(ranges.cut, 0);
	assert_int_equal(ranges.trailing, 0);
	assert_int_equal(ranges.unread, 1);
	lime_ranges_finish(&ranges);
}

static void zeros_behind_the_last_range_are_left_alone(void **state)
{
	struct image image;
	struct lime_ranges ranges;
	const char *why;

	(void)state;
	make(&image);
	image.size = SIZE;
	assert_int_equal(parse(&ranges, &image, &why), 0);
	assert_int_equal(ranges.n, 3);
	assert_int_equal(ranges.cut, 0);
	assert_int_equal(ranges.trailing, 1);
	lime_ranges_finish(&ranges);
}

/* ---- through the connector -------------------------------------------------------------------- */

static void save(const char *path, const struct image *image)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(image->bytes, 1, image->size, file), image->size);
	fclose(file);
}

static void what_is_there_is_read_and_what_is_not_is_said(void **state)
{
	char path[] = "/tmp/sonde-lime-XXXXXX";
	struct image image;
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_error err;
	uint8_t bytes[0x200];

	(void)state;
	make(&image);
	image.size -= 0x40;
	close(mkstemp(path));
	save(path, &image);
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	if (sonde_target_open(loop, path, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(target, &info);
	assert_string_equal(info.connector, "lime");
	assert_string_equal(info.detail, "LiME image, 3 ranges, cut off");
	struct sonde_xfer x = { .addr = 0x1000, .buf = bytes, .len = 0x180 };
	assert_int_equal(sonde_space_read(sonde_target_memory(target), &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_TRUNCATED);
	assert_int_equal(x.err_off, 0x140);
	for (uint32_t i = 0; i < 0x180; i++) /* the first range stands before the third */
		assert_int_equal(bytes[i], i < 0x100   ? (uint8_t)(1 + i)
					   : i < 0x140 ? (uint8_t)(3 + i - 0x80)
						       : 0);
	assert_int_equal(sonde_space_get(sonde_target_memory(target), 0x2000, bytes, 8),
			 SONDE_E_NOT_MAPPED);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_told_in_order),
		cmocka_unit_test(a_file_that_ends_anywhere_is_read_as_far_as_it_goes),
		cmocka_unit_test(heads_that_lie_end_the_list),
		cmocka_unit_test(what_cannot_be_read_is_not_taken_for_an_end),
		cmocka_unit_test(zeros_behind_the_last_range_are_left_alone),
		cmocka_unit_test(what_is_there_is_read_and_what_is_not_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

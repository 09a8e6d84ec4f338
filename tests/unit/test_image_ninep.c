/* SPDX-License-Identifier: MIT */
/* An image on a server of 9P that answers in bits, has become shorter, hangs up or lies about what it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "image/image.h"
#include "ninep_puppet.h"

enum { SIZE = 1 << 20, HEAD = 64 << 10, GOOD = SIZE / 2, N_BAD = 40 };

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 7 + (off >> 12));
}

/* count bytes of the file from where msg asks. */
static void answer_bytes(struct puppet *puppet, const struct ninep_msg *msg, uint32_t count)
{
	static uint8_t data[NINEP_MSIZE_MAX];
	struct ninep_msg answer = {
		.type = NINEP_TREAD + 1, .tag = msg->tag, .count = count, .data = data
	};

	for (uint32_t i = 0; i < count; i++)
		data[i] = byte_at(msg->off + i);
	puppet_send(puppet, &answer);
}

/* Returns whether it was asked for attributes: a file, of the bytes that user points to. */
static int answer_attr(struct puppet *puppet, const struct ninep_msg *msg)
{
	const uint64_t *size = puppet->user;
	struct ninep_msg answer = { .type = NINEP_TGETATTR + 1, .tag = msg->tag };

	if (msg->type != NINEP_TGETATTR)
		return 0;
	answer.attr = (struct ninep_attr){
		.valid = NINEP_GETATTR_BASIC, .mode = S_IFREG | 0644, .n_links = 1, .size = *size
	};
	puppet_send(puppet, &answer);
	return 1;
}

static int in_bits(struct puppet *puppet, const struct ninep_msg *msg)
{
	if (!answer_attr(puppet, msg))
		answer_bytes(puppet, msg, msg->count > 1000 ? msg->count / 3 : msg->count);
	return 0;
}

static int shorter(struct puppet *puppet, const struct ninep_msg *msg)
{
	if (!answer_attr(puppet, msg))
		answer_bytes(puppet, msg, msg->off < GOOD ? msg->count : 0);
	return 0;
}

static int hang_up(struct puppet *puppet, const struct ninep_msg *msg)
{
	if (!answer_attr(puppet, msg) && msg->off >= GOOD)
		return 1;
	if (msg->type == NINEP_TREAD)
		answer_bytes(puppet, msg, msg->count);
	return 0;
}

struct fixture {
	struct puppet *puppet;
	struct sonde_image *image;
	uint64_t size;
	char url[SONDE_NET_TEXT + 16];
};

static int begin(struct fixture *f, int (*asked)(struct puppet *, const struct ninep_msg *),
		 uint64_t size, struct sonde_error *err)
{
	f->size = size;
	f->puppet = puppet_start(asked);
	f->puppet->user = &f->size;
	puppet_go(f->puppet);
	snprintf(f->url, sizeof(f->url), "9p://%s/dump", f->puppet->address);
	return image_open_by_name("test", f->url, 0, &f->image, err);
}

static void end(struct fixture *f)
{
	image_unref(f->image);
	puppet_stop(f->puppet);
}

static void assert_bytes(const uint8_t *bytes, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], byte_at(off + i));
}

static void what_comes_in_bits_is_put_together(void **state)
{
	uint8_t *bytes = malloc(SIZE);
	struct fixture f = { 0 };

	(void)state;
	assert_int_equal(begin(&f, in_bits, SIZE, NULL), 0);
	assert_int_equal(image_read_at(f.image, 0, bytes, SIZE), SIZE);
	assert_bytes(bytes, 0, SIZE);
	assert_int_equal(image_read_at(f.image, SIZE - 5, bytes, 100), 5);
	end(&f);
	free(bytes);
}

/* Pieces of one batch, each with its own outcome; and none is asked for once one has failed. */
static void expect_failure(int (*asked)(struct puppet *, const struct ninep_msg *), int code,
			   const char *part)
{
	static uint8_t here[4096], there[4096], later[4096];
	struct sonde_image_read reads[1 + N_BAD] = {
		{ .off = GOOD - 8192, .buf = here, .len = sizeof(here) },
	};
	struct sonde_error err = { 0 };
	struct fixture f = { 0 };

	for (int i = 1; i <= N_BAD; i++)
		reads[i] = (struct sonde_image_read){ .off = GOOD + 3 * 4096 * (uint64_t)i,
						      .buf = there,
						      .len = sizeof(there) };
	assert_int_equal(begin(&f, asked, SIZE, &err), 0);
	image_read(f.image, &reads[0], 1);
	image_read(f.image, reads, 1 + N_BAD);
	assert_int_equal(reads[0].done, sizeof(here));
	assert_bytes(here, GOOD - 8192, sizeof(here));
	for (int i = 1; i <= N_BAD; i++)
		assert_int_equal(reads[i].err, code);
	assert_int_equal(image_failure(f.image, &err), code);
	assert_non_null(strstr(err.text, f.url));
	assert_non_null(strstr(err.text, part));
	int n_asked = f.puppet->n_asked;
	assert_int_equal(image_read_at(f.image, HEAD + 8192, later, sizeof(later)), code);
	assert_int_equal(f.puppet->n_asked, n_asked);
	end(&f);
}

static void a_file_that_became_shorter_is_said(void **state)
{
	(void)state;
	expect_failure(shorter, SONDE_E_CHANGED, "shorter");
}

static void a_server_that_hangs_up_is_said(void **state)
{
	(void)state;
	expect_failure(hang_up, SONDE_E_GONE, "");
}

/* Nothing is allocated by it, and nothing asked for beyond it. */
static void a_size_may_be_any(void **state)
{
	static const uint64_t sizes[] = { UINT64_MAX, INT64_MAX, UINT64_C(1) << 62 };
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fixture f = { 0 };
		assert_int_equal(begin(&f, in_bits, sizes[i], NULL), 0);
		assert_int_equal(image_read_at(f.image, 0x10000, bytes, sizeof(bytes)),
				 sizeof(bytes));
		assert_bytes(bytes, 0x10000, sizeof(bytes));
		image_read_at(f.image, sizes[i] - 8, bytes, sizeof(bytes));
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_in_bits_is_put_together),
		cmocka_unit_test(a_file_that_became_shorter_is_said),
		cmocka_unit_test(a_server_that_hangs_up_is_said),
		cmocka_unit_test(a_size_may_be_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The kernel's log from bytes written by hand: the ring of v5.10 and later, the buffer before. */
#include "kmem.h"

#include "common/os.h"
#include "linux/log.h"

#define COUNT_BITS 3
#define SIZE_BITS 8
#define N (1u << COUNT_BITS)
#define SIZE (1u << SIZE_BITS)
#define DESC_SIZE 24u
#define INFO_SIZE 88u
#define FINAL (UINT64_C(2) << 62)
#define COMMITTED (UINT64_C(1) << 62)
#define RESERVED UINT64_C(0)
#define REUSABLE (UINT64_C(3) << 62)
#define FIRST_LPOS ((UINT64_C(1) << 40) | 0) /* wrapped many times already */

/* struct prb_desc, struct printk_info of v6.1; struct printk_log of v5.4 without caller ids. */
static const struct layout layout = {
	.desc_size = DESC_SIZE,
	.info_size = INFO_SIZE,
	.desc_state = { 0, 8 },
	.desc_lpos = { 8, 16 },
	.info_seq = { 0, 8 },
	.info_ts = { 8, 8 },
	.info_text_len = { 16, 2 },
	.info_facility = { 18, 1 },
	.info_caller = { 20, 4 },
	.log_record_size = 16,
	.record_ts = { 0, 8 },
	.record_len = { 8, 2 },
	.record_text_len = { 10, 2 },
	.record_facility = { 14, 1 },
};

struct fixture {
	uint8_t descs[N * DESC_SIZE], infos[N * INFO_SIZE];
	uint8_t *data; /* [SIZE], on the heap: a sanitizer sees what runs over */
	struct log_ring ring;
	struct sonde_log list;
	uint64_t lpos; /* of the next text */
	uint32_t lost;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->data = calloc(1, SIZE);
	assert_non_null(f->data);
	f->lpos = FIRST_LPOS;
	f->ring = (struct log_ring){
		.layout = &layout,
		.level = { 19, 5, 3 },
		.count_bits = COUNT_BITS,
		.size_bits = SIZE_BITS,
		.head_id = 0,
		.tail_id = 0,
		.descs = f->descs,
		.infos = f->infos,
		.data = f->data,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_finish(&f->list.arena);
	free(f->list.items);
	free(f->data);
	free(f);
	return 0;
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void set_desc(struct fixture *f, uint64_t id, uint64_t state, uint64_t begin, uint64_t next)
{
	uint8_t *desc = f->descs + id % N * DESC_SIZE;

	put64(desc, state | id);
	put64(desc + 8, begin);
	put64(desc + 16, next);
}

static void set_info(struct fixture *f, uint64_t id, uint16_t text_len, uint8_t level)
{
	uint8_t *info = f->infos + id % N * INFO_SIZE;

	put64(info, 1000 + id);
	put64(info + 8, 5000000 * id);
	memcpy(info + 16, &text_len, 2);
	info[18] = 3;
	info[19] = (uint8_t)(level << 5 | 0x1f);
	info[20] = (uint8_t)(id + 40);
}

/* As the kernel would: id, text, padding; at the start when it does not fit before the end. */
static void add(struct fixture *f, uint64_t id, const char *text)
{
	size_t len = strlen(text);
	uint64_t block = (8 + len + 7) & ~UINT64_C(7), begin = f->lpos, at = begin % SIZE;
	uint64_t next = begin + block;

	if (at + block > SIZE) {
		next = (begin / SIZE + 1) * SIZE + block;
		at = 0;
	}
	put64(f->data + at, id);
	memcpy(f->data + at + 8, text, len);
	set_desc(f, id, FINAL, begin, next);
	set_info(f, id, (uint16_t)len, id % 8);
	f->lpos = next;
	f->ring.head_id = id;
}

static void parse(struct fixture *f, size_t n, uint32_t lost)
{
	assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), 0);
	assert_int_equal(f->list.n, n);
	assert_int_equal(f->lost, lost);
}

static void records_come_oldest_first_with_all_they_hold(void **state)
{
	struct fixture *f = *state;

	for (uint64_t id = 100; id < 104; id++)
		add(f, id, id % 2 ? "odd one" : "even");
	f->ring.tail_id = 100;
	parse(f, 4, 0);
	for (uint32_t i = 0; i < 4; i++) {
		const struct sonde_log_record *r = &f->list.items[i];
		assert_string_equal(r->text, i % 2 ? "odd one" : "even");
		assert_int_equal(r->text_len, strlen(r->text));
		assert_int_equal(r->seq, 1100 + i);
		assert_int_equal(r->time_ns, 5000000 * (100 + i));
		assert_int_equal(r->level, (100 + i) % 8);
		assert_int_equal(r->facility, 3);
		assert_int_equal(r->caller, 140 + i);
	}
}

static void a_text_that_does_not_fit_lies_at_the_start(void **state)
{
	struct fixture *f = *state;
	char text[105];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	add(f, 7, text);
	add(f, 8, text); /* up to 224 */
	f->data[0] = 0;  /* the first is overwritten by the next */
	add(f, 9, "thirty-three characters, not more");
	f->ring.tail_id = 7;
	parse(f, 2, 1);
	assert_string_equal(f->list.items[0].text, text);
	assert_string_equal(f->list.items[1].text, "thirty-three characters, not more");
}

static void ids_wrap_with_the_flags_above_them(void **state)
{
	struct fixture *f = *state;
	uint64_t last = (UINT64_C(1) << 62) - 1;

	add(f, last, "last id");
	add(f, 0, "first id again");
	f->ring.tail_id = last;
	parse(f, 2, 0);
	assert_string_equal(f->list.items[0].text, "last id");
}

static void an_empty_line_has_no_text_and_is_a_record(void **state)
{
	struct fixture *f = *state;

	set_desc(f, 0, FINAL, 3, 3);
	set_info(f, 0, 0, 6);
	parse(f, 1, 0);
	assert_string_equal(f->list.items[0].text, "");
}

static void only_text_that_is_not_where_it_should_be_is_lost(void **state)
{
	static const struct {
		const char *name;
		uint64_t state, begin, next;
		uint32_t lost;
	} cases[] = {
		{ "reserved", RESERVED, 0, 16, 0 },
		{ "reusable", REUSABLE, 0, 16, 0 },
		{ "no room was left for it", FINAL, 1, 1, 0 },
		{ "another's id in front", FINAL, 64, 80, 1 },
		{ "not aligned", FINAL, 4, 20, 1 },
		{ "next before begin", FINAL, 32, 16, 1 },
		{ "no room for the id", FINAL, 16, 16, 1 },
		{ "more than the ring", FINAL, 0, 16 * SIZE, 1 },
		{ "wraps over itself", FINAL, 128, SIZE + 255 * 8, 1 },
		{ "positions at the top", FINAL, UINT64_MAX - 7, UINT64_MAX - 1, 1 },
	};
	struct fixture *f = *state;

	put64(f->data + 64, 99);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_desc(f, 0, cases[i].state, cases[i].begin, cases[i].next);
		set_info(f, 0, 8, 6);
		assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), 0);
		if (f->list.n || f->lost != cases[i].lost)
			fail_msg("%s: %zu records, %u lost", cases[i].name, f->list.n, f->lost);
	}
}

static void the_last_word_of_a_dead_kernel_is_given(void **state)
{
	struct fixture *f = *state;

	add(f, 0, "BUG: ");
	set_desc(f, 0, COMMITTED, FIRST_LPOS, f->lpos);
	parse(f, 1, 0);
}

static void a_text_longer_than_its_block_is_cut(void **state)
{
	struct fixture *f = *state;

	add(f, 0, "12345678");
	set_info(f, 0, 65535, 1);
	parse(f, 1, 0);
	assert_int_equal(f->list.items[0].text_len, 8);
	assert_string_equal(f->list.items[0].text, "12345678");
}

static void a_block_may_end_with_the_ring(void **state)
{
	struct fixture *f = *state;

	set_desc(f, 0, FINAL, FIRST_LPOS + SIZE - 16, FIRST_LPOS + SIZE);
	set_info(f, 0, 8, 1);
	put64(f->data + SIZE - 16, 0);
	memcpy(f->data + SIZE - 8, "the edge", 8);
	parse(f, 1, 0);
	assert_string_equal(f->list.items[0].text, "the edge");
}

static void more_records_than_the_ring_holds_are_refused(void **state)
{
	struct fixture *f = *state;

	f->ring.head_id = N;
	assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), SONDE_E_CORRUPT);
	f->ring.head_id = 3;
	f->ring.tail_id = 4;
	assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), SONDE_E_CORRUPT);
}

static void a_layout_beyond_its_structure_is_refused(void **state)
{
	struct fixture *f = *state;
	struct layout bad[] = { layout, layout, layout, layout };

	bad[0].desc_lpos.off = DESC_SIZE - 8;
	bad[1].info_size = 0;
	bad[2].info_text_len.size = 0;
	bad[3].info_caller.off = INFO_SIZE;
	for (size_t i = 0; i < 4; i++) {
		f->ring.layout = &bad[i];
		assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), SONDE_E_NO_TYPES);
	}
	f->ring.layout = &layout;
	f->ring.level.byte = INFO_SIZE;
	assert_int_equal(log_parse_ring(&f->ring, &f->list, &f->lost), SONDE_E_NO_TYPES);
}

/* ---- before v5.10 ------------------------------------------------------------------------------
 */

static uint32_t add_old(struct fixture *f, uint32_t at, const char *text, uint16_t len)
{
	uint16_t text_len = (uint16_t)strlen(text);

	put64(f->data + at, 7000 + at);
	memcpy(f->data + at + 8, &len, 2);
	memcpy(f->data + at + 10, &text_len, 2);
	f->data[at + 14] = 1;
	f->data[at + 15] = 4 << 5;
	memcpy(f->data + at + 16, text, text_len);
	return at + len;
}

static struct log_buffer old_log(const struct fixture *f, uint32_t first, uint32_t next)
{
	return (struct log_buffer){ .layout = &layout,
				    .level = { 15, 5, 3 },
				    .bytes = f->data,
				    .len = SIZE,
				    .first = first,
				    .next = next,
				    .first_seq = 50 };
}

static void the_old_buffer_wraps_at_a_record_of_no_length(void **state)
{
	struct fixture *f = *state;
	struct log_buffer log = old_log(f, 200, 0);

	assert_int_equal(add_old(f, 200, "before", 24), 224);
	log.next = add_old(f, 0, "behind", 32);
	assert_int_equal(log_parse_buffer(&log, &f->list, &f->lost), 0);
	assert_int_equal(f->list.n, 2);
	assert_int_equal(f->lost, 0);
	assert_string_equal(f->list.items[0].text, "before");
	assert_int_equal(f->list.items[0].seq, 50);
	assert_int_equal(f->list.items[0].time_ns, 7200);
	assert_int_equal(f->list.items[0].level, 4);
	assert_int_equal(f->list.items[0].facility, 1);
	assert_string_equal(f->list.items[1].text, "behind");
	assert_int_equal(f->list.items[1].seq, 51);
}

static void the_old_buffer_may_lie(void **state)
{
	static const struct {
		const char *name;
		uint32_t first, next;
		uint16_t len;
		size_t n;
	} cases[] = {
		{ "nothing in it", 16, 16, 0, 0 },
		{ "first outside", 100000, 16, 0, 0 },
		{ "next never met", 0, 100000, 24, 1 },
		{ "record shorter than its head", 0, 64, 8, 0 },
		{ "record longer than the buffer", 0, 64, 60000, 0 },
		{ "text longer than the record", 0, 64, 18, 0 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_buffer log = old_log(f, cases[i].first, cases[i].next);
		f->list.n = 0;
		add_old(f, 0, "a text", cases[i].len);
		assert_int_equal(log_parse_buffer(&log, &f->list, &f->lost), 0);
		if (f->list.n != cases[i].n || f->lost != (i > 0))
			fail_msg("%s: %zu records, lost %u", cases[i].name, f->list.n, f->lost);
	}
}

/* ---- the old buffer in a kernel's memory --------------------------------------------------------- */

#define VARIABLES (KMEM_BASE + 0x10000)  /* five, a page each */
#define OLD_BUFFER (KMEM_BASE + 0x20000) /* two pages */

static void put_old(struct kmem *k, uint32_t at, const char *text, uint16_t len)
{
	uint16_t text_len = (uint16_t)strlen(text);

	kmem_put(k, OLD_BUFFER + at + 8, &len, 2);
	kmem_put(k, OLD_BUFFER + at + 10, &text_len, 2);
	kmem_put(k, OLD_BUFFER + at + 16, text, text_len);
}

/* Wrapped: the older record lies in the second page, the newer one in the first. */
static int kernel_setup(void **state)
{
	static const char *const names[] = { "log_buf", "log_buf_len", "log_first_idx",
					     "log_next_idx", "log_first_seq" };
	const uint64_t values[] = { OLD_BUFFER, 8192, 4096, 24, 7 };

	kmem_setup(state);
	struct kmem *k = *state;
	k->lx.os.layer = &os_linux;
	k->lx.layout = layout;
	for (uint32_t i = 0; i < 5; i++) {
		kmem_symbol(k, names[i], VARIABLES + 4096 * i);
		kmem_put64(k, VARIABLES + 4096 * i, values[i]);
	}
	assert_int_equal(symbols_seal(k->symbols), 0);
	put_old(k, 4096, "older", 24);
	put_old(k, 0, "newer", 24);
	return 0;
}

static void a_page_of_the_old_buffer_that_is_not_there_is_told(void **state)
{
	struct kmem *k = *state;
	struct sonde_log *log;

	assert_int_equal(sonde_os_log(&k->lx.os, &log, NULL), 0);
	assert_int_equal(sonde_log_count(log), 2);
	assert_string_equal(sonde_log_at(log, 0)->text, "older");
	assert_null(sonde_log_damage(log));
	sonde_log_destroy(log);

	k->missing = OLD_BUFFER + 4096;
	assert_int_equal(sonde_os_log(&k->lx.os, &log, NULL), 0);
	assert_int_equal(sonde_log_count(log), 1);
	assert_string_equal(sonde_log_at(log, 0)->text, "newer");
	assert_non_null(strstr(sonde_log_damage(log), "could not be read whole"));
	sonde_log_destroy(log);
}

static void where_the_old_buffer_begins_has_to_be_known(void **state)
{
	struct kmem *k = *state;
	struct sonde_log *log;

	for (uint32_t i = 0; i < 4; i++) {
		k->missing = VARIABLES + 4096 * i;
		assert_int_equal(sonde_os_log(&k->lx.os, &log, NULL), SONDE_E_NOT_MAPPED);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define KERNEL_TEST(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kmem_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(records_come_oldest_first_with_all_they_hold),
		TEST(a_text_that_does_not_fit_lies_at_the_start),
		TEST(ids_wrap_with_the_flags_above_them),
		TEST(an_empty_line_has_no_text_and_is_a_record),
		TEST(only_text_that_is_not_where_it_should_be_is_lost),
		TEST(the_last_word_of_a_dead_kernel_is_given),
		TEST(a_text_longer_than_its_block_is_cut),
		TEST(a_block_may_end_with_the_ring),
		TEST(more_records_than_the_ring_holds_are_refused),
		TEST(a_layout_beyond_its_structure_is_refused),
		TEST(the_old_buffer_wraps_at_a_record_of_no_length),
		TEST(the_old_buffer_may_lie),
		KERNEL_TEST(a_page_of_the_old_buffer_that_is_not_there_is_told),
		KERNEL_TEST(where_the_old_buffer_begins_has_to_be_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

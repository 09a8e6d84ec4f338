/* SPDX-License-Identifier: MIT */
/* What page frames are used for: each kind of struct page, and those that contradict themselves. */
#include "kmem.h"
#include "synth/btf_blob.h"
#include "synth/frames.h"
#include "sym/types.h"

#define SECTIONS (KMEM_BASE + 0x1000)
#define ARRAY (KMEM_BASE + 0x10000) /* of eight sections of 512 struct page of 64 bytes */
#define N_FRAMES 4096u

#define ANON 1
#define HUGETLB_TYPE (-513)
#define SLAB_TYPE (-512)
#define DTOR_HUGETLB 2

struct page {
	uint64_t flags, compound_head;
	uint8_t compound_dtor;
	uint64_t mapping, private;
	int32_t mapcount, refcount;
};

static uint64_t page_at(uint32_t frame)
{
	return ARRAY + 64 * (uint64_t)frame;
}

static void put(struct kmem *k, uint32_t frame, struct page page)
{
	kmem_put64(k, page_at(frame), page.flags);
	kmem_put64(k, page_at(frame) + 8, page.compound_head);
	if (page.compound_dtor)
		kmem_put(k, page_at(frame) + 16, &page.compound_dtor, 1);
	kmem_put64(k, page_at(frame) + 24, page.mapping);
	kmem_put64(k, page_at(frame) + 40, page.private);
	kmem_put32(k, page_at(frame) + 48, (uint32_t)page.mapcount);
	kmem_put32(k, page_at(frame) + 52, (uint32_t)page.refcount);
}

static void put_block(struct kmem *k, uint32_t frame, uint64_t order)
{
	put(k, frame, (struct page){ .private = order, .mapcount = FRAMES_BUDDY });
}

static void put_tails(struct kmem *k, uint32_t head, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		put(k, head + i, (struct page){ .compound_head = page_at(head) + 1 });
}

/* All in use by nobody knows whom; the kernel's code is reserved. */
static int setup(void **state)
{
	kmem_setup(state);
	struct kmem *k = *state;

	frames_describe(&k->lx, FRAMES_INFO);
	kmem_put64(k, KMEM_BASE, SECTIONS);
	for (uint32_t i = 0; i < 8; i++)
		kmem_put64(k, SECTIONS + 16 * (uint64_t)i, ARRAY | 3);
	for (uint32_t i = 0; i < N_FRAMES; i++)
		put(k, i, (struct page){ .mapcount = -1, .refcount = 1 });
	put(k, FRAMES_TEXT,
	    (struct page){ .flags = FRAMES_RESERVED, .mapcount = -1, .refcount = 1 });
	return 0;
}

static uint8_t uses[N_FRAMES];

/* Uses of all of them, asked for from first on and some at a time. */
static void read_from(struct kmem *k, uint32_t first, uint32_t at_once)
{
	struct sonde_frames *frames;

	assert_int_equal(linux_frames(&k->lx.os, &frames, NULL), 0);
	assert_int_equal(frames->size, 4096);
	memset(uses, 0xee, sizeof(uses));
	for (uint32_t at = first; at < N_FRAMES; at += at_once) {
		uint32_t n = N_FRAMES - at < at_once ? N_FRAMES - at : at_once;
		memset(uses + at, SONDE_FRAME_OTHER, n);
		assert_int_equal(frames->read(frames, at, uses + at, n), 0);
	}
	frames->close(frames);
}

static uint32_t count(uint8_t use)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_FRAMES; i++)
		n += uses[i] == use;
	return n;
}

static void each_kind_is_told(void **state)
{
	static const struct {
		struct page page;
		uint8_t use;
	} kinds[] = {
		{ { .flags = FRAMES_LRU }, SONDE_FRAME_CACHE },
		{ { .flags = FRAMES_LRU | FRAMES_PRIVATE }, SONDE_FRAME_CACHE_PRIVATE },
		{ { .flags = FRAMES_SWAPCACHE | FRAMES_SWAPBACKED }, SONDE_FRAME_CACHE },
		{ { .flags = FRAMES_SWAPCACHE }, SONDE_FRAME_OTHER },
		{ { .flags = FRAMES_PRIVATE }, SONDE_FRAME_OTHER },
		{ { .flags = FRAMES_LRU, .mapping = KMEM_BASE | ANON }, SONDE_FRAME_USER },
		{ { .mapping = KMEM_BASE | 3 }, SONDE_FRAME_USER },
		{ { .mapping = KMEM_BASE | 2 }, SONDE_FRAME_OTHER },
		{ { .flags = FRAMES_SLAB, .mapping = KMEM_BASE | ANON }, SONDE_FRAME_OTHER },
		{ { .mapping = KMEM_BASE | ANON, .mapcount = SLAB_TYPE }, SONDE_FRAME_OTHER },
		{ { .mapcount = HUGETLB_TYPE }, SONDE_FRAME_USER },
		{ { .mapcount = FRAMES_OFFLINE }, SONDE_FRAME_OFFLINE },
		{ { .flags = FRAMES_HWPOISON | FRAMES_LRU }, SONDE_FRAME_POISONED },
		{ { .flags = FRAMES_RESERVED }, SONDE_FRAME_RESERVED },
	};
	struct kmem *k = *state;
	const uint32_t n = sizeof(kinds) / sizeof(kinds[0]);

	for (uint32_t i = 0; i < n; i++)
		put(k, 600 + i, kinds[i].page);
	read_from(k, 0, N_FRAMES);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(uses[600 + i], kinds[i].use);
	assert_int_equal(uses[599], SONDE_FRAME_OTHER);
	assert_int_equal(uses[600 + n], SONDE_FRAME_OTHER);
}

static void put_free(struct kmem *k, uint32_t frame, uint64_t order)
{
	put_block(k, frame, order);
	for (uint32_t i = 1; i < 1u << order; i++)
		put(k, frame + i, (struct page){ .mapcount = -1 });
}

static void a_free_block_is_free_wherever_one_begins_to_ask(void **state)
{
	struct kmem *k = *state;

	put_free(k, 512, 9);
	put_free(k, 1040, 4);
	put_free(k, 1100, 0);
	for (uint32_t first = 0; first <= 512 + 511; first += 73) {
		read_from(k, first, 73);
		for (uint32_t i = first; i < N_FRAMES; i++)
			assert_int_equal(uses[i] == SONDE_FRAME_FREE,
					 (i >= 512 && i < 1024) || (i >= 1040 && i < 1056) ||
						 i == 1100);
	}
}

static void what_has_users_is_not_free(void **state)
{
	struct kmem *k = *state;

	put_free(k, 1024, 5);
	put(k, 1030, (struct page){ .mapcount = -1, .refcount = 1 });
	put(k, 2048, (struct page){ .private = 0, .mapcount = FRAMES_BUDDY, .refcount = 2 });
	read_from(k, 0, N_FRAMES);
	assert_int_equal(uses[1030], SONDE_FRAME_OTHER);
	assert_int_equal(uses[2048], SONDE_FRAME_OTHER);
	assert_int_equal(count(SONDE_FRAME_FREE), 31);
}

static void a_block_that_cannot_be_is_none(void **state)
{
	struct kmem *k = *state;

	put_block(k, 1025, 5);          /* begins where none of its size does */
	put_block(k, 2048, 10);         /* larger than any                    */
	put_block(k, 2560, UINT64_MAX); /* ...                                */
	put(k, 2700, (struct page){ .flags = FRAMES_SLAB, .mapcount = FRAMES_BUDDY });
	read_from(k, 0, N_FRAMES);
	assert_int_equal(count(SONDE_FRAME_FREE), 0);
}

static void a_tail_is_what_its_head_is(void **state)
{
	struct kmem *k = *state;

	put(k, 1024,
	    (struct page){ .flags = FRAMES_HEAD | FRAMES_LRU, .mapping = KMEM_BASE | ANON });
	put_tails(k, 1024, 8);
	put(k, 1040, (struct page){ .flags = FRAMES_HEAD });
	put_tails(k, 1040, 4);
	put(k, 1041,
	    (struct page){ .compound_head = page_at(1040) + 1, .compound_dtor = DTOR_HUGETLB });
	for (uint32_t first = 1020; first < 1050; first++) {
		read_from(k, first, 3);
		for (uint32_t i = first; i < 1050; i++)
			assert_int_equal(uses[i] == SONDE_FRAME_USER,
					 (i >= 1024 && i < 1032) || (i >= 1040 && i < 1044));
	}
}

static void a_page_larger_than_a_section_is_known_by_its_head(void **state)
{
	struct kmem *k = *state;

	put(k, 1024, (struct page){ .flags = FRAMES_HEAD, .mapcount = HUGETLB_TYPE });
	put_tails(k, 1024, 2048);
	read_from(k, 0, N_FRAMES);
	assert_int_equal(count(SONDE_FRAME_USER), 2048);
	assert_int_equal(uses[3071], SONDE_FRAME_USER);
	assert_int_equal(uses[3072], SONDE_FRAME_OTHER);
}

static void a_tail_that_points_astray_is_kept(void **state)
{
	const uint64_t heads[] = { 1,
				   page_at(3000) + 1,
				   page_at(3001) + 1,
				   UINT64_MAX,
				   page_at(2999) + 3,
				   page_at(2990) + 1,
				   KMEM_HOLE + 1 };
	struct kmem *k = *state;

	put(k, 2990, (struct page){ .flags = FRAMES_LRU }); /* no head */
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		put(k, 3000, (struct page){ .compound_head = heads[i] });
		read_from(k, 0, N_FRAMES);
		assert_int_equal(uses[3000], SONDE_FRAME_OTHER);
		put(k, 512, (struct page){ .compound_head = heads[i] }); /* first of a window */
		read_from(k, 0, N_FRAMES);
		assert_int_equal(uses[512], SONDE_FRAME_OTHER);
	}
	put(k, 3000, (struct page){ .compound_head = page_at(2999) + 1 });
	put(k, 2999,
	    (struct page){ .flags = FRAMES_HEAD | FRAMES_LRU, .compound_head = page_at(2998) + 1 });
	read_from(k, 0, N_FRAMES);
	assert_int_equal(uses[3000], SONDE_FRAME_OTHER);
}

static void what_cannot_be_read_of_the_array_is_kept(void **state)
{
	struct kmem *k = *state;

	put_free(k, 1024, 9);
	k->missing = page_at(1088);
	read_from(k, 0, N_FRAMES);
	assert_int_equal(uses[1087], SONDE_FRAME_FREE);
	assert_int_equal(uses[1280], SONDE_FRAME_FREE);
	kmem_put64(k, SECTIONS + 16 * 2, ARRAY | 1); /* present, without an array */
	read_from(k, 0, N_FRAMES);
	assert_int_equal(count(SONDE_FRAME_FREE), 0);
}

static void frames_that_no_section_has_are_kept(void **state)
{
	struct kmem *k = *state;
	struct sonde_frames *frames;
	uint8_t ret[5];

	assert_int_equal(linux_frames(&k->lx.os, &frames, NULL), 0);
	for (uint64_t first = UINT64_MAX; first > 1; first /= 3) {
		memset(ret, SONDE_FRAME_OTHER, sizeof(ret));
		assert_int_equal(frames->read(frames, first, ret, sizeof(ret)), 0);
		assert_int_equal(ret[0] | ret[4], SONDE_FRAME_OTHER);
	}
	frames->close(frames);
}

static void many_cost_few_trips(void **state)
{
	struct kmem *k = *state;
	struct sonde_frames *frames;

	assert_int_equal(linux_frames(&k->lx.os, &frames, NULL), 0);
	size_t before = k->trips;
	assert_int_equal(frames->read(frames, 0, uses, N_FRAMES), 0);
	assert_true(k->trips - before <= 8); /* the sections */
	frames->close(frames);
}

/* ---- refused ------------------------------------------------------------------------------------------ */

static void refuse(struct kmem *k, int code, const char *part)
{
	struct sonde_frames *frames;
	struct sonde_error err;

	assert_int_equal(linux_frames(&k->lx.os, &frames, &err), code);
	if (!strstr(err.text, part))
		fail_msg("'%s' does not say '%s'", err.text, part);
}

static struct sonde_types *no_types(void)
{
	struct btf_build build = { 0 };
	struct sonde_types *types;
	size_t len;
	uint8_t *blob;

	build_world(&build, &(struct world){ 0 });
	blob = btf_blob(&build, BLOB_HOST_ORDER, &len);
	assert_int_equal(types_from_btf(blob, len, TYPES_COPY, "a test", &types, NULL), 0);
	btf_build_finish(&build);
	free(blob);
	return types;
}

/* The lines of FRAMES_INFO but those with a word in them. */
static void describe_without(struct kmem *k, const char *word)
{
	char info[sizeof(FRAMES_INFO)] = "", *copy = strdup(FRAMES_INFO), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		if (!strstr(line, word))
			strcat(strcat(info, line), "\n");
	}
	free(copy);
	frames_describe(&k->lx, info);
}

static void a_kernel_that_does_not_tell_is_refused(void **state)
{
	static const char *const words[] = { "PG_lru",        "PG_private",  "PG_swapcache",
					     "PG_swapbacked", "PG_head",     "PG_reserved",
					     "PAGE_BUDDY",    "mem_section", "SECTION_SIZE_BITS",
					     "zone.free_area" };
	struct kmem *k = *state;

	k->lx.os.types = no_types();
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		describe_without(k, words[i]);
		refuse(k, SONDE_E_UNSUPPORTED, words[i]);
	}
	frames_describe(&k->lx, FRAMES_INFO);
	k->lx.layout.page_mapcount = (struct field){ 0 };
	refuse(k, SONDE_E_UNSUPPORTED, "page._mapcount");
	k->lx.layout.page_mapcount = (struct field){ 61, 4 };
	refuse(k, SONDE_E_UNSUPPORTED, "page._mapcount");
	types_destroy(k->lx.os.types);
}

static void an_array_in_which_the_kernel_is_not_reserved_is_none(void **state)
{
	struct kmem *k = *state;

	put(k, FRAMES_TEXT, (struct page){ .refcount = 1 });
	refuse(k, SONDE_E_CORRUPT, "reserved");
	kmem_put64(k, KMEM_BASE, KMEM_HOLE);
	refuse(k, SONDE_E_CORRUPT, "reserved");
}

static void numbers_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *key, *line;
		int code;
	} lies[] = {
		{ "SECTION_SIZE_BITS", "NUMBER(SECTION_SIZE_BITS)=11\n", SONDE_E_CORRUPT },
		{ "SECTION_SIZE_BITS", "NUMBER(SECTION_SIZE_BITS)=25\n", SONDE_E_CORRUPT },
		{ "SECTION_SIZE_BITS", "NUMBER(SECTION_SIZE_BITS)=20\n", SONDE_E_CORRUPT },
		{ "MAX_PHYSMEM_BITS", "NUMBER(MAX_PHYSMEM_BITS)=53\n", SONDE_E_CORRUPT },
		{ "free_area", "LENGTH(zone.free_area)=0\n", SONDE_E_CORRUPT },
		{ "LENGTH(mem_section)", "LENGTH(mem_section)=2\n", SONDE_E_UNSUPPORTED },
	};
	struct kmem *k = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		describe_without(k, lies[i].key);
		memcpy(k->lx.info.text + k->lx.info.len, lies[i].line, strlen(lies[i].line));
		k->lx.info.len += (uint32_t)strlen(lies[i].line);
		refuse(k, lies[i].code, "linux:");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kmem_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_kind_is_told),
		TEST(a_free_block_is_free_wherever_one_begins_to_ask),
		TEST(what_has_users_is_not_free),
		TEST(a_block_that_cannot_be_is_none),
		TEST(a_tail_is_what_its_head_is),
		TEST(a_page_larger_than_a_section_is_known_by_its_head),
		TEST(a_tail_that_points_astray_is_kept),
		TEST(what_cannot_be_read_of_the_array_is_kept),
		TEST(frames_that_no_section_has_are_kept),
		TEST(many_cost_few_trips),
		TEST(a_kernel_that_does_not_tell_is_refused),
		TEST(an_array_in_which_the_kernel_is_not_reserved_is_none),
		TEST(numbers_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

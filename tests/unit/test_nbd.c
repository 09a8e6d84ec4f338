/* SPDX-License-Identifier: MIT */
/* NBD by its bytes: what 'sonde serve' makes of a target and of requests, and what the nbd connector makes of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../connectors/nbd/pace.h"
#include "../../connectors/nbd/replies.h"
#include "../../tools/sonde/serve/failures.h"
#include "../../tools/sonde/serve/handshake.h"
#include "../../tools/sonde/serve/proto.h"
#include "../../tools/sonde/serve/request.h"

#include <sonde/error.h>
#include <string.h>

#define RAM (SONDE_REGION_RAM | SONDE_REGION_READ)

static struct export_region regions[] = {
	{ 0x1000, 0x3000, RAM },
	{ 0x4000, 0x1000, RAM | SONDE_REGION_WRITE },
	{ 0x10000000000, 0x1000, SONDE_REGION_DEVICE },
};
static const struct export export = { .name = "ram",
				      .description = "physical memory: of a test",
				      .size = 0x10000001000,
				      .regions = regions,
				      .n_regions = 3 };

/* ---- blocks ------------------------------------------------------------------------------------- */

static void status_is(uint32_t context, uint64_t off, uint64_t len, size_t cap,
		      const struct export_extent *want, size_t n)
{
	struct export_extent got[8];

	assert_int_equal(export_status(&export, context, off, len, got, cap), n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].len, want[i].len);
		assert_int_equal(got[i].flags, want[i].flags);
	}
}

static void regions_that_are_alike_to_a_context_are_one_extent(void **state)
{
	const struct export_extent allocation[] = { { 0x1000, 3 }, { 0x4000, 0 }, { 0x1000, 3 } };
	const struct export_extent flags[] = {
		{ 0x1000, 0 }, { 0x3000, RAM }, { 0x1000, RAM | SONDE_REGION_WRITE }, { 0x1000, 0 }
	};

	(void)state;
	status_is(EXPORT_ALLOCATION, 0, 0x6000, 8, allocation, 3);
	status_is(EXPORT_REGIONS, 0, 0x6000, 8, flags, 4);
	status_is(EXPORT_REGIONS, 0, 0x6000, 1, flags, 1);
}

static void an_extent_begins_and_ends_where_it_was_asked(void **state)
{
	const struct export_extent inside[] = { { 0x10, 0 } };
	const struct export_extent last[] = { { 0x800, 3 }, { 0x1000, 0 } };

	(void)state;
	status_is(EXPORT_ALLOCATION, 0x1ff8, 0x10, 8, inside, 1);
	status_is(EXPORT_ALLOCATION, 0xfffffff800, 0x1800, 8, last, 2);
}

static void holes_beyond_32_bits_are_several_extents(void **state)
{
	const struct export_extent want[] = { { 0xfffff000, 3 }, { 0xfffff000, 3 } };

	(void)state;
	status_is(EXPORT_ALLOCATION, 0x5000, UINT64_C(0x8000000000), 2, want, 2);
}

/* ---- requests ----------------------------------------------------------------------------------- */

static const struct request read_at_7 = { .cookie = 0x0102030405060708, .off = 7, .len = 9 };

static void a_request_is_taken_apart(void **state)
{
	const uint8_t bytes[REQUEST_BYTES] = {
		0x25, 0x60, 0x95, 0x13, 0, 4, 0, 7, 1, 2, 3, 4, 5, 6,
		7,    8,    0,    0,    0, 1, 0, 0, 0, 2, 0, 0, 1, 0
	};
	struct request request;

	(void)state;
	assert_true(request_parse(bytes, &request));
	assert_int_equal(request.flags, NBD_CMD_FLAG_DF);
	assert_int_equal(request.command, NBD_CMD_BLOCK_STATUS);
	assert_int_equal(request.cookie, read_at_7.cookie);
	assert_int_equal(request.off, 0x100000002);
	assert_int_equal(request.len, 256);
}

static void heads_of_replies_have_the_protocols_bytes(void **state)
{
	static const uint8_t simple[] = {
		0x67, 0x44, 0x66, 0x98, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8
	};
	static const uint8_t data[] = { 0x66, 0x8e, 0x33, 0xef, 0, 1,  0, 1, 1, 2, 3, 4, 5, 6,
					7,    8,    0,    0,    0, 17, 0, 0, 0, 0, 0, 0, 0, 7 };
	static const uint8_t hole[] = {
		0x66, 0x8e, 0x33, 0xef, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8,
		0,    0,    0,    12,   0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9
	};
	static const uint8_t error[] = { 0x66, 0x8e, 0x33, 0xef, 0, 1, 0x80, 2,  1, 2, 3, 4,
					 5,    6,    7,    8,    0, 0, 0,    16, 0, 0, 0, 5,
					 0,    2,    'n',  'o',  0, 0, 0,    0,  0, 0, 0, 9 };
	const uint64_t off = 9;
	uint8_t out[REPLY_HEAD_MAX];

	(void)state;
	assert_int_equal(reply_simple(out, &read_at_7, NBD_EIO), sizeof(simple));
	assert_memory_equal(out, simple, sizeof(simple));
	assert_int_equal(reply_data(out, &read_at_7, true, 7, 9), sizeof(data));
	assert_memory_equal(out, data, sizeof(data));
	assert_int_equal(reply_hole(out, &read_at_7, false, 7, 9), sizeof(hole));
	assert_memory_equal(out, hole, sizeof(hole));
	assert_int_equal(reply_error(out, &read_at_7, true, NBD_EIO, "no", &off), sizeof(error));
	assert_memory_equal(out, error, sizeof(error));
}

static void requests_that_cannot_be_served_have_their_error(void **state)
{
	static const struct {
		uint32_t command, flags, len;
		uint64_t off;
		uint32_t want;
	} cases[] = {
		{ NBD_CMD_READ, 0, 1, 0x10000000fff, 0 },
		{ NBD_CMD_READ, 0, 1, 0x10000001000, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 2, UINT64_MAX, NBD_EINVAL },
		{ NBD_CMD_READ, 0, 0, 0, NBD_EINVAL },
		{ NBD_CMD_READ, 0, EXPORT_PAYLOAD_MAX, 0, 0 },
		{ NBD_CMD_READ, 0, EXPORT_PAYLOAD_MAX + 1, 0, NBD_EINVAL },
		{ NBD_CMD_READ, NBD_CMD_FLAG_DF, 1, 0, 0 },
		{ NBD_CMD_READ, NBD_CMD_FLAG_REQ_ONE, 1, 0, NBD_EINVAL },
		{ NBD_CMD_CACHE, 0, UINT32_MAX, 0, 0 },
		{ NBD_CMD_BLOCK_STATUS, NBD_CMD_FLAG_REQ_ONE, UINT32_MAX, 0, 0 },
		{ NBD_CMD_WRITE, 0, 1, 0, NBD_EPERM },
		{ NBD_CMD_FLUSH, 0, 0, 0, NBD_EINVAL },
		{ 4, 0, 1, 0, NBD_EINVAL },
	};
	const struct request_terms terms = { true, EXPORT_ALLOCATION };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct request request = { .command = (uint16_t)cases[i].command,
						 .flags = (uint16_t)cases[i].flags,
						 .off = cases[i].off,
						 .len = cases[i].len };
		assert_int_equal(request_check(&request, &export, &terms), cases[i].want);
	}
}

/* ---- stretches that failed --------------------------------------------------------------------- */

static void failures_come_in_any_order_and_leave_in_theirs(void **state)
{
	const struct stretch want[] = {
		{ 0, 10, 0 }, { 10, 20, SONDE_E_IO }, { 30, 5, SONDE_E_NOT_MAPPED }, { 35, 65, 0 }
	};
	struct failures failures = { 0 };
	uint32_t next = 0, off = 0;

	(void)state;
	failures_add(&failures, 30, 5, SONDE_E_NOT_MAPPED);
	failures_add(&failures, 10, 4, SONDE_E_IO);
	failures_add(&failures, 14, 16, SONDE_E_IO);
	failures_seal(&failures, 100, 75);
	assert_false(failures.is_lost);
	for (size_t i = 0; i < 4; i++) {
		struct stretch got = failures_stretch(&failures, off, 100, &next);
		assert_memory_equal(&got, &want[i], sizeof(got));
		off += got.len;
	}
	assert_int_equal(off, 100);
	failures_finish(&failures);
}

static void what_was_not_told_makes_a_read_lost(void **state)
{
	struct failures failures = { 0 };

	(void)state;
	failures_add(&failures, 30, 5, SONDE_E_IO);
	failures_seal(&failures, 100, 94);
	assert_true(failures.is_lost);
	failures_finish(&failures);
	for (uint32_t i = 0; i <= FAILURES_MAX; i++)
		failures_add(&failures, 2 * i, 1, SONDE_E_IO);
	assert_true(failures.is_lost);
	failures_finish(&failures);
}

/* ---- the negotiation -------------------------------------------------------------------------------- */

static enum handshake_step say(struct handshake *h, uint32_t option, const void *data, uint32_t len)
{
	uint8_t head[16], *at = nbd_put(head, 8, NBD_OPT_MAGIC);

	nbd_put(nbd_put(at, 4, option), 4, len);
	assert_int_equal(handshake_need(h), sizeof(head));
	assert_int_equal(handshake_take(h, head), HANDSHAKE_MORE);
	assert_int_equal(handshake_need(h), len);
	return handshake_take(h, data);
}

/* The type of the last answer; answers follow each other without a gap. */
static uint32_t answered(const struct handshake *h)
{
	size_t at = 0;
	uint32_t type = 0;

	while (at < h->n_answer) {
		type = (uint32_t)sonde_load(h->answer + at + 12, 4, SONDE_BIG);
		at += 20 + sonde_load(h->answer + at + 16, 4, SONDE_BIG);
	}
	assert_int_equal(at, h->n_answer);
	return type;
}

static void begin(struct handshake *h, enum handshake_tls tls)
{
	static const uint8_t flags[4] = { 0, 0, 0, 3 };

	*h = (struct handshake){ .export = &export, .tls = tls };
	handshake_begin(h);
	assert_int_equal(h->n_answer, 18);
	assert_int_equal(handshake_need(h), 4);
	assert_int_equal(handshake_take(h, flags), HANDSHAKE_MORE);
}

static void nothing_is_answered_before_tls_where_it_must_be(void **state)
{
	struct handshake h;

	(void)state;
	begin(&h, HANDSHAKE_TLS_MUST);
	for (uint32_t option = NBD_OPT_LIST; option <= NBD_OPT_SET_META_CONTEXT; option++) {
		if (option == NBD_OPT_STARTTLS)
			continue;
		assert_int_equal(say(&h, option, "", 0), HANDSHAKE_MORE);
		assert_int_equal(answered(&h), NBD_REP_ERR_TLS_REQD);
	}
	assert_int_equal(say(&h, NBD_OPT_STARTTLS, "", 0), HANDSHAKE_SECURE);
	handshake_secured(&h);
	assert_int_equal(say(&h, NBD_OPT_STARTTLS, "", 0), HANDSHAKE_MORE);
	assert_int_equal(answered(&h), NBD_REP_ERR_INVALID);
	assert_int_equal(say(&h, NBD_OPT_GO, "\0\0\0\3ram\0\0", 9), HANDSHAKE_GO);
	begin(&h, HANDSHAKE_TLS_MUST);
	assert_int_equal(say(&h, NBD_OPT_EXPORT_NAME, "", 0), HANDSHAKE_BROKEN);
}

static void what_was_agreed_on_in_plain_is_forgotten_by_tls(void **state)
{
	struct handshake h;

	(void)state;
	begin(&h, HANDSHAKE_TLS_MUST);
	h.structured = true;
	h.contexts = EXPORT_REGIONS;
	handshake_secured(&h);
	assert_false(h.structured);
	assert_int_equal(h.contexts, 0);
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		const char *data;
		uint32_t len;
	} cases[] = {
		{ "", 0 },
		{ "\0\0\0\4ram\0\0", 9 },
		{ "\377\377\377\377ram\0\0", 9 },
		{ "\0\0\0\3ram", 7 },
		{ "\0\0\0\3ram\0\1", 9 },
		{ "\0\0\0\3ram\0\0\0", 10 },
	};
	struct handshake h;

	(void)state;
	begin(&h, HANDSHAKE_TLS_NONE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(say(&h, NBD_OPT_GO, cases[i].data, cases[i].len), HANDSHAKE_MORE);
		assert_int_equal(answered(&h), NBD_REP_ERR_INVALID);
	}
	assert_int_equal(say(&h, NBD_OPT_GO, "\0\0\0\3rom\0\0", 9), HANDSHAKE_MORE);
	assert_int_equal(answered(&h), NBD_REP_ERR_UNKNOWN);
}

static void too_many_clients_are_told_and_old_ones_cut_off(void **state)
{
	struct handshake h;

	(void)state;
	begin(&h, HANDSHAKE_TLS_NONE);
	h.is_full = true;
	assert_int_equal(say(&h, NBD_OPT_GO, "\0\0\0\0\0\0", 6), HANDSHAKE_MORE);
	assert_int_equal(answered(&h), NBD_REP_ERR_POLICY);
	assert_int_equal(say(&h, NBD_OPT_EXPORT_NAME, "", 0), HANDSHAKE_BROKEN);
}

/* ---- chunks ------------------------------------------------------------------------------------------- */

struct told {
	struct mark at[8];
	size_t n;
};

static void note(void *user, uint32_t off, uint32_t len, int32_t err)
{
	struct told *told = user;

	told->at[told->n++] = (struct mark){ off, len, err };
}

static void told_is(const struct mark *marks, size_t n_marks, const struct mark *want, size_t n)
{
	struct replies replies = { 0 };
	struct told told = { 0 };

	for (size_t i = 0; i < n_marks; i++)
		assert_int_equal(replies_add(&replies, marks[i]), 0);
	replies_end(&replies, 100, SONDE_E_GONE, note, &told);
	assert_int_equal(told.n, n);
	assert_memory_equal(told.at, want, n * sizeof(*want));
	replies_finish(&replies);
}

static void what_no_chunk_covers_has_failed(void **state)
{
	const struct mark all[] = { { .off = 0, .len = 60 }, { .off = 60, .len = 40 } };
	const struct mark some[] = { { .off = 70, .len = 10 }, { .off = 0, .len = 20 } };
	const struct mark missing[] = { { 20, 50, SONDE_E_GONE }, { 80, 20, SONDE_E_GONE } };

	(void)state;
	told_is(all, 2, NULL, 0);
	told_is(some, 2, missing, 2);
	told_is(NULL, 0, &(struct mark){ 0, 100, SONDE_E_GONE }, 1);
}

static void an_error_reaches_to_what_came_behind_it(void **state)
{
	const struct mark marks[] = { { .off = 50, .len = 10 },
				      { .off = 20, .err = SONDE_E_IO },
				      { .off = 0, .len = 20 },
				      { .off = 60, .err = SONDE_E_NO_ACCESS },
				      { .off = 80, .err = SONDE_E_IO } };
	const struct mark want[] = { { 20, 30, SONDE_E_IO },
				     { 60, 20, SONDE_E_NO_ACCESS },
				     { 80, 20, SONDE_E_IO } };

	(void)state;
	told_is(marks, 5, want, 3);
}

/* ---- the pace -------------------------------------------------------------------------------------- */

/* A server, and what an answer costs the thread: so much, and more for each command in flight. */
struct course {
	uint64_t way_ns; /* of a command and its answer */
	uint64_t ns, ns_each;
	uint64_t now_ns, worked_ns;
};

/* n answers come in lots, as fast as the thread, or the way, allows. */
static void answers(struct course *course, struct pace *pace, uint32_t n)
{
	enum { LOT = 16 };

	for (uint32_t i = 0; i < n; i += LOT) {
		uint64_t work = course->ns + pace->window * course->ns_each;
		uint64_t way = course->way_ns / pace->window;
		course->worked_ns += LOT * work;
		course->now_ns += LOT * (work > way ? work : way);
		if (pace_count(pace, LOT))
			pace_weigh(pace, course->now_ns, course->worked_ns);
	}
}

static void a_server_nearby_is_asked_for_less_at_once(void **state)
{
	struct course near = { .way_ns = 100000, .ns = 4000, .ns_each = 12, .now_ns = 1 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 256);
	answers(&near, &pace, 10000);
	assert_int_equal(pace.window, PACE_LEAST);
	near.way_ns = 5000000; /* it is far now */
	answers(&near, &pace, 2000);
	assert_int_equal(pace.window, 256);
}

static void a_server_far_away_keeps_all_in_flight(void **state)
{
	struct course far = { .way_ns = 5000000, .ns = 4000, .ns_each = 12, .now_ns = 1 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 256);
	for (unsigned i = 0; i < 1000; i++) {
		answers(&far, &pace, 64);
		assert_int_equal(pace.window, 256);
	}
}

/* The thread is busy, and would still miss what is not in flight. */
static void what_trials_cost_is_little(void **state)
{
	struct course between = { .way_ns = 2200000, .ns = 7000, .now_ns = 1 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 256);
	answers(&between, &pace, 100000);
	assert_in_range(between.now_ns, 1, UINT64_C(100000) * 2200000 / 256 * 103 / 100);
}

static void few_answers_in_a_row_ask_for_no_clock(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 256);
	for (unsigned i = 0; i < 1000; i++) {
		pace_rest(&pace);
		assert_false(pace_count(&pace, 200));
	}
}

static void no_more_than_was_asked_for_is_in_flight(void **state)
{
	struct course near = { .way_ns = 100000, .ns = 4000, .ns_each = 12, .now_ns = 1 };
	struct pace pace;

	(void)state;
	for (uint32_t most = 1; most <= 2 * PACE_LEAST; most++) {
		pace_init(&pace, most);
		for (unsigned i = 0; i < 100; i++) {
			near.way_ns = i % 10 ? 100000 : 5000000;
			answers(&near, &pace, 4 * most);
			assert_in_range(pace.window, most < PACE_LEAST ? most : PACE_LEAST, most);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_that_are_alike_to_a_context_are_one_extent),
		cmocka_unit_test(an_extent_begins_and_ends_where_it_was_asked),
		cmocka_unit_test(holes_beyond_32_bits_are_several_extents),
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(heads_of_replies_have_the_protocols_bytes),
		cmocka_unit_test(requests_that_cannot_be_served_have_their_error),
		cmocka_unit_test(failures_come_in_any_order_and_leave_in_theirs),
		cmocka_unit_test(what_was_not_told_makes_a_read_lost),
		cmocka_unit_test(nothing_is_answered_before_tls_where_it_must_be),
		cmocka_unit_test(what_was_agreed_on_in_plain_is_forgotten_by_tls),
		cmocka_unit_test(lengths_that_do_not_fit_are_refused),
		cmocka_unit_test(too_many_clients_are_told_and_old_ones_cut_off),
		cmocka_unit_test(what_no_chunk_covers_has_failed),
		cmocka_unit_test(an_error_reaches_to_what_came_behind_it),
		cmocka_unit_test(a_server_nearby_is_asked_for_less_at_once),
		cmocka_unit_test(a_server_far_away_keeps_all_in_flight),
		cmocka_unit_test(what_trials_cost_is_little),
		cmocka_unit_test(few_answers_in_a_row_ask_for_no_clock),
		cmocka_unit_test(no_more_than_was_asked_for_is_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

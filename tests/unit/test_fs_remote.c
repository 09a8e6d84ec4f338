/* SPDX-License-Identifier: MIT */
/*
 * The client of 9P2000.L against servers that answer late, in another order, in part, wrongly or not at
 * all. What it does where all is well: test_fs.c; the server: test_fs_server.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sonde/dir.h>
#include <sonde/fs_remote.h>

#include "ninep/words.h"
#include "ninep_puppet.h"

#define ROOT SONDE_FS_ROOT
#define AGES_NS (600 * UINT64_C(1000000000))
#define PIECE (NINEP_MSIZE_MIN - NINEP_IO_HEAD) /* bytes of one message, as these clients agree */

struct fixture {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	struct puppet *puppet;
	uint64_t patience_ns, silence_ns;
};

static int connect_to(struct fixture *f, struct sonde_error *err)
{
	const struct sonde_fs_remote_options options = { .size = sizeof(options),
							 .msize = NINEP_MSIZE_MIN,
							 .patience_ns = f->patience_ns,
							 .silence_ns = f->silence_ns };

	return sonde_fs_remote(NULL, f->loop, f->puppet->address, &options, &f->fs, err);
}

/* A file, open with a server that does as asked says, whose user is. */
static int begin(struct fixture *f, int (*asked)(struct puppet *, const struct ninep_msg *),
		 void *user)
{
	f->puppet = puppet_start(asked);
	f->puppet->user = user;
	puppet_go(f->puppet);
	assert_int_equal(sonde_loop_create(NULL, &f->loop, NULL), 0);
	assert_int_equal(connect_to(f, NULL), 0);
	int file =
		sonde_fs_open(NULL, f->fs, ROOT, "file", SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE, 0);
	return file;
}

static void end(struct fixture *f)
{
	sonde_fs_destroy(f->fs);
	puppet_stop(f->puppet);
	sonde_loop_destroy(f->loop);
}

static void answer_read(struct puppet *puppet, const struct ninep_msg *msg, uint32_t count)
{
	static uint8_t data[NINEP_MSIZE_MIN * 2];
	struct ninep_msg answer = {
		.type = NINEP_TREAD + 1, .tag = msg->tag, .count = count, .data = data
	};

	for (uint32_t i = 0; i < count; i++)
		data[i] = (uint8_t)((msg->off + i) % 251);
	puppet_send(puppet, &answer);
}

static void assert_bytes(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], i % 251);
}

/* ---- order --------------------------------------------------------------------------------------- */

enum { PIECES = 8 };

/* Nothing is answered before all have been asked, and then the last comes first. */
static int backwards(struct puppet *puppet, const struct ninep_msg *msg)
{
	static struct ninep_msg asked[PIECES];

	asked[(puppet->n_asked - 1) % PIECES] = *msg;
	for (int i = PIECES; i-- > 0 && puppet->n_asked == PIECES;)
		answer_read(puppet, &asked[i], asked[i].count);
	return 0;
}

static void pieces_are_under_way_together_and_come_in_any_order(void **state)
{
	static uint8_t bytes[PIECES * PIECE];
	struct fixture f = { 0 };
	int file = begin(&f, backwards, NULL);

	(void)state;
	assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)), sizeof(bytes));
	assert_bytes(bytes, sizeof(bytes));
	end(&f);
}

struct many {
	struct sonde_fs_io io;
	uint8_t bytes[16];
};

static void count(struct sonde_fs_io *io)
{
	++*(int *)io->user;
}

static void submit_many(struct fixture *f, int file, struct many *many, int n, int *n_done)
{
	for (int i = 0; i < n; i++) {
		many[i].io = (struct sonde_fs_io){ .op = SONDE_FS_READ,
						   .file = file,
						   .buf = many[i].bytes,
						   .len = 16,
						   .done = count,
						   .user = n_done };
		assert_int_equal(sonde_fs_submit(f->fs, &many[i].io), 0);
	}
}

static void requests_are_under_way_together_and_end_in_any_order(void **state)
{
	struct many many[PIECES] = { 0 };
	struct fixture f = { 0 };
	int file = begin(&f, backwards, NULL), n_done = 0;

	(void)state;
	submit_many(&f, file, many, PIECES, &n_done);
	assert_int_equal(sonde_loop_run(f.loop), 0);
	assert_int_equal(n_done, PIECES);
	for (int i = 0; i < PIECES; i++) {
		assert_int_equal(many[i].io.result, 16);
		assert_bytes(many[i].bytes, 16);
	}
	end(&f);
}

/* ---- a server that dies -------------------------------------------------------------------------- */

/* Three pieces come, of the fourth a part, then it is gone. */
static int die_in_the_middle(struct puppet *puppet, const struct ninep_msg *msg)
{
	if (puppet->n_asked < 4)
		answer_read(puppet, msg, msg->count);
	if (puppet->n_asked != 4)
		return 0;
	struct ninep_msg answer = {
		.type = NINEP_TREAD + 1, .tag = msg->tag, .count = msg->count, .data = puppet->in
	};
	ninep_encode(&answer, puppet->out, sizeof(puppet->out));
	send(puppet->fd, puppet->out, 100, MSG_NOSIGNAL);
	return 1;
}

static void what_came_before_a_server_died_is_kept(void **state)
{
	static uint8_t bytes[PIECES * PIECE];
	struct fixture f = { 0 };
	struct sonde_fs_info info;
	int file = begin(&f, die_in_the_middle, NULL);

	(void)state;
	assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)), 3 * PIECE);
	assert_bytes(bytes, 3 * PIECE);
	assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, 1), SONDE_E_GONE);
	assert_int_equal(sonde_fs_stat(NULL, f.fs, ROOT, "x", 0, &info), SONDE_E_GONE);
	assert_int_equal(sonde_fs_close(NULL, f.fs, file), SONDE_E_GONE);
	end(&f);
}

/* The second piece is cut short, those behind it are whole. */
static int cut_the_second(struct puppet *puppet, const struct ninep_msg *msg)
{
	answer_read(puppet, msg, puppet->n_asked == 2 ? 100 : msg->count);
	return 0;
}

static void what_lies_behind_a_gap_does_not_count(void **state)
{
	static uint8_t bytes[PIECES * PIECE];
	struct fixture f = { 0 };
	int file = begin(&f, cut_the_second, NULL);

	(void)state;
	assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)), PIECE + 100);
	assert_bytes(bytes, PIECE + 100);
	end(&f);
}

static int hang_up(struct puppet *puppet, const struct ninep_msg *msg)
{
	(void)msg;
	return puppet->n_asked == PIECES;
}

static void all_that_is_under_way_ends_when_a_server_dies(void **state)
{
	struct many many[3 * PIECES] = { 0 };
	struct fixture f = { 0 };
	int file = begin(&f, hang_up, NULL), n_done = 0;

	(void)state;
	submit_many(&f, file, many, 3 * PIECES, &n_done);
	assert_int_equal(sonde_loop_run(f.loop), 0);
	assert_int_equal(n_done, 3 * PIECES);
	for (int i = 0; i < 3 * PIECES; i++)
		assert_int_equal(many[i].io.result, SONDE_E_GONE);
	end(&f);
}

/* ---- a server that says nothing ------------------------------------------------------------------ */

static int say_nothing(struct puppet *puppet, const struct ninep_msg *msg)
{
	(void)puppet, (void)msg;
	return 0;
}

static void a_deadline_ends_what_is_not_answered(void **state)
{
	static uint8_t bytes[PIECES * PIECE];
	struct fixture f = { .patience_ns = 10000000 };
	struct sonde_fs_io io = { .op = SONDE_FS_READ,
				  .file = begin(&f, say_nothing, NULL),
				  .buf = bytes,
				  .len = sizeof(bytes),
				  .deadline_ns = sonde_now_ns() + 10000000 };

	(void)state;
	assert_int_equal(sonde_fs_run(NULL, f.fs, &io), SONDE_E_TIMED_OUT);
	end(&f);
}

/* Three pieces of a large read come; of all else nothing, and the connection stays. */
static int fall_silent(struct puppet *puppet, const struct ninep_msg *msg)
{
	if (msg->count == PIECE && msg->off < 3 * PIECE)
		answer_read(puppet, msg, msg->count);
	return 0;
}

static void what_came_before_a_server_fell_silent_is_kept(void **state)
{
	static uint8_t bytes[PIECES * PIECE];
	struct fixture f = { .silence_ns = 1000000000 };
	int file = begin(&f, fall_silent, NULL), n_done = 0;
	struct many many[PIECES] = { 0 };
	struct sonde_fs_info info;

	(void)state;
	submit_many(&f, file, many, PIECES, &n_done);
	assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)), 3 * PIECE);
	assert_bytes(bytes, 3 * PIECE);
	assert_int_equal(sonde_loop_run(f.loop), 0);
	assert_int_equal(n_done, PIECES);
	for (int i = 0; i < PIECES; i++)
		assert_int_equal(many[i].io.result, SONDE_E_TIMED_OUT);
	assert_int_equal(sonde_fs_stat(NULL, f.fs, ROOT, "x", 0, &info), SONDE_E_TIMED_OUT);
	end(&f);
}

/* Whoever asks late has not been kept waiting. */
static void a_program_that_computes_takes_no_server_for_silent(void **state)
{
	struct fixture f = { .silence_ns = 400000000 };
	int file = begin(&f, backwards, NULL), n_done = 0;
	struct many many[PIECES] = { 0 };

	(void)state;
	submit_many(&f, file, many, PIECES, &n_done);
	while (f.puppet->n_asked < PIECES)
		sonde_loop_turn(f.loop);
	usleep(800000);
	assert_int_equal(sonde_loop_run(f.loop), 0);
	for (int i = 0; i < PIECES; i++)
		assert_int_equal(many[i].io.result, 16);
	end(&f);
}

/* The answer is there before that of the flush: it has won. */
static int answer_when_flushed(struct puppet *puppet, const struct ninep_msg *msg)
{
	static struct ninep_msg asked;
	struct ninep_msg answer = { .type = NINEP_TFLUSH + 1, .tag = msg->tag };

	if (msg->type != NINEP_TFLUSH) {
		asked = *msg;
		return 0;
	}
	if (puppet->user)
		answer_read(puppet, &asked, asked.count);
	puppet_send(puppet, &answer);
	return 0;
}

static void whether_a_request_or_its_flush_won_is_told(void **state)
{
	static const int32_t want[] = { SONDE_E_TIMED_OUT, 16 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f = { .patience_ns = AGES_NS };
		uint8_t bytes[16];
		int file = begin(&f, answer_when_flushed, i ? &f : NULL);
		struct sonde_fs_io io = { .op = SONDE_FS_READ,
					  .file = file,
					  .buf = bytes,
					  .len = sizeof(bytes),
					  .deadline_ns = sonde_now_ns() + 10000000 };
		assert_int_equal(sonde_fs_run(NULL, f.fs, &io), want[i]);
		end(&f);
	}
}

/* A walk is answered when nobody waits for it any more, and then what is asked for. */
static int walk_late(struct puppet *puppet, const struct ninep_msg *msg)
{
	struct ninep_msg *walk = puppet->user;

	if (msg->type == NINEP_TWALK)
		*walk = *msg;
	if (msg->type != NINEP_TREAD)
		return 0;
	if (walk->type)
		puppet_agree(puppet, walk);
	walk->type = 0;
	answer_read(puppet, msg, msg->count);
	return 0;
}

/* What it made is put in order while the rest of what came is still taken apart. */
static void an_answer_that_comes_too_late_disturbs_no_other(void **state)
{
	struct fixture f = { .patience_ns = 10000000 };
	struct ninep_msg walk = { 0 };
	struct sonde_fs_info info;
	uint8_t bytes[3000];
	int file = begin(&f, walk_late, &walk);
	struct sonde_fs_io io = { .op = SONDE_FS_STAT,
				  .dir = ROOT,
				  .path = "x",
				  .info = &info,
				  .deadline_ns = sonde_now_ns() + 10000000 };

	(void)state;
	f.puppet->also = NINEP_TWALK;
	assert_int_equal(sonde_fs_run(NULL, f.fs, &io), SONDE_E_TIMED_OUT);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)),
				 sizeof(bytes));
		assert_bytes(bytes, sizeof(bytes));
	}
	end(&f);
}

/* ---- a server that lies -------------------------------------------------------------------------- */

static void put_raw(struct puppet *puppet, uint32_t size, uint8_t type, uint16_t tag,
		    const char *body, size_t len)
{
	uint8_t head[7] = {
		(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24),
		type,          (uint8_t)tag,         (uint8_t)(tag >> 8)
	};

	send(puppet->fd, head, sizeof(head), MSG_NOSIGNAL);
	send(puppet->fd, body, len, MSG_NOSIGNAL);
}

static int lie(struct puppet *puppet, const struct ninep_msg *msg)
{
	uint16_t tag = msg->tag;

	switch (*(int *)puppet->user) {
	case 0: /* more than was asked for */
		answer_read(puppet, msg, msg->count + 1);
		break;
	case 1: /* more than there is */
		put_raw(puppet, 11, NINEP_TREAD + 1, tag, "\xff\xff\xff\xff", 4);
		break;
	case 2: /* larger than any message */
		put_raw(puppet, 0x7fffffff, NINEP_TREAD + 1, tag, "\4\0\0\0text", 8);
		break;
	case 3: /* smaller than any */
		put_raw(puppet, 6, NINEP_TREAD + 1, tag, "", 0);
		break;
	case 4: /* to what nobody asked */
		put_raw(puppet, 7, NINEP_TCLUNK + 1, (uint16_t)(tag + 1), "", 0);
		break;
	case 5: /* of another kind */
		put_raw(puppet, 11, NINEP_TWRITE + 1, tag, "\1\0\0\0", 4);
		break;
	case 6: /* a tag that no client has */
		put_raw(puppet, 7, NINEP_TCLUNK + 1, 0xfffe, "", 0);
		break;
	case 7: /* a question */
		put_raw(puppet, 11, NINEP_TCLUNK, tag, "\1\0\0\0", 4);
		break;
	default:
		put_raw(puppet, 7, 255, tag, "", 0);
	}
	return 0;
}

static void a_server_that_breaks_the_protocol_is_gone(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		struct fixture f = { 0 };
		uint8_t bytes[64];
		int file = begin(&f, lie, &i);
		assert_true(sonde_fs_read(NULL, f.fs, file, 0, bytes, sizeof(bytes)) < 0);
		assert_int_equal(sonde_fs_read(NULL, f.fs, file, 0, bytes, 1), SONDE_E_GONE);
		end(&f);
	}
}

static void answer_list(struct puppet *puppet, const struct ninep_msg *msg, const char *name,
			uint64_t next)
{
	uint8_t data[512];
	const struct ninep_entry entry = { .next = next,
					   .type = 8,
					   .name = { name, (uint16_t)strlen(name) } };
	struct ninep_msg answer = { .type = msg->type + 1,
				    .tag = msg->tag,
				    .data = data,
				    .count = (uint32_t)ninep_encode_entry(&entry, data,
									  sizeof(data)) };

	puppet_send(puppet, &answer);
}

static const struct {
	const char *name;
	uint64_t next;
} lists[] = {
	{ "../../etc", 1 },
	{ "", 1 },
	{ ".", 1 },
	{ "ok", UINT64_MAX },
};

static int list_nonsense(struct puppet *puppet, const struct ninep_msg *msg)
{
	int i = *(int *)puppet->user;

	if (msg->type == NINEP_TREADDIR)
		answer_list(puppet, msg, lists[i].name, lists[i].next);
	return 0;
}

/* Names that lead elsewhere, marks that are none, and "." for ever. */
static void names_of_a_list_are_names(void **state)
{
	uint64_t room[SONDE_FS_LIST_MIN / 8];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct fixture f = { 0 };
		begin(&f, list_nonsense, &i);
		struct sonde_fs_io io = { .op = SONDE_FS_LIST, .buf = room, .len = sizeof(room) };
		io.file = sonde_fs_open(NULL, f.fs, ROOT, ".", SONDE_FS_DIRECTORY, 0);
		assert_true(io.file >= 0);
		assert_int_equal(sonde_fs_run(NULL, f.fs, &io), SONDE_E_IO);
		end(&f);
	}
}

static int refuse_walks(struct puppet *puppet, const struct ninep_msg *msg)
{
	struct ninep_msg answer = { .type = NINEP_RLERROR, .tag = msg->tag, .code = EOPNOTSUPP };

	puppet_send(puppet, &answer);
	return 0;
}

/* What is done otherwise where a request is not known begins where that was asked. */
static void where_a_way_ends_nothing_is_removed_or_renamed(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	begin(&f, refuse_walks, NULL);
	f.puppet->also = NINEP_TWALK;
	assert_int_equal(sonde_fs_remove(NULL, f.fs, ROOT, "a/b", 0), SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_fs_rename(NULL, f.fs, ROOT, "a/b", ROOT, "c", 0),
			 SONDE_E_UNSUPPORTED);
	assert_int_equal(f.puppet->n_asked, 2);
	end(&f);
}

static void a_handle_may_be_any_number(void **state)
{
	static const int32_t handles[] = { 0, 3, -2, INT32_MAX, INT32_MIN };
	struct fixture f = { 0 };
	uint8_t byte;

	(void)state;
	f.puppet = puppet_start(say_nothing);
	puppet_go(f.puppet);
	assert_int_equal(sonde_loop_create(NULL, &f.loop, NULL), 0);
	assert_int_equal(connect_to(&f, NULL), 0);
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		assert_int_equal(sonde_fs_read(NULL, f.fs, handles[i], 0, &byte, 1),
				 SONDE_E_BAD_ARG);
	end(&f);
}

/* Seconds count down before 1970, nanoseconds always up. */
static void times_may_be_any(void **state)
{
	static const int64_t times[] = { INT64_MIN, -1000000000, -1, 0, 1, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const struct sonde_fs_info info = { .modified_ns = times[i] };
		struct ninep_attr attr;
		ninep_tell_attr(&info, &attr);
		assert_true(attr.modified_ns < 1000000000);
		assert_true(attr.modified_s * 1000000000 + attr.modified_ns == (uint64_t)times[i]);
	}
}

/* ---- no such server ------------------------------------------------------------------------------ */

static void who_does_not_speak_it_is_told_from_who_is_not_there(void **state)
{
	struct sonde_fs_remote_options options = { .size = sizeof(options), .msize = 100 };
	struct sonde_error err = { 0 };
	struct fixture f = { 0 };

	(void)state;
	assert_int_equal(sonde_loop_create(NULL, &f.loop, NULL), 0);
	assert_int_equal(sonde_fs_remote(NULL, f.loop, "127.0.0.1:1", NULL, &f.fs, &err),
			 SONDE_E_REFUSED);
	assert_int_equal(sonde_fs_remote(NULL, f.loop, "127.0.0.1:1", &options, &f.fs, &err),
			 SONDE_E_BAD_ARG);
	for (int i = 0; i < 2; i++) {
		f.puppet = puppet_start(say_nothing);
		f.puppet->version = i ? NULL : "unknown";
		f.puppet->msize = i ? 16 : 0;
		puppet_go(f.puppet);
		assert_int_equal(connect_to(&f, &err), SONDE_E_BAD_FORMAT);
		assert_non_null(strstr(err.text, f.puppet->address));
		puppet_stop(f.puppet);
	}
	sonde_loop_destroy(f.loop);
}

/* A listener that accepts and says nothing. */
static void connecting_has_a_deadline(void **state)
{
	struct sonde_fs_remote_options options = { .size = sizeof(options),
						   .silence_ns = 10000000 };
	struct sonde_error err = { 0 };
	struct fixture f = { 0 };

	(void)state;
	f.puppet = puppet_start(say_nothing);
	assert_int_equal(sonde_loop_create(NULL, &f.loop, NULL), 0);
	assert_int_equal(sonde_fs_remote(NULL, f.loop, f.puppet->address, &options, &f.fs, &err),
			 SONDE_E_TIMED_OUT);
	assert_non_null(strstr(err.text, "says nothing"));
	options.silence_ns = UINT64_MAX;
	options.deadline_ns = sonde_now_ns() + 10000000;
	assert_int_equal(sonde_fs_remote(NULL, f.loop, f.puppet->address, &options, &f.fs, &err),
			 SONDE_E_TIMED_OUT);
	close(f.puppet->listener);
	free(f.puppet);
	sonde_loop_destroy(f.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_under_way_together_and_come_in_any_order),
		cmocka_unit_test(requests_are_under_way_together_and_end_in_any_order),
		cmocka_unit_test(what_came_before_a_server_died_is_kept),
		cmocka_unit_test(what_lies_behind_a_gap_does_not_count),
		cmocka_unit_test(all_that_is_under_way_ends_when_a_server_dies),
		cmocka_unit_test(a_deadline_ends_what_is_not_answered),
		cmocka_unit_test(what_came_before_a_server_fell_silent_is_kept),
		cmocka_unit_test(a_program_that_computes_takes_no_server_for_silent),
		cmocka_unit_test(whether_a_request_or_its_flush_won_is_told),
		cmocka_unit_test(an_answer_that_comes_too_late_disturbs_no_other),
		cmocka_unit_test(a_server_that_breaks_the_protocol_is_gone),
		cmocka_unit_test(names_of_a_list_are_names),
		cmocka_unit_test(where_a_way_ends_nothing_is_removed_or_renamed),
		cmocka_unit_test(a_handle_may_be_any_number),
		cmocka_unit_test(times_may_be_any),
		cmocka_unit_test(who_does_not_speak_it_is_told_from_who_is_not_there),
		cmocka_unit_test(connecting_has_a_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Targets by name: which connector reads a file and what is said where none does, raw
 * images and their ranges, the test double in its three ways, and layers in front.
 */
#include "plug/sniff.h"

#include <sonde/batch.h>
#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sonde-target-XXXXXX";
static struct sonde_loop *loop;

/* folder/NAME with these bytes. */
static const char *make_file(const char *name, const void *bytes, size_t len)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	return path;
}

static struct sonde_target *open_as(const char *fmt, const char *path, int write)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = (uint32_t)write };
	struct sonde_target *target;
	struct sonde_error err;
	char name[512];

	snprintf(name, sizeof(name), fmt, path);
	if (sonde_target_open(loop, name, &options, &target, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	return target;
}

static void expect_refusal(const char *fmt, const char *path, int want, const char *text)
{
	struct sonde_target *target;
	struct sonde_error err = { 0 };
	char name[512];

	snprintf(name, sizeof(name), fmt, path);
	int r = sonde_target_open(loop, name, NULL, &target, &err);
	if (r != want || !strstr(err.text, text))
		fail_msg("%s: got %d '%s', want %d '%s'", name, r, err.text, want, text);
}

/* ---- sniffing ---- */

static const struct {
	size_t off;
	const char *magic;
	size_t len;
	const char *text;
} formats[] = {
	{ 0, "DISKDUMP", 8, "is a diskdump, which no connector here reads" },
	{ 0, "makedumpfile", 12, "is a flattened dump (makedumpfile -R" },
	{ 0, "AVML", 4, "is an AVML image" },
	{ 0, "QEVM", 4, "is a QEMU migration stream" },
	{ 0, "QFI\xfb", 4, "is a qcow2 disk image" },
	{ 4086, "S1SUSPEND\0", 10, "is a Linux hibernation image" },
	{ 0, "\x1f\x8b", 2, "is gzip-compressed (unpack it first)" },
	{ 0, "BZh", 3, "is bzip2-compressed (unpack it first)" },
	{ 0, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0", 18, "is an ELF file" }, /* a program */
};

static void a_known_format_without_a_connector_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		uint8_t bytes[8192] = { 0 };
		memcpy(bytes + formats[i].off, formats[i].magic, formats[i].len);
		expect_refusal("%s", make_file("known", bytes, sizeof(bytes)), SONDE_E_BAD_FORMAT,
			       formats[i].text);
		assert_null(sniff_known(bytes, formats[i].off + 1));
	}
}

static void an_unknown_format_is_never_taken_for_raw(void **state)
{
	(void)state;
	const char *path = make_file("unknown", "\x7f\x45\x01 some bytes", 14);

	expect_refusal("%s", path, SONDE_E_BAD_FORMAT,
		       "unknown format (first bytes 7f 45 01 20 73 6f 6d 65)");
	expect_refusal("%s", path, SONDE_E_BAD_FORMAT, "say flat:/tmp/sonde-target-");
	expect_refusal("%s", make_file("one", "x", 1), SONDE_E_BAD_FORMAT, "(first bytes 78)");
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	(void)state;
	char fifo[256];

	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect_refusal("%s", fifo, SONDE_E_BAD_FORMAT, "neither a regular file nor a block device");
	expect_refusal("flat:%s", fifo, SONDE_E_BAD_FORMAT,
		       "neither a regular file nor a block device");
	expect_refusal("elfcore:%s", fifo, SONDE_E_BAD_FORMAT,
		       "neither a regular file nor a block device");
	expect_refusal("%s", folder, SONDE_E_BAD_FORMAT, "is a folder");
	expect_refusal("flat:%s", folder, SONDE_E_BAD_FORMAT, "is a folder");
	expect_refusal("%s/none", folder, SONDE_E_NOT_FOUND, "No such file or directory");
	expect_refusal("flat:%s/none", folder, SONDE_E_NOT_FOUND, "No such file or directory");
	expect_refusal("/dev/null%s", "", SONDE_E_BAD_FORMAT,
		       "neither a regular file nor a block device");
	expect_refusal("%s", make_file("empty", "", 0), SONDE_E_BAD_FORMAT, "is empty");
	expect_refusal("flat:%s", make_file("empty", "", 0), SONDE_E_BAD_FORMAT, "is empty");
	expect_refusal("elfcore:%s", make_file("text", "hello", 5), SONDE_E_BAD_FORMAT,
		       "is not an ELF file");
}

static void an_unknown_connector_lists_those_there_are(void **state)
{
	(void)state;
	expect_refusal("%s:thing", "nosuch", SONDE_E_NOT_FOUND,
		       "target: 'nosuch:thing': neither a file nor known: no connector 'nosuch': "
		       "there are ");
	expect_refusal("%s:thing", "nosuch", SONDE_E_NOT_FOUND, "elfcore");
	expect_refusal("ram:|%s", "nosuch", SONDE_E_NOT_FOUND, "no layer 'nosuch': there are ");
	expect_refusal("ram:|%s", "nosuch", SONDE_E_NOT_FOUND, "delay");
	expect_refusal("%s:x", "delay", SONDE_E_BAD_ARG,
		       "'delay' is a layer: it goes behind a target");
	expect_refusal("ram:|%s", "ram", SONDE_E_BAD_ARG, "'ram' is a connector, not a layer");
}

/* "odd:name" where odd is no connector is a file if there is one. */
static void a_file_may_have_a_colon_in_its_name(void **state)
{
	(void)state;
	char before[4096];

	make_file("odd:name", "DISKDUMP", 8);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	expect_refusal("%s", "odd:name", SONDE_E_BAD_FORMAT, "'odd:name': is a diskdump");
	expect_refusal("%s", "odd:other", SONDE_E_NOT_FOUND, "no connector 'odd'");
	assert_int_equal(chdir(before), 0);
}

static void arguments_are_checked_before_anything_is_opened(void **state)
{
	(void)state;
	expect_refusal("flat:%s/none,ofset=3", folder, SONDE_E_BAD_ARG,
		       "flat: unknown argument 'ofset': it takes path=FILE, offset=N");
	expect_refusal("ram:%s", "x", SONDE_E_BAD_ARG, "ram: 'size=x': not a number");
	expect_refusal("ram:,mode=%s", "never", SONDE_E_BAD_ARG,
		       "there are extents, transfer and submit");
	expect_refusal("ram:,hole=%s", "5", SONDE_E_BAD_ARG, "is not ADDR+LEN");
	expect_refusal("ram:%s", "0", SONDE_E_BAD_ARG, "must be 1 .. 1T");
	expect_refusal("ram:|delay%s", "", SONDE_E_BAD_ARG, "how long?");
	expect_refusal("ram:|delay,ms=%s", "60001", SONDE_E_BAD_ARG, "more than a minute");
}

static void bad_calls_are_refused(void **state)
{
	(void)state;
	struct sonde_target *target;

	assert_int_equal(sonde_target_open(NULL, "ram:", NULL, &target, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_target_open(loop, NULL, NULL, &target, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_target_open(loop, "ram:", NULL, NULL, NULL), SONDE_E_BAD_ARG);
	sonde_target_close(NULL);
}

/* ---- raw images ---- */

static void expect_byte(struct sonde_target *target, uint64_t addr, int want)
{
	uint8_t byte = 0xee;
	int r = sonde_space_u8(sonde_target_memory(target), addr, &byte);

	if ((want < 0 && r != want) || (want >= 0 && (r != 0 || byte != want)))
		fail_msg("at 0x%llx: got %d, byte %u, want %d", (unsigned long long)addr, r, byte,
			 want);
}

static void a_raw_image_lies_where_its_arguments_say(void **state)
{
	(void)state;
	uint8_t bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	const char *path = make_file("raw", bytes, sizeof(bytes));
	struct sonde_target *target = open_as("flat:%s", path, 0);
	expect_byte(target, 0, 0);
	expect_byte(target, 255, 255);
	expect_byte(target, 256, SONDE_E_NOT_MAPPED);
	sonde_target_close(target);

	target = open_as("flat:%s,offset=0x10,base=4k,length=32", path, 0);
	expect_byte(target, 0, SONDE_E_NOT_MAPPED);
	expect_byte(target, 4095, SONDE_E_NOT_MAPPED);
	expect_byte(target, 4096, 16);
	expect_byte(target, 4096 + 31, 47);
	expect_byte(target, 4096 + 32, SONDE_E_NOT_MAPPED);
	sonde_target_close(target);

	target = open_as("flat:%s,base=0xffffffffffffff00", path, 0); /* to the very last address */
	expect_byte(target, UINT64_MAX, 255);
	expect_byte(target, 0, SONDE_E_NOT_MAPPED);
	sonde_target_close(target);

	expect_refusal("flat:%s,base=0xffffffffffffff01", path, SONDE_E_BAD_ARG,
		       "would end beyond 2^64");
	expect_refusal("flat:%s,offset=256", path, SONDE_E_BAD_ARG, "the file has only 256 bytes");
	expect_refusal("flat:%s,length=257", path, SONDE_E_BAD_ARG, "there are 256");
	expect_refusal("flat:%s,offset=200,length=57", path, SONDE_E_BAD_ARG, "there are 56");
	expect_refusal("flat:%s,length=0", path, SONDE_E_BAD_ARG, "length=0");
}

static void an_image_is_written_only_when_asked_for(void **state)
{
	(void)state;
	uint8_t byte = 0x42;
	struct sonde_target_info info;
	const char *path = make_file("writable", "aaaa", 4);
	struct sonde_target *target = open_as("flat:%s", path, 0);

	assert_int_equal(sonde_space_put(sonde_target_memory(target), 1, &byte, 1),
			 SONDE_E_READ_ONLY);
	expect_byte(target, 1, 'a');
	sonde_target_close(target);

	target = open_as("flat:%s", path, 1);
	sonde_target_info(target, &info);
	assert_true(info.flags & SONDE_TARGET_WRITABLE);
	assert_int_equal(sonde_space_put(sonde_target_memory(target), 1, &byte, 1), 0);
	sonde_target_close(target);
	target = open_as("flat:%s", path, 0);
	expect_byte(target, 0, 'a');
	expect_byte(target, 1, 0x42);
	sonde_target_close(target);
}

/* ---- the test double ---- */

static const char *const modes[] = { "extents", "transfer", "submit", "submit,take=1",
				     "submit,seed=99,take=2" };

static void steps_that_lead_nowhere_say_why(void **state)
{
	(void)state;
	const char *path = make_file("still", "0123456789", 10);

	expect_refusal("flat:%s|process:1", path, SONDE_E_NOT_FOUND, "");
	expect_refusal("flat:%s|delay:3", path, SONDE_E_BAD_ARG, "'delay:' behind a bar");
	expect_refusal("flat:%s|process:", path, SONDE_E_BAD_ARG, "write |process:PID");
	expect_refusal("flat:%s|process:1,x=2", path, SONDE_E_BAD_ARG, "takes no x=");
	expect_refusal("flat:%s|process:1|process:2", path, SONDE_E_NOT_FOUND, "");
	expect_refusal("flat:%s.not|process:1", path, SONDE_E_NOT_FOUND, "No such file");
}

static void a_snapshot_is_taken_only_of_what_changes(void **state)
{
	(void)state;
	struct sonde_target_options options = { .size = sizeof(options), .snapshot = 1 };
	struct sonde_snapshot told;
	struct sonde_target *target;
	struct sonde_error err;
	char name[300];

	snprintf(name, sizeof(name), "flat:%s", make_file("still", "0123456789", 10));
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err), 0);
	assert_int_equal(sonde_target_snapshot(target, &told), 0);
	expect_byte(target, 3, '3');
	sonde_target_close(target);

	snprintf(name, sizeof(name), "process:%d", (int)getpid());
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err),
			 SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "process: has no way to a snapshot"));
	options.write = 1;
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err), SONDE_E_BAD_ARG);
	assert_non_null(strstr(err.text, "cannot be written"));
	options.snapshot = 0;
	options.size = 2 * sizeof(uint32_t); /* of a program that knows no snapshots */
	assert_int_equal(sonde_target_open(loop, name, &options, &target, &err), 0);
	assert_int_equal(sonde_target_snapshot(target, &told), 0);
	sonde_target_close(target);
}

static void the_three_ways_of_a_connector_give_the_same(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		struct sonde_target *target = open_as(
			"ram:8k,hole=0x1000+16;0x1800+1,fail=0x1008+0x100,mode=%s", modes[m], 1);
		struct sonde_space *space = sonde_target_memory(target);
		uint8_t buf[0x200];
		struct sonde_xfer x = { .addr = 0xff0, .buf = buf, .len = sizeof(buf) };
		assert_int_equal(sonde_space_read(space, &x, 1), 0);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x.err_off, 16);
		assert_int_equal(x.done, 0x200 - 0x108);
		assert_int_equal(buf[0], 0xff);
		assert_int_equal(buf[16], 0);
		assert_int_equal(buf[0x118], (uint8_t)(0x1108 / 16));
		expect_byte(target, 0x1010, SONDE_E_IO); /* behind the hole, which was told first */
		expect_byte(target, 0x1800, SONDE_E_NOT_MAPPED);
		expect_byte(target, 0x2000, SONDE_E_NOT_MAPPED);
		expect_byte(target, 0x1fff, 0xff);

		uint8_t text[32];
		memset(text, 0x33, sizeof(text));
		x = (struct sonde_xfer){ .addr = 0xff8, .buf = text, .len = 32 };
		assert_int_equal(sonde_space_write(space, &x, 1), 0);
		assert_int_equal(x.done, 8);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		expect_byte(target, 0xff7, 0xff);
		expect_byte(target, 0xff8, 0x33);
		sonde_target_close(target);
	}
}

static int count_region(void *user, const struct sonde_region *region)
{
	uint64_t *seen = user;

	assert_int_equal(region->addr, seen[0] == 0 ? 0 : seen[0] == 1 ? 0x1010 : 0x1801);
	assert_int_equal(region->len, seen[0] == 0 ? 0x1000 : seen[0] == 1 ? 0x7f0 : 0x7ff);
	seen[0]++;
	return 0;
}

static void regions_of_the_double_leave_its_holes_out(void **state)
{
	(void)state;
	for (size_t m = 0; m < 3; m++) {
		uint64_t seen = 0;
		struct sonde_target *target =
			open_as("ram:8k,hole=0x1000+16;0x1800+1,mode=%s", modes[m], 0);
		assert_int_equal(
			sonde_space_regions(sonde_target_memory(target), count_region, &seen), 0);
		assert_int_equal(seen, 3);
		sonde_target_close(target);
	}
}

/* ---- layers ---- */

/* Four batches one after the other wait four times; four reads of one batch wait once. */
static void a_delay_costs_per_batch_and_not_per_read(void **state)
{
	(void)state;
	const uint64_t ms = 1000000;
	struct sonde_target *target = open_as("ram:8k|%s", "delay,ms=20", 0);
	struct sonde_space *space = sonde_target_memory(target);
	uint8_t bytes[4];
	uint64_t start = sonde_now_ns();

	for (int i = 0; i < 4; i++)
		expect_byte(target, 16 * (uint64_t)i, i);
	uint64_t one_by_one = sonde_now_ns() - start;
	assert_true(one_by_one >= 80 * ms);

	struct sonde_batch *batch = sonde_batch_create(loop);
	start = sonde_now_ns();
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			sonde_batch_add(batch, space, 16 * (uint64_t)i, &bytes[i], 1, NULL), 0);
	assert_int_equal(sonde_batch_run(batch), 4);
	uint64_t together = sonde_now_ns() - start;
	assert_true(together >= 20 * ms);
	assert_true(together < one_by_one);
	for (int i = 0; i < 4; i++)
		assert_int_equal(bytes[i], i);
	sonde_batch_destroy(batch);

	struct sonde_space_stats stats;
	sonde_space_stats(space, &stats);
	assert_int_equal(stats.trips, 5);
	assert_int_equal(stats.pieces, 8);
	sonde_target_close(target);
}

static void layers_stack_and_pass_errors_and_writes(void **state)
{
	(void)state;
	struct sonde_target *target =
		open_as("ram:8k,hole=0x100+1,mode=%s|delay,us=100|delay,us=100", "submit", 1);
	uint8_t byte = 9;

	expect_byte(target, 0x100, SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_put(sonde_target_memory(target), 0x40, &byte, 1), 0);
	expect_byte(target, 0x40, 9);
	sonde_target_close(target);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? sonde_loop_create(NULL, &loop, NULL) : -1;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	sonde_loop_destroy(loop);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_known_format_without_a_connector_is_named),
		cmocka_unit_test(an_unknown_format_is_never_taken_for_raw),
		cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
		cmocka_unit_test(an_unknown_connector_lists_those_there_are),
		cmocka_unit_test(a_file_may_have_a_colon_in_its_name),
		cmocka_unit_test(arguments_are_checked_before_anything_is_opened),
		cmocka_unit_test(bad_calls_are_refused),
		cmocka_unit_test(a_raw_image_lies_where_its_arguments_say),
		cmocka_unit_test(an_image_is_written_only_when_asked_for),
		cmocka_unit_test(steps_that_lead_nowhere_say_why),
		cmocka_unit_test(a_snapshot_is_taken_only_of_what_changes),
		cmocka_unit_test(the_three_ways_of_a_connector_give_the_same),
		cmocka_unit_test(regions_of_the_double_leave_its_holes_out),
		cmocka_unit_test(a_delay_costs_per_batch_and_not_per_read),
		cmocka_unit_test(layers_stack_and_pass_errors_and_writes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

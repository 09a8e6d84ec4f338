/* SPDX-License-Identifier: MIT */
/*
 * No descriptor is left: at every limit from none free up to enough, making a loop, embedding it, opening
 * targets and reading them works or fails with a code and a text that say so, leaves nothing open, and
 * works again when there are descriptors.
 */
#include "fake.h"

#include <dirent.h>
#include <fcntl.h>
#include <sonde/target.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROOM = 24 }; /* descriptors that are enough for everything here */

static unsigned n_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The lowest descriptor that is free: below a limit of that there is none. */
static unsigned first_free(void)
{
	int fd = open("/dev/null", O_RDONLY);

	assert_true(fd >= 0);
	close(fd);
	return (unsigned)fd;
}

static void set_limit(rlim_t n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

struct attempt {
	const char *name; /* of the target; NULL: none is opened */
	uint64_t addr;    /* where fake_byte(0) is               */
	uint32_t engine;
	struct sonde_error err;
};

static int read_target(struct sonde_loop *loop, struct attempt *attempt)
{
	struct sonde_target *target = NULL;
	uint8_t bytes[64];

	int r = sonde_target_open(loop, attempt->name, NULL, &target, &attempt->err);
	if (r < 0) {
		assert_null(target);
		return r;
	}
	r = sonde_space_get(sonde_target_memory(target), attempt->addr, bytes, sizeof(bytes));
	assert_int_equal(r, 0);
	assert_int_equal(bytes[63], fake_byte(63));
	sonde_target_close(target);
	return 0;
}

/* A loop, in a foreign one, and a target on it. */
static int try_all(struct attempt *attempt)
{
	struct sonde_loop_options options = { .size = sizeof(options), .engine = attempt->engine };
	struct sonde_loop *loop = NULL;

	attempt->err = (struct sonde_error){ 0 };
	int r = sonde_loop_create(&options, &loop, &attempt->err);
	if (r < 0) {
		assert_null(loop);
		return r;
	}
	r = sonde_loop_fd(loop);
	if (r < 0)
		sonde_error_set(&attempt->err, r, NULL);
	else
		r = attempt->name ? read_target(loop, attempt) : 0;
	sonde_loop_turn(loop);
	sonde_loop_destroy(loop);
	return r;
}

static void at_every_limit(const char *name, uint64_t addr)
{
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_EPOLL; engine++) {
		struct attempt attempt = { .name = name, .addr = addr, .engine = engine };
		unsigned before = n_open(), from = first_free(), n_failed = 0;
		if (try_all(&attempt) < 0) {
			print_message("skipped: %s\n", attempt.err.text);
			continue;
		}
		for (unsigned limit = from; limit <= from + ROOM; limit++) {
			set_limit(limit);
			int r = try_all(&attempt);
			set_limit(RLIM_INFINITY);
			n_failed += r < 0;
			if (r < 0 && (r != SONDE_E_EXHAUSTED || attempt.err.code != r ||
				      !attempt.err.text[0]))
				fail_msg("%s on engine %u, %u descriptors: %d (%s) '%s'",
					 name ? name : "no target", engine, limit - from, r,
					 sonde_error_name(r), attempt.err.text);
			assert_int_equal(n_open(), before);
		}
		assert_true(n_failed > 0 && n_failed < ROOM);
		assert_int_equal(try_all(&attempt), 0);
	}
}

static void a_loop_alone_and_in_a_foreign_one(void **state)
{
	(void)state;
	at_every_limit(NULL, 0);
}

static char path[] = "/tmp/sonde-exhausted-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	for (uint64_t i = 0; i < 4096; i++) {
		uint8_t byte = fake_byte(i);
		if (write(fd, &byte, 1) != 1)
			return -1;
	}
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void a_raw_file(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "flat:%s", path);
	at_every_limit(name, 0);
}

static void a_file_behind_layers(void **state)
{
	char name[128];

	(void)state;
	snprintf(name, sizeof(name), "flat:%s|cache|overlay|delay,us=1", path);
	at_every_limit(name, 0);
}

static void a_process(void **state)
{
	static uint8_t bytes[64];
	char name[64];

	(void)state;
	for (uint64_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = fake_byte(i);
	snprintf(name, sizeof(name), "process:%d", (int)getpid());
	at_every_limit(name, (uint64_t)(uintptr_t)bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_alone_and_in_a_foreign_one),
		cmocka_unit_test(a_raw_file),
		cmocka_unit_test(a_file_behind_layers),
		cmocka_unit_test(a_process),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}

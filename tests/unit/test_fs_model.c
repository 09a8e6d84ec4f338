/* SPDX-License-Identifier: MIT */
/*
 * Random operations, the same on this machine's files and on those in memory, or on a server's in memory: every answer is the same,
 * and in the end so is all that is there. The kernel is the oracle. SONDE_PROPERTY_SEED begins
 * elsewhere; what a failure prints says how to repeat it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <sonde/error.h>
#include <sonde/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs_subject.h"

#define N_SEQUENCES 100
#define N_REMOTE 8 /* ... of which each step waits for a thread */
#define N_STEPS 150
#define N_OPEN 4
#define CAP 600

/* ---- chance -------------------------------------------------------------------------------------- */

static uint64_t chance;

/* xorshift64* */
static uint32_t pick(uint32_t n)
{
	chance ^= chance >> 12;
	chance ^= chance << 25;
	chance ^= chance >> 27;
	return (uint32_t)(chance * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n;
}

/* ---- two worlds ---------------------------------------------------------------------------------- */

struct side {
	struct sonde_fs *fs;
	int32_t open[N_OPEN];
	struct sonde_fs_io io;
	struct sonde_fs_info info;
	char buf[CAP];
};

struct world {
	struct sonde_loop *loop;
	struct side sides[2]; /* this machine's, memory */
	bool is_remote;       /* ... behind a server       */
	struct served served;
	uint32_t beneath;
	char folder[32];
	uint64_t seed;
	int step;
	char path[64], to[64];
};

static void tell(const struct world *world)
{
	const struct side *a = &world->sides[0], *b = &world->sides[1];

	print_message(
		"SONDE_PROPERTY_SEED=%" PRIu64 "%s, step %d: op %u flags 0x%x path '%s' to '%s' "
		"file %d off %" PRIu64 " len %u: native %d (%s, errno %d), memory %d (%s, errno "
		"%d)\n",
		world->seed, world->beneath ? ", beneath" : "", world->step, a->io.op, a->io.flags,
		a->io.path ? a->io.path : "", a->io.to ? a->io.to : "", a->io.file, a->io.off,
		a->io.len, a->io.result, sonde_error_name(a->io.result), a->io.os_code,
		b->io.result, sonde_error_name(b->io.result), b->io.os_code);
}

static void check(struct world *world, bool same)
{
	if (same)
		return;
	tell(world);
	fail();
}

/* ---- what is asked ------------------------------------------------------------------------------- */

/* Where ".." may stand, what it leads out of is refused: the two have different things outside. */
static void make_path(const struct world *world, char *path, bool ends_anyhow)
{
	static const char *const names[] = { "a", "b", "c", "a", "b", ".", ".." };
	uint32_t n = 1 + pick(3), kinds = world->beneath ? 7 : 6;

	*path = 0;
	for (uint32_t i = 0; i < n; i++) {
		bool last = i == n - 1;
		if (i)
			strcat(path, "/");
		strcat(path, names[pick(last && !ends_anyhow ? 5 : kinds)]);
	}
}

static void make_text(const struct world *world, char *text)
{
	make_path(world, text + 1, true);
	*text = '/';
	if (!world->beneath || pick(8))
		memmove(text, text + 1, strlen(text));
}

static uint32_t open_flags(void)
{
	static const uint32_t some[] = {
		SONDE_FS_FOR_READ,
		SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE,
		SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE,
		SONDE_FS_FOR_WRITE | SONDE_FS_CREATE | SONDE_FS_EXCLUSIVE,
		SONDE_FS_FOR_WRITE | SONDE_FS_TRUNCATE,
		SONDE_FS_APPEND | SONDE_FS_CREATE,
		SONDE_FS_DIRECTORY,
		SONDE_FS_FOR_READ | SONDE_FS_NO_FOLLOW,
		SONDE_FS_DIRECTORY | SONDE_FS_NO_FOLLOW,
	};

	return some[pick(sizeof(some) / sizeof(some[0]))];
}

static void fill(struct sonde_fs_io *io)
{
	static const struct {
		uint32_t op, weight;
	} ops[] = {
		{ SONDE_FS_OPEN, 8 },   { SONDE_FS_READ, 4 },       { SONDE_FS_WRITE, 5 },
		{ SONDE_FS_STAT, 4 },   { SONDE_FS_SET_LENGTH, 2 }, { SONDE_FS_SET_MODE, 1 },
		{ SONDE_FS_RENAME, 6 }, { SONDE_FS_REMOVE, 4 },     { SONDE_FS_MKDIR, 6 },
		{ SONDE_FS_LINK, 3 },   { SONDE_FS_SYMLINK, 4 },    { SONDE_FS_READ_LINK, 1 },
		{ SONDE_FS_CLOSE, 4 },
	};
	uint32_t total = 0, at;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		total += ops[i].weight;
	at = pick(total);
	for (size_t i = 0; at < total; i++) {
		io->op = ops[i].op;
		if (at < ops[i].weight)
			break;
		at -= ops[i].weight;
	}
}

/* What both sides are asked alike; handles are filled in for each. */
static struct sonde_fs_io make_request(struct world *world)
{
	struct sonde_fs_io io = { .dir = SONDE_FS_ROOT, .to_dir = SONDE_FS_ROOT };

	fill(&io);
	bool anyhow = io.op == SONDE_FS_OPEN || io.op == SONDE_FS_STAT;
	make_path(world, world->path, anyhow);
	make_path(world, world->to, false);
	if (io.op == SONDE_FS_SYMLINK)
		make_text(world, world->to);
	io.path = world->path;
	io.to = world->to;
	io.flags = world->beneath;
	if (io.op == SONDE_FS_OPEN)
		io.flags |= open_flags();
	else if (io.op == SONDE_FS_STAT)
		io.flags |= pick(2) ? SONDE_FS_NO_FOLLOW : 0;
	else if (io.op == SONDE_FS_RENAME)
		io.flags |= pick(4) ? 0 : SONDE_FS_NO_REPLACE;
	else if (io.op == SONDE_FS_REMOVE)
		io.flags |= pick(2) ? SONDE_FS_DIRECTORY : 0;
	io.mode = pick(2) ? 0700 : 0755;
	io.off = pick(400);
	io.len = 1 + pick(200);
	return io;
}

static bool takes_handle(uint32_t op)
{
	return op == SONDE_FS_READ || op == SONDE_FS_WRITE || op == SONDE_FS_SET_LENGTH ||
	       op == SONDE_FS_CLOSE;
}

static void ask(struct side *side, const struct sonde_fs_io *request, uint32_t slot)
{
	side->io = *request;
	memset(side->buf, (int)(request->off & 0xff), sizeof(side->buf));
	memset(&side->info, 0, sizeof(side->info));
	side->io.buf = side->buf;
	side->io.info = &side->info;
	if (takes_handle(request->op)) {
		side->io.path = side->io.to = NULL;
		side->io.len = request->op == SONDE_FS_READ || request->op == SONDE_FS_WRITE
				       ? request->len
				       : 0;
		side->io.file = side->open[slot];
	}
	sonde_fs_run(NULL, side->fs, &side->io);
	if (request->op == SONDE_FS_OPEN && side->io.result >= 0) {
		side->open[slot] = side->io.result;
		side->io.result = 0;
	}
	if (request->op == SONDE_FS_CLOSE)
		side->open[slot] = -1;
}

/* Of directories each file system counts bytes and links as it likes. */
static bool is_same_info(const struct sonde_fs_info *a, const struct sonde_fs_info *b)
{
	if (a->kind != b->kind || (a->kind != SONDE_KIND_SYMLINK && a->mode != b->mode))
		return false;
	return a->kind == SONDE_KIND_DIRECTORY ||
	       (a->length == b->length && a->n_links == b->n_links);
}

/* Of two paths of which each fails for another reason either is told: beneath, both are looked at first. */
static bool may_differ(const struct sonde_fs_io *a, const struct sonde_fs_io *b)
{
	return a->op == SONDE_FS_LINK && a->flags & SONDE_FS_BENEATH && a->result < 0 &&
	       b->result < 0;
}

static bool is_same(const struct side *a, const struct side *b)
{
	if (may_differ(&a->io, &b->io))
		return true;
	if (a->io.result != b->io.result || a->io.os_code != b->io.os_code)
		return false;
	return a->io.result < 0 ||
	       (memcmp(a->buf, b->buf, CAP) == 0 && is_same_info(&a->info, &b->info));
}

static void step(struct world *world)
{
	struct sonde_fs_io request = make_request(world);
	uint32_t slot = pick(N_OPEN);
	bool open = world->sides[0].open[slot] >= 0;

	if (takes_handle(request.op) && !open)
		request.op = SONDE_FS_OPEN, request.flags = open_flags() | world->beneath;
	if (request.op == SONDE_FS_OPEN && open)
		request = (struct sonde_fs_io){ .op = SONDE_FS_CLOSE };
	for (int i = 0; i < 2; i++)
		ask(&world->sides[i], &request, slot);
	check(world, is_same(&world->sides[0], &world->sides[1]));
}

/* ---- all that is there ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Names of a directory, sorted, each in 8 bytes. Returns how many. */
static size_t list(struct side *side, const char *path, char (*names)[8], uint32_t flags)
{
	size_t n = 0;
	uint64_t room[256];
	int dir = sonde_fs_open(NULL, side->fs, SONDE_FS_ROOT, path, SONDE_FS_DIRECTORY | flags, 0);
	struct sonde_fs_io io = {
		.op = SONDE_FS_LIST, .file = dir, .buf = room, .len = sizeof(room)
	};

	assert_true(dir >= 0);
	while (sonde_fs_run(NULL, side->fs, &io) > 0) {
		const struct sonde_fs_entry *entry;
		for (int32_t at = 0; at < io.result; at += entry->size) {
			entry = (const void *)((const char *)room + at);
			assert_true(n < 8);
			snprintf(names[n++], sizeof(names[0]), "%s", entry->name);
			io.off = (uint64_t)entry->next;
		}
	}
	sonde_fs_close(NULL, side->fs, dir);
	qsort(names, n, sizeof(names[0]), by_name);
	return n;
}

static void compare_below(struct world *world, const char *path, int depth)
{
	char names[2][8][8] = { 0 }, below[128];
	size_t n = list(&world->sides[0], path, names[0], 0);
	const struct sonde_fs_io stat = { .op = SONDE_FS_STAT,
					  .dir = SONDE_FS_ROOT,
					  .path = below,
					  .flags = SONDE_FS_NO_FOLLOW };

	assert_int_equal(list(&world->sides[1], path, names[1], 0), n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(names[0][i], names[1][i]);
		assert_true(snprintf(below, sizeof(below), "%s/%s", path, names[0][i]) <
			    (int)sizeof(below));
		for (int side = 0; side < 2; side++)
			ask(&world->sides[side], &stat, 0);
		check(world, is_same(&world->sides[0], &world->sides[1]));
		if (world->sides[0].info.kind == SONDE_KIND_DIRECTORY && depth < 16)
			compare_below(world, below, depth + 1);
	}
}

/* ---- sequences ------------------------------------------------------------------------------------- */

static void open_remote(struct world *world)
{
	world->served = (struct served){ .flags = SONDE_FS_SERVER_WRITES };
	assert_int_equal(served_start(&world->served), 0);
	assert_int_equal(sonde_fs_remote(NULL, world->loop, world->served.address, NULL,
					 &world->sides[1].fs, NULL),
			 0);
}

static void open_sides(struct world *world, int sequence)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%d", world->folder, sequence);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(sonde_fs_native(world->loop, path, 0, &world->sides[0].fs, NULL), 0);
	if (world->is_remote)
		open_remote(world);
	else
		assert_int_equal(sonde_fs_memory(world->loop, NULL, &world->sides[1].fs), 0);
	for (int i = 0; i < N_OPEN; i++)
		world->sides[0].open[i] = world->sides[1].open[i] = -1;
}

static void close_sides(struct world *world)
{
	for (int side = 0; side < 2; side++) {
		for (int i = 0; i < N_OPEN; i++) {
			if (world->sides[side].open[i] >= 0)
				sonde_fs_close(NULL, world->sides[side].fs,
					       world->sides[side].open[i]);
		}
		sonde_fs_destroy(world->sides[side].fs);
	}
	if (world->is_remote)
		served_stop(&world->served);
}

static void run_sequences(void **state, uint32_t engine, uint32_t beneath, bool is_remote)
{
	const char *seed = getenv("SONDE_PROPERTY_SEED");
	struct sonde_loop_options options = { .size = sizeof(options), .engine = engine };
	struct world world = { .folder = "/tmp/sonde-model-XXXXXX",
			       .beneath = beneath,
			       .is_remote = is_remote };
	uint64_t first = seed ? strtoull(seed, NULL, 0) : 1;

	(void)state;
	umask(0);
	if (sonde_loop_create(&options, &world.loop, NULL) < 0)
		skip();
	assert_non_null(mkdtemp(world.folder));
	for (int i = 0; i < (is_remote ? N_REMOTE : N_SEQUENCES); i++) {
		world.seed = first + (uint64_t)i;
		chance = world.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
		open_sides(&world, i);
		for (world.step = 0; world.step < N_STEPS; world.step++)
			step(&world);
		compare_below(&world, ".", 0);
		close_sides(&world);
	}
	sonde_loop_destroy(world.loop);
	assert_int_equal(subject_remove_folder(world.folder), 0);
}

static void memory_answers_as_the_kernel_does(void **state)
{
	run_sequences(state, SONDE_ENGINE_SYNC, 0, false);
}

static void memory_answers_as_the_kernel_does_beneath(void **state)
{
	run_sequences(state, SONDE_ENGINE_SYNC, SONDE_FS_BENEATH, false);
}

static void memory_answers_as_the_kernel_does_by_ring(void **state)
{
	run_sequences(state, SONDE_ENGINE_URING, 0, false);
}

static void a_server_answers_as_the_kernel_does(void **state)
{
	run_sequences(state, SONDE_ENGINE_EPOLL, 0, true);
}

static void a_server_answers_as_the_kernel_does_beneath(void **state)
{
	run_sequences(state, SONDE_ENGINE_EPOLL, SONDE_FS_BENEATH, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_answers_as_the_kernel_does),
		cmocka_unit_test(memory_answers_as_the_kernel_does_beneath),
		cmocka_unit_test(memory_answers_as_the_kernel_does_by_ring),
		cmocka_unit_test(a_server_answers_as_the_kernel_does),
		cmocka_unit_test(a_server_answers_as_the_kernel_does_beneath),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

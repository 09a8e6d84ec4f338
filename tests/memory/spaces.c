/* SPDX-License-Identifier: MIT */
/* Loops, connectors' spaces in every way and on every engine, spaces over them, and what reads them. */
#include <sonde/batch.h>
#include <sonde/cursor.h>
#include <sonde/cursor_file.h>
#include <sonde/error.h>
#include <sonde/fields.h>
#include <sonde/fragments.h>
#include <sonde/io.h>
#include <sonde/scan.h>
#include <sonde/write.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "refuse.h"
#include "world.h"

static int first(int r, int next)
{
	return r < 0 ? r : next;
}

/* ---- loops ------------------------------------------------------------------------------------ */

static int a_loop(uint32_t engine)
{
	struct sonde_loop *loop = NULL;
	int r = world_loop(engine, &loop);

	if (r < 0)
		return r;
	r = sonde_loop_fd(loop);
	sonde_loop_run(loop);
	sonde_loop_destroy(loop);
	return r < 0 ? r : 0;
}

/* ---- one space ---------------------------------------------------------------------------------- */

static void end(struct sonde_io *io)
{
	++*(unsigned *)io->user;
}

/* Many requests in one batch: more than a list on the stack has room for. */
static int many_requests(struct sonde_loop *loop, struct sonde_space *space)
{
	enum { N = 150 };
	static struct sonde_io ios[N];
	static struct sonde_xfer xfers[N];
	static uint8_t bytes[N][16];
	unsigned n_over = 0;

	for (unsigned i = 0; i < N; i++) {
		xfers[i] = (struct sonde_xfer){ .addr = i * 431, .buf = bytes[i], .len = 16 };
		ios[i] = (struct sonde_io){
			.xfers = &xfers[i], .n = 1, .done = end, .user = &n_over
		};
		assert_int_equal(sonde_io_submit(space, &ios[i]), 0);
	}
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_int_equal(n_over, N);
	return world_check(xfers, N);
}

static int use(struct sonde_loop *loop, struct sonde_space *space, uint64_t base)
{
	int r = world_read(space, base, 3);

	r = first(r, world_read(space, base, 700));
	return first(r, base ? 0 : many_requests(loop, space));
}

/* What is done with a space that lies over one of this way, on this engine. */
typedef int over_fn(struct sonde_loop *loop, struct sonde_space *below);

static int with_space(uint32_t engine, uint32_t way, over_fn *over)
{
	struct sonde_loop *loop = NULL;
	struct sonde_space *space = NULL;
	int r = world_loop(engine, &loop);

	r = first(r, r < 0 ? 0 : world_open(loop, way, &space));
	if (r == 0)
		r = over(loop, space);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
	return r;
}

static int plain(struct sonde_loop *loop, struct sonde_space *space)
{
	return use(loop, space, 0);
}

static int way(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, plain);
}

static int transfer_on_threads(uint32_t arg)
{
	(void)arg;
	return with_space(SONDE_ENGINE_THREADS, SONDE_WAY_TRANSFER, plain);
}

static int file(uint32_t engine)
{
	return with_space(engine, WAY_FILE, plain);
}

/* ---- spaces over spaces ------------------------------------------------------------------------------ */

static int over_tables(struct sonde_loop *loop, struct sonde_space *below)
{
	struct sonde_space *space = NULL;
	int r = world_open_virtual(below, &space);

	r = first(r, r < 0 ? 0 : use(loop, space, VA));
	r = first(r, r < 0 ? 0 : use(loop, space, VA)); /* the second batch keeps translations */
	sonde_space_close(space);
	return r;
}

static int virtual(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, over_tables);
}

static int add_up(void *user, const struct sonde_region *region)
{
	*(uint64_t *)user += region->len;
	return 0;
}

static int what_tables_map(struct sonde_loop *loop, struct sonde_space *below)
{
	struct sonde_space *space = NULL;
	uint64_t bytes = 0;
	int r = world_open_virtual(below, &space);

	(void)loop;
	r = first(r, r < 0 ? 0 : sonde_space_regions(space, add_up, &bytes));
	assert_true(r < 0 || bytes > 0);
	sonde_space_close(space);
	return r;
}

static int regions(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, what_tables_map);
}

static int over_stretches(struct sonde_loop *loop, struct sonde_space *below)
{
	struct sonde_space *space = NULL, *other = NULL;
	int r = world_open(loop, SONDE_WAY_EXTENTS, &other);
	struct sonde_stretch stretches[] = { { 0, 0x5001, below, 0 },
					     { 0x5001, 0xb000, other, 0x5001 } };

	r = first(r, r < 0 ? 0 : sonde_space_remap(loop, stretches, 2, &space));
	r = first(r, r < 0 ? 0 : use(loop, space, 0));
	sonde_space_close(space);
	sonde_space_close(other);
	return r;
}

static int stretches(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, over_stretches);
}

/* A clone of a space over page tables over stretches, in the same loop: nothing is refused half-way. */
static int cloned(struct sonde_loop *loop, struct sonde_space *below)
{
	struct sonde_stretch stretch = { 0, TABLES + TABLES_LEN, below, 0 };
	struct sonde_space *stretched = NULL, *space = NULL, *clone = NULL;
	int r = sonde_space_remap(loop, &stretch, 1, &stretched);

	r = first(r, r < 0 ? 0 : world_open_virtual(stretched, &space));
	r = first(r, r < 0 ? 0 : sonde_space_clone(space, loop, &clone, NULL));
	r = first(r, r < 0 ? 0 : use(loop, clone, VA));
	sonde_space_close(clone);
	sonde_space_close(space);
	sonde_space_close(stretched);
	return r;
}

static int a_clone(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, cloned);
}

/* ---- readers ------------------------------------------------------------------------------------------ */

static int gather(struct sonde_loop *loop, struct sonde_space *space)
{
	enum { N = 200 };
	static uint64_t values[N];
	static int32_t errs[N];
	struct sonde_batch *batch = sonde_batch_create(loop);
	int r = batch ? 0 : SONDE_E_NO_MEMORY;

	for (unsigned i = 0; r == 0 && i < N; i++)
		r = sonde_batch_add(batch, space, 8 * i, &values[i], 8, &errs[i]);
	r = r < 0 ? r : sonde_batch_run(batch);
	assert_true(r < 0 || r == N);
	for (unsigned i = 0; r >= 0 && i < N; i++)
		assert_int_equal((uint8_t)values[i], world_byte(8 * i));
	sonde_batch_destroy(batch);
	return r < 0 ? r : 0;
}

static int a_batch(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, gather);
}

static int stream(struct sonde_loop *loop, struct sonde_space *space)
{
	enum { N = 40 };
	static struct sonde_fragments fragments;
	static struct sonde_xfer xfers[N];
	static uint8_t bytes[N][1000];
	struct sonde_fragment f;

	(void)loop;
	for (unsigned i = 0; i < N; i++)
		xfers[i] = (struct sonde_xfer){ .addr = i * 1500, .buf = bytes[i], .len = 1000 };
	int r = sonde_fragments_start(NULL, space, &fragments, xfers, N, SONDE_IO_READ);
	while (r >= 0 && (r = sonde_fragments_next(NULL, &fragments, &f)) > 0)
		continue;
	return r < 0 ? r : world_check(xfers, N);
}

static int fragments(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, stream);
}

static int fragments_of_threads(uint32_t arg)
{
	(void)arg;
	return with_space(SONDE_ENGINE_THREADS, SONDE_WAY_TRANSFER, stream);
}

static int write_and_look(struct sonde_loop *loop, struct sonde_space *space)
{
	uint8_t bytes[16]; /* what is there anyway: others read the same memory */
	struct sonde_xfer x = { .addr = 0x100, .buf = bytes, .len = sizeof(bytes) };

	memset(bytes, 0x11, sizeof(bytes));
	int r = sonde_space_write_verified(space, &x, 1, 0, NULL, NULL);

	(void)loop;
	if (r < 0)
		assert_int_equal(x.done, 0);
	if (r == 0) /* a piece was refused memory, written or read */
		return SONDE_E_NO_MEMORY;
	return r < 0 ? r : 0;
}

static int verified(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, write_and_look);
}

static int as_file(struct sonde_loop *loop, struct sonde_space *space)
{
	struct sonde_cursor cursor;
	uint8_t bytes[100];
	int r = sonde_cursor_init(&cursor, space, 0);

	(void)loop;
	if (r < 0)
		return r;
	FILE *stream = sonde_cursor_file(&cursor, "r");
	if (!stream)
		return SONDE_E_NO_MEMORY;
	size_t n = fread(bytes, 1, sizeof(bytes), stream);
	fclose(stream);
	if (n == 0)
		return SONDE_E_NO_MEMORY; /* a stream has no codes */
	assert_int_equal(n, sizeof(bytes));
	assert_int_equal(bytes[99], world_byte(99));
	return 0;
}

static int a_cursor(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, as_file);
}

static int structures(struct sonde_loop *loop, struct sonde_space *space)
{
	enum { N = 90 };
	struct pair {
		uint32_t a, b;
	};
	const struct sonde_field table[] = {
		SONDE_FIELD(struct pair, a, 0, 4, SONDE_FIELD_UNSIGNED, SONDE_LITTLE),
		SONDE_FIELD(struct pair, b, 8, 4, SONDE_FIELD_UNSIGNED, SONDE_LITTLE),
	};
	const struct sonde_fields fields = { table, 2, sizeof(struct pair) };
	static struct sonde_struct structs[N];
	static struct pair pairs[N];

	(void)loop;
	sonde_structs_array(structs, N, 0, 64, pairs, sizeof(struct pair));
	int r = sonde_structs_read(space, &fields, structs, N);
	for (unsigned i = 0; r >= 0 && i < N; i++)
		assert_int_equal((uint8_t)pairs[i].b, world_byte(64 * i + 8));
	return r < 0 ? r : 0;
}

static int fields(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, structures);
}

static int count_hit(void *user, const struct sonde_scan_hit *hit)
{
	(void)hit;
	++*(uint64_t *)user;
	return 0;
}

static int search(struct sonde_loop *loop, struct sonde_space *space)
{
	const uint8_t byte = world_byte(77);
	const struct sonde_pattern pattern = { &byte, NULL, 1, 0 };
	struct sonde_scan_options options = { .size = sizeof(options), .last = SIZE - 1 };
	uint64_t n = 0, want = 0;

	(void)loop;
	int r = sonde_scan(space, &pattern, 1, &options, count_hit, &n, NULL, NULL);
	for (uint64_t at = 0; at < SIZE; at++)
		want += world_byte(at) == byte && (at < HOLE || at >= HOLE + HOLE_LEN);
	assert_true(r < 0 || n == want);
	return r;
}

static int a_scan(uint32_t way)
{
	return with_space(SONDE_ENGINE_SYNC, way, search);
}

#define ON_ENGINES(text, fn)                                                                       \
	{ text ", auto", fn, SONDE_ENGINE_AUTO }, { text ", sync", fn, SONDE_ENGINE_SYNC },        \
		{ text ", direct", fn, SONDE_ENGINE_DIRECT },                                      \
		{ text ", io_uring", fn, SONDE_ENGINE_URING },                                     \
		{ text ", threads", fn, SONDE_ENGINE_THREADS },                                    \
	{                                                                                          \
		text ", epoll", fn, SONDE_ENGINE_EPOLL                                             \
	}
#define IN_WAYS(text, fn)                                                                          \
	{ text ", extents", fn, SONDE_WAY_EXTENTS },                                               \
		{ text ", transfer", fn, SONDE_WAY_TRANSFER },                                     \
	{                                                                                          \
		text ", submit", fn, SONDE_WAY_SUBMIT                                              \
	}

const struct scenario space_scenarios[] = {
	ON_ENGINES("a loop", a_loop),
	ON_ENGINES("a file", file),
	IN_WAYS("memory", way),
	{ "transfer on threads", transfer_on_threads, 0 },
	IN_WAYS("page tables", virtual),
	IN_WAYS("what page tables map", regions),
	IN_WAYS("stretches", stretches),
	{ "a clone, extents", a_clone, SONDE_WAY_EXTENTS },
	{ "a clone, transfer", a_clone, SONDE_WAY_TRANSFER },
	IN_WAYS("a batch", a_batch),
	IN_WAYS("a stream of fragments", fragments),
	IN_WAYS("a write that is read again", verified),
	{ "a stream of fragments from a thread", fragments_of_threads, 0 },
	IN_WAYS("a cursor as a FILE", a_cursor),
	IN_WAYS("structures", fields),
	IN_WAYS("a scan", a_scan),
};
const size_t n_space_scenarios = sizeof(space_scenarios) / sizeof(space_scenarios[0]);

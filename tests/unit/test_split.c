/* SPDX-License-Identifier: MIT */
/*
 * A split write puts each half where it belongs: pieces over the borders of files, host memory,
 * stretches of other spaces and virtual pages, on every engine; what lies beside them stays as it was.
 */
#include <sonde/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/paging.h"
#include "fake.h"
#include "synth/page_tables.h"

/* ---- a space in three parts ------------------------------------------------------------------ */

/* In one file from an odd offset on, in another, and in host memory: no border is a page's. */
#define FILE_A 5001u
#define FILE_B 4500u
#define MEMORY 3000u
#define ALL (FILE_A + FILE_B + MEMORY)
#define OFF_A 103u
#define OFF_B 7u

struct parts {
	int a, b;
	uint8_t *memory;
};

static int parts_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct parts *parts = conn;
	const uint32_t flags = SONDE_REGION_READ | SONDE_REGION_WRITE;
	struct sonde_extent told[] = {
		{ .addr = FILE_A + FILE_B,
		  .len = MEMORY,
		  .kind = SONDE_EXTENT_MEMORY,
		  .flags = flags,
		  .ptr = parts->memory },
		{ .addr = FILE_A,
		  .len = FILE_B,
		  .kind = SONDE_EXTENT_FILE,
		  .flags = flags,
		  .off = OFF_B,
		  .fd = parts->b },
		{ .addr = 0,
		  .len = FILE_A,
		  .kind = SONDE_EXTENT_FILE,
		  .flags = flags,
		  .off = OFF_A,
		  .fd = parts->a },
	};

	(void)err;
	for (int i = 0; i < 3; i++) {
		int r = fn(user, &told[i]);
		if (r)
			return r;
	}
	return 0;
}

static int file_of(uint64_t len)
{
	int fd = memfd_create("sonde-split", 0);
	uint8_t *bytes = malloc(len);

	assert_true(fd >= 0 && bytes);
	memset(bytes, 0x11, len);
	assert_int_equal(write(fd, bytes, len), len);
	free(bytes);
	return fd;
}

static struct sonde_space *open_parts(struct sonde_loop *loop, struct parts *parts)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = parts_extents };
	struct sonde_space *space = NULL;

	parts->a = file_of(OFF_A + FILE_A + 50);
	parts->b = file_of(OFF_B + FILE_B + 50);
	parts->memory = malloc(MEMORY + 50);
	assert_non_null(parts->memory);
	memset(parts->memory, 0x11, MEMORY + 50);
	assert_int_equal(space_from_connector(loop, &ops, parts, &space, NULL), 0);
	return space;
}

static void close_parts(struct parts *parts)
{
	close(parts->a);
	close(parts->b);
	free(parts->memory);
}

/* Every byte of each part, and of what lies around it, against what the space should hold. */
static void parts_hold(const struct parts *parts, const uint8_t *want)
{
	static uint8_t whole[OFF_A + FILE_A + 50];

	assert_int_equal(pread(parts->a, whole, OFF_A + FILE_A + 50, 0), OFF_A + FILE_A + 50);
	assert_memory_equal(whole + OFF_A, want, FILE_A);
	for (uint32_t i = 0; i < OFF_A + 50; i++)
		assert_int_equal(whole[i < OFF_A ? i : FILE_A + i], 0x11);
	assert_int_equal(pread(parts->b, whole, OFF_B + FILE_B + 50, 0), OFF_B + FILE_B + 50);
	assert_memory_equal(whole + OFF_B, want + FILE_A, FILE_B);
	for (uint32_t i = 0; i < OFF_B + 50; i++)
		assert_int_equal(whole[i < OFF_B ? i : FILE_B + i], 0x11);
	assert_memory_equal(parts->memory, want + FILE_A + FILE_B, MEMORY);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(parts->memory[MEMORY + i], 0x11);
}

/* ---- writing -------------------------------------------------------------------------------------- */

/* Over each border, over both, and to the edges; no two pieces share a byte. */
static const struct {
	uint32_t addr, len;
} pieces[] = {
	{ FILE_A - 3, 6 },     { FILE_A + FILE_B - 900, 1000 }, { 0, 1 },    { ALL - 1, 1 },
	{ FILE_A - 200, 100 }, { FILE_A + 100, 100 },           { 4095, 2 },
};
#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void fill(uint8_t *bytes, uint32_t len, uint32_t salt)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + salt * 31 + 1);
}

static void ignore(struct sonde_io *io)
{
	(void)io;
}

static void write_pieces(struct sonde_loop *loop, struct sonde_space *space, uint64_t base,
			 uint8_t *model, int by_callback)
{
	static uint8_t bytes[N_PIECES][1000];
	struct sonde_xfer x[N_PIECES];
	struct sonde_io io = { .xfers = x, .n = N_PIECES, .op = SONDE_IO_WRITE, .done = ignore };

	for (uint32_t i = 0; i < N_PIECES; i++) {
		fill(bytes[i], pieces[i].len, i + (uint32_t)by_callback * 9);
		memcpy(model + pieces[i].addr, bytes[i], pieces[i].len);
		x[i] = (struct sonde_xfer){ .addr = base + pieces[i].addr,
					    .buf = bytes[i],
					    .len = pieces[i].len };
	}
	if (by_callback) {
		assert_int_equal(sonde_io_submit(space, &io), 0);
		assert_int_equal(sonde_loop_run(loop), 0);
		assert_int_equal(sonde_io_total(&io, NULL), 0);
	} else {
		assert_int_equal(sonde_space_write_all(space, x, N_PIECES), 0);
	}
}

static void reads_back(struct sonde_space *space, uint64_t base, const uint8_t *model)
{
	static uint8_t back[ALL];

	assert_int_equal(sonde_space_get(space, base, back, ALL), 0);
	assert_memory_equal(back, model, ALL);
}

typedef void engine_test(struct sonde_loop *loop);

static void on_every_engine(engine_test *test)
{
	for (uint32_t engine = SONDE_ENGINE_AUTO; engine <= SONDE_ENGINE_THREADS; engine++) {
		struct sonde_loop_options options = { .size = sizeof(options),
						      .engine = engine,
						      .depth = 2 };
		struct sonde_loop *loop = NULL;
		struct sonde_error err = { 0 };
		if (sonde_loop_create(&options, &loop, &err) < 0) {
			assert_int_equal(engine, SONDE_ENGINE_URING);
			print_message("skipped: %s\n", err.text);
			continue;
		}
		test(loop);
		sonde_loop_destroy(loop);
	}
}

static void over_files_and_memory(struct sonde_loop *loop)
{
	static uint8_t model[ALL];
	struct parts parts;
	struct sonde_space *space = open_parts(loop, &parts);

	memset(model, 0x11, ALL);
	for (int by_callback = 0; by_callback < 2; by_callback++) {
		write_pieces(loop, space, 0, model, by_callback);
		parts_hold(&parts, model);
		reads_back(space, 0, model);
	}
	sonde_space_close(space);
	close_parts(&parts);
}

static void a_split_write_puts_each_half_where_it_belongs(void **state)
{
	(void)state;
	on_every_engine(over_files_and_memory);
}

/* The space once more, as one of three stretches in another order. */
static void over_stretches(struct sonde_loop *loop)
{
	static uint8_t model[ALL], wanted[ALL];
	const uint32_t one = 1234, two = 7000; /* where it is cut, and its parts change places */
	struct parts parts;
	struct sonde_space *below = open_parts(loop, &parts), *space = NULL;
	const struct sonde_stretch stretches[] = {
		{ .addr = 0, .len = ALL - two, .space = below, .at = two },
		{ .addr = ALL - two, .len = two - one, .space = below, .at = one },
		{ .addr = ALL - one, .len = one, .space = below, .at = 0 },
	};

	assert_int_equal(sonde_space_remap(loop, stretches, 3, &space), 0);
	memset(model, 0x11, ALL);
	for (int by_callback = 0; by_callback < 2; by_callback++) {
		write_pieces(loop, space, 0, model, by_callback);
		for (int i = 0; i < 3; i++)
			memcpy(wanted + stretches[i].at, model + stretches[i].addr,
			       stretches[i].len);
		parts_hold(&parts, wanted);
		reads_back(space, 0, model);
	}
	sonde_space_close(space);
	sonde_space_close(below);
	close_parts(&parts);
}

static void so_does_one_over_stretches_of_other_spaces(void **state)
{
	(void)state;
	on_every_engine(over_stretches);
}

/* ---- virtual pages over a file ----------------------------------------------------------------------- */

#define RAM (1u << 17)
#define TABLES 0x10000u
#define BASE UINT64_C(0x7f0000400000)

struct image {
	int fd;
};

static int image_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = RAM,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .fd = ((struct image *)conn)->fd };

	(void)err;
	return fn(user, &e);
}

static uint32_t page_at(uint32_t page)
{
	return (page * 5 % 8 + 1) * 4096;
}

static void over_pages(struct sonde_loop *loop)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = image_extents };
	static uint8_t ram[RAM], got[RAM], model[ALL];
	struct image image = { memfd_create("sonde-split", 0) };
	struct sonde_space *phys = NULL, *space = NULL;
	struct page_tables tables;

	memset(ram, 0x11, RAM);
	tables_build(&tables, ram, RAM, TABLES, 4, "");
	for (uint32_t page = 0; page < 4; page++)
		*tables_entry(&tables, BASE + page * 4096, 0) = page_at(page) | 3;
	assert_int_equal(write(image.fd, ram, RAM), RAM);
	assert_int_equal(space_from_connector(loop, &ops, &image, &phys, NULL), 0);
	assert_int_equal(paging_space(phys, paging_map(paging_x86_64(4), tables.root), 0, &space),
			 0);
	memset(model, 0x11, ALL);
	for (int by_callback = 0; by_callback < 2; by_callback++) {
		write_pieces(loop, space, BASE, model, by_callback);
		for (uint32_t i = 0; i < ALL; i++)
			ram[page_at(i / 4096) + i % 4096] = model[i];
		assert_int_equal(pread(image.fd, got, RAM, 0), RAM);
		assert_memory_equal(got, ram, RAM);
		reads_back(space, BASE, model);
	}
	sonde_space_close(space);
	sonde_space_close(phys);
	close(image.fd);
}

static void so_does_one_over_virtual_pages(void **state)
{
	(void)state;
	on_every_engine(over_pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_write_puts_each_half_where_it_belongs),
		cmocka_unit_test(so_does_one_over_stretches_of_other_spaces),
		cmocka_unit_test(so_does_one_over_virtual_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

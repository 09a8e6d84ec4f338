/* SPDX-License-Identifier: MIT */
/*
 * overlay: what is written is read back over what is below, byte by byte; below nothing changes. The
 * truth is a model of both: an array and a bit for each byte.
 */
#include "layer_plugin.h"

#include <fcntl.h>
#include <sonde/target.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEM UINT64_C(0x8000)

struct world {
	struct fake fake;
	struct fake_range bad[2];
	struct layer_plugin layer;
	uint8_t model[MEM + 0x1000]; /* what stands there            */
	uint8_t there[MEM + 0x1000]; /* not 0: something does        */
	uint8_t before[MEM];         /* the bytes below, at the start */
};

static void open_world(struct world *w, uint32_t way, const char *text, int write)
{
	memset(w, 0, sizeof(*w));
	w->bad[0] = (struct fake_range){ 0x2ff0, 0x30, SONDE_E_NOT_MAPPED };
	w->bad[1] = (struct fake_range){ 0x5000, 0x1000, SONDE_E_NOT_SAVED };
	w->fake.bad = w->bad;
	w->fake.n_bad = 2;
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, way);
	memcpy(w->before, w->fake.bytes, MEM);
	memcpy(w->model, w->fake.bytes, MEM);
	memset(w->there, 1, MEM);
	memset(w->there + 0x2ff0, 0, 0x30);
	memset(w->there + 0x5000, 0, 0x1000);
	layer_plugin_open(&w->layer, w->fake.space, text, write);
}

static void close_world(struct world *w)
{
	assert_memory_equal(w->fake.bytes, w->before, MEM);
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
}

static int32_t error_at(const struct world *w, uint64_t addr)
{
	if (addr < sizeof(w->there) && w->there[addr])
		return 0;
	return addr >= 0x5000 && addr < 0x6000 ? SONDE_E_NOT_SAVED : SONDE_E_NOT_MAPPED;
}

static void check_outcome(const struct world *w, const struct sonde_xfer *x)
{
	uint32_t done = 0, first = x->len;

	for (uint32_t i = x->len; i-- > 0;) {
		int32_t err = x->addr + i < x->addr ? SONDE_E_NOT_MAPPED : error_at(w, x->addr + i);
		done += err == 0;
		first = err ? i : first;
	}
	assert_int_equal(x->done, done);
	assert_int_equal(x->err_off, first);
	assert_int_equal(x->err, first < x->len ? x->addr + first < x->addr
							  ? SONDE_E_NOT_MAPPED
							  : error_at(w, x->addr + first)
						: 0);
}

static void check_read(const struct world *w, const struct sonde_xfer *x)
{
	check_outcome(w, x);
	for (uint32_t i = 0; i < x->len; i++) {
		uint64_t addr = x->addr + i;
		uint8_t want = addr >= x->addr && error_at(w, addr) == 0 ? w->model[addr] : 0;
		if (((uint8_t *)x->buf)[i] != want)
			fail_msg("at 0x%llx: got %u, want %u", (unsigned long long)addr,
				 ((uint8_t *)x->buf)[i], want);
	}
}

static void apply_write(struct world *w, const struct sonde_xfer *x, int holes)
{
	for (uint32_t i = 0; i < x->len; i++) {
		uint64_t addr = x->addr + i;
		if (addr < sizeof(w->model) && (holes || w->there[addr])) {
			w->model[addr] = ((uint8_t *)x->buf)[i];
			w->there[addr] = 1;
		}
	}
}

enum { MAX_PIECES = 6, MAX_LEN = 0x3000 };

static void random_requests(struct world *w, int holes, int rounds)
{
	static uint8_t bytes[MAX_PIECES][MAX_LEN];
	struct sonde_xfer x[MAX_PIECES];

	for (int round = 0; round < rounds; round++) {
		uint32_t n = 1 + (uint32_t)rand() % MAX_PIECES, write = rand() % 2;
		n = write ? 1 : n; /* two writes of one batch to one place have no order */
		for (uint32_t i = 0; i < n; i++) {
			uint32_t len = 1 + (uint32_t)rand() % (rand() % 3 ? 40 : MAX_LEN);
			uint64_t addr = (uint64_t)rand() % (holes && write ? MEM : MEM + 0x100);
			len = holes && addr + len > MEM + 0x1000 ? 1 : len;
			x[i] = (struct sonde_xfer){ .addr = addr, .buf = bytes[i], .len = len };
			memset(bytes[i], rand(), len);
		}
		if (!write) {
			sonde_space_read(w->layer.space, x, n);
			for (uint32_t i = 0; i < n; i++)
				check_read(w, &x[i]);
			continue;
		}
		sonde_space_write(w->layer.space, x, 1);
		if (holes)
			assert_int_equal(x[0].done, x[0].len);
		else
			check_outcome(w, &x[0]);
		apply_write(w, &x[0], holes);
	}
}

static void what_was_written_is_read_and_nothing_below_changes(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	srand(11);
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		open_world(w, way, "overlay", 1);
		random_requests(w, 0, 3000);
		assert_true(layer_stat(&w->layer, "bytes written") > 10000);
		close_world(w);
		open_world(w, way, "overlay,holes=yes", 1);
		random_requests(w, 1, 3000);
		close_world(w);
	}
	free(w);
}

static uint32_t told[2];

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	(void)io;
	told[f->piece] += f->len;
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static void watchers_hear_of_every_byte_once(void **state)
{
	struct world *w = malloc(sizeof(*w));
	static uint8_t bytes[2][0x20000];

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct sonde_xfer x[2] = { { 0x1ff8, bytes[0], 0x4000, 0, 0, 0 },
					   { UINT64_MAX - 7, bytes[1], 0x1ffff, 0, 0, 0 } };
		open_world(w, way, "overlay", 1);
		for (uint32_t op = 2; op-- > 0;) {
			struct sonde_io io = {
				.xfers = x, .n = 2, .op = op, .done = done, .fragment = tell
			};
			told[0] = told[1] = 0;
			n_done = 0;
			assert_int_equal(sonde_io_submit(w->layer.space, &io), 0);
			sonde_loop_run(w->fake.loop);
			assert_int_equal(n_done, 1);
			assert_int_equal(told[0], x[0].len);
			assert_int_equal(told[1], x[1].len);
			assert_int_equal(x[1].done, 0);
			if (op == SONDE_IO_WRITE)
				apply_write(w, &x[0], 0);
			else
				check_read(w, &x[0]);
		}
		close_world(w);
	}
	free(w);
}

static void without_write_it_answers_as_what_is_read_only(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint8_t bytes[32] = { 1 };
	struct sonde_xfer x = { 0x2fe8, bytes, 32, 0, 0, 0 };

	(void)state;
	for (int holes = 0; holes < 2; holes++) {
		open_world(w, SONDE_WAY_EXTENTS, holes ? "overlay,holes=yes" : "overlay", 0);
		sonde_space_write(w->layer.space, &x, 1);
		assert_int_equal(x.done, 0);
		assert_int_equal(x.err, SONDE_E_READ_ONLY);
		assert_ptr_equal(sonde_space_borrow(w->layer.space, 16, 4), w->fake.bytes + 16);
		close_world(w);
	}
	open_world(w, SONDE_WAY_EXTENTS, "overlay", 1);
	assert_ptr_equal(sonde_space_borrow(w->layer.space, 16, 4), w->fake.bytes + 16);
	close_world(w);
	free(w);
}

static void its_memory_is_bounded_and_the_writer_hears_of_it(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	uint8_t *bytes = malloc(4 << 20);
	struct sonde_xfer x = { 0x800, bytes, 2 << 20, 0, 0, 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 4 << 20, SONDE_WAY_TRANSFER);
	layer_plugin_open(&layer, fake.space, "overlay,mb=1", 1);
	memset(bytes, 0xcc, 2 << 20);
	assert_int_equal(sonde_space_write(layer.space, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_NO_MEMORY);
	assert_true(x.done > 800000 && x.done < 1 << 20);
	assert_int_equal(x.err_off, x.done);
	uint32_t stored = x.done;
	x.len = 4 << 20;
	x.addr = 0;
	sonde_space_read(layer.space, &x, 1);
	assert_int_equal(x.err, 0);
	for (uint32_t i = 0; i < 4 << 20; i++) {
		uint8_t want = i >= 0x800 && i - 0x800 < stored ? 0xcc : fake_byte(i);
		if (bytes[i] != want)
			fail_msg("at 0x%x: got %u, want %u", i, bytes[i], want);
	}
	/* What is there already may go on changing. */
	assert_int_equal(sonde_space_put(layer.space, 0x900, "x", 1), 0);
	assert_int_equal(sonde_space_put(layer.space, 0x300000, "x", 1), SONDE_E_NO_MEMORY);
	layer_plugin_close(&layer);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
	free(bytes);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static struct sonde_io *held[64];
static size_t n_held;

static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++)
		held[n_held++] = ios[i];
	return n;
}

static void let_go(struct fake *fake)
{
	size_t n = n_held;

	n_held = 0;
	for (size_t i = 0; i < n; i++) {
		fake_serve(fake, held[i]);
		space_host.io_done(held[i]);
	}
}

static void a_cancelled_write_sends_no_further_window(void **state)
{
	struct fake fake = { .submit = hold };
	struct layer_plugin layer;
	static uint8_t bytes[0x40000], back[0x40000];
	struct sonde_xfer x = { 0, bytes, sizeof(bytes), 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .op = SONDE_IO_WRITE, .done = done };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), sizeof(bytes), SONDE_WAY_SUBMIT);
	layer_plugin_open(&layer, fake.space, "overlay", 1);
	memset(bytes, 0xaa, sizeof(bytes));
	n_done = 0;
	n_held = 0;
	sonde_io_submit(layer.space, &io);
	while (!n_held)
		sonde_loop_turn(fake.loop);
	sonde_io_cancel(&io);
	sonde_loop_turn(fake.loop);
	assert_int_equal(n_done, 0);
	let_go(&fake);
	sonde_loop_run(fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(fake.calls, 1);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
	assert_int_equal(x.done, 65536);
	assert_int_equal(x.err_off, 65536);
	fake.submit = NULL;
	assert_int_equal(sonde_space_get(layer.space, 0, back, sizeof(back)), 0);
	assert_int_equal(back[65535], 0xaa);
	assert_int_equal(back[65536], fake_byte(65536));
	layer_plugin_close(&layer);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

static void a_mixed_batch_is_one_trip(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	uint8_t bytes[8];
	struct sonde_xfer x[8];
	struct sonde_io ios[8];

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 0x8000, SONDE_WAY_TRANSFER);
	layer_plugin_open(&layer, fake.space, "overlay", 1);
	assert_int_equal(sonde_space_put(layer.space, 0x1001, "x", 1), 0);
	fake.calls = 0;
	n_done = 0;
	for (uint64_t i = 0; i < 8; i++) {
		x[i] = (struct sonde_xfer){ .addr = i * 0x1000, .buf = &bytes[i], .len = 1 };
		ios[i] = (struct sonde_io){ .xfers = &x[i], .n = 1, .done = done };
		sonde_io_submit(layer.space, &ios[i]);
	}
	sonde_loop_run(fake.loop);
	assert_int_equal(n_done, 8);
	assert_int_equal(fake.calls, 1);
	layer_plugin_close(&layer);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

/* ---- regions ----------------------------------------------------------------------------------- */

struct seen {
	struct sonde_region at[16];
	size_t n;
};

static int see(void *user, const struct sonde_region *region)
{
	struct seen *seen = user;

	assert_true(seen->n < 16);
	seen->at[seen->n++] = *region;
	return 0;
}

static void regions_show_what_was_made_in_holes(void **state)
{
	static const struct {
		uint64_t addr, len;
		int made;
	} want[] = {
		{ 0, 0x2ff0, 0 },      { 0x2ff0, 0x30, 1 },
		{ 0x3020, 0x1fe0, 0 }, { 0x5000, 0x1000, 1 },
		{ 0x6000, 0x2000, 0 }, { 0x8000, 0x2000, 1 },
		{ 0xb000, 0x1000, 1 }, { UINT64_MAX - 0xfff, 0x1000, 1 },
	};
	struct world *w = malloc(sizeof(*w));
	struct seen seen = { .n = 0 };

	(void)state;
	open_world(w, SONDE_WAY_EXTENTS, "overlay,holes=yes", 1);
	const uint64_t places[] = {
		0x10, 0x2ff4, 0x3010, 0x5008, 0x8000, 0x9fff, 0xb123, UINT64_MAX
	};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_int_equal(sonde_space_put(w->layer.space, places[i], "x", 1), 0);
	assert_int_equal(sonde_space_regions(w->layer.space, see, &seen), 0);
	for (size_t i = 0; i < seen.n && i < sizeof(want) / sizeof(want[0]); i++) {
		if (seen.at[i].addr != want[i].addr || seen.at[i].len != want[i].len ||
		    (strcmp(seen.at[i].name, "overlay") == 0) != want[i].made ||
		    !(seen.at[i].flags & SONDE_REGION_WRITE))
			fail_msg("region %zu: 0x%llx+0x%llx %s", i,
				 (unsigned long long)seen.at[i].addr,
				 (unsigned long long)seen.at[i].len, seen.at[i].name);
	}
	assert_int_equal(seen.n, sizeof(want) / sizeof(want[0]));
	close_world(w);
	free(w);
}

static void pages_in_a_row_are_shown_in_each_gap_they_fill(void **state)
{
	static const uint64_t made[][2] = { { 0x2ff0, 0x30 },
					    { 0x5000, 0x1000 },
					    { 0x8000, 0x2000 } };
	struct world *w = malloc(sizeof(*w));
	struct seen seen = { .n = 0 };
	size_t n = 0;

	(void)state;
	open_world(w, SONDE_WAY_EXTENTS, "overlay,holes=yes", 1);
	for (uint64_t page = 0x2000; page <= 0x9000; page += 0x1000)
		assert_int_equal(sonde_space_put(w->layer.space, page, "x", 1), 0);
	assert_int_equal(sonde_space_regions(w->layer.space, see, &seen), 0);
	for (size_t i = 0; i < seen.n; i++) {
		if (strcmp(seen.at[i].name, "overlay") != 0)
			continue;
		assert_true(n < sizeof(made) / sizeof(made[0]));
		assert_int_equal(seen.at[i].addr, made[n][0]);
		assert_int_equal(seen.at[i].len, made[n][1]);
		n++;
	}
	assert_int_equal(n, sizeof(made) / sizeof(made[0]));
	close_world(w);
	free(w);
}

/* ---- the file ------------------------------------------------------------------------------------ */

static const char *path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/sonde-overlay-%d-%s", (int)getpid(), name);
	return path;
}

static void with_file(char *buf, size_t cap, const char *more)
{
	snprintf(buf, cap, "overlay,file=%s%s", path_of("save"), more);
}

static void open_twice_for_writing_is_refused(struct world *w, const char *text)
{
	struct layer_plugin second;
	struct sonde_error err = { 0 };

	assert_int_equal(layer_plugin_try(&second, w->fake.space, text, 1, &err), SONDE_E_BUSY);
	assert_non_null(strstr(err.text, "another overlay writes to it"));
}

static void it_goes_on_where_it_was(void **state)
{
	struct world *w = malloc(sizeof(*w));
	uint8_t *model = malloc(sizeof(w->model)), *there = malloc(sizeof(w->there));
	char text[128];

	(void)state;
	unlink(path_of("save"));
	with_file(text, sizeof(text), ",holes=yes");
	srand(5);
	for (int times = 0; times < 3; times++) {
		open_world(w, SONDE_WAY_EXTENTS, text, 1);
		open_twice_for_writing_is_refused(w, text);
		if (times) {
			memcpy(w->model, model, sizeof(w->model));
			memcpy(w->there, there, sizeof(w->there));
			assert_true(layer_stat(&w->layer, "bytes restored") > 0);
		}
		random_requests(w, 1, 200);
		memcpy(model, w->model, sizeof(w->model));
		memcpy(there, w->there, sizeof(w->there));
		close_world(w);
	}
	/* Reading only, it shows the same and changes nothing. */
	struct stat before, after;
	assert_int_equal(stat(path_of("save"), &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	open_world(w, SONDE_WAY_EXTENTS, text, 0);
	memcpy(w->model, model, sizeof(w->model));
	memcpy(w->there, there, sizeof(w->there));
	uint8_t bytes[0x4000];
	struct sonde_xfer x = { 0x1800, bytes, sizeof(bytes), 0, 0, 0 };
	sonde_space_read(w->layer.space, &x, 1);
	check_read(w, &x);
	close_world(w);
	assert_int_equal(stat(path_of("save"), &after), 0);
	assert_true(before.st_size == after.st_size);
	/* Torn at any byte, it begins with what is whole. */
	for (off_t cut = after.st_size - 1; cut > after.st_size - 200; cut--) {
		assert_int_equal(truncate(path_of("save"), cut), 0);
		open_world(w, SONDE_WAY_EXTENTS, text, cut % 2);
		close_world(w);
	}
	unlink(path_of("save"));
	free(w);
	free(model);
	free(there);
}

/* A file of four writes, and a space for it to lie over; its arguments in text. */
static void keep_four_writes(struct fake *fake, char *text, size_t cap)
{
	struct layer_plugin layer;

	unlink(path_of("save"));
	with_file(text, cap, "");
	fake_open(fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_open(&layer, fake->space, text, 1);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(sonde_space_put(layer.space, i, "x", 1), 0);
	layer_plugin_close(&layer);
}

/* The sums find it: what stands before is there, what stands behind is not. */
static void any_bit_that_turned_is_found(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	struct sonde_error err;
	struct stat st;
	char text[128];

	(void)state;
	keep_four_writes(&fake, text, sizeof(text));
	assert_int_equal(stat(path_of("save"), &st), 0);
	int fd = open(path_of("save"), O_RDWR);
	for (off_t at = 0; at < st.st_size; at++) {
		uint8_t was, is, bytes[5];
		assert_int_equal(pread(fd, &was, 1, at), 1);
		is = was ^ 4;
		assert_int_equal(pwrite(fd, &is, 1, at), 1);
		if (layer_plugin_try(&layer, fake.space, text, 0, &err) == 0) {
			assert_int_equal(sonde_space_get(layer.space, 0, bytes, 5), 0);
			for (int i = 0; i < 4; i++)
				assert_true(bytes[i] == 'x' ||
					    (bytes[i] == 0 && bytes[i + 1] == 0));
			layer_plugin_close(&layer);
		}
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	close(fd);
	unlink(path_of("save"));
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

/* Writing on behind what is damaged would cut off the writes that follow it. */
static void a_damaged_file_is_not_written_to(void **state)
{
	struct fake fake = { 0 };
	struct stat before, after;
	struct layer_plugin layer;
	uint8_t was;
	char text[128];

	(void)state;
	keep_four_writes(&fake, text, sizeof(text));
	assert_int_equal(stat(path_of("save"), &before), 0);
	/* Zeros at the end, as a power cut leaves them, are none of it. */
	assert_int_equal(truncate(path_of("save"), before.st_size + 5000), 0);
	layer_plugin_open(&layer, fake.space, text, 1);
	layer_plugin_close(&layer);
	assert_int_equal(stat(path_of("save"), &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	int fd = open(path_of("save"), O_RDWR);
	assert_int_equal(pread(fd, &was, 1, before.st_size / 2), 1);
	was ^= 4;
	assert_int_equal(pwrite(fd, &was, 1, before.st_size / 2), 1);
	close(fd);
	struct sonde_error err = { 0 };
	assert_int_equal(layer_plugin_try(&layer, fake.space, text, 1, &err), SONDE_E_CORRUPT);
	assert_non_null(strstr(err.text, "is damaged from byte"));
	assert_int_equal(stat(path_of("save"), &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	unlink(path_of("save"));
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

static void files_that_are_none_are_refused(void **state)
{
	struct fake fake = { 0 };
	char text[128];
	int fd = open(path_of("save"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	with_file(text, sizeof(text), "");
	assert_int_equal(write(fd, "SONDEREC\1\0\0\0\1\0\0\0some", 20), 20);
	close(fd);
	layer_plugin_refuses(fake.space, text, SONDE_E_BAD_FORMAT, "is no overlay");
	assert_int_equal(truncate(path_of("save"), 3), 0);
	layer_plugin_refuses(fake.space, text, SONDE_E_BAD_FORMAT, "is no overlay");
	unlink(path_of("save"));
	layer_plugin_refuses(fake.space, text, SONDE_E_NOT_FOUND, "No such file");
	layer_plugin_refuses(fake.space, "overlay,file=/dev/null", SONDE_E_BAD_ARG, "is no file");
	layer_plugin_refuses(fake.space, "overlay,mb=0", SONDE_E_BAD_ARG, "mb=0");
	layer_plugin_refuses(fake.space, "overlay,holes=maybe", SONDE_E_BAD_ARG, "yes or no");
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

static void a_write_that_cannot_be_kept_is_an_error(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	uint8_t byte = 0;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	unlink(path_of("save"));
	char text[128];
	with_file(text, sizeof(text), "");
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_open(&layer, fake.space, text, 1);
	/* The descriptor of the file becomes one that is always full. */
	int full = open("/dev/full", O_WRONLY), found = 0;
	for (int fd = 3; fd < 256; fd++) {
		char link[64], to[256] = { 0 };
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, to, sizeof(to) - 1) > 0 && strcmp(to, path_of("save")) == 0)
			found = dup2(full, fd) == fd;
	}
	close(full);
	assert_true(found);
	assert_int_equal(sonde_space_put(layer.space, 5, "x", 1), SONDE_E_IO);
	assert_int_equal(sonde_space_get(layer.space, 6, &byte, 1), 0);
	layer_plugin_close(&layer);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
	unlink(path_of("save"));
}

/* ---- by name ---------------------------------------------------------------------------------------- */

static void the_file_below_is_never_opened_for_writing(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_AUTO, 0);
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_error err = { 0 };
	char name[160], line[128];
	uint8_t byte = 0;
	int fd = open(path_of("raw"), O_WRONLY | O_CREAT | O_TRUNC, 0400);

	(void)state;
	for (int i = 0; i < 4096; i++)
		assert_int_equal(write(fd, "r", 1), 1);
	close(fd);
	snprintf(name, sizeof(name), "flat:%s|delay,us=1|overlay|delay,us=1", path_of("raw"));
	if (sonde_target_open(loop, name, &options, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(target, &info);
	assert_true(info.flags & SONDE_TARGET_WRITABLE);
	for (fd = 3; fd < 256; fd++) {
		char link[64], to[256] = { 0 };
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, to, sizeof(to) - 1) > 0 && strcmp(to, path_of("raw")) == 0)
			assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	}
	assert_int_equal(sonde_space_put(sonde_target_memory(target), 100, "w", 1), 0);
	assert_int_equal(sonde_space_get(sonde_target_memory(target), 100, &byte, 1), 0);
	assert_int_equal(byte, 'w');
	sonde_target_close(target);
	FILE *file = fopen(path_of("raw"), "r");
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	assert_int_equal(line[100], 'r');
	unlink(path_of("raw"));
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_and_nothing_below_changes),
		cmocka_unit_test(watchers_hear_of_every_byte_once),
		cmocka_unit_test(without_write_it_answers_as_what_is_read_only),
		cmocka_unit_test(its_memory_is_bounded_and_the_writer_hears_of_it),
		cmocka_unit_test(a_cancelled_write_sends_no_further_window),
		cmocka_unit_test(a_mixed_batch_is_one_trip),
		cmocka_unit_test(regions_show_what_was_made_in_holes),
		cmocka_unit_test(pages_in_a_row_are_shown_in_each_gap_they_fill),
		cmocka_unit_test(it_goes_on_where_it_was),
		cmocka_unit_test(any_bit_that_turned_is_found),
		cmocka_unit_test(a_damaged_file_is_not_written_to),
		cmocka_unit_test(files_that_are_none_are_refused),
		cmocka_unit_test(a_write_that_cannot_be_kept_is_an_error),
		cmocka_unit_test(the_file_below_is_never_opened_for_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

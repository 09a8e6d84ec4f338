/* SPDX-License-Identifier: MIT */
/*
 * record and replay: a run over memory that changes comes out again, outcome for outcome and byte for byte;
 * reads nobody made like that are made of others; files that were cut off or damaged replay as far as they go.
 */
#include "../../connectors/replay/recording.h"
#include "layer_plugin.h"

#include <fcntl.h>
#include <sonde/target.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEM UINT64_C(0x8000)

static const char *path(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "/tmp/sonde-replay-%d", (int)getpid());
	return name;
}

struct world {
	struct fake fake;
	struct fake_range bad[3];
	struct layer_plugin layer;
};

static void open_recording(struct world *w, uint32_t way)
{
	char text[128];

	memset(w, 0, sizeof(*w));
	unlink(path());
	w->bad[0] = (struct fake_range){ 0x2ff0, 0x20, SONDE_E_NOT_MAPPED };
	w->bad[1] = (struct fake_range){ 0x4000, 0x1000, SONDE_E_NOT_SAVED };
	w->bad[2] = (struct fake_range){ 0x5000, 0x800, SONDE_E_IO };
	w->fake.bad = w->bad;
	w->fake.n_bad = 3;
	snprintf(text, sizeof(text), "record,file=%s", path());
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, way);
	layer_plugin_open(&w->layer, w->fake.space, text, 1);
}

static void close_recording(struct world *w)
{
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
}

struct replayed {
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
};

static int try_replay(struct replayed *r, struct sonde_error *err)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	char name[80];

	memset(r, 0, sizeof(*r));
	r->loop = loop_new(SONDE_ENGINE_AUTO, 0);
	snprintf(name, sizeof(name), "replay:%s", path());
	int code = sonde_target_open(r->loop, name, &options, &r->target, err);
	if (code == 0)
		r->space = sonde_target_memory(r->target);
	else
		sonde_loop_destroy(r->loop);
	return code;
}

static void open_replay(struct replayed *r)
{
	struct sonde_error err = { 0 };

	if (try_replay(r, &err) < 0)
		fail_msg("%s", err.text);
}

static void close_replay(struct replayed *r)
{
	sonde_target_close(r->target);
	sonde_loop_destroy(r->loop);
}

static uint8_t byte_of(struct sonde_space *space, uint64_t addr)
{
	uint8_t byte = 0xee;

	assert_int_equal(sonde_space_get(space, addr, &byte, 1), 0);
	return byte;
}

/* ---- as it was ------------------------------------------------------------------------------------------------ */

static void the_same_place_at_different_times(void **state)
{
	struct world w;
	struct replayed r;

	(void)state;
	open_recording(&w, SONDE_WAY_TRANSFER);
	for (uint8_t i = 0; i < 5; i++) {
		w.fake.bytes[0x100] = i;
		w.fake.bytes[0x200] = (uint8_t)(100 + i);
		assert_int_equal(byte_of(w.layer.space, 0x100), i);
		if (i % 2)
			assert_int_equal(byte_of(w.layer.space, 0x200), 100 + i);
	}
	close_recording(&w);
	open_replay(&r);
	for (uint8_t i = 0; i < 5; i++) {
		assert_int_equal(byte_of(r.space, 0x100), i);
		if (i % 2)
			assert_int_equal(byte_of(r.space, 0x200), 100 + i);
	}
	/* When there are no more: as it was last. */
	assert_int_equal(byte_of(r.space, 0x100), 4);
	assert_int_equal(byte_of(r.space, 0x200), 103);
	close_replay(&r);
	unlink(path());
}

enum { RUN = 400, PIECES = 5, MAX_LEN = 6000 };

struct outcome {
	int32_t result;
	struct sonde_xfer x[PIECES];
	uint32_t n, told;
	uint64_t sum;
};

static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 14695981039346656037u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 1099511628211u;
	return sum;
}

static uint32_t n_told;

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	(void)io;
	n_told += f->len;
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

/* A run of random requests, which memory changes between where there is any. */
static void run(struct sonde_space *space, struct sonde_loop *loop, struct fake *fake,
		struct outcome *outcomes)
{
	static uint8_t bytes[PIECES][MAX_LEN];

	srand(41);
	for (int i = 0; i < RUN; i++) {
		struct outcome *o = &outcomes[i];
		unsigned change = (unsigned)rand(), value = (unsigned)rand();
		memset(o, 0, sizeof(*o));
		if (fake)
			memset(fake->bytes + change % (MEM - 64), (int)value, 64);
		o->n = 1 + (uint32_t)rand() % PIECES;
		for (uint32_t k = 0; k < o->n; k++) {
			uint64_t addr = rand() % 50 ? (uint64_t)rand() % 64 * 512 : UINT64_MAX - 5;
			o->x[k] = (struct sonde_xfer){
				.addr = addr,
				.buf = memset(bytes[k], 0xee, MAX_LEN),
				.len = 1 + (uint32_t)rand() % (rand() % 4 ? 16 : MAX_LEN)
			};
		}
		struct sonde_io io = {
			.xfers = o->x, .n = o->n, .done = done, .fragment = i % 2 ? tell : NULL
		};
		n_told = 0;
		n_done = 0;
		assert_int_equal(sonde_io_submit(space, &io), 0);
		while (!n_done)
			sonde_loop_wait(loop, UINT64_MAX);
		o->result = io.result;
		o->told = n_told;
		for (uint32_t k = 0; k < o->n; k++) {
			o->sum = o->sum * 31 + sum_of(bytes[k], o->x[k].len);
			o->x[k].buf = NULL;
		}
	}
}

static void a_run_comes_out_bit_for_bit(void **state)
{
	struct outcome *live = malloc(RUN * sizeof(*live)), *again = malloc(RUN * sizeof(*again));

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		struct replayed r;
		open_recording(&w, way);
		run(w.layer.space, w.fake.loop, &w.fake, live);
		assert_int_equal(layer_stat(&w.layer, "requests"), RUN);
		assert_int_equal(layer_stat(&w.layer, "lost"), 0);
		close_recording(&w);
		for (int times = 0; times < 2; times++) {
			open_replay(&r);
			run(r.space, r.loop, NULL, again);
			close_replay(&r);
			for (int i = 0; i < RUN; i++) {
				if (memcmp(&live[i], &again[i], sizeof(live[i])) != 0)
					fail_msg("way %u: request %d came out differently", way, i);
			}
		}
	}
	unlink(path());
	free(live);
	free(again);
}

/* ---- made of others --------------------------------------------------------------------------------------------- */

static void what_nobody_read_like_that_is_made_of_others(void **state)
{
	struct world w;
	struct replayed r;
	uint8_t bytes[32];
	struct sonde_xfer x = { 0x100, bytes, 32, 0, 0, 0 };

	(void)state;
	open_recording(&w, SONDE_WAY_TRANSFER);
	memset(w.fake.bytes + 0x100, 1, 32);
	sonde_space_get(w.layer.space, 0x108, bytes, 8); /* 1 */
	memset(w.fake.bytes + 0x100, 2, 32);
	sonde_space_get(w.layer.space, 0x104, bytes, 8); /* 2 */
	memset(w.fake.bytes + 0x100, 3, 32);
	sonde_space_get(w.layer.space, 0x100, bytes, 6);  /* 3 */
	sonde_space_get(w.layer.space, 0x2fec, bytes, 8); /* half of it is not there */
	close_recording(&w);

	open_replay(&r);
	/* Nothing has been read yet: of each byte the first. */
	sonde_space_read(r.space, &x, 1);
	static const uint8_t first[16] = { 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1 };
	assert_memory_equal(bytes, first, 16);
	assert_int_equal(x.err, SONDE_E_NOT_SAVED);
	assert_int_equal(x.err_off, 16);
	assert_int_equal(x.done, 16);
	/* Having come as far as the second read: the last before it counts. */
	assert_int_equal(sonde_space_get(r.space, 0x104, bytes, 8), 0);
	x.len = 16;
	sonde_space_read(r.space, &x, 1);
	static const uint8_t second[16] = { 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1 };
	assert_memory_equal(bytes, second, 16);
	/* At the end. */
	assert_int_equal(sonde_space_get(r.space, 0x100, bytes, 6), 0);
	sonde_space_read(r.space, &x, 1);
	static const uint8_t third[16] = { 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1 };
	assert_memory_equal(bytes, third, 16);
	/* What failed is known to have. */
	x = (struct sonde_xfer){ 0x2fe8, bytes, 16, 0, 0, 0 };
	sonde_space_read(r.space, &x, 1);
	assert_int_equal(x.done, 4);
	assert_int_equal(x.err, SONDE_E_NOT_SAVED);
	x = (struct sonde_xfer){ 0x2fee, bytes, 6, 0, 0, 0 };
	sonde_space_read(r.space, &x, 1);
	assert_int_equal(x.done, 2);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 2);
	/* Past the end of all addresses there is nothing. */
	x = (struct sonde_xfer){ UINT64_MAX - 1, bytes, 6, 0, 0, 0 };
	sonde_space_read(r.space, &x, 1);
	assert_int_equal(x.err, SONDE_E_NOT_SAVED);
	assert_int_equal(x.done, 0);
	assert_int_equal(sonde_space_put(r.space, 0x100, "x", 1), SONDE_E_READ_ONLY);
	close_replay(&r);
	unlink(path());
}

static void a_piece_that_was_dropped_is_one_again(void **state)
{
	struct replayed r;
	char name[128];
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_target *target;
	struct sonde_error err;
	uint8_t bytes[2][16];
	struct sonde_xfer x[2] = { { 0x10, bytes[0], 16, 0, 0, 0 },
				   { 0x20, bytes[1], 16, 0, 0, 0 } };

	(void)state;
	unlink(path());
	snprintf(name, sizeof(name), "ram:64k|fault,drop=yes,at=0x14+4|record,file=%s", path());
	if (sonde_target_open(loop, name, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_space_read(sonde_target_memory(target), x, 2);
	assert_int_equal(x[0].err, SONDE_E_IO);
	assert_int_equal(x[0].done, 0);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	open_replay(&r);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sonde_space_read(r.space, x, 2), 1);
	assert_int_equal(x[0].err, SONDE_E_IO);
	assert_int_equal(x[0].done, 0);
	assert_int_equal(bytes[0][15], 0);
	assert_int_equal(bytes[1][0], 2);
	close_replay(&r);
	unlink(path());
}

/* ---- what else is asked -------------------------------------------------------------------------------------------- */

/* A target that knows more than bytes, and another thing each time it is asked. */
struct knowing {
	uint32_t n_cpu, n_note, n_regions;
};

static int knowing_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct knowing *k = conn;

	if (index > 1)
		return SONDE_E_NOT_FOUND;
	k->n_cpu++;
	memset(ret, 0, sizeof(*ret));
	ret->arch = SONDE_ARCH_X86_64;
	ret->valid = SONDE_CPU_CONTROL | SONDE_CPU_EFER;
	ret->cr[3] = 1000 * k->n_cpu + index;
	ret->general[15] = 15;
	ret->efer = UINT64_MAX;
	return 0;
}

static int64_t knowing_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct knowing *k = conn;
	char text[64];

	if (strcmp(name, "CLOCK") != 0)
		return SONDE_E_NOT_FOUND;
	int len = snprintf(text, sizeof(text), "tick %u of the clock", k->n_note++ / 2);
	memcpy(buf, text, (size_t)len < cap ? (size_t)len : cap);
	return len;
}

static int knowing_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct knowing *k = conn;
	struct sonde_region a = {
		.addr = 0x1000, .len = 0x1000, .flags = SONDE_REGION_READ, .name = "first"
	};
	struct sonde_region b = {
		.addr = UINT64_MAX, .len = 1, .flags = SONDE_REGION_EXEC, .name = ""
	};
	struct sonde_region c = { .addr = 0x2000, .len = 16, .name = "a name of more than eight" };
	int r = fn(user, &a);

	if (k->n_regions++ && r == 0)
		r = fn(user, &c);
	r = r ? r : fn(user, &b);
	return r ? r : SONDE_E_GONE;
}

static void open_knowing(struct knowing *k, struct fake *fake, struct layer_plugin *layer)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .extents = NULL,
					   .transfer = fake_transfer,
					   .regions = knowing_regions,
					   .cpu = knowing_cpu,
					   .note = knowing_note };
	struct sonde_target_info info = { .detail = "knows a lot",
					  .arch = SONDE_ARCH_X86_64,
					  .flags = SONDE_TARGET_LIVE | SONDE_TARGET_WRITABLE |
						   SONDE_TARGET_PHYSICAL,
					  .n_cpus = 2 };
	char text[128];

	unlink(path());
	memset(k, 0, sizeof(*k));
	memset(fake, 0, sizeof(*fake));
	fake->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	assert_int_equal(space_from_connector(fake->loop, &ops, k, &fake->space, NULL), 0);
	snprintf(text, sizeof(text), "record,file=%s", path());
	layer_plugin_open(layer, fake->space, text, 0);
	space_layer_info(layer->space, &info);
}

struct seen {
	struct sonde_region at[8];
	char names[8][64];
	size_t n, stop_at;
};

static int see(void *user, const struct sonde_region *region)
{
	struct seen *seen = user;

	assert_true(seen->n < 8);
	snprintf(seen->names[seen->n], 64, "%s", region->name);
	seen->at[seen->n] = *region;
	seen->at[seen->n++].name = NULL;
	return seen->n == seen->stop_at ? 7 : 0;
}

/* Everything that is asked of a target beside its bytes, into one text. */
static void ask_all(struct sonde_space *space, char *out, size_t cap)
{
	size_t used = 0;

	for (int round = 0; round < 3; round++) {
		struct seen seen = { .stop_at = round == 1 ? 1 : 9 };
		char note[64] = "";
		struct sonde_cpu cpu = { 0 };
		int r = sonde_space_regions(space, see, &seen);
		used += (size_t)snprintf(out + used, cap - used, "%d:", r);
		for (size_t i = 0; i < seen.n; i++)
			used += (size_t)snprintf(out + used, cap - used, " %llx+%llx %u '%s'",
						 (unsigned long long)seen.at[i].addr,
						 (unsigned long long)seen.at[i].len,
						 seen.at[i].flags, seen.names[i]);
		for (uint32_t i = 0; i < 3; i++) {
			r = space_cpu(space, i, &cpu);
			used += (size_t)snprintf(
				out + used, cap - used, " cpu %d %u %llu %llu %llx;", r, cpu.valid,
				(unsigned long long)cpu.cr[3], (unsigned long long)cpu.general[15],
				(unsigned long long)cpu.efer);
		}
		int64_t len = space_note(space, "CLOCK", note, round == 2 ? sizeof(note) : 6);
		used += (size_t)snprintf(out + used, cap - used, " note %lld %.63s %lld\n",
					 (long long)len, note,
					 (long long)space_note(space, "NONE", note, sizeof(note)));
	}
	assert_true(used < cap);
}

static void regions_registers_and_notes_come_in_their_order(void **state)
{
	struct knowing k;
	struct fake fake;
	struct layer_plugin layer;
	struct replayed r;
	struct sonde_target_info info;
	char live[4096], again[4096], rest[64];

	(void)state;
	open_knowing(&k, &fake, &layer);
	ask_all(layer.space, live, sizeof(live));
	layer_plugin_close(&layer);
	sonde_space_close(fake.space);
	sonde_loop_destroy(fake.loop);

	open_replay(&r);
	sonde_target_info(r.target, &info);
	assert_string_equal(info.detail, "knows a lot");
	assert_int_equal(info.arch, SONDE_ARCH_X86_64);
	assert_int_equal(info.flags, SONDE_TARGET_LIVE | SONDE_TARGET_PHYSICAL);
	assert_int_equal(info.n_cpus, 2);
	ask_all(r.space, again, sizeof(again));
	assert_string_equal(again, live);
	/* More than was asked for then: the whole note, though little of it was; the last registers. */
	struct sonde_cpu cpu;
	assert_int_equal(sonde_target_cpu(r.target, 1, &cpu), 0);
	assert_int_equal(cpu.cr[3], 6001);
	assert_int_equal(sonde_target_note(r.target, "CLOCK", rest, sizeof(rest)), 19);
	assert_memory_equal(rest, "tick 2 of the clock", 19);
	assert_int_equal(sonde_target_note(r.target, "OTHER", rest, sizeof(rest)),
			 SONDE_E_NOT_FOUND);
	close_replay(&r);
	unlink(path());
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

static void a_file_that_was_cut_off_replays_as_far_as_it_goes(void **state)
{
	struct world w;
	struct replayed r;
	struct sonde_error err;
	struct sonde_target_info info;
	struct stat st;
	uint8_t byte;
	int opened = 0, whole = 0;

	(void)state;
	open_recording(&w, SONDE_WAY_TRANSFER);
	for (uint8_t i = 0; i < 3; i++) {
		w.fake.bytes[0x100] = i;
		byte_of(w.layer.space, 0x100);
	}
	close_recording(&w);
	assert_int_equal(stat(path(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (off_t cut = st.st_size; cut-- > 0;) {
		assert_int_equal(truncate(path(), cut), 0);
		if (try_replay(&r, &err) < 0) {
			assert_int_equal(err.code, SONDE_E_BAD_FORMAT);
			continue;
		}
		opened++;
		sonde_target_info(r.target, &info);
		whole += strstr(info.detail, "cut off") == NULL;
		assert_int_equal(byte_of(r.space, 0x100), 0);
		assert_int_equal(sonde_space_get(r.space, 0x100, &byte, 1), 0);
		assert_true(byte < 2);
		close_replay(&r);
	}
	assert_true(opened > 100);
	assert_int_equal(whole, 2); /* exactly between two records */
	unlink(path());
}

static void any_bit_that_turned_is_found(void **state)
{
	struct world w;
	struct replayed r;
	struct sonde_error err;
	struct stat st;

	(void)state;
	open_recording(&w, SONDE_WAY_TRANSFER);
	for (uint64_t i = 0; i < 4; i++)
		byte_of(w.layer.space, 0x1000 + i * 16);
	close_recording(&w);
	assert_int_equal(stat(path(), &st), 0);
	int fd = open(path(), O_RDWR);
	for (off_t at = 0; at < st.st_size; at++) {
		for (int bit = 0; bit < 8; bit += 3) {
			uint8_t was, is;
			assert_int_equal(pread(fd, &was, 1, at), 1);
			is = (uint8_t)(was ^ 1u << bit);
			assert_int_equal(pwrite(fd, &is, 1, at), 1);
			if (try_replay(&r, &err) == 0) {
				for (uint64_t i = 0; i < 4; i++) {
					uint8_t byte;
					int code =
						sonde_space_get(r.space, 0x1000 + i * 16, &byte, 1);
					assert_true(code == SONDE_E_NOT_SAVED ||
						    (code == 0 && byte == (uint8_t)i));
				}
				close_replay(&r);
			}
			assert_int_equal(pwrite(fd, &was, 1, at), 1);
		}
	}
	close(fd);
	unlink(path());
}

static void a_recording_is_known_by_its_head(void **state)
{
	struct world w;
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_AUTO, 0);
	struct sonde_target *target;
	struct sonde_target_info info;
	struct sonde_error err = { 0 };

	(void)state;
	open_recording(&w, SONDE_WAY_TRANSFER);
	byte_of(w.layer.space, 0x100);
	close_recording(&w);
	if (sonde_target_open(loop, path(), NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	sonde_target_info(target, &info);
	assert_string_equal(info.connector, "replay");
	sonde_target_close(target);
	unlink(path());
	sonde_loop_destroy(loop);
}

static void what_cannot_be_written_is_counted_and_the_run_goes_on(void **state)
{
	struct world w;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	open_recording(&w, SONDE_WAY_TRANSFER);
	int full = open("/dev/full", O_WRONLY), found = 0;
	for (int fd = 3; fd < 256; fd++) {
		char link[64], to[256] = { 0 };
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, to, sizeof(to) - 1) > 0 && strcmp(to, path()) == 0)
			found = dup2(full, fd) == fd;
	}
	close(full);
	assert_true(found);
	static uint8_t bytes[0x2000];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sonde_space_get(w.layer.space, 0x6000, bytes, sizeof(bytes)), 0);
		assert_int_equal(bytes[16], fake_byte(0x6010));
	}
	assert_true(layer_stat(&w.layer, "lost") > 10);
	close_recording(&w);
	unlink(path());
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct world w;
	char text[128];
	struct replayed r;
	struct sonde_error err;

	(void)state;
	open_recording(&w, SONDE_WAY_EXTENTS);
	snprintf(text, sizeof(text), "record,file=%s", path());
	layer_plugin_refuses(w.fake.space, text, SONDE_E_BAD_ARG, "exists; remove it");
	layer_plugin_refuses(w.fake.space, "record", SONDE_E_BAD_ARG, "into what?");
	layer_plugin_refuses(w.fake.space, "record,file=/nowhere/x", SONDE_E_NOT_FOUND,
			     "No such file");
	close_recording(&w);
	assert_int_equal(try_replay(&r, &err), SONDE_E_BAD_FORMAT);
	assert_non_null(strstr(err.text, "nothing was recorded"));
	unlink(path());
	assert_int_equal(try_replay(&r, &err), SONDE_E_NOT_FOUND);
}

/* Who shows them all would not come to an end. */
static void more_processors_than_there_are_anywhere_are_refused(void **state)
{
	static struct recfile_writer writer;
	uint8_t target[RECORDING_TARGET_HEAD] = { 0 }, cpu[RECORDING_CPU_LEN] = { 0 };
	const struct recfile_bytes parts[] = { { target, sizeof(target) }, { cpu, sizeof(cpu) } };
	struct replayed r;
	struct sonde_error err = { 0 };

	(void)state;
	for (uint32_t n = RECORDING_CPUS_MAX; n <= RECORDING_CPUS_MAX + 1; n++) {
		int fd = open(path(), O_RDWR | O_CREAT | O_TRUNC, 0600);
		recfile_put_u32(target + 8, n);
		recfile_continue(&writer, fd, RECFILE_RECORDING, 0);
		assert_int_equal(recfile_put(&writer, RECORDING_TARGET, &parts[0], 1), 0);
		assert_int_equal(recfile_put(&writer, RECORDING_CPU, &parts[1], 1), 0);
		recfile_flush(&writer);
		recfile_writer_close(&writer);
		int code = try_replay(&r, &err);
		assert_int_equal(code, n == RECORDING_CPUS_MAX ? 0 : SONDE_E_BAD_FORMAT);
		if (code == 0)
			close_replay(&r);
		unlink(path());
	}
	assert_non_null(strstr(err.text, "contradicts itself"));
}

static void a_cancel_goes_below(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_target *target;
	struct sonde_error err;
	char name[128];
	uint8_t byte = 0xee;
	struct sonde_xfer x = { 0x10, &byte, 1, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	unlink(path());
	snprintf(name, sizeof(name), "ram:64k|delay,ms=50000|record,file=%s", path());
	if (sonde_target_open(loop, name, NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	n_done = 0;
	sonde_io_submit(sonde_target_memory(target), &io);
	sonde_loop_turn(loop);
	assert_int_equal(sonde_io_cancel(&io), 1);
	sonde_loop_run(loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
	assert_int_equal(byte, 0);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	unlink(path());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_place_at_different_times),
		cmocka_unit_test(a_run_comes_out_bit_for_bit),
		cmocka_unit_test(what_nobody_read_like_that_is_made_of_others),
		cmocka_unit_test(a_piece_that_was_dropped_is_one_again),
		cmocka_unit_test(regions_registers_and_notes_come_in_their_order),
		cmocka_unit_test(a_file_that_was_cut_off_replays_as_far_as_it_goes),
		cmocka_unit_test(any_bit_that_turned_is_found),
		cmocka_unit_test(a_recording_is_known_by_its_head),
		cmocka_unit_test(what_cannot_be_written_is_counted_and_the_run_goes_on),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(more_processors_than_there_are_anywhere_are_refused),
		cmocka_unit_test(a_cancel_goes_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Clones: a second space over the same bytes, for another loop, used by its own thread while the first one goes on.
 * What ThreadSanitizer sees here is most of the test.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sonde/target.h>
#include <unistd.h>

#include "arch/paging.h"
#include "layer_plugin.h"
#include "synth/page_tables.h"

#define MEM UINT64_C(0x200000)
#define TABLES UINT64_C(0x100000)
#define ROUNDS 200u

static uint8_t truth[MEM];

static void fill_truth(void)
{
	struct page_tables tables;

	for (uint64_t at = 0; at < MEM; at += 8)
		memcpy(truth + at, &(uint64_t){ at * 0x9e3779b97f4a7c15u }, 8);
	tables_build(&tables, truth, MEM, TABLES, 4, "0 2m 0\n200000 2m 0\n");
}

/* ---- two threads at once ------------------------------------------------------------------------- */

struct pair {
	struct sonde_space *space; /* the original                            */
	uint64_t base;             /* where the bytes of truth begin in it    */
	uint32_t engine;           /* of the clone's loop                     */
	pthread_barrier_t cloned;
	int code; /* of sonde_space_clone */
	struct sonde_error err;
};

/* Scattered pieces in batches, and what is lent. */
static void use(struct sonde_space *space, uint64_t base, uint64_t seed)
{
	enum { N = 16 };
	uint8_t bytes[N][64];
	struct sonde_xfer xfers[N];

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < N; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			xfers[i] = (struct sonde_xfer){ .addr = base + (seed >> 20) % (MEM - 64),
							.buf = bytes[i],
							.len = 64 };
		}
		assert_int_equal(sonde_space_read(space, xfers, N), N);
		for (unsigned i = 0; i < N; i++) {
			const void *at = sonde_space_borrow(space, xfers[i].addr, 64);
			const uint8_t *want = truth + (xfers[i].addr - base);
			assert_memory_equal(bytes[i], want, 64);
			if (at)
				assert_memory_equal(at, want, 64);
		}
	}
}

static int sum(void *user, const struct sonde_region *region)
{
	*(uint64_t *)user += region->len;
	return 0;
}

static void *clone_and_use(void *arg)
{
	struct pair *pair = arg;
	struct sonde_loop *loop = loop_new(pair->engine, 0);
	struct sonde_space *clone = NULL;
	uint64_t bytes = 0;

	pair->code = sonde_space_clone(pair->space, loop, &clone, &pair->err);
	pthread_barrier_wait(&pair->cloned);
	if (pair->code == 0) {
		use(clone, pair->base, 1);
		sonde_space_regions(clone, sum, &bytes);
		sonde_space_trim(clone);
		sonde_space_invalidate(clone);
		use(clone, pair->base, 2);
		sonde_space_close(clone);
	}
	sonde_loop_destroy(loop);
	return NULL;
}

static int both(struct sonde_space *space, uint64_t base, uint32_t engine, struct sonde_error *err)
{
	struct pair pair = { .space = space, .base = base, .engine = engine };
	pthread_t thread;
	uint64_t bytes = 0;

	use(space, base, 3); /* it has translations, pages of a cache */
	pthread_barrier_init(&pair.cloned, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, clone_and_use, &pair), 0);
	pthread_barrier_wait(&pair.cloned);
	use(space, base, 4);
	sonde_space_regions(space, sum, &bytes);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&pair.cloned);
	use(space, base, 5); /* the clone took nothing of it along */
	if (err)
		*err = pair.err;
	return pair.code;
}

/* ---- spaces of connectors -------------------------------------------------------------------------- */

static void open_truth(struct fake *fake, uint32_t engine, uint32_t way)
{
	*fake = (struct fake){ 0 };
	fake_open(fake, loop_new(engine, 0), MEM, way);
	memcpy(fake->bytes, truth, MEM);
}

static void close_truth(struct fake *fake)
{
	fake_close(fake);
	sonde_loop_destroy(fake->loop);
}

static void memory_and_what_is_moved_by_calls(void **state)
{
	static const struct {
		uint32_t engine, way;
	} cases[] = { { SONDE_ENGINE_SYNC, SONDE_WAY_EXTENTS },
		      { SONDE_ENGINE_SYNC, SONDE_WAY_TRANSFER },
		      { SONDE_ENGINE_THREADS, SONDE_WAY_TRANSFER } };
	struct fake fake;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		open_truth(&fake, cases[i].engine, cases[i].way);
		assert_int_equal(both(fake.space, 0, cases[i].engine, NULL), 0);
		close_truth(&fake);
	}
}

static void a_queue_of_its_own_belongs_to_one_thread(void **state)
{
	struct sonde_error err = { 0 };
	struct fake fake;

	(void)state;
	open_truth(&fake, SONDE_ENGINE_SYNC, SONDE_WAY_SUBMIT);
	assert_int_equal(both(fake.space, 0, SONDE_ENGINE_SYNC, &err), SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "open the target again"));
	close_truth(&fake);
}

static void files_on_every_pair_of_engines(void **state)
{
	static const uint32_t engines[] = { SONDE_ENGINE_AUTO, SONDE_ENGINE_DIRECT,
					    SONDE_ENGINE_SYNC, SONDE_ENGINE_THREADS };
	char path[] = "/tmp/sonde-clone-XXXXXX", name[64];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && write(fd, truth, MEM) == (ssize_t)MEM);
	close(fd);
	snprintf(name, sizeof(name), "flat:%s", path);
	for (size_t i = 0; i < 16; i++) {
		struct sonde_loop *loop = loop_new(engines[i / 4], 0);
		struct sonde_target *target;
		struct sonde_error err;
		if (sonde_target_open(loop, name, NULL, &target, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(both(sonde_target_memory(target), 0, engines[i % 4], NULL), 0);
		sonde_target_close(target);
		sonde_loop_destroy(loop);
	}
	unlink(path);
}

/* ---- spaces over spaces ---------------------------------------------------------------------------- */

static void page_tables_over_stretches_in_page_tables(void **state)
{
	struct fake fake;
	struct sonde_space *low, *stretched, *high;

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_TRANSFER; way <<= 1) {
		open_truth(&fake, SONDE_ENGINE_SYNC, way);
		struct paging_map map = paging_map(paging_x86_64(4), TABLES);
		assert_int_equal(paging_space(fake.space, map, 0, &low), 0);
		/* Two spaces below, one of them twice. */
		struct sonde_stretch stretches[] = { { 0, 0x1000, low, MEM },
						     { 0x1000, 0xff000, fake.space, 0x1000 },
						     { 0x100000, 0x100000, low, 0x100000 } };
		assert_int_equal(sonde_space_remap(fake.loop, stretches, 3, &stretched), 0);
		assert_int_equal(paging_space(stretched, map, 1, &high), 0);
		assert_int_equal(both(high, MEM, SONDE_ENGINE_SYNC, NULL), 0);
		sonde_space_close(high);
		sonde_space_close(stretched);
		sonde_space_close(low);
		close_truth(&fake);
	}
}

static void clones_have_clones(void **state)
{
	struct sonde_space *clone;
	struct fake fake;

	(void)state;
	open_truth(&fake, SONDE_ENGINE_SYNC, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_space_clone(fake.space, fake.loop, &clone, NULL), 0);
	assert_int_equal(both(clone, 0, SONDE_ENGINE_SYNC, NULL), 0);
	sonde_space_close(clone);
	close_truth(&fake);
}

/* ---- layers ------------------------------------------------------------------------------------------ */

static void layers_whose_state_is_each_ones_own_are_cloned(void **state)
{
	static const char *const texts[] = { "cache,mb=1", "delay,us=0", "overlay",
					     "remap,map=0+0x200000@0" };
	struct layer_plugin layer;
	struct fake fake;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		open_truth(&fake, SONDE_ENGINE_SYNC, SONDE_WAY_TRANSFER);
		layer_plugin_open(&layer, fake.space, texts[i], 0);
		if (both(layer.space, 0, SONDE_ENGINE_SYNC, NULL) != 0)
			fail_msg("%s is not cloned", texts[i]);
		layer_plugin_close(&layer);
		close_truth(&fake);
	}
}

static void refuses(const char *text, int write, const char *words)
{
	struct sonde_space *clone = NULL;
	struct layer_plugin layer;
	struct sonde_error err = { 0 };
	struct fake fake;

	open_truth(&fake, SONDE_ENGINE_SYNC, SONDE_WAY_EXTENTS);
	layer_plugin_open(&layer, fake.space, text, write);
	assert_int_equal(sonde_space_clone(layer.space, fake.loop, &clone, &err),
			 SONDE_E_UNSUPPORTED);
	assert_null(clone);
	if (!strstr(err.text, words))
		fail_msg("%s: %s", text, err.text);
	layer_plugin_close(&layer);
	close_truth(&fake);
}

static void layers_that_count_or_keep_writes_are_not(void **state)
{
	(void)state;
	refuses("fault,delay_us=1,every=3", 0, "open the target again");
	refuses("throttle,bytes=1M", 0, "open the target again");
	refuses("overlay", 1, "file=FILE");
}

static void a_layer_over_what_cannot_be_cloned_is_not(void **state)
{
	struct sonde_space *clone = NULL;
	struct layer_plugin layer;
	struct fake fake;

	(void)state;
	open_truth(&fake, SONDE_ENGINE_SYNC, SONDE_WAY_SUBMIT);
	layer_plugin_open(&layer, fake.space, "cache", 0);
	assert_int_equal(sonde_space_clone(layer.space, fake.loop, &clone, NULL),
			 SONDE_E_UNSUPPORTED);
	assert_int_equal(sonde_space_clone(NULL, fake.loop, &clone, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_clone(fake.space, NULL, &clone, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_clone(fake.space, fake.loop, NULL, NULL), SONDE_E_BAD_ARG);
	layer_plugin_close(&layer);
	close_truth(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_and_what_is_moved_by_calls),
		cmocka_unit_test(a_queue_of_its_own_belongs_to_one_thread),
		cmocka_unit_test(files_on_every_pair_of_engines),
		cmocka_unit_test(page_tables_over_stretches_in_page_tables),
		cmocka_unit_test(clones_have_clones),
		cmocka_unit_test(layers_whose_state_is_each_ones_own_are_cloned),
		cmocka_unit_test(layers_that_count_or_keep_writes_are_not),
		cmocka_unit_test(a_layer_over_what_cannot_be_cloned_is_not),
	};

	fill_truth();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

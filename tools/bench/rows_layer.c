/* SPDX-License-Identifier: MIT */
/* layer.remap: 8-byte pieces in batches of 64, through a space of stretches and without one. */
#include "rows_layer.h"

#include <malloc.h>
#include <sonde/loop.h>
#include <sonde/plugin.h>
#include <stdlib.h>
#include <string.h>

#include "space/backed.h"

enum { STRETCHES = 64, STRETCH_LEN = 4096, BATCH = 64, BATCHES = 64, TURNS = 4, ROUNDS_MAX = 99 };
#define MEMORY ((uint64_t)STRETCHES * STRETCH_LEN)

struct setting {
	struct sonde_loop *loop;
	struct sonde_space *memory, *remap;
	uint8_t *bytes; /* [MEMORY] */
	struct sonde_xfer xfers[BATCH * BATCHES];
	uint64_t values[BATCH];
};

static void conn_close(void *conn)
{
	(void)conn;
}

static void conn_info(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

static int conn_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent all = {
		.len = MEMORY, .kind = SONDE_EXTENT_MEMORY, .flags = SONDE_REGION_READ, .ptr = conn
	};

	(void)err;
	return fn(user, &all);
}

static int open_spaces(struct setting *s)
{
	static const struct sonde_connector_ops ops = {
		.size = sizeof(ops), .close = conn_close, .info = conn_info, .extents = conn_extents
	};
	struct sonde_stretch stretches[STRETCHES];
	int r = sonde_loop_create(NULL, &s->loop, NULL);

	if (r == 0)
		r = space_from_connector(s->loop, &ops, s->bytes, &s->memory, NULL);
	for (uint64_t i = 0; i < STRETCHES; i++)
		stretches[i] = (struct sonde_stretch){ .addr = i * STRETCH_LEN,
						       .len = STRETCH_LEN,
						       .space = s->memory,
						       .at = i * 29 % STRETCHES * STRETCH_LEN };
	return r == 0 ? sonde_space_remap(s->loop, stretches, STRETCHES, &s->remap) : r;
}

static void choose_pieces(struct setting *s)
{
	uint64_t random = 88172645463325252u;

	memset(s->bytes, 1, MEMORY);
	for (uint32_t i = 0; i < BATCH * BATCHES; i++) {
		random ^= random << 13; /* xorshift64, Marsaglia 2003 */
		random ^= random >> 7;
		random ^= random << 17;
		s->xfers[i] = (struct sonde_xfer){ .addr = random % (MEMORY / 8) * 8,
						   .buf = &s->values[i % BATCH],
						   .len = 8 };
	}
}

/* ns a piece of one round */
static double read_all(struct setting *s, struct sonde_space *space)
{
	uint64_t began = sonde_now_ns();

	for (uint32_t turn = 0; turn < TURNS; turn++) {
		for (uint32_t i = 0; i < BATCHES; i++)
			sonde_space_read(space, &s->xfers[i * BATCH], BATCH);
	}
	return (double)(sonde_now_ns() - began) / (TURNS * BATCHES * BATCH);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, uint32_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

/* Bytes in use, as the allocator counts them: what a round takes and keeps shows. */
static uint64_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void measure(struct setting *s, uint32_t rounds, struct layer_remap_cost *ret)
{
	double with[ROUNDS_MAX], without[ROUNDS_MAX];

	read_all(s, s->memory);
	read_all(s, s->remap);
	uint64_t before = in_use();
	for (uint32_t i = 0; i < rounds; i++) {
		without[i] = read_all(s, s->memory);
		with[i] = read_all(s, s->remap);
	}
	ret->allocations = in_use() - before;
	ret->remap_ns = median(with, rounds);
	ret->without_ns = median(without, rounds);
}

int bench_layer_remap(uint32_t rounds, struct layer_remap_cost *ret)
{
	struct setting *s = calloc(1, sizeof(*s));
	int r = SONDE_E_NO_MEMORY;

	if (!s)
		return r;
	s->bytes = malloc(MEMORY);
	if (s->bytes)
		r = open_spaces(s);
	if (r == 0) {
		choose_pieces(s);
		measure(s, rounds == 0 ? 1 : rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX, ret);
	}
	sonde_space_close(s->remap);
	sonde_space_close(s->memory);
	sonde_loop_destroy(s->loop);
	free(s->bytes);
	free(s);
	return r;
}

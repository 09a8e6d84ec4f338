/* SPDX-License-Identifier: MIT */
/*
 * Here or elsewhere is one word: 22-remote flat:disk.raw reads a file, and with 'sonde serve flat:disk.raw' running
 * somewhere, 22-remote nbd:HOST:PORT reads the same of there. Sums up all memory, many reads at a time.
 */
#include <sonde/sonde.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 64, CHUNK = 64 << 10 };

struct sum {
	struct sonde_space *memory;
	struct sonde_xfer pieces[AT_ONCE];
	size_t n;
	uint64_t bytes, missing, sum;
};

static void read_pieces(struct sum *sum)
{
	sonde_space_read(sum->memory, sum->pieces, sum->n); /* one trip, wherever that goes */
	for (size_t i = 0; i < sum->n; i++) {
		const struct sonde_xfer *x = &sum->pieces[i];
		for (uint32_t k = 0; k < x->len; k++)
			sum->sum += ((const uint8_t *)x->buf)[k] * (x->addr + k);
		sum->bytes += x->done;
		sum->missing += x->len - x->done;
	}
	sum->n = 0;
}

static int add_region(void *user, const struct sonde_region *region)
{
	struct sum *sum = user;

	for (uint64_t off = 0; off < region->len; off += CHUNK) {
		struct sonde_xfer *x = &sum->pieces[sum->n++];
		x->addr = region->addr + off;
		x->len = region->len - off < CHUNK ? (uint32_t)(region->len - off) : CHUNK;
		if (sum->n == AT_ONCE)
			read_pieces(sum);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sum sum = { 0 };
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_error err;

	if (argc != 2 || sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, argv[1], NULL, &target, &err) < 0)
		return fprintf(stderr, "%s\n", argc == 2 ? err.text : "usage: 22-remote TARGET"), 1;
	for (int i = 0; i < AT_ONCE; i++)
		sum.pieces[i].buf = malloc(CHUNK);
	sum.memory = sonde_target_memory(target);
	int r = sonde_space_regions(sum.memory, add_region, &sum);
	read_pieces(&sum);
	printf("%" PRIu64 " bytes, %" PRIu64 " missing, sum %016" PRIx64 "\n", sum.bytes,
	       sum.missing, sum.sum);
	for (int i = 0; i < AT_ONCE; i++)
		free(sum.pieces[i].buf);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return r < 0;
}

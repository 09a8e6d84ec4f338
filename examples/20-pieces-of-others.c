/* SPDX-License-Identifier: MIT */
/*
 * A space made of pieces of others: two targets become one, the second in front of the first; and what
 * layers say of themselves. Targets may be given: 20-pieces-of-others TARGET TARGET
 */
#include <inttypes.h>
#include <sonde/sonde.h>
#include <stdio.h>

static int print_stat(void *user, const struct sonde_layer_stat *stat)
{
	(void)user;
	if (stat->text)
		printf("layer %s: %s: %s\n", stat->layer, stat->name, stat->text);
	else
		printf("layer %s: %s: %" PRIu64 "\n", stat->layer, stat->name, stat->value);
	return 0;
}

static int show(struct sonde_loop *loop, struct sonde_target *first, struct sonde_target *second)
{
	struct sonde_stretch stretches[] = {
		{ .addr = 0, .len = 0x1000, .space = sonde_target_memory(second), .at = 0x2000 },
		{ .addr = 0x1000, .len = 0x1000, .space = sonde_target_memory(first), .at = 0 },
	};
	struct sonde_space *both;
	uint8_t bytes[32];
	int r = sonde_space_remap(loop, stretches, 2, &both);

	if (r < 0)
		return r;
	/* Half of it lies in one target, half in the other. */
	r = sonde_space_get(both, 0x1000 - sizeof(bytes) / 2, bytes, sizeof(bytes));
	for (size_t i = 0; r == 0 && i < sizeof(bytes); i++)
		printf("%02x%c", bytes[i], i % 16 == 15 ? '\n' : ' ');
	sonde_space_close(both);
	return r;
}

int main(int argc, char **argv)
{
	const char *names[] = { argc == 3 ? argv[1] : "ram:64k,mode=transfer|cache,mb=1",
				argc == 3 ? argv[2] : "ram:64k|fault,flip=1,op=read,at=0x2ff0+1" };
	struct sonde_target *targets[2] = { NULL, NULL };
	struct sonde_loop *loop;
	struct sonde_error err;
	int r = sonde_loop_create(NULL, &loop, &err);

	for (int i = 0; i < 2 && r == 0; i++)
		r = sonde_target_open(loop, names[i], NULL, &targets[i], &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	r = show(loop, targets[0], targets[1]);
	if (r < 0)
		fprintf(stderr, "%s\n", sonde_strerror(r));
	for (int i = 0; i < 2; i++)
		sonde_target_layer_stats(targets[i], print_stat, NULL);
	sonde_target_close(targets[1]);
	sonde_target_close(targets[0]);
	sonde_loop_destroy(loop);
	return r < 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Gather many small reads while they come to mind, then run them in one trip. Each keeps
 * its own outcome.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N = 100 };

static int gather(struct sonde_loop *loop, struct sonde_space *memory)
{
	struct sonde_batch *batch = sonde_batch_create(loop);
	uint32_t value[N];
	int32_t err[N];
	int n_holes = 0;

	if (!batch)
		return 1;
	for (int i = 0; i < N; i++) {
		uint64_t addr = (uint64_t)i * 4096 / N * 16;

		if (sonde_batch_add(batch, memory, addr, &value[i], sizeof(value[i]), &err[i]) < 0)
			break;
	}
	int n_whole = sonde_batch_run(batch);
	for (int i = 0; i < N; i++)
		n_holes += err[i] == SONDE_E_NOT_MAPPED;
	printf("%d reads, %d came whole, %d lie in a hole\n", N, n_whole, n_holes);
	printf("the last value is 0x%08x\n", value[N - 1]);
	sonde_batch_destroy(batch);
	return n_whole > 0 && n_whole + n_holes == N && n_holes > 0 ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:64k,hole=0x4000+0x4000", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = gather(loop, sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}

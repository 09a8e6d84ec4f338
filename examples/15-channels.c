/* SPDX-License-Identifier: MIT */
/*
 * A pipeline: one task names the lines of a memory, four others read and sum them up, plain code adds
 * their sums. The channels between them are short, so whoever is ahead waits for the next.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N_LINES = 1000, N_WORKERS = 4, LEN = 16 };

struct pipeline {
	struct sonde_space *memory;
	struct sonde_channel *addresses, *sums;
};

static int name_lines(struct sonde_task *task, void *arg)
{
	struct pipeline *p = arg;
	int r = 0;

	for (uint64_t i = 0; i < N_LINES && r == 0; i++)
		r = sonde_channel_send(task, p->addresses, &(uint64_t){ i * LEN });
	sonde_channel_close(p->addresses); /* the workers end when they have had the last */
	return r;
}

static int work(struct sonde_task *task, void *arg)
{
	struct pipeline *p = arg;
	uint64_t at;

	while (sonde_channel_recv(task, p->addresses, &at) == 0) {
		unsigned char bytes[LEN];
		unsigned sum = 0;
		sonde_space_get(p->memory, at, bytes, LEN); /* parks, as it is in a task */
		for (int i = 0; i < LEN; i++)
			sum += bytes[i];
		sonde_channel_send(task, p->sums, &sum);
	}
	return 0;
}

static int run(struct pipeline *p, struct sonde_loop *loop)
{
	unsigned total = 0, sum = 0, expected = 0;
	int r = sonde_task_spawn(loop, name_lines, p, NULL);
	for (int i = 0; i < N_WORKERS && r == 0; i++)
		r = sonde_task_spawn(loop, work, p, NULL);
	for (int i = 0; i < N_LINES && r == 0; i++) {
		r = sonde_channel_recv(NULL, p->sums, &sum);
		total += sum;
		expected += LEN * (i % 256); /* ram: line i holds i, sixteen times */
	}
	sonde_loop_run(loop);
	printf("%d lines, %d workers: the sum is %u\n", N_LINES, N_WORKERS, total);
	return r < 0 || total != expected;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct pipeline p = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, NULL) == 0 &&
	    sonde_target_open(loop, "ram:64k,mode=transfer", NULL, &target, NULL) == 0 &&
	    sonde_channel_create(loop, 8, sizeof(uint64_t), &p.addresses) == 0 &&
	    sonde_channel_create(loop, 0, sizeof(unsigned), &p.sums) == 0) {
		p.memory = sonde_target_memory(target);
		failed = run(&p, loop);
	}
	sonde_channel_destroy(p.sums);
	sonde_channel_destroy(p.addresses);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}

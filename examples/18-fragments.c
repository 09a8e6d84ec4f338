/* SPDX-License-Identifier: MIT */
/*
 * A stream of fragments: a task works on what has come while the rest is still on its way. The
 * connector ends its requests one by one and out of order; the checksum is done when the last is.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N = 256, LEN = 256 };

struct job {
	struct sonde_space *memory;
	struct sonde_xfer pieces[N];
	unsigned char bytes[N][LEN];
	unsigned long long sum;
	unsigned n_fragments, missing;
};

static void use(struct job *job, const struct sonde_fragment *f)
{
	const unsigned char *bytes = job->bytes[f->piece] + f->off;

	job->n_fragments++;
	if (f->err) {
		job->missing += f->len;
		return;
	}
	for (unsigned i = 0; i < f->len; i++)
		job->sum += bytes[i];
}

static int sum_up(struct sonde_task *self, void *arg)
{
	struct job *job = arg;
	struct sonde_fragments stream;
	struct sonde_fragment f;

	for (unsigned i = 0; i < N; i++)
		job->pieces[i] = (struct sonde_xfer){ .addr = (uint64_t)i * LEN,
						      .buf = job->bytes[i],
						      .len = LEN };
	int r = sonde_fragments_start(self, job->memory, &stream, job->pieces, N, SONDE_IO_READ);
	while (r >= 0 && (r = sonde_fragments_next(self, &stream, &f)) > 0)
		use(job, &f);
	return r < 0 ? r : stream.result;
}

int main(void)
{
	static struct job job;
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_task *task;
	struct sonde_error err = { 0 };
	int r = -1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:64k,mode=submit,seed=3,hole=0x1010+0x20", NULL, &target,
			      &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		job.memory = sonde_target_memory(target);
		if (sonde_task_spawn(loop, sum_up, &job, &task) == 0)
			r = sonde_task_join(NULL, task);
		printf("%d of %d pieces whole, %u fragments, %u bytes missing, sum %llu\n", r, N,
		       job.n_fragments, job.missing, job.sum);
	}
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return r == N - 1 && job.missing == 0x20 ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * The completion door: submit, go on computing, be called back. The request lives in a
 * struct of ours, nothing is allocated; a second callback watches fragments as they land.
 */
#include <sonde/sonde.h>

#include <stdio.h>

struct question {
	struct sonde_io io;
	struct sonde_xfer piece;
	unsigned char answer[64];
	int n_fragments;
	int n_done;
};

/* Runs in the loop, never inside submit. The request may be used again from here on. */
static void done(struct sonde_io *io)
{
	struct question *q = io->user;

	printf("done: %d of %u pieces whole\n", io->result, io->n);
	q->n_done++;
}

static void fragment(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct question *q = io->user;

	printf("  bytes %u..%u: %s\n", f->off, f->off + f->len - 1,
	       f->err ? sonde_strerror(f->err) : "here");
	q->n_fragments++;
}

static int ask(struct sonde_loop *loop, struct sonde_space *memory)
{
	struct question q = { 0 };

	q.piece = (struct sonde_xfer){ .addr = 0x20, .buf = q.answer, .len = sizeof(q.answer) };
	q.io = (struct sonde_io){ .xfers = &q.piece,
				  .n = 1,
				  .op = SONDE_IO_READ,
				  .done = done,
				  .fragment = fragment,
				  .user = &q };
	if (sonde_io_submit(memory, &q.io) < 0)
		return 1;
	printf("submitted; this line comes first\n");
	while (q.n_done == 0)
		sonde_loop_wait(loop, UINT64_MAX);
	/* The hole at 0x30 divides the piece: in front, the hole, behind. */
	return q.n_fragments >= 3 && q.answer[0] == 2 && q.answer[63] == 5 ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:4k,hole=0x30+16", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = ask(loop, sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}

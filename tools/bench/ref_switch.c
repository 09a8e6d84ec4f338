/* SPDX-License-Identifier: MIT */
/* Reference: the C library's swapcontext, there and back; it also saves the signal mask. */
#include <errno.h>
#include <stdlib.h>
#include <ucontext.h>

#include "contenders.h"

#define STACK ((size_t)65536)

struct pair {
	ucontext_t here, there;
	char *stack;
};

static struct pair *pair; /* makecontext passes ints only */

static void bounce(void)
{
	for (;;)
		swapcontext(&pair->there, &pair->here);
}

static int open_pair(const struct contender *contender, struct work *work, void **ret)
{
	(void)contender, (void)work;
	pair = calloc(1, sizeof(*pair));
	if (!pair || !(pair->stack = malloc(STACK)) || getcontext(&pair->there) < 0) {
		free(pair);
		return -ENOMEM;
	}
	pair->there.uc_stack.ss_sp = pair->stack;
	pair->there.uc_stack.ss_size = STACK;
	makecontext(&pair->there, bounce, 0);
	*ret = pair;
	return 0;
}

static void close_pair(void *state)
{
	(void)state;
	free(pair->stack);
	free(pair);
}

static int run(void *state, struct work *work)
{
	(void)state;
	for (uint64_t i = 0; i < work->n_ops / 2; i++)
		swapcontext(&pair->here, &pair->there);
	return 0;
}

const struct contender contenders_switch[] = {
	{ .name = "swapcontext", .open = open_pair, .run = run, .close = close_pair },
	{ 0 },
};

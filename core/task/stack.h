/* SPDX-License-Identifier: MIT */
/*
 * Stacks for tasks, kept in a pool of the loop. Many lie in one mapping, a slab:
 *
 *   ┌──────┬───────┬─────────┬───────┬─────────┬── …    the page before each stack is its guard: whoever
 *   │ head │ guard │ stack 0 │ guard │ stack 1 │         runs past the end dies there, or, where a host
 *   └──────┴───────┴─────────┴───────┴─────────┴── …    cannot do that, is found out at the next switch
 *
 * A stack is free and warm (its pages are kept), free and cold (they are not), or some task's.
 */
#ifndef SONDE_TASK_STACK_H
#define SONDE_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "task/sanitize.h"

#define STACK_SIZE (64u * 1024)

struct stack {
	struct stack *next; /* in the list of the warm, or of its slab's cold ones */
	struct stack_slab *slab;
	char *bottom; /* lowest of STACK_SIZE usable bytes              */
	bool guarded; /* else canaries lie below                        */
	struct stack_tools tools;
};

/* The head of a slab. Those with cold stacks come before those without in the pool's list. */
struct stack_slab {
	struct stack_slab *next, *prev;
	size_t len; /* of the mapping */
	uint32_t n, n_cold;
	struct stack *cold;
	struct stack stacks[]; /* [n] */
};

struct stack_pool {
	struct stack *warm;
	size_t n_warm, n_stacks;
	size_t n_unguarded;
	size_t most_used; /* bytes, of those that were given back */
	struct stack_slab *first, *last;
};

/* NULL: out of memory. */
struct stack *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, struct stack *stack);
void stack_pool_finish(struct stack_pool *pool);

/* Did somebody run past its end? Where it has a guard he is dead, so ask only where n_unguarded. */
bool stack_overflown(const struct stack *stack);

/* The most bytes that any stack of the pool was ever used to, as far as what was written there tells. */
size_t stack_most_used(const struct stack_pool *pool);

/* ---- the host's: stack_posix.c ------------------------------------------------------------- */

/* Bytes: what the others below come in multiples of. */
size_t stack_page(void);

/* Zeroed memory, aligned for anything, or for pages where there are guards; NULL: out of memory. */
void *stack_map(size_t len);
/* False: it could not be done, and the memory is as it was. */
bool stack_unmap(void *at, size_t len);

/*
 * Whoever touches this page from now on shall die of it. n stacks there are already, for hosts that
 * cannot guard any number. False: not to be had.
 */
bool stack_guard(void *page, size_t n);

/* The contents are not needed any more: give back what memory they take, if that can be done. */
void stack_trim(void *at, size_t len);

/* The first page of a range that may ever have been written since it was mapped or trimmed; at + len: none. */
const char *stack_touched(const char *at, size_t len);

#endif

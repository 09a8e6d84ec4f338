/* SPDX-License-Identifier: MIT */
/* The pool of stacks and the slabs they lie in. Memory and guards are the host's: stack_posix.c. */
#include "task/stack.h"

#include "base/ensure.h"

#define WARM_MAX 1024u /* more free stacks than this give their pages back */
#define SLAB_MIN 4u    /* stacks; a slab has as many as there are already, between these two */
#define SLAB_MAX 64u
#define CANARIES 8u /* words below the bottom of a stack without a guard */
#define CANARY UINT64_C(0x6b73a15e9d24c0f7)

/* ---- overflow ---------------------------------------------------------------------------- */

static uint64_t *canaries(const struct stack *stack)
{
	return (uint64_t *)(void *)stack->bottom - CANARIES;
}

static void plant_canaries(const struct stack *stack)
{
	for (size_t i = 0; i < CANARIES; i++)
		canaries(stack)[i] = CANARY;
}

bool stack_overflown(const struct stack *stack)
{
	uint64_t damage = 0;

	if (stack->guarded)
		return false;
	for (size_t i = 0; i < CANARIES; i++)
		damage |= canaries(stack)[i] ^ CANARY;
	return damage != 0;
}

/* ---- how deep a stack was used ------------------------------------------------------------- */

/* noinline: the tools are silent while it runs, and no longer. */
TOOLS_READ_ANYTHING static __attribute__((noinline)) const char *first_written(const char *from,
									       const char *end)
{
	while (from < end && !*(const volatile uint64_t *)(const void *)from)
		from += sizeof(uint64_t);
	return from;
}

/*
 * Mapped memory is zero until it is written, so the lowest word that is not tells how far down its
 * tasks came; at least most bytes, or this says most. Pages that were never written are not looked at.
 */
static size_t used(const struct stack *stack, size_t most)
{
	const char *end = stack->bottom + STACK_SIZE - most;

	tools_silence(true);
	const char *from = first_written(stack_touched(stack->bottom, STACK_SIZE), end);
	tools_silence(false);
	return from < end ? (size_t)(stack->bottom + STACK_SIZE - from) : most;
}

size_t stack_most_used(const struct stack_pool *pool)
{
	size_t most = pool->most_used;

	for (const struct stack_slab *slab = pool->first; slab; slab = slab->next) {
		for (uint32_t i = 0; i < slab->n; i++)
			most = used(&slab->stacks[i], most);
	}
	return most;
}

/* ---- slabs ------------------------------------------------------------------------------- */

static void link_slab(struct stack_pool *pool, struct stack_slab *slab, bool front)
{
	slab->prev = front ? NULL : pool->last;
	slab->next = front ? pool->first : NULL;
	*(slab->prev ? &slab->prev->next : &pool->first) = slab;
	*(slab->next ? &slab->next->prev : &pool->last) = slab;
}

static void unlink_slab(struct stack_pool *pool, struct stack_slab *slab)
{
	*(slab->prev ? &slab->prev->next : &pool->first) = slab->next;
	*(slab->next ? &slab->next->prev : &pool->last) = slab->prev;
}

/* As many as there are already, and no more than the head has room for. */
static uint32_t slab_stacks(const struct stack_pool *pool)
{
	size_t most = (stack_page() - sizeof(struct stack_slab)) / sizeof(struct stack);
	size_t n = pool->n_stacks < SLAB_MIN ? SLAB_MIN : pool->n_stacks;

	most = most < SLAB_MAX ? most : SLAB_MAX;
	return (uint32_t)(n < most ? n : most);
}

static void add_stack(struct stack_pool *pool, struct stack_slab *slab, char *guard)
{
	struct stack *stack = &slab->stacks[slab->n++];

	stack->slab = slab;
	stack->bottom = guard + stack_page();
	stack->guarded = stack_guard(guard, pool->n_stacks++);
	pool->n_unguarded += !stack->guarded;
	stack->next = slab->cold;
	slab->cold = stack;
	slab->n_cold++;
}

static struct stack_slab *slab_create(struct stack_pool *pool)
{
	size_t page = stack_page(), stride = page + STACK_SIZE;
	uint32_t n = slab_stacks(pool);
	struct stack_slab *slab = stack_map(page + n * stride);

	while (!slab && n > 1) {
		n /= 2;
		slab = stack_map(page + n * stride);
	}
	if (!slab)
		return NULL;
	slab->len = page + n * stride;
	for (uint32_t i = n; i-- > 0;)
		add_stack(pool, slab, (char *)slab + page + i * stride);
	link_slab(pool, slab, true);
	return slab;
}

static void slab_destroy(struct stack_pool *pool, struct stack_slab *slab)
{
	uint32_t n = slab->n, n_unguarded = 0;

	for (uint32_t i = 0; i < n; i++)
		n_unguarded += !slab->stacks[i].guarded;
	unlink_slab(pool, slab);
	if (!stack_unmap(slab, slab->len)) {
		link_slab(pool, slab, true); /* to be used again */
		return;
	}
	pool->n_stacks -= n;
	pool->n_unguarded -= n_unguarded;
}

/* ---- the pool ---------------------------------------------------------------------------- */

static struct stack *get_cold(struct stack_pool *pool)
{
	struct stack_slab *slab = pool->first;

	if (!slab || !slab->cold)
		slab = slab_create(pool);
	if (!slab)
		return NULL;
	struct stack *stack = slab->cold;
	slab->cold = stack->next;
	if (--slab->n_cold == 0) {
		unlink_slab(pool, slab);
		link_slab(pool, slab, false);
	}
	if (!stack->guarded)
		plant_canaries(stack);
	tools_stack_created(&stack->tools, stack->bottom, STACK_SIZE);
	return stack;
}

struct stack *stack_get(struct stack_pool *pool)
{
	struct stack *stack = pool->warm;

	if (!stack)
		return get_cold(pool);
	pool->warm = stack->next;
	pool->n_warm--;
	tools_stack_reused(&stack->tools, stack->bottom, STACK_SIZE);
	return stack;
}

static void put_cold(struct stack_pool *pool, struct stack *stack)
{
	struct stack_slab *slab = stack->slab;

	pool->most_used = used(stack, pool->most_used);
	tools_stack_destroyed(&stack->tools, stack->bottom, STACK_SIZE);
	if (stack->guarded)
		stack_trim(stack->bottom, STACK_SIZE);
	else
		stack_trim(stack->bottom - stack_page(), stack_page() + STACK_SIZE);
	stack->next = slab->cold;
	slab->cold = stack;
	if (slab->n_cold++ == 0) {
		unlink_slab(pool, slab);
		link_slab(pool, slab, true);
	}
	if (slab->n_cold == slab->n)
		slab_destroy(pool, slab);
}

void stack_put(struct stack_pool *pool, struct stack *stack)
{
	if (pool->n_warm >= WARM_MAX) {
		put_cold(pool, stack);
		return;
	}
	stack->next = pool->warm;
	pool->warm = stack;
	pool->n_warm++;
}

/* Also the slabs of tasks that never ended: nobody will run them. */
void stack_pool_finish(struct stack_pool *pool)
{
	for (struct stack *stack = pool->warm; stack; stack = stack->next)
		tools_stack_destroyed(&stack->tools, stack->bottom, STACK_SIZE);
	while (pool->first) {
		struct stack_slab *slab = pool->first;
		unlink_slab(pool, slab);
		stack_unmap(slab, slab->len);
	}
	*pool = (struct stack_pool){ 0 };
}

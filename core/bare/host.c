/* SPDX-License-Identifier: MIT */
/*
 * The host of a program that has none (sonde/bare.h): memory from what it was handed, its clock, its way to idle. One
 * thread; the table of docs/design.md, "Freestanding", says what each hook is for. A map of this folder:
 *
 *   host.c     hooks and the beginning       heap.c     memory by pieces
 *   loop.c     making a loop                 bytes.c    the four functions that compilers call
 *   memory.c   a space of memory             format.c   text of messages
 *   layer.c    layers by their descriptor
 */
#include <sonde/bare.h>

#include "bare/heap.h"
#include "base/copy.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "io/loop.h"
#include "task/stack.h"

static struct {
	struct sonde_bare_platform platform;
	struct heap heap;
	atomic_bool woken; /* sonde_loop_wake was called; no sleep has ended for it yet */
} host;

int sonde_bare_start(const struct sonde_bare_platform *platform, void *memory, size_t len)
{
	size_t size =
		platform->size < sizeof(host.platform) ? platform->size : sizeof(host.platform);

	memset(&host, 0, sizeof(host));
	memcpy(&host.platform, platform, size);
	if (!host.platform.now_ns || !host.platform.fail)
		return SONDE_E_BAD_ARG;
	return len >= 4096 && heap_init(&host.heap, memory, len) ? SONDE_OK : SONDE_E_NO_MEMORY;
}

void sonde_bare_usage(struct sonde_bare_usage *ret)
{
	*ret = (struct sonde_bare_usage){ host.heap.total, host.heap.used, host.heap.most_used };
}

uint64_t sonde_now_ns(void)
{
	return host.platform.now_ns(host.platform.user);
}

void ensure_failed(const char *what, const char *file, int line)
{
	host.platform.fail(host.platform.user, what, file, line);
	__builtin_trap();
}

int sonde_error_os(struct sonde_error *err, int os_code, const char *fmt, ...)
{
	(void)fmt;
	return sonde_error_set(err, SONDE_E_IO, "error %d of a system that is not there", os_code);
}

/* ---- memory ------------------------------------------------------------------------------- */

void *mem_resize(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	if (p && total <= heap_room(p))
		return p;
	void *made = heap_take(&host.heap, total);
	if (made && p) {
		memcpy(made, p, heap_room(p));
		heap_give(&host.heap, p);
	}
	return made;
}

void *mem_alloc(size_t n, size_t size)
{
	void *p = mem_resize(NULL, n, size);

	return p ? memset(p, 0, n * size) : NULL;
}

void mem_release(void *p)
{
	if (p)
		heap_give(&host.heap, p);
}

void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	(void)copier;
	memcpy(to, from, len);
}

size_t stack_page(void)
{
	return 4096;
}

void *stack_map(size_t len)
{
	return mem_alloc(1, len);
}

bool stack_unmap(void *at, size_t len)
{
	(void)len;
	mem_release(at);
	return true;
}

/* Nothing protects memory here, so stacks get canaries. */
bool stack_guard(void *page, size_t n)
{
	(void)page, (void)n;
	return false;
}

void stack_trim(void *at, size_t len)
{
	(void)at, (void)len;
}

const char *stack_touched(const char *at, size_t len)
{
	(void)len;
	return at;
}

/* ---- one thread ---------------------------------------------------------------------------- */

bool loop_is_here(const struct sonde_loop *loop)
{
	(void)loop;
	return true;
}

int loop_run_posts(struct sonde_loop *loop)
{
	(void)loop;
	return 0;
}

void loop_sleep(struct sonde_loop *loop, uint64_t timeout_ns)
{
	bool woken = atomic_load(&host.woken);

	(void)loop;
	if (woken)
		atomic_store(&host.woken, false);
	if (host.platform.idle)
		host.platform.idle(host.platform.user, woken ? 0 : timeout_ns);
}

void sonde_loop_wake(struct sonde_loop *loop)
{
	atomic_store(&loop->woken, true);
	atomic_store(&host.woken, true);
}

/* Nobody is elsewhere, and no foreign loop is around ours. */
void loop_post_list(struct sonde_loop *loop, struct loop_post *newest, struct loop_post *oldest)
{
	(void)loop, (void)newest, (void)oldest;
	ENSURE(!"work from another thread");
}

void loop_post_fragment(struct sonde_loop *loop, const struct loop_fragment *fragment)
{
	(void)loop, (void)fragment;
	ENSURE(!"a fragment from another thread");
}

void loop_arm(struct sonde_loop *loop)
{
	(void)loop;
	ENSURE(!"embedded");
}

void loop_disarm(struct sonde_loop *loop)
{
	(void)loop;
	ENSURE(!"embedded");
}

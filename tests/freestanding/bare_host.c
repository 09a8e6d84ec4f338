/* SPDX-License-Identifier: MIT */
/*
 * The smallest host: what docs/design.md lists under "Freestanding", for one processor and one thread,
 * with a pool for memory, a clock that moves only while the loop sleeps, and no C library. Linux is
 * asked for nothing but to print and to end.
 */
#include "bare.h"

#include <sonde/error.h>
#include <sonde/loop.h>

#include "base/ensure.h"
#include "base/copy.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"
#include "task/stack.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xorl %ebp, %ebp\n andq $-16, %rsp\n call bare_start\n ud2\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n bl bare_start\n brk #1\n");
#endif

static long system_call(long number, long a, long b, long c)
{
#if defined(__x86_64__)
	long r;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

#if defined(__x86_64__)
enum { SYS_WRITE = 1, SYS_EXIT = 60 };
#elif defined(__aarch64__)
enum { SYS_WRITE = 64, SYS_EXIT = 93 };
#endif

void bare_print(const char *text)
{
	long len = 0;

	while (text[len])
		len++;
	system_call(SYS_WRITE, 1, (long)(intptr_t)text, len);
}

static _Noreturn void end(int code)
{
	for (;;)
		system_call(SYS_EXIT, code, 0, 0);
}

_Noreturn void bare_start(void);
_Noreturn void bare_start(void)
{
	end(bare_main() != 0);
}

/* ---- what compilers call ------------------------------------------------------------------ */

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	return memmove(to, from, len);
}

void *memmove(void *to, const void *from, size_t len)
{
	char *t = to;
	const char *f = from;

	if ((uintptr_t)to - (uintptr_t)from >= len) {
		for (size_t i = 0; i < len; i++)
			t[i] = f[i];
	} else {
		while (len-- > 0)
			t[len] = f[len];
	}
	return to;
}

void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	(void)copier;
	memmove(to, from, len);
}

void *memset(void *at, int byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((char *)at)[i] = (char)byte;
	return at;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

/* ---- memory: a pool that only grows, enough for one run -------------------------------------- */

#define POOL_SIZE (4u << 20)

static _Alignas(64) char pool[POOL_SIZE];
static size_t pool_used;

struct block {
	size_t size;
	_Alignas(64) char bytes[];
};

void *mem_resize(void *p, size_t n, size_t size)
{
	size_t total, old = p ? ((struct block *)p)[-1].size : 0;

	if (__builtin_mul_overflow(n, size, &total) || total > POOL_SIZE)
		return NULL;
	if (p && total <= old)
		return p;
	total = (total + 63) & ~(size_t)63;
	if (total + sizeof(struct block) > POOL_SIZE - pool_used)
		return NULL;
	struct block *block = (struct block *)(void *)(pool + pool_used);
	pool_used += sizeof(*block) + total;
	block->size = total;
	if (p)
		memcpy(block->bytes, p, old);
	return block->bytes;
}

void *mem_alloc(size_t n, size_t size)
{
	void *p = mem_resize(NULL, n, size);

	return p ? memset(p, 0, n * size) : NULL;
}

void mem_release(void *p)
{
	(void)p;
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
	(void)at, (void)len;
	return true;
}

/* Nothing protects memory here, so the stacks get canaries. */
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

/* ---- errors ------------------------------------------------------------------------------ */

void ensure_failed(const char *what, const char *file, int line)
{
	(void)line;
	bare_print(file);
	bare_print(": not true: ");
	bare_print(what);
	bare_print("\n");
	end(3);
}

void text_vformat(char *to, size_t cap, const char *fmt, va_list ap)
{
	(void)cap, (void)fmt, (void)ap;
	*to = '\0';
}

int sonde_error_os(struct sonde_error *err, int os_code, const char *fmt, ...)
{
	(void)os_code, (void)fmt;
	return sonde_error_set(err, SONDE_E_IO, NULL);
}

/* ---- one thread, one clock ------------------------------------------------------------------ */

static uint64_t clock_ns = 1;
static struct loop_post *posted;
void (*bare_interrupt)(void);

uint64_t sonde_now_ns(void)
{
	return clock_ns;
}

bool loop_is_here(const struct sonde_loop *loop)
{
	(void)loop;
	return true;
}

void loop_post(struct sonde_loop *loop, struct loop_post *post)
{
	(void)loop;
	post->next = posted;
	posted = post;
}

int loop_run_posts(struct sonde_loop *loop)
{
	struct loop_post *post = posted;
	int ran = 0;

	(void)loop;
	posted = NULL;
	while (post) {
		struct loop_post *next = post->next;
		post->run(post);
		post = next;
		ran++;
	}
	return ran;
}

void loop_sleep(struct sonde_loop *loop, uint64_t timeout_ns)
{
	(void)loop;
	if (bare_interrupt)
		bare_interrupt();
	if (!posted && timeout_ns != UINT64_MAX)
		clock_ns += timeout_ns;
}

/* Nobody is elsewhere, and no foreign loop is around ours. */
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

/* SPDX-License-Identifier: MIT */
/*
 * A machine that is a program: its physical memory is an array, its page tables are nobody's, its clock moves only while
 * the loop idles. Linux is asked for nothing but to print and to end.
 */
#include "body.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xorl %ebp, %ebp\n andq $-16, %rsp\n call linux_start\n ud2\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, xzr\n mov x30, xzr\n bl linux_start\n brk #1\n");
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

#define RAM_BASE UINT64_C(0x40000000)

enum { ROOT = POOL_LEN, HIGH_ROOT = ROOT + 4096, TABLES = HIGH_ROOT + 4096 };

static _Alignas(4096) char ram[TABLES + TABLES_LEN];
static _Alignas(4096) char heap[HEAP_LEN];
static uint64_t clock_ns = 1;

static void print(const char *text)
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

static uint64_t now_ns(void *user)
{
	(void)user;
	return clock_ns;
}

static void relax(uint64_t timeout_ns)
{
	clock_ns += timeout_ns == UINT64_MAX ? 1000 : timeout_ns;
}

static void fail(void *user, const char *what, const char *file, int line)
{
	(void)user, (void)line;
	print(file);
	print(": not true: ");
	print(what);
	print("\n");
	end(3);
}

static void changed(uint64_t va)
{
	(void)va;
}

_Noreturn void linux_start(void);
_Noreturn void linux_start(void)
{
	const struct sonde_bare_range range = { .addr = RAM_BASE,
						.len = sizeof(ram),
						.at = ram,
						.flags = SONDE_REGION_READ | SONDE_REGION_WRITE |
							 SONDE_REGION_RAM };
	const struct machine machine = {
		.name = "a program",
		.ranges = &range,
		.n_ranges = 1,
		.pool = RAM_BASE,
		.tables = RAM_BASE + TABLES,
		.heap = heap,
		.root = RAM_BASE + ROOT,
#if defined(__x86_64__)
		.high_root = RAM_BASE + ROOT,
#else
		.high_root = RAM_BASE + HIGH_ROOT,
#endif
		.print = print,
		.now_ns = now_ns,
		.relax = relax,
		.fail = fail,
		.changed = changed
	};

	end(body_run(&machine) != 0);
}

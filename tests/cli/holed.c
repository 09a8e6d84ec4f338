/* SPDX-License-Identifier: MIT */
/*
 * A process whose memory and threads are known: says in one line of JSON where what lies, and waits for the end of
 * its standard input.
 *
 *   pages   8: written all but the last two; 2 is not mapped, 4 PROT_NONE, 5 read-only
 *   shared  2 pages of a file in memory, both written
 *   worker  a thread "worker" that waits with MAGIC in a register that calls preserve: r15, x19
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 8u
#define MAGIC 0x5ca1ab1e0ddba11

static int ready[2];

static void wait_with_magic(void)
{
#if defined(__x86_64__)
	__asm__ volatile("movabs %0, %%r15\n"
			 "1: mov %1, %%eax\n"
			 "syscall\n"
			 "jmp 1b"
			 :
			 : "i"(MAGIC), "i"(SYS_pause)
			 : "rax", "rcx", "r11", "r15", "memory");
#elif defined(__aarch64__)
	register uint64_t magic __asm__("x19") = MAGIC;
	__asm__ volatile("1: mov x0, #0\n"
			 "mov x1, #0\n"
			 "mov x2, #0\n"
			 "mov x3, #0\n"
			 "mov x8, %1\n"
			 "svc #0\n"
			 "b 1b"
			 :
			 : "r"(magic), "i"(SYS_ppoll)
			 : "x0", "x1", "x2", "x3", "x8", "memory");
#else
	for (;;)
		pause();
#endif
}

static void *worker(void *arg)
{
	int32_t tid = (int32_t)syscall(SYS_gettid);

	pthread_setname_np(pthread_self(), "worker");
	if (write(ready[1], &tid, sizeof(tid)) != sizeof(tid))
		abort();
	wait_with_magic();
	return arg;
}

static void *map(size_t n, int flags, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, n * page, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

/* Page i is full of the byte i + 1. */
static uint8_t *make_pages(size_t page)
{
	uint8_t *at = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(at, PAGES * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < PAGES - 2; i++)
		memset(at + i * page, (int)i + 1, page);
	munmap(at + 2 * page, page);
	mprotect(at + 4 * page, page, PROT_NONE);
	mprotect(at + 5 * page, page, PROT_READ);
	return at;
}

static uint8_t *make_shared(size_t page)
{
	int fd = memfd_create("known", 0);

	if (fd < 0 || ftruncate(fd, (off_t)(2 * page)) < 0)
		abort();
	uint8_t *at = map(2, MAP_SHARED, fd);
	memset(at, 0x77, 2 * page);
	return at;
}

int main(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	pthread_t thread;
	int32_t tid;
	char byte;

	if (pipe(ready) < 0 || pthread_create(&thread, NULL, worker, NULL) != 0 ||
	    read(ready[0], &tid, sizeof(tid)) != sizeof(tid))
		return 1;
	printf("{\"pid\": %d, \"page\": %zu, \"pages\": %" PRIuPTR ", \"shared\": %" PRIuPTR
	       ", \"worker\": %d, \"magic\": %" PRIu64 "}\n",
	       (int)getpid(), page, (uintptr_t)make_pages(page), (uintptr_t)make_shared(page),
	       (int)tid, (uint64_t)MAGIC);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

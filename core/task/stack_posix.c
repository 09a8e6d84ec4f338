/* SPDX-License-Identifier: MIT */
/* Memory for stacks: mappings, which only take up what is touched, and pages nobody may touch. */
#include "task/stack.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* linux 6.13 include/uapi/asm-generic/mman-common.h */
#endif

/*
 * Older kernels: mprotect makes two mappings more of one, and a process may have 65530 of them (sysctl
 * vm.max_map_count), after which it cannot map anything any more. So each loop takes a part only.
 */
#define PROTECT_MAX 4096u

size_t stack_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *stack_map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
#ifdef MADV_NOHUGEPAGE
	madvise(at, len,
		MADV_NOHUGEPAGE); /* one page of each is used, mostly: 2 MiB would be 31 stacks */
#endif
	return at;
}

bool stack_unmap(void *at, size_t len)
{
	return munmap(at, len) == 0;
}

/* Of this kernel, found out with the first guard; whoever asks at the same time finds the same. */
enum { UNKNOWN, WORK, FAIL };
static atomic_int markers;

/*
 * A marker in the page table costs no mapping of its own. An emulator may say yes and do nothing, so
 * the kernel is made to write there.
 */
static bool guard_by_marker(void *page, size_t len)
{
	int known = atomic_load_explicit(&markers, memory_order_relaxed);

	if (known == FAIL)
		return false;
	bool done = madvise(page, len, MADV_GUARD_INSTALL) == 0;
	if (known == UNKNOWN) {
		done = done && mincore(page, len, page) != 0;
		atomic_store_explicit(&markers, done ? WORK : FAIL, memory_order_relaxed);
	}
	return done;
}

bool stack_guard(void *page, size_t n)
{
	size_t len = stack_page();

	if (guard_by_marker(page, len))
		return true;
	return n < PROTECT_MAX && mprotect(page, len, PROT_NONE) == 0;
}

void stack_trim(void *at, size_t len)
{
	madvise(at, len, MADV_DONTNEED);
}

const char *stack_touched(const char *at, size_t len)
{
	size_t page = stack_page(), n = len / page;
	unsigned char resident[STACK_SIZE / 4096];

	if (n > sizeof(resident) || mincore((void *)(uintptr_t)at, len, resident))
		return at;
	for (size_t i = 0; i < n; i++) {
		if (resident[i] & 1)
			return at + i * page;
	}
	return at + len;
}

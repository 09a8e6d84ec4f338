/* SPDX-License-Identifier: MIT */
#include "space/past_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/stat.h>

#include "base/quiet_open.h"

#define ALIGN_UNTOLD 4096u /* kernels before 6.1 do not say: no file system of theirs wants more */
#define ALIGN_MAX (1u << 16)

/* statx(2), STATX_DIOALIGN. 0: it cannot be read that way. */
static uint32_t align_of(int fd)
{
	struct statx st;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_DIOALIGN, &st) < 0 ||
	    (!S_ISREG(st.stx_mode) && !S_ISBLK(st.stx_mode)))
		return 0;
	if (!(st.stx_mask & STATX_DIOALIGN))
		return ALIGN_UNTOLD;
	uint32_t align = st.stx_dio_mem_align > st.stx_dio_offset_align ? st.stx_dio_mem_align
									: st.stx_dio_offset_align;
	return align > ALIGN_MAX || align & (align - 1) ? 0 : align;
}

/* The same open file description cannot do both: /proc opens the same file anew. -1: refused. */
static int open_again(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return quiet_open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY);
}

int16_t past_cache_enter(struct past_cache *past, int32_t fd)
{
	for (size_t i = 0; i < past->n; i++) {
		if (past->at[i].of == fd)
			return (int16_t)i;
	}
	uint32_t align = past->n < PAST_CACHE_MAX ? align_of(fd) : 0;
	int again = align ? open_again(fd) : -1;

	if (again < 0)
		return PAST_CACHE_NEVER;
	past->at[past->n] =
		(struct past_file){ .of = fd, .fd = again, .slot = -1, .mask = align - 1 };
	return (int16_t)past->n++;
}

void past_cache_close(struct past_cache *past)
{
	for (size_t i = 0; i < past->n; i++)
		close(past->at[i].fd);
	past->n = 0;
}

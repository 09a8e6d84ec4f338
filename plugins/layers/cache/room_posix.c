/* SPDX-License-Identifier: MIT */
/* A mapping: only pages that were touched take up memory. */
#include "room.h"

#include <sys/mman.h>

void *room_map(size_t len)
{
	void *room = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return room == MAP_FAILED ? NULL : room;
}

void room_unmap(void *room, size_t len)
{
	if (room)
		munmap(room, len);
}

void room_trim(void *room, size_t len)
{
	madvise(room, len, MADV_DONTNEED);
}

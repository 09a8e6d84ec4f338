/* SPDX-License-Identifier: MIT */
/* Memory of the program, all of it from the start. */
#include "room.h"

#include "../common/memory.h"

void *room_map(size_t len)
{
	return mem_alloc(1, len);
}

void room_unmap(void *room, size_t len)
{
	(void)len;
	mem_release(room);
}

void room_trim(void *room, size_t len)
{
	(void)room, (void)len;
}

/* SPDX-License-Identifier: MIT */
/* Room for the pages of a cache, which takes up memory as it is filled where the host can do that. */
#ifndef CACHE_ROOM_H
#define CACHE_ROOM_H

#include <stddef.h>

/* Zeroed, aligned for anything; NULL: out of memory. */
void *room_map(size_t len);
void room_unmap(void *room, size_t len); /* NULL is allowed */
/* The contents are not needed any more: give back what memory they take, if that can be done. */
void room_trim(void *room, size_t len);

#endif

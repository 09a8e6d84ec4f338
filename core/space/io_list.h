/* SPDX-License-Identifier: MIT */
/* A list of requests as the array that plugins take: a whole batch in one call. */
#ifndef SONDE_SPACE_IO_LIST_H
#define SONDE_SPACE_IO_LIST_H

#include "base/mem.h"
#include "io/request.h"

#define IO_LIST_SHORT 64u

static inline size_t io_list_fill(struct sonde_io *list, struct sonde_io **ios)
{
	size_t n = 0;

	for (; list; list = io_core(list)->next)
		ios[n++] = list;
	return n;
}

/*
 * Call fn once with the whole list. Up to IO_LIST_SHORT requests need no memory; without memory for
 * a longer one the list goes in parts, which costs trips but nothing else.
 */
static inline void io_list_whole(struct sonde_io *list,
				 void (*fn)(void *arg, struct sonde_io *const *ios, size_t n),
				 void *arg)
{
	struct sonde_io *few[IO_LIST_SHORT], **many = NULL;
	size_t n = 0;

	for (struct sonde_io *io = list; io; io = io_core(io)->next)
		n++;
	if (n > IO_LIST_SHORT)
		many = mem_resize(NULL, n, sizeof(struct sonde_io *));
	if (n <= IO_LIST_SHORT || many) {
		io_list_fill(list, many ? many : few);
		fn(arg, many ? many : few, n);
		mem_release(many);
		return;
	}
	while (list) {
		for (n = 0; list && n < IO_LIST_SHORT; n++) {
			few[n] = list;
			list = io_core(list)->next;
		}
		fn(arg, few, n);
	}
}

#endif

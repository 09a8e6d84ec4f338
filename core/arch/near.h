/* SPDX-License-Identifier: MIT */
/*
 * The short way of virtual memory over memory that is mapped here: tables and bytes are looked at where they lie,
 * without a request below. What is found is a *span*, all that one entry of the last level but one maps: either
 * its bytes, or the table with the entries of its pages, which are read anew each time. Whatever does not go this
 * way is left to virtual.c, which knows what to say of it.
 *
 * The tables of a live machine may change at any time, and a table that was freed holds anything. There a span is
 * believed only while every entry on the way to it is what it was, and bytes only if after the copy all still
 * leads to where they were found.
 */
#ifndef SONDE_ARCH_NEAR_H
#define SONDE_ARCH_NEAR_H

#include "arch/paging.h"
#include "base/copy.h"

struct sonde_io;
struct near_span;

/* A run of physical memory that lies here: all of it where a machine's memory is one file. */
struct near_window {
	uint64_t pa, len;
	const char *at;
};

struct near {
	struct sonde_space *phys;
	const struct paging_map *map;
	bool live; /* tables may change under us                               */
	uint32_t span_level, span_shift;
	struct paging_plain pages;
	struct near_window window; /* the last one that was looked into; len 0: none */
	struct near_span *spans;   /* [n_spans], by address; NULL: none yet    */
	uint32_t n_spans;          /* a power of two                           */
	bool seen_one;             /* batch: many spaces see only one          */
	struct copier copier;
};

/* Both outlive it. Nothing is allocated yet. */
void near_init(struct near *near, struct sonde_space *phys, const struct paging_map *map,
	       bool live);
void near_finish(struct near *near);

/* What was found before does not count any more. */
void near_forget(struct near *near);

/*
 * Copy what can be had so of the reads of a list, piece by piece: done of those is their length afterwards, of
 * the others 0. Requests whose fragments are watched are left alone.
 */
void near_read(struct near *near, struct sonde_io *list);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * C types that a compiler describes in DWARF: the tests read them back from the object file
 * and ask the compiler itself, through sizeof and offsetof, what the answer must be.
 */
#ifndef SYNTH_TYPES_FIXTURE_H
#define SYNTH_TYPES_FIXTURE_H

#include <stdint.h>

enum fixture_color { FIXTURE_RED = 7, FIXTURE_MINUS = -2 };
enum { FIXTURE_ALONE = 41, FIXTURE_SECOND };
enum fixture_big { FIXTURE_HUGE = 0x123456789aLL };

typedef struct {
	int counter;
} fixture_atomic_t;

struct fixture_list {
	struct fixture_list *next, *prev;
};

struct fixture_elsewhere; /* only declared */

typedef struct fixture_node {
	int key;
	struct fixture_node *self;
} fixture_node_t;

struct fixture_thing {
	unsigned long flags;
	struct fixture_elsewhere *elsewhere;
	union {
		int pid;
		struct {
			short lo, hi;
		};
	};
	struct fixture_list links[4];
	int grid[2][3];
	unsigned int narrow : 3, wide : 11;
	fixture_atomic_t count;
	fixture_node_t *node;
	const volatile char *text;
	enum fixture_color color;
	double ratio;
	_Bool yes;
	int (*call)(struct fixture_thing *, fixture_node_t *, unsigned long, ...);
	long tail[];
};

#endif

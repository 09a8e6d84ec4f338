/* SPDX-License-Identifier: MIT */
/* A check is a line of its own: body.c prints and counts them. */
#ifndef TESTS_FREESTANDING_CHECK_H
#define TESTS_FREESTANDING_CHECK_H

#include "body.h"

void check(bool good, const char *what);

/* The program's own, as it is seen at a physical address; NULL: there is no memory. */
void *memory_at(const struct machine *machine, uint64_t pa);

/* mapped.c: its page tables as the library walks them, and as the processor does. */
void check_tables(const struct machine *machine, struct sonde_loop *loop, struct sonde_space *phys);

#endif

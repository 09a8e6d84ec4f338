/* SPDX-License-Identifier: MIT */
/* What the program without a C library (bare.c) and the host below it (bare_host.c) tell each other. */
#ifndef TESTS_FREESTANDING_BARE_H
#define TESTS_FREESTANDING_BARE_H

#include <stdint.h>

/* Returns how many checks failed. */
int bare_main(void);

/* Called whenever the loop sleeps: here devices finish their work. */
extern void (*bare_interrupt)(void);

void bare_print(const char *text);

#endif

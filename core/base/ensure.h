/* SPDX-License-Identifier: MIT */
/*
 * Assertions without <assert.h>: for our own bugs only, never for bytes of a target. NDEBUG leaves
 * them out, as it does with the C library's.
 */
#ifndef SONDE_BASE_ENSURE_H
#define SONDE_BASE_ENSURE_H

/* Say where, and end the program. ensure_libc.c: on stderr. */
__attribute__((noreturn, cold)) void ensure_failed(const char *what, const char *file, int line);

#ifdef NDEBUG
#define ENSURE(what) ((void)0)
#else
#define ENSURE(what) ((what) ? (void)0 : ensure_failed(#what, __FILE__, __LINE__))
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* Servers that send back what they read, for the client of echo.c. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#define ECHO_BYTES 64u /* a message            */
#define ECHO_CONNECTIONS 1000u

/*
 * In a process of its own: accept from listener and echo on every connection, until the process is
 * ended. Returns only where that cannot be: -errno.
 */
typedef int echo_server_fn(int listener);

echo_server_fn echo_by_callbacks, echo_by_tasks;  /* ours_echo.c */
echo_server_fn echo_by_hand, echo_by_hand_single; /* ref_echo.c  */

#endif

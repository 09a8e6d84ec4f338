/* SPDX-License-Identifier: MIT */
/* Programs that the host has run in the guest. */
#ifndef GUEST_RUN_H
#define GUEST_RUN_H

/*
 * "UID WORD...": run a program as that user to its end, and tell in records its pid, how it ended (its exit code,
 * or 128 and the number of a signal), and all it wrote to stdout and stderr. In a word, %XX is a byte in hex.
 */
void command_run(char *arg);

#endif

/* SPDX-License-Identifier: MIT */
/* What the guest says of itself, in records of the channel; brief: a line a process. README.md lists them. */
#ifndef GUEST_TRUTH_H
#define GUEST_TRUTH_H

#include <stdbool.h>

void truth_init(void);
void tell_system(bool brief);
void tell_processes(bool brief);

#endif

/* SPDX-License-Identifier: MIT */
/* Names of the host's error numbers, as far as file operations answer with them. */
#ifndef FAULT_ERRNOS_H
#define FAULT_ERRNOS_H

/* "EIO" or "5"; 0: no such name or number. */
int errno_by_name(const char *name);

#endif

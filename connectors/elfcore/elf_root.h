/* SPDX-License-Identifier: MIT */
/* A folder that stands for the root of the machine that a core is of: its files, by names that may be anything. */
#ifndef ELF_ROOT_H
#define ELF_ROOT_H

#include <stdint.h>

/* Returns a descriptor, to be closed; -1 and errno. */
int elf_root_open(const char *folder);

/*
 * Open a file below root for reading. Neither ".." nor a link leads out of it: an absolute link is one of that machine, and begins
 * at root. Only regular files are opened, and none of what the kernel makes up (/proc, /sys); of the others nothing but their kind
 * is looked at, so that nothing waits for a pipe or starts a device. Returns a descriptor, to be closed, and its size; -1 and
 * *ret_why: what stands in the way.
 */
int elf_root_file(int root, const char *path, uint64_t *ret_size, const char **ret_why);

#endif

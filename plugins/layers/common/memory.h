/* SPDX-License-Identifier: MIT */
/*
 * What layers that run without a C library as well use of the core's base: memory, by mem_libc.c inside the
 * plugin or by the host of such a program, and a sort that is inline.
 */
#ifndef LAYERS_COMMON_MEMORY_H
#define LAYERS_COMMON_MEMORY_H

#include "../../../core/base/mem.h"
#include "../../../core/base/sort.h"

#endif

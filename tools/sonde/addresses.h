/* SPDX-License-Identifier: MIT */
/* Operands that are addresses, one or many: arguments, and lines of standard input where one is "-". */
#ifndef SONDE_TOOL_ADDRESSES_H
#define SONDE_TOOL_ADDRESSES_H

#include "cmd.h"

/* 0, or an exit code having told why: the others have their turn all the same. */
typedef int address_fn(struct ctx *ctx, uint64_t addr, void *user);

/*
 * Call fn for each operand behind the target. Returns 0; an exit code: where some were answered and some were not,
 * EXIT_PARTIAL.
 */
int addresses_each(struct ctx *ctx, address_fn *fn, void *user);

#endif

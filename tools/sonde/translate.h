/* SPDX-License-Identifier: MIT */
/* The three things that translate does, a file each. */
#ifndef SONDE_TOOL_TRANSLATE_H
#define SONDE_TOOL_TRANSLATE_H

#include "cmd.h"

int translate_table(struct ctx *ctx);   /* --table: the entries of each walk, decoded */
int translate_reverse(struct ctx *ctx); /* --reverse: who maps a physical address     */

#endif

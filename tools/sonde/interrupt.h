/* SPDX-License-Identifier: MIT */
/* Ctrl-C and its like ask a command to end; the second one ends the tool as ever. */
#ifndef SONDE_TOOL_INTERRUPT_H
#define SONDE_TOOL_INTERRUPT_H

#include <stdbool.h>

/* From here on they only ask; those that are ignored stay so. */
void interrupt_catch(void);
/* Was it asked? */
bool interrupt_came(void);

#endif

/* SPDX-License-Identifier: MIT */
/* PE modules of a process that runs Windows programs under Wine. */
#ifndef SONDE_NATIVE_WINE_H
#define SONDE_NATIVE_WINE_H

#include "native/native.h"

/*
 * Add the modules of the loader's lists, of 64 and of 32 bits, to list; what cannot be followed is noted as its damage.
 * mappings: all of the process. Of a process without Wine nothing is added. Returns 0; SONDE_E_NO_MEMORY, _GONE.
 */
int wine_modules(struct native_os *native, const struct sonde_mappings *mappings,
		 struct sonde_modules *list);

#endif

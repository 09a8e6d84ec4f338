/* SPDX-License-Identifier: MIT */
/* PE modules in the memory of a process that runs Windows programs: what their own headers and export tables say. */
#ifndef SONDE_COMMON_PE_MODULES_H
#define SONDE_COMMON_PE_MODULES_H

#include <sonde/os.h>

enum pe_headers {
	PE_HEADERS_MUST_BE,  /* a module without one is an error of the module             */
	PE_HEADERS_MAY_LACK, /* where it is not all there nothing is known against the module */
};

/* The part of a path behind the last backslash. */
const char *pe_module_name(const char *path);

/*
 * Look at the headers of the modules from first on, against what was said of them: their sections, and err where they
 * contradict it. Returns 0; SONDE_E_NO_MEMORY.
 */
int pe_modules_check(struct sonde_space *memory, struct sonde_modules *list, size_t first,
		     enum pe_headers headers);

/* Add what PE modules among them export by name; what cannot be read is left out. Returns 0; SONDE_E_NO_MEMORY. */
int pe_modules_symbols(struct sonde_space *memory, const struct sonde_modules *modules,
		       struct sonde_symbols *symbols);

#endif

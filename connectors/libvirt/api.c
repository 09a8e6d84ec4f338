/* SPDX-License-Identifier: MIT */
/* libvirt-qemu has the monitor, and what it needs has the rest: a symbol is looked for in both. */
#include "api.h"

#include <dlfcn.h>

#define LIBRARY "libvirt-qemu.so.0"

int api_load(const struct sonde_host *host, struct api *ret, struct sonde_error *err)
{
	/* It keeps threads' data and handlers of its own: it is never taken out again. */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		return host->error_set(err, SONDE_E_UNSUPPORTED,
				       "libvirt: %s: install libvirt (Debian: libvirt0)",
				       dlerror());
#define X(name)                                                                                    \
	ret->name = (__typeof__(name) *)dlsym(library, #name);                                     \
	if (!ret->name)                                                                            \
		return host->error_set(err, SONDE_E_UNSUPPORTED,                                   \
				       "libvirt: %s is too old: it has no %s", LIBRARY, #name);
	API_CALLS(X)
#undef X
	return 0;
}

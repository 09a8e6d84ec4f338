/* SPDX-License-Identifier: MIT */
#include "bind.h"

#include <dlfcn.h>

int bind_library(const struct sonde_host *host, const struct bind_library *library,
		 struct sonde_error *err)
{
	/* Such libraries keep threads' data and handlers of their own: they are never taken out again. */
	void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle)
		return host->error_set(err, SONDE_E_UNSUPPORTED, "%s: %s: install %s (Debian: %s)",
				       library->connector, dlerror(), library->name,
				       library->package);
	for (size_t i = 0; i < library->n_calls; i++) {
		const struct bind_call *call = &library->calls[i];
		void *symbol = dlsym(handle, call->name);
		if (!symbol)
			return host->error_set(err, SONDE_E_UNSUPPORTED,
					       "%s: %s is too old: it has no %s",
					       library->connector, library->file, call->name);
		memcpy(call->at, &symbol, sizeof(symbol));
	}
	return 0;
}

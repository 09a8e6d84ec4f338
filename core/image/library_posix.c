/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "image/library.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int bind_calls(const struct library *library, void *handle, struct sonde_error *err)
{
	for (size_t i = 0; i < library->n_calls; i++) {
		const struct library_call *call = &library->calls[i];
		void *symbol = dlsym(handle, call->name);
		if (!symbol)
			return sonde_error_set(err, SONDE_E_UNSUPPORTED,
					       "%s is too old: it has no %s", library->name,
					       call->name);
		memcpy(call->at, &symbol, sizeof(symbol));
	}
	return 0;
}

static int load(const struct library *library, struct sonde_error *err)
{
	void *handle = NULL;

	for (size_t i = 0; !handle && i < 2 && library->files[i]; i++)
		handle = dlopen(library->files[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (handle)
		return bind_calls(library, handle, err);
	return sonde_error_set(err, SONDE_E_UNSUPPORTED, "%s: install %s (Debian: %s)", dlerror(),
			       library->name, library->package);
}

/* It may keep state of threads and of the process: it is never taken out again. */
int library_load(struct library *library, struct sonde_error *err)
{
	pthread_mutex_lock(&lock);
	int r = library->is_loaded ? 0 : load(library, err);
	library->is_loaded = r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

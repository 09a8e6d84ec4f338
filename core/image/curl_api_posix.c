/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

#include "image/curl_api.h"

static struct curl_api api;
static char missing[200]; /* why it cannot be had; "" it can */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void bind_calls(void *library)
{
#define X(name)                                                                                    \
	api.name = (__typeof__(curl_##name) *)dlsym(library, "curl_" #name);                       \
	if (!api.name) {                                                                           \
		snprintf(missing, sizeof(missing), "libcurl is too old: it has no curl_" #name);   \
		return;                                                                            \
	}
	CURL_CALLS(X)
#undef X
	if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		snprintf(missing, sizeof(missing), "libcurl cannot be initialised");
}

/* It keeps state of threads and of the process: it is never taken out again. */
static void load(void)
{
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
	void *library = NULL;

	for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]); i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (library)
		bind_calls(library);
	else
		snprintf(missing, sizeof(missing), "%s: install libcurl (Debian: libcurl4)",
			 dlerror());
}

const struct curl_api *curl_api(struct sonde_error *err)
{
	pthread_once(&once, load);
	if (!missing[0])
		return &api;
	sonde_error_set(err, SONDE_E_UNSUPPORTED, "%s", missing);
	return NULL;
}

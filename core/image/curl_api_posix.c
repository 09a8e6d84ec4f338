/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "image/curl_api.h"
#include "image/library.h"

static struct curl_api api;
static struct sonde_error missing; /* why it cannot be had; code 0: it can */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct library_call calls[] = {
#define X(name) { "curl_" #name, &api.name },
	CURL_CALLS(X)
#undef X
};

static struct library library = {
	.name = "libcurl",
	.package = "libcurl4",
	.files = { "libcurl.so.4", "libcurl-gnutls.so.4" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

static void load(void)
{
	if (library_load(&library, &missing) == 0 &&
	    api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		sonde_error_set(&missing, SONDE_E_UNSUPPORTED, "libcurl cannot be initialised");
}

const struct curl_api *curl_api(struct sonde_error *err)
{
	pthread_once(&once, load);
	if (!missing.code)
		return &api;
	sonde_error_set(err, missing.code, "%s", missing.text);
	return NULL;
}

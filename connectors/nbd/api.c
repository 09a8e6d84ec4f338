/* SPDX-License-Identifier: MIT */
#include "api.h"

#include "../common/bind.h"

#include <pthread.h>

struct api api;

static const struct bind_call calls[] = {
#define X(name) { #name, &api.name },
	API_CALLS(X)
#undef X
};

static const struct bind_library library = {
	.connector = "nbd",
	.file = "libnbd.so.0",
	.name = "libnbd",
	.package = "libnbd0",
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

int api_load(const struct sonde_host *host, struct sonde_error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int is_loaded;

	pthread_mutex_lock(&lock);
	int r = is_loaded ? 0 : bind_library(host, &library, err);
	is_loaded = r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

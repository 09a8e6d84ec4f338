/* SPDX-License-Identifier: MIT */
/* Choosing an engine, and saying why. */
#include "io/engine.h"

#include <sonde/error.h>
#include <stdio.h>
#include <string.h>

#define N_ENGINES 6

static const char *const names[N_ENGINES] = {
	[SONDE_ENGINE_AUTO] = "auto",       [SONDE_ENGINE_SYNC] = "sync",
	[SONDE_ENGINE_DIRECT] = "direct",   [SONDE_ENGINE_URING] = "io_uring",
	[SONDE_ENGINE_THREADS] = "threads", [SONDE_ENGINE_EPOLL] = "epoll",
};

const char *engine_name(uint32_t kind)
{
	return names[kind];
}

int sonde_engine_parse(const char *name, uint32_t *ret)
{
	for (uint32_t i = 0; i < N_ENGINES; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = i;
			return SONDE_OK;
		}
	}
	return SONDE_E_NOT_FOUND;
}

static int open_uring(struct sonde_loop *loop, const struct sonde_loop_options *options,
		      struct engine **ret, struct sonde_error *err)
{
#ifdef SONDE_HAVE_URING
	return engine_uring.open(loop, options, ret, err);
#else
	(void)loop, (void)options, (void)ret;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "io_uring: this build of sonde has no liburing");
#endif
}

static const struct engine_ops *uring_ops(void)
{
#ifdef SONDE_HAVE_URING
	return &engine_uring;
#else
	return NULL;
#endif
}

/* Mapped bytes never reach the engine; what cannot be mapped goes to the ring, else to threads. */
static int open_auto(struct sonde_loop *loop, const struct sonde_loop_options *options,
		     const struct engine_ops **ret_ops, struct engine **ret, char *why, size_t cap,
		     struct sonde_error *err)
{
	struct sonde_error refused = { 0 };

	if (open_uring(loop, options, ret, &refused) == SONDE_OK) {
		*ret_ops = uring_ops();
		snprintf(why, cap, "auto: mapped memory is copied, the rest goes to io_uring");
		return SONDE_OK;
	}
	*ret_ops = &engine_threads;
	snprintf(why, cap, "auto: mapped memory is copied, the rest goes to threads (%s)",
		 refused.text);
	return engine_threads.open(loop, options, ret, err);
}

int engine_open(struct sonde_loop *loop, const struct sonde_loop_options *options,
		const struct engine_ops **ret_ops, struct engine **ret, char *why, size_t cap,
		struct sonde_error *err)
{
	snprintf(why, cap, "asked for");
	switch (options->engine) {
	case SONDE_ENGINE_AUTO:
		return open_auto(loop, options, ret_ops, ret, why, cap, err);
	case SONDE_ENGINE_SYNC:
	case SONDE_ENGINE_DIRECT:
	case SONDE_ENGINE_EPOLL:
		*ret_ops = NULL;
		return SONDE_OK;
	case SONDE_ENGINE_URING:
		*ret_ops = uring_ops();
		return open_uring(loop, options, ret, err);
	case SONDE_ENGINE_THREADS:
		*ret_ops = &engine_threads;
		return engine_threads.open(loop, options, ret, err);
	default:
		return sonde_error_set(err, SONDE_E_BAD_ARG, "loop: no engine has number %u",
				       options->engine);
	}
}

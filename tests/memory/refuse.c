/* SPDX-License-Identifier: MIT */
/* Counting, refusing and remembering allocations. Any thread may allocate. */
#include "refuse.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sonde/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { LIVE_MAX = 1 << 14 };

static struct {
	pthread_mutex_t lock;
	bool on;
	long n;         /* allocations since refuse_begin                   */
	long refuse_at; /* the one that is refused, from 1 on; 0 none         */
	bool all;       /* ... and all behind it                              */
	void *live[LIVE_MAX];
	size_t n_live;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool refused(void)
{
	bool no = false;

	pthread_mutex_lock(&state.lock);
	if (state.on) {
		state.n++;
		no = state.refuse_at &&
		     (state.all ? state.n >= state.refuse_at : state.n == state.refuse_at);
	}
	pthread_mutex_unlock(&state.lock);
	errno = no ? ENOMEM : errno;
	return no;
}

static void forget(const void *p)
{
	for (size_t i = state.n_live; p && i-- > 0;) {
		if (state.live[i] == p) {
			state.live[i] = state.live[--state.n_live];
			return;
		}
	}
}

/* was: what it grew out of. What the test allocates for itself is not looked after. */
static void *remember(void *p, const void *was)
{
	pthread_mutex_lock(&state.lock);
	if (p)
		forget(was);
	if (p && state.on && state.n_live < LIVE_MAX)
		state.live[state.n_live++] = p;
	pthread_mutex_unlock(&state.lock);
	return p;
}

/* ---- in the place of the C library's ---------------------------------------------------------- */

#define REPLACED(type, name, ...)                                                                  \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

REPLACED(void *, malloc, size_t size)
{
	return refused() ? NULL : remember(__real_malloc(size), NULL);
}

REPLACED(void *, calloc, size_t n, size_t size)
{
	return refused() ? NULL : remember(__real_calloc(n, size), NULL);
}

REPLACED(void *, realloc, void *p, size_t size)
{
	return refused() ? NULL : remember(__real_realloc(p, size), p);
}

REPLACED(void *, aligned_alloc, size_t align, size_t size)
{
	return refused() ? NULL : remember(__real_aligned_alloc(align, size), NULL);
}

REPLACED(void, free, void *p)
{
	pthread_mutex_lock(&state.lock);
	forget(p);
	pthread_mutex_unlock(&state.lock);
	__real_free(p);
}

REPLACED(char *, strdup, const char *text)
{
	return refused() ? NULL : remember(__real_strdup(text), NULL);
}

REPLACED(char *, strndup, const char *text, size_t n)
{
	return refused() ? NULL : remember(__real_strndup(text, n), NULL);
}

REPLACED(void *, mmap64, void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	return refused() ? MAP_FAILED : __real_mmap64(at, len, prot, flags, fd, off);
}

REPLACED(FILE *, fopen64, const char *path, const char *mode)
{
	return refused() ? NULL : __real_fopen64(path, mode);
}

REPLACED(FILE *, fopencookie, void *cookie, const char *mode, cookie_io_functions_t functions)
{
	return refused() ? NULL : __real_fopencookie(cookie, mode, functions);
}

REPLACED(DIR *, opendir, const char *path)
{
	return refused() ? NULL : __real_opendir(path);
}

/* ---- each in turn ----------------------------------------------------------------------------------- */

void refuse_pause(void)
{
	state.on = false;
}

void refuse_resume(void)
{
	state.on = true;
}

static int run(const struct scenario *scenario, long refuse_at, bool all)
{
	size_t before = state.n_live;

	state.n = 0;
	state.refuse_at = refuse_at;
	state.all = all;
	state.on = true;
	int r = scenario->run(scenario->arg);
	state.on = false;
	if (state.n_live != before)
		fail_msg("%s, allocation %ld refused%s: %zu allocations are left", scenario->name,
			 refuse_at, all ? ", and all behind it" : "", state.n_live - before);
	return r;
}

void refuse_each(const struct scenario *scenario)
{
	int r = run(scenario, 0, false);
	long n = state.n, n_refused = 0;

	if (r == SONDE_E_UNSUPPORTED || r == SONDE_E_NO_ACCESS) {
		print_message("%s: skipped: the host has no such thing\n", scenario->name);
		return;
	}
	if (r != 0)
		fail_msg("%s: %d with nothing refused", scenario->name, r);
	for (long i = 1; i <= 2 * n; i++) {
		r = run(scenario, (i + 1) / 2, i % 2);
		n_refused += r != 0;
		if (r != 0 && r != SONDE_E_NO_MEMORY)
			fail_msg("%s, allocation %ld refused%s: %d (%s)", scenario->name,
				 (i + 1) / 2, i % 2 ? ", and all behind it" : "", r,
				 sonde_error_name(r));
	}
	if (run(scenario, 0, false) != 0)
		fail_msg("%s: fails when nothing is refused any more", scenario->name);
	print_message("%s: %ld allocations, refusing one of them ended it %ld of %ld times\n",
		      scenario->name, n, n_refused, 2 * n);
}

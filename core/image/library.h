/* SPDX-License-Identifier: MIT */
/*
 * Libraries of others that are bound when they are first needed. Linked to, they and the libraries behind them would
 * be loaded by every program, also by those that never need them.
 */
#ifndef SONDE_IMAGE_LIBRARY_H
#define SONDE_IMAGE_LIBRARY_H

#include <sonde/error.h>
#include <stddef.h>

struct library_call {
	const char *name;
	void *at; /* a pointer to a function, which is filled in */
};

struct library {
	const char *name;     /* "libcurl"                             */
	const char *package;  /* of Debian: "libcurl4"                 */
	const char *files[2]; /* the first of them that there is; NULL */
	const struct library_call *calls;
	size_t n_calls;
	int is_loaded; /* library.c's */
};

/* Load it into this process, for good. Returns 0; SONDE_E_UNSUPPORTED: it is missing or too old. Any thread. */
int library_load(struct library *library, struct sonde_error *err);

#endif

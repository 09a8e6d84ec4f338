/* SPDX-License-Identifier: MIT */
/*
 * Libraries of others that a connector binds when its first target is opened. Linked to, they and the libraries behind them would
 * be loaded whenever plugins are listed or a file is sniffed.
 */
#ifndef BIND_H
#define BIND_H

#include <sonde/plugin.h>
#include <stddef.h>

struct bind_call {
	const char *name;
	void *at; /* a pointer to a function, which is filled in */
};

struct bind_library {
	const char *connector; /* for messages: "libvirt"             */
	const char *file;      /* "libvirt-qemu.so.0"                 */
	const char *name;      /* what to install: "libvirt"          */
	const char *package;   /* ... which Debian calls: "libvirt0"  */
	const struct bind_call *calls;
	size_t n_calls;
};

/* Load it into this process, for good. Returns 0; SONDE_E_UNSUPPORTED: it is missing or too old. Any thread. */
int bind_library(const struct sonde_host *host, const struct bind_library *library,
		 struct sonde_error *err);

#endif

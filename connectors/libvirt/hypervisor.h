/* SPDX-License-Identifier: MIT */
/* A connection to libvirt: opening it, the domains it knows, and its failures in words. */
#ifndef LIBVIRT_HYPERVISOR_H
#define LIBVIRT_HYPERVISOR_H

#include "api.h"

struct hypervisor {
	const struct sonde_host *host;
	struct api api;
	int has_events;
	virConnectPtr conn;
	char uri[256]; /* as libvirt has it, cut; until connected as the user wrote it */
};

/*
 * Connect. uri NULL: what LIBVIRT_DEFAULT_URI says, else qemu:///system.
 *
 * Returns   0; SONDE_E_NOT_FOUND (nobody listens), _NO_ACCESS (err says whose the socket is),
 *           _UNSUPPORTED (no libvirt here, or not its QEMU driver), _IO.
 * Owns      *ret: hypervisor_close, also after an error.
 */
int hypervisor_open(struct hypervisor *ret, const struct sonde_host *host, const char *uri,
		    struct sonde_error *err);
void hypervisor_close(struct hypervisor *hv);

/* 1 where the domains of this connection are processes of this machine. */
int hypervisor_is_local(const struct hypervisor *hv);

/*
 * The domain that text means: a name, else a UUID, else an id.
 *
 * Returns   0; SONDE_E_NOT_FOUND: err lists names that are near to it, or all.
 * Owns      *ret: virDomainFree.
 */
int hypervisor_find(struct hypervisor *hv, const char *text, virDomainPtr *ret,
		    struct sonde_error *err);

/*
 * Visit its domains, whatever state they are in. Returns 0, what fn returned to stop, or what libvirt failed with. dom is
 * borrowed for the call.
 */
typedef int hypervisor_fn(void *user, struct hypervisor *hv, virDomainPtr dom);
int hypervisor_each(struct hypervisor *hv, hypervisor_fn *fn, void *user, struct sonde_error *err);

/* What libvirt said last, as "libvirt: URI: what: ...". Returns its code. */
int hypervisor_failed(struct hypervisor *hv, const char *what, struct sonde_error *err);
/* The code alone. */
int hypervisor_code(const struct hypervisor *hv);

#endif

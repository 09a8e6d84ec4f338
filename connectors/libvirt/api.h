/* SPDX-License-Identifier: MIT */
/*
 * The calls of libvirt that are used, bound when the first target is opened. Linked to, libvirt and
 * the thirty libraries behind it would be loaded and initialised whenever plugins are listed or
 * a file is sniffed: 25 ms of a processor, as much as a list of processes takes.
 */
#ifndef LIBVIRT_API_H
#define LIBVIRT_API_H

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <sonde/plugin.h>

#define API_CALLS(X)                                                                               \
	X(virConnectClose)                                                                         \
	X(virConnectDomainEventDeregisterAny)                                                      \
	X(virConnectDomainEventRegisterAny)                                                        \
	X(virConnectGetType)                                                                       \
	X(virConnectGetURI)                                                                        \
	X(virConnectListAllDomains)                                                                \
	X(virConnectOpen)                                                                          \
	X(virConnectSetKeepAlive)                                                                  \
	X(virDomainFree)                                                                           \
	X(virDomainGetID)                                                                          \
	X(virDomainGetInfo)                                                                        \
	X(virDomainGetName)                                                                        \
	X(virDomainGetState)                                                                       \
	X(virDomainGetUUIDString)                                                                  \
	X(virDomainLookupByID)                                                                     \
	X(virDomainLookupByName)                                                                   \
	X(virDomainLookupByUUIDString)                                                             \
	X(virDomainMemoryPeek)                                                                     \
	X(virDomainQemuMonitorCommand)                                                             \
	X(virDomainResume)                                                                         \
	X(virDomainSuspend)                                                                        \
	X(virEventAddTimeout)                                                                      \
	X(virEventRegisterDefaultImpl)                                                             \
	X(virEventRemoveTimeout)                                                                   \
	X(virEventRunDefaultImpl)                                                                  \
	X(virEventUpdateTimeout)                                                                   \
	X(virGetLastError)                                                                         \
	X(virResetLastError)                                                                       \
	X(virSetErrorFunc)

struct api {
#define X(name) __typeof__(name) *name;
	API_CALLS(X)
#undef X
};

/* Load libvirt into this process, for good. Returns 0; SONDE_E_UNSUPPORTED where it is missing. */
int api_load(const struct sonde_host *host, struct api *ret, struct sonde_error *err);

#endif

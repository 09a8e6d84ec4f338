/* SPDX-License-Identifier: MIT */
/* QEMU's monitor by way of libvirt, which holds its QMP socket. */
#ifndef LIBVIRT_COMMAND_H
#define LIBVIRT_COMMAND_H

#include "../common/machine.h"
#include "hypervisor.h"

/* A domain to which commands go; libvirt marks it as tainted in its log. */
struct command {
	struct hypervisor *hv;
	virDomainPtr dom;
};

/* command is kept. */
struct monitor command_monitor(struct command *command);

#endif

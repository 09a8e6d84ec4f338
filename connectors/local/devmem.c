/* SPDX-License-Identifier: MIT */
/*
 * devmem: this machine's physical memory through /dev/mem. Reading a register of a device does what the device does when it
 * is read, up to a machine that hangs: so nothing but RAM is touched unless the user asks for the rest.
 */
#include "own.h"

#include <string.h>

static int devmem_open(const struct sonde_host *host, const struct sonde_args *args,
		       void **ret_conn, struct sonde_error *err)
{
	const char *mmio = host->arg(args, "mmio");
	const struct own_paths paths = { .file = host->arg(args, "path"),
					 .iomem = host->arg(args, "iomem"),
					 .vmcoreinfo = host->arg(args, "vmcoreinfo"),
					 .devices = mmio && strcmp(mmio, "yes") == 0 };

	if (mmio && !paths.devices && strcmp(mmio, "no") != 0)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "devmem: mmio '%.40s': there are yes and no", mmio);
	return own_open(host, args, "devmem", OWN_MEM, &paths, ret_conn, err);
}

static const struct sonde_connector_ops devmem_ops = { .open = devmem_open, OWN_SLOTS };

SONDE_PLUGIN(.name = "devmem", .summary = "this machine's kernel, through /dev/mem",
	     .main_arg = "path",
	     .args_help =
		     "path=FILE  the device (/dev/mem)\n"
		     "mmio=yes  read devices' memory too, which may hang the machine\n"
		     "iomem=FILE  which addresses are RAM (/proc/iomem)\n"
		     "vmcoreinfo=FILE  where the kernel's notes lie (/sys/kernel/vmcoreinfo)\n",
	     .connector = &devmem_ops);

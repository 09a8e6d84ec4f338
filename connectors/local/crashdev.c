/* SPDX-License-Identifier: MIT */
/*
 * crashdev: this machine's physical memory through /dev/crash, the driver of Red Hat's kernels. An offset is a physical
 * address, and a read that crosses a page is refused (crash-utility memory_driver/crash.c, crash_read).
 */
#include "own.h"

static int crashdev_open(const struct sonde_host *host, const struct sonde_args *args,
			 void **ret_conn, struct sonde_error *err)
{
	const struct own_paths paths = { .file = host->arg(args, "path"),
					 .iomem = host->arg(args, "iomem"),
					 .vmcoreinfo = host->arg(args, "vmcoreinfo") };

	return own_open(host, args, "crashdev", OWN_CRASH, &paths, ret_conn, err);
}

static const struct sonde_connector_ops crashdev_ops = { .open = crashdev_open, OWN_SLOTS };

SONDE_PLUGIN(.name = "crashdev", .summary = "this machine's kernel, through /dev/crash",
	     .main_arg = "path",
	     .args_help =
		     "path=FILE  the device (/dev/crash)\n"
		     "iomem=FILE  which addresses are RAM (/proc/iomem)\n"
		     "vmcoreinfo=FILE  where the kernel's notes lie (/sys/kernel/vmcoreinfo)\n",
	     .connector = &crashdev_ops);

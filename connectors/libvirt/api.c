/* SPDX-License-Identifier: MIT */
/* libvirt-qemu has the monitor, and what it needs has the rest: a symbol is looked for in both. */
#include "api.h"

#include "../common/bind.h"

int api_load(const struct sonde_host *host, struct api *ret, struct sonde_error *err)
{
	const struct bind_call calls[] = {
#define X(name) { #name, &ret->name },
		API_CALLS(X)
#undef X
	};
	const struct bind_library library = {
		.connector = "libvirt",
		.file = "libvirt-qemu.so.0",
		.name = "libvirt",
		.package = "libvirt0",
		.calls = calls,
		.n_calls = sizeof(calls) / sizeof(calls[0]),
	};

	return bind_library(host, &library, err);
}

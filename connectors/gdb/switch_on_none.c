/* SPDX-License-Identifier: MIT */
/* Built without a JSON library: nobody here speaks QMP. */
#include "switch_on.h"

int switch_on(struct switch_on *ret, const char *name, struct sonde_error *err)
{
	return ret->host->error_set(
		err, SONDE_E_UNSUPPORTED,
		"gdb: 'qemu:%.60s': built without QMP: run 'gdbserver tcp:127.0.0.1:PORT' in the "
		"guest's monitor and open gdb:127.0.0.1:PORT",
		name);
}

void switch_off(struct switch_on *on)
{
	(void)on;
}

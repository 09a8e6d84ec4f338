/* SPDX-License-Identifier: MIT */
/* In the place of dwarf.c where elfutils was not there at build time. */
#include "sym/dwarf.h"

int dwarf_types(int fd, uint32_t pointer_size, const char *source, struct sonde_types **ret,
		struct sonde_error *err)
{
	(void)fd;
	(void)pointer_size;
	(void)source;
	(void)ret;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "its types are DWARF, and this sonde was built without elfutils; "
			       "build it with -Ddwarf=enabled, or give a vmlinux with a .BTF "
			       "section");
}

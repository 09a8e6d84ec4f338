/* SPDX-License-Identifier: MIT */
/* What a failed file operation says of the bytes it was to move: one answer for all who move any. */
#include <errno.h>
#include <sonde/error.h>
#include <sonde/io.h>

#include "io/engine.h"

int32_t errno_code(int os_code, uint32_t op)
{
	switch (os_code) {
	case EBADF:
	case EROFS:
	case EPERM:
		return op == SONDE_IO_WRITE ? SONDE_E_READ_ONLY : SONDE_E_NO_ACCESS;
	case ENODEV:
	case ENXIO:
		return SONDE_E_GONE;
	default:
		return SONDE_E_IO;
	}
}

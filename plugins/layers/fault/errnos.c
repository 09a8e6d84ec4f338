/* SPDX-License-Identifier: MIT */
/* The table of names; numbers are the host's own. */
#include "errnos.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../../common/numbers.h"

#define E(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}

static const struct {
	const char *name;
	int number;
} names[] = {
	/* linux v6.6 include/uapi/asm-generic/errno-base.h, all of it */
	E(EPERM),
	E(ENOENT),
	E(ESRCH),
	E(EINTR),
	E(EIO),
	E(ENXIO),
	E(E2BIG),
	E(ENOEXEC),
	E(EBADF),
	E(ECHILD),
	E(EAGAIN),
	E(ENOMEM),
	E(EACCES),
	E(EFAULT),
	E(ENOTBLK),
	E(EBUSY),
	E(EEXIST),
	E(EXDEV),
	E(ENODEV),
	E(ENOTDIR),
	E(EISDIR),
	E(EINVAL),
	E(ENFILE),
	E(EMFILE),
	E(ENOTTY),
	E(ETXTBSY),
	E(EFBIG),
	E(ENOSPC),
	E(ESPIPE),
	E(EROFS),
	E(EMLINK),
	E(EPIPE),
	E(EDOM),
	E(ERANGE),
	/* errno.h beside it: what open(2), read(2) and write(2) name, and network and disk files answer */
	E(ELOOP),
	E(ENAMETOOLONG),
	E(EOVERFLOW),
	E(EOPNOTSUPP),
	E(ENOSYS),
	E(EDQUOT),
	E(ESTALE),
	E(ETIMEDOUT),
	E(ECONNRESET),
	E(ENODATA),
	E(EREMOTEIO),
	E(ENOMEDIUM),
	E(EUCLEAN),
	E(EDESTADDRREQ),
};

int errno_by_name(const char *name)
{
	uint64_t number;
	const char *end;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].number;
	}
	end = number_read(name, &number);
	return end && !*end && number > 0 && number < 4096 ? (int)number : 0;
}

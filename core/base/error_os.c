/* SPDX-License-Identifier: MIT */
/* What the host's errno means. */
#include <sonde/error.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

/* What is told of names and files only. */
static int code_of_file_errno(int os_code)
{
	switch (os_code) {
	case ENOSPC:
		return SONDE_E_NO_SPACE;
	case EDQUOT:
		return SONDE_E_QUOTA;
	case EEXIST:
		return SONDE_E_EXISTS;
	case ENOTDIR:
		return SONDE_E_NOT_DIRECTORY;
	case EISDIR:
		return SONDE_E_IS_DIRECTORY;
	case ENOTEMPTY:
		return SONDE_E_NOT_EMPTY;
	case ENAMETOOLONG:
		return SONDE_E_NAME_TOO_LONG;
	case ELOOP:
		return SONDE_E_LOOP;
	case EFBIG:
		return SONDE_E_TOO_LARGE;
	case EXDEV:
		return SONDE_E_CROSS_DEVICE;
	default:
		return SONDE_E_IO;
	}
}

static int code_of_errno(int os_code)
{
	switch (os_code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case EADDRNOTAVAIL:
		return SONDE_E_NOT_FOUND;
	case ECONNREFUSED:
		return SONDE_E_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return SONDE_E_UNREACHABLE;
	case EADDRINUSE:
		return SONDE_E_IN_USE;
	case EPERM:
	case EACCES:
		return SONDE_E_NO_ACCESS;
	case ENOMEM:
	case ENOBUFS:
		return SONDE_E_NO_MEMORY;
	case EFAULT:
		return SONDE_E_NOT_MAPPED;
	case EROFS:
		return SONDE_E_READ_ONLY;
	case ESRCH:
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return SONDE_E_GONE;
	case ENOSYS:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
		return SONDE_E_UNSUPPORTED;
	case ETIMEDOUT:
		return SONDE_E_TIMED_OUT;
	case EINVAL:
	case EBADF:
	case ENOTSOCK:
	case ENOTCONN:
		return SONDE_E_BAD_ARG;
	case EMFILE:
	case ENFILE:
		return SONDE_E_EXHAUSTED;
	case ECANCELED:
		return SONDE_E_CANCELLED;
	case EBUSY:
	case ETXTBSY:
		return SONDE_E_BUSY;
	default:
		return code_of_file_errno(os_code);
	}
}

int sonde_error_os(struct sonde_error *err, int os_code, const char *fmt, ...)
{
	int code = code_of_errno(os_code);
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->os_code = os_code;
	va_start(ap, fmt);
	text_line(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	text_add(err->text, sizeof(err->text), ": ");
	text_add(err->text, sizeof(err->text), strerror(os_code));
	return code;
}

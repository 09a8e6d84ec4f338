/* SPDX-License-Identifier: MIT */
/* Codes to text, and the one-line story that grows from the inside out. */
#include <sonde/error.h>
#include <sonde/types.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sonde_strerror(int code)
{
	switch (code) {
#define X(name, value, text)                                                                       \
	case value:                                                                                \
		return text;
		SONDE_ERR_MAP(X)
#undef X
	default:
		return code >= 0 ? "success" : "unknown error";
	}
}

const char *sonde_error_name(int code)
{
	switch (code) {
#define X(name, value, text)                                                                       \
	case value:                                                                                \
		return #name;
		SONDE_ERR_MAP(X)
#undef X
	default:
		return code >= 0 ? "OK" : "UNKNOWN";
	}
}

/* A text from a target or a path may hold newlines and control bytes; the story is one line. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static void set_text(struct sonde_error *err, int code, int os_code, const char *fmt, va_list ap)
{
	err->code = code;
	err->os_code = os_code;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	one_line(err->text);
}

int sonde_error_set(struct sonde_error *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	if (!fmt) {
		err->code = code;
		err->os_code = 0;
		snprintf(err->text, sizeof(err->text), "%s", sonde_strerror(code));
		return code;
	}
	va_list ap;
	va_start(ap, fmt);
	set_text(err, code, 0, fmt, ap);
	va_end(ap);
	return code;
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
	case EISDIR:
		return SONDE_E_BAD_ARG;
	case EMFILE:
	case ENFILE:
		return SONDE_E_EXHAUSTED;
	case ECANCELED:
		return SONDE_E_CANCELLED;
	case EBUSY:
		return SONDE_E_BUSY;
	default:
		return SONDE_E_IO;
	}
}

int sonde_error_os(struct sonde_error *err, int os_code, const char *fmt, ...)
{
	int code = code_of_errno(os_code);

	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	set_text(err, code, os_code, fmt, ap);
	va_end(ap);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(os_code));
	return code;
}

int sonde_error_prefix(struct sonde_error *err, const char *fmt, ...)
{
	if (!err)
		return SONDE_OK;
	char old[sizeof(err->text)];
	memcpy(old, err->text, sizeof(old));

	va_list ap;
	va_start(ap, fmt);
	set_text(err, err->code, err->os_code, fmt, ap);
	va_end(ap);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	return err->code;
}

const char *sonde_arch_name(uint32_t arch)
{
	switch (arch) {
	case SONDE_ARCH_X86_64:
		return "x86_64";
	case SONDE_ARCH_AARCH64:
		return "aarch64";
	case SONDE_ARCH_I386:
		return "i386";
	case SONDE_ARCH_RISCV64:
		return "riscv64";
	default:
		return "unknown";
	}
}

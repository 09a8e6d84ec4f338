/* SPDX-License-Identifier: MIT */
/* Codes to text, and the one-line story that grows from the inside out. */
#include <sonde/error.h>
#include <sonde/types.h>

#include <stdarg.h>

#include "base/mem.h"
#include "base/text.h"

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

int sonde_error_set(struct sonde_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->os_code = 0;
	va_start(ap, fmt);
	text_line(err->text, sizeof(err->text), fmt ? fmt : sonde_strerror(code), ap);
	va_end(ap);
	return code;
}

int sonde_error_prefix(struct sonde_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return SONDE_OK;
	char old[sizeof(err->text)];
	memcpy(old, err->text, sizeof(old));

	va_start(ap, fmt);
	text_line(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	text_add(err->text, sizeof(err->text), ": ");
	text_add(err->text, sizeof(err->text), old);
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
	case SONDE_ARCH_ARM:
		return "arm";
	default:
		return "unknown";
	}
}

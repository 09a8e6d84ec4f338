/* SPDX-License-Identifier: MIT */
/*
 * The order of the questions is the kernel's. /proc/kcore: CAP_SYS_RAWIO, then lockdown (linux v6.1 fs/proc/kcore.c,
 * open_kcore). /dev/mem: the same two (drivers/char/mem.c, open_port), and each page again when it is read
 * (page_is_allowed: CONFIG_STRICT_DEVMEM). Lockdown closes /dev/mem in mode integrity, /proc/kcore in mode
 * confidentiality only (include/linux/security.h, LOCKDOWN_DEV_MEM and LOCKDOWN_KCORE).
 */
#include "refusal.h"

#include <errno.h>
#include <sonde/error.h>
#include <stdio.h>
#include <string.h>

/* linux v6.1 include/uapi/linux/capability.h */
#define CAP_SYS_RAWIO 17

static const char *const absent[OWN_WAYS] = {
	[OWN_KCORE] = "not there: the kernel has no CONFIG_PROC_KCORE, or a container hides it",
	[OWN_CRASH] = "not there: it comes with Red Hat's kernels (modprobe crash)",
	[OWN_MEM] = "not there: the kernel has no CONFIG_DEVMEM, or a container hides it",
};

void refusal_parse_lockdown(const char *text, char *ret, size_t cap)
{
	const char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;

	ret[0] = '\0';
	if (to && (size_t)(to - from) <= cap)
		snprintf(ret, cap, "%.*s", (int)(to - from - 1), from + 1);
}

static int say(char *buf, size_t cap, int code, const char *words)
{
	snprintf(buf, cap, "%s", words);
	return code;
}

static int is_locked(const struct refusal *refusal)
{
	return strcmp(refusal->lockdown, "confidentiality") == 0 ||
	       (refusal->way == OWN_MEM && strcmp(refusal->lockdown, "integrity") == 0);
}

static int explain_eperm(const struct refusal *refusal, char *buf, size_t cap)
{
	if (refusal->is_read)
		return say(buf, cap, SONDE_E_NO_ACCESS,
			   "the kernel keeps RAM from it (CONFIG_STRICT_DEVMEM): kcore: reads it "
			   "where there is /proc/kcore");
	if (refusal->is_mapped)
		return say(buf, cap, SONDE_E_NO_ACCESS,
			   "needs CAP_SYS_RAWIO of the machine; this is root of a user name space "
			   "only: run outside of it");
	if (!(refusal->caps >> CAP_SYS_RAWIO & 1))
		return say(buf, cap, SONDE_E_NO_ACCESS,
			   "needs CAP_SYS_RAWIO: be root, in a container with --cap-add SYS_RAWIO");
	if (!is_locked(refusal))
		return say(buf, cap, SONDE_E_NO_ACCESS,
			   "refused although CAP_SYS_RAWIO is there: by lockdown or another "
			   "security module of the kernel (dmesg says which)");
	snprintf(buf, cap,
		 "closed by the kernel's lockdown, mode %s: boot without lockdown= and Secure Boot",
		 refusal->lockdown);
	return SONDE_E_NO_ACCESS;
}

int refusal_explain(const struct refusal *refusal, char *buf, size_t cap)
{
	if (refusal->is_hidden)
		return say(buf, cap, SONDE_E_NOT_FOUND,
			   "another file stands in its place, as containers do: run outside of it");
	switch (refusal->os_code) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return say(buf, cap, SONDE_E_NOT_FOUND, absent[refusal->way]);
	case EACCES:
		return say(buf, cap, SONDE_E_NO_ACCESS, "permission denied: be root");
	case EPERM:
		return explain_eperm(refusal, buf, cap);
	default:
		snprintf(buf, cap, "%s", strerror(refusal->os_code));
		return SONDE_E_IO;
	}
}

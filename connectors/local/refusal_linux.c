/* SPDX-License-Identifier: MIT */
/* What Linux tells of a process's rights and of the kernel's own restrictions. */
#include "refusal.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MAX 8192

/* The whole machine's numbers are mapped to themselves in its first name space, user_namespaces(7). */
static int maps_all(const char *uid_map)
{
	unsigned long inside, outside, n;

	return sscanf(uid_map, "%lu %lu %lu", &inside, &outside, &n) != 3 ||
	       (inside == 0 && outside == 0 && n == 4294967295);
}

void refusal_look(struct refusal *refusal)
{
	char *status = text_read("/proc/self/status", SHORT_MAX);
	char *uid_map = text_read("/proc/self/uid_map", SHORT_MAX);
	char *lockdown = text_read("/sys/kernel/security/lockdown", SHORT_MAX);
	const char *caps = status ? strstr(status, "CapEff:") : NULL;

	refusal->caps = caps ? strtoull(caps + 7, NULL, 16) : 0;
	refusal->is_mapped = uid_map && !maps_all(uid_map);
	refusal_parse_lockdown(lockdown ? lockdown : "", refusal->lockdown,
			       sizeof(refusal->lockdown));
	free(status);
	free(uid_map);
	free(lockdown);
}

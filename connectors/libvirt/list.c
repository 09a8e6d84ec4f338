/* SPDX-License-Identifier: MIT */
/* libvirt knows the state; the process is the QEMU of this machine that has the domain's UUID. */
#include "list.h"

#include "../common/guests.h"
#include "hypervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	sonde_listed_fn *fn;
	void *user;
};

/* libvirt 9.0 include/libvirt/libvirt-domain.h, virDomainState, in the words of virsh list. */
static const char *state_words(int state)
{
	static const char *const words[] = {
		[VIR_DOMAIN_RUNNING] = "running",         [VIR_DOMAIN_BLOCKED] = "idle",
		[VIR_DOMAIN_PAUSED] = "paused",           [VIR_DOMAIN_SHUTDOWN] = "in shutdown",
		[VIR_DOMAIN_SHUTOFF] = "shut off",        [VIR_DOMAIN_CRASHED] = "crashed",
		[VIR_DOMAIN_PMSUSPENDED] = "pmsuspended",
	};
	const int n = sizeof(words) / sizeof(words[0]);

	return state >= 0 && state < n ? words[state] : NULL;
}

static pid_t pid_of(struct hypervisor *hv, const char *uuid)
{
	struct guest *guest = hypervisor_is_local(hv) ? malloc(sizeof(*guest)) : NULL;
	pid_t pid = guest && guest_find_uuid(uuid, guest) == 1 ? guest->pid : 0;

	free(guest);
	return pid;
}

/* A name with a '!' would be read as URI!NAME. */
static int tell(void *user, struct hypervisor *hv, virDomainPtr dom)
{
	struct listing *listing = user;
	const char *name = hv->api.virDomainGetName(dom);
	char uuid[VIR_UUID_STRING_BUFLEN] = "", detail[VIR_UUID_STRING_BUFLEN + 300];
	int state = -1;

	if (!name)
		return 0;
	hv->api.virDomainGetUUIDString(dom, uuid);
	hv->api.virDomainGetState(dom, &state, NULL, 0);
	snprintf(detail, sizeof(detail), "%s, %s", uuid, hv->uri);
	const struct sonde_listed one = {
		.size = sizeof(one),
		.first = strchr(name, '!') ? uuid : name,
		.name = name,
		.state = state_words(state),
		.detail = detail,
		.pid = (int)hv->api.virDomainGetID(dom) >= 0 ? pid_of(hv, uuid) : 0,
	};
	return listing->fn(listing->user, &one);
}

int libvirt_list(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
		 struct sonde_error *err)
{
	struct listing listing = { fn, user };
	struct hypervisor hv;
	int r = hypervisor_open(&hv, host, NULL, err);

	if (r == 0)
		r = hypervisor_each(&hv, tell, &listing, err);
	hypervisor_close(&hv);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* libvirt tells its failures in a record of the thread (virterror.h): a number, words, and an errno. */
#include "hypervisor.h"

#include "events.h"
#include "near.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_URI "qemu:///system"

/* Dead peers are noticed within 20 s, so that no call waits for ever. */
#define KEEPALIVE_S 5
#define KEEPALIVE_N 3

/* Without one, libvirt prints its failures to stderr. */
static void quiet(void *user, virErrorPtr error)
{
	(void)user;
	(void)error;
}

/* ---- failures ------------------------------------------------------------------------------- */

static int code_of(const virError *error)
{
	switch (error ? error->code : VIR_ERR_INTERNAL_ERROR) {
	case VIR_ERR_NO_DOMAIN:
		return SONDE_E_NOT_FOUND;
	case VIR_ERR_OPERATION_INVALID: /* the domain does not run */
		return SONDE_E_GONE;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_NO_CONNECT:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
	case VIR_ERR_CONFIG_UNSUPPORTED:
		return SONDE_E_UNSUPPORTED;
	case VIR_ERR_OPERATION_DENIED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_AUTH_CANCELLED:
	case VIR_ERR_AUTH_UNAVAILABLE:
		return SONDE_E_NO_ACCESS;
	case VIR_ERR_OPERATION_TIMEOUT:
	case VIR_ERR_AGENT_UNRESPONSIVE:
		return SONDE_E_TIMED_OUT;
	case VIR_ERR_NO_MEMORY:
		return SONDE_E_NO_MEMORY;
	case VIR_ERR_INVALID_ARG:
		return SONDE_E_BAD_ARG;
	default:
		return SONDE_E_IO;
	}
}

static const char *words_of(const virError *error)
{
	return error && error->message ? error->message : "no reason given";
}

int hypervisor_code(const struct hypervisor *hv)
{
	return code_of(hv->api.virGetLastError());
}

int hypervisor_failed(struct hypervisor *hv, const char *what, struct sonde_error *err)
{
	const virError *error = hv->api.virGetLastError();

	return hv->host->error_set(err, code_of(error), "libvirt: %s: %s: %.250s", hv->uri, what,
				   words_of(error));
}

/* The socket between the quotes of "Failed to connect socket to '/run/...': ...". */
static int socket_of(const char *words, char *ret, size_t cap)
{
	const char *from = strchr(words, '\'');
	const char *to = from ? strchr(from + 1, '\'') : NULL;

	if (!to || from[1] != '/' || (size_t)(to - from) > cap)
		return 0;
	memcpy(ret, from + 1, (size_t)(to - from - 1));
	ret[to - from - 1] = '\0';
	return 1;
}

/* Who may use it: "user root and group libvirt". */
static void describe_owner(const char *path, char *buf, size_t cap)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		snprintf(buf, cap, "users whom its folder lets pass");
		return;
	}
	const struct passwd *user = getpwuid(st.st_uid);
	const struct group *group = getgrgid(st.st_gid);
	if (group && (st.st_mode & S_IWGRP))
		snprintf(buf, cap, "user %.32s and group %.32s: join it (usermod -aG %.32s USER)",
			 user ? user->pw_name : "?", group->gr_name, group->gr_name);
	else
		snprintf(buf, cap, "user %.32s alone", user ? user->pw_name : "?");
}

static int refuse_socket(struct hypervisor *hv, const virError *error, struct sonde_error *err)
{
	char path[PATH_MAX], owner[160];

	if (!socket_of(words_of(error), path, sizeof(path)))
		return hypervisor_failed(hv, "connect", err);
	if (error->int1 == EACCES || error->int1 == EPERM) {
		describe_owner(path, owner, sizeof(owner));
		return hv->host->error_set(
			err, SONDE_E_NO_ACCESS,
			"libvirt: %s: not allowed to use the socket '%.120s': it is for %s",
			hv->uri, path, owner);
	}
	return hv->host->error_set(
		err, SONDE_E_NOT_FOUND,
		"libvirt: %s: no libvirtd listens on '%.120s' (%s): start it (systemctl start "
		"libvirtd, or virtqemud), or name another with libvirt:URI!DOMAIN",
		hv->uri, path, strerror(error->int1));
}

static int refuse_connection(struct hypervisor *hv, struct sonde_error *err)
{
	const virError *error = hv->api.virGetLastError();

	if (error && error->code == VIR_ERR_SYSTEM_ERROR)
		return refuse_socket(hv, error, err);
	if (code_of(error) == SONDE_E_NO_ACCESS)
		return hv->host->error_set(
			err, SONDE_E_NO_ACCESS,
			"libvirt: %s: %.200s: be root, join the group of libvirt's socket "
			"(usermod -aG libvirt USER), or allow polkit's action "
			"org.libvirt.unix.manage",
			hv->uri, words_of(error));
	return hypervisor_failed(hv, "connect", err);
}

/* ---- the connection ------------------------------------------------------------------------- */

static int check_driver(struct hypervisor *hv, struct sonde_error *err)
{
	const char *type = hv->api.virConnectGetType(hv->conn);

	if (type && strcmp(type, "QEMU") == 0)
		return 0;
	return hv->host->error_set(
		err, SONDE_E_UNSUPPORTED,
		"libvirt: %s: its driver is '%.40s': only domains of QEMU and KVM "
		"can be read",
		hv->uri, type ? type : "unknown");
}

int hypervisor_open(struct hypervisor *ret, const struct sonde_host *host, const char *uri,
		    struct sonde_error *err)
{
	const char *given = uri ? uri : getenv("LIBVIRT_DEFAULT_URI");

	memset(ret, 0, sizeof(*ret));
	ret->host = host;
	snprintf(ret->uri, sizeof(ret->uri), "%s", given && *given ? given : DEFAULT_URI);
	int r = api_load(host, &ret->api, err);
	if (r < 0 || (r = events_begin(host, &ret->api, err)) < 0)
		return r;
	ret->has_events = 1;
	ret->api.virSetErrorFunc(NULL, quiet);
	ret->conn = ret->api.virConnectOpen(given && *given ? given : DEFAULT_URI);
	if (!ret->conn)
		return refuse_connection(ret, err);
	char *full = ret->api.virConnectGetURI(ret->conn);
	if (full)
		snprintf(ret->uri, sizeof(ret->uri), "%s", full);
	free(full);
	ret->api.virConnectSetKeepAlive(ret->conn, KEEPALIVE_S, KEEPALIVE_N);
	return check_driver(ret, err);
}

void hypervisor_close(struct hypervisor *hv)
{
	if (hv->conn)
		hv->api.virConnectClose(hv->conn);
	if (hv->has_events)
		events_end(&hv->api);
	hv->conn = NULL;
	hv->has_events = 0;
}

/* "qemu:///system" or "qemu+unix:///system?...": no other way there, and no host. */
int hypervisor_is_local(const struct hypervisor *hv)
{
	const char *colon = strstr(hv->uri, "://");
	const char *plus = strchr(hv->uri, '+');

	return colon && colon[3] == '/' &&
	       (!plus || plus > colon || strncmp(plus, "+unix:", 6) == 0);
}

/* ---- its domains ---------------------------------------------------------------------------- */

int hypervisor_each(struct hypervisor *hv, hypervisor_fn *fn, void *user, struct sonde_error *err)
{
	virDomainPtr *domains = NULL;
	int n = hv->api.virConnectListAllDomains(hv->conn, &domains, 0);
	int r = n < 0 ? hypervisor_failed(hv, "list its domains", err) : 0;

	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = fn(user, hv, domains[i]);
		hv->api.virDomainFree(domains[i]);
	}
	free(domains);
	return r;
}

static int compare_name(void *user, struct hypervisor *hv, virDomainPtr dom)
{
	near_add(user, hv->api.virDomainGetName(dom));
	return 0;
}

static int no_such_domain(struct hypervisor *hv, const char *text, struct sonde_error *err)
{
	struct near near;

	near_init(&near, text);
	hypervisor_each(hv, compare_name, &near, NULL);
	return hv->host->error_set(err, SONDE_E_NOT_FOUND,
				   "libvirt: '%.60s': no such domain at %s; %s", text, hv->uri,
				   near_text(&near));
}

int hypervisor_find(struct hypervisor *hv, const char *text, virDomainPtr *ret,
		    struct sonde_error *err)
{
	const struct api *api = &hv->api;
	virDomainPtr dom = api->virDomainLookupByName(hv->conn, text);
	char *end;

	if (!dom)
		dom = api->virDomainLookupByUUIDString(hv->conn, text);
	if (!dom && isdigit((unsigned char)text[0])) {
		unsigned long id = strtoul(text, &end, 10);
		if (*end == '\0' && id <= INT_MAX)
			dom = api->virDomainLookupByID(hv->conn, (int)id);
	}
	if (!dom)
		return no_such_domain(hv, text, err);
	*ret = dom;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Addresses of sockets. The forms are sonde/net.h's. */
#include "io/net_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* ---- from text ------------------------------------------------------------------------------- */

static int refuse(struct sonde_error *err, const char *text, const char *why)
{
	return sonde_error_set(err, SONDE_E_BAD_ARG, "address '%.120s': %s", text, why);
}

static int parse_unix(const char *text, struct net_address *ret, struct sonde_error *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&ret->at;
	const char *path = text + strlen("unix:");
	size_t len = strlen(path);

	if (len == 0 || (path[0] == '@' && len == 1))
		return refuse(err, text, "a Unix socket has a name: unix:/PATH, unix:@NAME");
	if (len >= sizeof(un->sun_path))
		return refuse(err, text, "the name of a Unix socket has 107 bytes at most");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len);
	/* Source: unix(7): an abstract name begins with a zero and is as long as the address says. */
	if (path[0] == '@')
		un->sun_path[0] = 0;
	ret->len = (socklen_t)(PATH_AT + len + (path[0] != '@'));
	return SONDE_OK;
}

/* 0..65535, nothing but digits; -1. */
static long parse_port(const char *text)
{
	size_t len = strlen(text);

	if (len < 1 || len > 5 || strspn(text, "0123456789") != len)
		return -1;
	long port = strtol(text, NULL, 10);
	return port <= 65535 ? port : -1;
}

/* "ADDRESS" or "ADDRESS%INTERFACE". */
static bool parse_v6(char *host, struct sockaddr_in6 *ret)
{
	char *scope = strchr(host, '%');

	if (scope) {
		*scope++ = 0;
		ret->sin6_scope_id = if_nametoindex(scope);
		if (ret->sin6_scope_id == 0)
			return false;
	}
	ret->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, host, &ret->sin6_addr) == 1;
}

static bool parse_host(char *host, long port, struct net_address *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&ret->at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&ret->at;
	size_t len = strlen(host);

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = 0;
		v6->sin6_port = htons((uint16_t)port);
		ret->len = sizeof(*v6);
		return parse_v6(host + 1, v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	ret->len = sizeof(*v4);
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

int net_address_parse(const char *text, struct net_address *ret, struct sonde_error *err)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 4];
	const char *colon = strrchr(text, ':');
	long port = colon ? parse_port(colon + 1) : -1;

	memset(ret, 0, sizeof(*ret));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text, ret, err);
	if (port < 0)
		return refuse(err, text, "write ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH");
	if ((size_t)(colon - text) >= sizeof(host))
		return refuse(err, text, "it is too long");
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	if (!parse_host(host, port, ret))
		return refuse(err, text,
			      "not an address in numbers (1.2.3.4:PORT, [::1]:PORT); names are "
			      "looked up by getaddrinfo(3)");
	return SONDE_OK;
}

/* ---- to text --------------------------------------------------------------------------------- */

static void text_unix(const struct net_address *address, char *text, size_t cap)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&address->at;
	size_t len = address->len > PATH_AT ? address->len - PATH_AT : 0;
	bool abstract = len > 0 && un->sun_path[0] == 0;

	if (len > sizeof(un->sun_path))
		len = sizeof(un->sun_path);
	if (!abstract)
		len = strnlen(un->sun_path, len);
	size_t at = (size_t)snprintf(text, cap, "unix:");
	for (size_t i = 0; i < len && at + 1 < cap; i++) {
		char c = un->sun_path[i];
		text[at++] = i == 0 && abstract ? '@' : c > 0x20 && c < 0x7f ? c : '?';
	}
	text[at] = 0;
}

static void text_v6(const struct sockaddr_in6 *v6, char *text, size_t cap)
{
	char host[INET6_ADDRSTRLEN] = "", scope[IF_NAMESIZE] = "";

	inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
	bool scoped = v6->sin6_scope_id && if_indextoname(v6->sin6_scope_id, scope);
	snprintf(text, cap, "[%s%s%s]:%u", host, scoped ? "%" : "", scope, ntohs(v6->sin6_port));
}

int net_address_text(const struct net_address *address, char *text, size_t cap)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address->at;
	char host[INET_ADDRSTRLEN] = "";

	if (cap)
		text[0] = 0;
	if (cap < SONDE_NET_TEXT)
		return SONDE_E_BAD_ARG;
	switch (address->len >= sizeof(sa_family_t) ? address->at.ss_family : AF_UNSPEC) {
	case AF_INET:
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, cap, "%s:%u", host, ntohs(v4->sin_port));
		return SONDE_OK;
	case AF_INET6:
		text_v6((const struct sockaddr_in6 *)(const void *)&address->at, text, cap);
		return SONDE_OK;
	case AF_UNIX:
		text_unix(address, text, cap);
		return SONDE_OK;
	default:
		return SONDE_E_UNSUPPORTED;
	}
}

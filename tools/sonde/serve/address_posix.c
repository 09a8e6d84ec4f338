/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct sonde_net_options options = {
	.size = sizeof(options),
	.flags = SONDE_NET_NODELAY | SONDE_NET_REUSE_ADDRESS,
	.keepalive_s = 60,
};

static int listen_at(const char *text, struct address *ret, struct sonde_error *err)
{
	ret->fd = sonde_net_listen(text, &options, err);
	return ret->fd < 0 ? sonde_error_prefix(err, "--listen")
			   : sonde_net_own(ret->fd, ret->text, sizeof(ret->text));
}

/* Its file is the user's alone, from when it is there on. */
static int listen_unix(const char *text, struct address *ret, struct sonde_error *err)
{
	mode_t mask = umask(0177);

	ret->is_local = true;
	int r = listen_at(text, ret, err);
	umask(mask);
	if (r == 0)
		snprintf(ret->path, sizeof(ret->path), "%s", text + 5);
	return r;
}

/* ---- TCP --------------------------------------------------------------------------------------------- */

/* "HOST:PORT", "HOST", ":PORT", "[IPV6]:PORT" apart, brackets off. Returns false: it is not of that form. */
static bool split(const char *text, uint16_t usual, char host[256], char port[8])
{
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = close ? (close[1] ? close + 1 : NULL) : strchr(text, ':');
	const char *from = text + (close != NULL), *end = close ? close : colon;
	size_t len = end ? (size_t)(end - from) : strlen(from);

	if (len >= 256 || (colon && (*colon != ':' || strlen(colon + 1) > 5)))
		return false;
	snprintf(host, 256, "%.*s", (int)len, len ? from : "127.0.0.1");
	if (colon)
		snprintf(port, 8, "%s", colon + 1);
	else
		snprintf(port, 8, "%u", usual);
	return true;
}

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* The first address of a host, in numbers. Returns 0, or an error of getaddrinfo(3). */
static int look_up(const char *host, char number[256], bool *ret_is_local)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int r = getaddrinfo(host, NULL, &hints, &found);

	if (r)
		return r;
	*ret_is_local = is_loopback(found->ai_addr);
	r = getnameinfo(found->ai_addr, found->ai_addrlen, number, 256, NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return r;
}

static int listen_tcp(const char *text, const struct address_rule *rule, struct address *ret,
		      struct sonde_error *err)
{
	char host[256], number[256], port[8], whole[300];

	if (!split(text, rule->port, host, port))
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "--listen '%s': write HOST:PORT, [IPV6]:PORT or unix:PATH",
				       text);
	int r = look_up(host, number, &ret->is_local);
	if (r)
		return sonde_error_set(err, SONDE_E_NOT_FOUND, "--listen '%s': %s", text,
				       gai_strerror(r));
	if (rule->only && !ret->is_local)
		return sonde_error_set(err, SONDE_E_NO_ACCESS,
				       "--listen '%s': others than this machine reach it, and "
				       "would read all %s, or, "
				       "where you mean it, --insecure",
				       text, rule->only);
	snprintf(whole, sizeof(whole), strchr(number, ':') ? "[%s]:%s" : "%s:%s", number, port);
	return listen_at(whole, ret, err);
}

int address_listen(const char *text, const struct address_rule *rule, struct address *ret,
		   struct sonde_error *err)
{
	*ret = (struct address){ .fd = -1 };
	if (strncmp(text, "unix:", 5) == 0)
		return listen_unix(text, ret, err);
	return listen_tcp(text, rule, ret, err);
}

void address_close(struct address *address)
{
	close(address->fd);
	if (address->path[0] && address->path[0] != '@')
		unlink(address->path);
}

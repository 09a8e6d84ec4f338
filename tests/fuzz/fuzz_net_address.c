/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets: from text, where what is taken comes back as a text that means the same;
 * and from the bytes a peer is called by, where whatever they are a short printable line comes out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/net_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void from_text(const uint8_t *bytes, size_t len)
{
	struct net_address address, again;
	char text[SONDE_NET_TEXT], *given = calloc(1, len + 1);

	if (!given)
		abort();
	memcpy(given, bytes, len);
	if (net_address_parse(given, &address, NULL) == 0) {
		if (net_address_text(&address, text, sizeof(text)) < 0)
			abort();
		/* In the name of a Unix socket, what cannot be shown is '?'. */
		if (!strchr(text, '?') &&
		    (net_address_parse(text, &again, NULL) < 0 || again.len != address.len ||
		     memcmp(&again.at, &address.at, sizeof(again.at)) != 0))
			abort();
	}
	free(given);
}

static void from_peer(const uint8_t *bytes, size_t len)
{
	struct net_address address = { 0 };
	char text[SONDE_NET_TEXT];

	address.len = (socklen_t)(len < sizeof(address.at) ? len : sizeof(address.at));
	memcpy(&address.at, bytes, address.len);
	if (net_address_text(&address, text, sizeof(text)) < 0 && text[0])
		abort();
	for (const char *c = text; *c; c++) {
		if (*c <= 0x20 || *c >= 0x7f)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	from_text(bytes, len);
	from_peer(bytes, len);
	return 0;
}

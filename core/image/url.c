/* SPDX-License-Identifier: MIT */
#include "image/url.h"

#include <string.h>
#include <strings.h>

static int is_http(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

int url_is_9p(const char *text)
{
	return strncasecmp(text, "9p://", 5) == 0;
}

int url_is(const char *text)
{
	return is_http(text) || url_is_9p(text);
}

static char *cut(char *from, const char *to)
{
	memmove(from, to, strlen(to) + 1);
	return from;
}

/* What of a URL stands in front of its first character of set; a backslash takes a bar along. */
static size_t span(const char *text, const char *set)
{
	size_t n = 0;

	while (text[n] && !strchr(set, text[n]))
		n += text[n] == '\\' && text[n + 1] ? 2 : 1;
	return n;
}

/* From the host on; returns where the URL ends. */
static char *conceal_one(char *at)
{
	char *slash = at + span(at, "/?#|"), *host = at;

	for (char *c = at; c < slash; c++)
		host = *c == '@' ? c + 1 : host;
	at = cut(at, host);
	at += span(at, "?|");
	if (*at != '?')
		return at;
	char *end = at + span(at, "|");
	size_t dots = (size_t)(end - at - 1) < 3 ? (size_t)(end - at - 1) : 3;
	memset(at + 1, '.', dots);
	return cut(at + 1 + dots, end);
}

void url_conceal(char *text)
{
	while (*text) {
		if (is_http(text))
			text = conceal_one(strstr(text, "://") + 3);
		else
			text++;
	}
}

/* SPDX-License-Identifier: MIT */
/* Heads of answers of HTTP servers, line by line; and URLs, of which nothing behind '?' or in front of '@' may be shown. */
#include <stdlib.h>
#include <string.h>

#include "image/http_reply.h"
#include "image/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct http_reply *reply)
{
	if (reply->has_range == 1 && reply->first <= reply->last &&
	    reply->total != HTTP_TOTAL_UNKNOWN && reply->last >= reply->total)
		abort();
	if (!memchr(reply->etag, 0, sizeof(reply->etag)) ||
	    !memchr(reply->modified, 0, sizeof(reply->modified)) || !http_reply_same(reply, reply))
		abort();
	for (const char *c = http_reply_validator(reply); c && *c; c++) {
		if ((unsigned char)*c < 0x20)
			abort();
	}
}

static void conceal(const uint8_t *bytes, size_t len)
{
	char *text = calloc(1, len + 1), *again = calloc(1, len + 1);

	if (!text || !again)
		abort();
	memcpy(text, bytes, len);
	url_conceal(text);
	if (strlen(text) > len)
		abort();
	strcpy(again, text);
	url_conceal(again);
	if (strlen(again) > strlen(text))
		abort();
	free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct http_reply reply = { 0 };

	conceal(bytes, len);
	while (len > 0) {
		const uint8_t *end = memchr(bytes, '\n', len);
		size_t n = end ? (size_t)(end + 1 - bytes) : len;
		http_reply_line(&reply, (const char *)bytes, n);
		check(&reply);
		bytes += n;
		len -= n;
	}
	return 0;
}

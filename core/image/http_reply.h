/* SPDX-License-Identifier: MIT */
/*
 * The head of an answer to a request for a range, line by line. Source: RFC 9110, sections 8.8 (validators), 14.4
 * (Content-Range), 15 (status codes). Nothing in it is believed.
 */
#ifndef SONDE_IMAGE_HTTP_REPLY_H
#define SONDE_IMAGE_HTTP_REPLY_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_VALIDATOR_MAX 256u
#define HTTP_TOTAL_UNKNOWN UINT64_MAX

struct http_reply {
	unsigned status;      /* 0: there was no status line                                  */
	int has_range;        /* Content-Range: 1; one that makes no sense: -1                */
	int is_encoded;       /* Content-Encoding other than identity                         */
	uint64_t first, last; /* of the range, inclusive; first > last: none (416)         */
	uint64_t total;       /* HTTP_TOTAL_UNKNOWN where told as '*'                      */
	char etag[HTTP_VALIDATOR_MAX];     /* as it came, quotes and all; "" none, or too long */
	char modified[HTTP_VALIDATOR_MAX]; /* Last-Modified, likewise                          */
};

/* One line, with or without its end. A status line begins anew: redirects have several. */
void http_reply_line(struct http_reply *reply, const char *line, size_t len);

/* A validator that If-Range takes: a strong ETag, else the date; NULL none. */
const char *http_reply_validator(const struct http_reply *reply);
/* Do both tell the same version, as far as they tell one? */
int http_reply_same(const struct http_reply *a, const struct http_reply *b);

#endif

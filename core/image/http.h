/* SPDX-License-Identifier: MIT */
/*
 * Ranges of one file of an HTTP server, many at a time. The first answer says which version of the file it is and how
 * large; every later one has to be of the same, and of exactly the bytes that were asked for.
 */
#ifndef SONDE_IMAGE_HTTP_H
#define SONDE_IMAGE_HTTP_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

struct http;

/* [off, off + len) of the file, len > 0. */
struct http_range {
	uint64_t off;
	uint32_t len;
	int32_t err; /* out: 0: all of it is in buf; else a code                              */
	void *buf;   /* [len]                                                                 */
};

struct http_figures {
	uint64_t requests; /* those repeated counted again                        */
	uint64_t bytes;    /* of bodies                                           */
};

/*
 * Ask for the first bytes, cap at most. shown: what the file is called in messages.
 *
 * Returns   how many came: the whole file where they are fewer than cap;
 *           SONDE_E_NOT_FOUND (404, 410, no such host), _NO_ACCESS (401, 403), _UNSUPPORTED (no ranges, packed on its
 *           way; no libcurl), _BAD_FORMAT (an answer that is none, an empty file), _TIMED_OUT, _IO.
 * Owns      *ret: http_close.
 */
int64_t http_open(const char *url, const char *shown, void *head, uint32_t cap, struct http **ret,
		  uint64_t *ret_size, struct sonde_error *err);
void http_close(struct http *http); /* NULL is allowed */

/*
 * Fetch all of ranges, at once as far as that goes. One thread at a time.
 *
 * Returns   0; the code of the first failure, and err says what it was: SONDE_E_CHANGED (another version by now) and
 *           those of http_open. What answers by a code that may pass (429, 5xx), or breaks off, is asked again twice.
 */
int http_fetch(struct http *http, struct http_range *ranges, size_t n, struct sonde_error *err);
void http_figures(const struct http *http, struct http_figures *ret);

#endif

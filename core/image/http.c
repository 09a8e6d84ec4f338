/* SPDX-License-Identifier: MIT */
/*
 * By libcurl's multi interface: LANES transfers at a time, each on a connection that is kept (or, where the server
 * speaks HTTP/2, all on one). The URL is asked anew each time, redirects and all: where they lead may be valid for
 * minutes only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/curl_api.h"
#include "image/http_reply.h"
#include "image/ranges.h"

#define LANES 16u
#define TRIES 3u
#define NOT_ASKED 1 /* a range's err until it has ended */
#define REDIRECTS 5L
#define CONNECT_SECONDS 10L
#define STALL_SECONDS 20L /* without STALL_BYTES a second; SONDE_HTTP_STALL has other words */
#define STALL_BYTES 256L
#define TOTAL_SECONDS 300L /* of one range */

/* One transfer at a time. */
struct lane {
	struct http *http;
	CURL *easy;
	struct image_range *range; /* NULL: idle           */
	unsigned tries;
	uint32_t got;
	int too_long;
	struct http_reply reply;
	char why[CURL_ERROR_SIZE];
};

struct http {
	struct range_source source;
	const struct curl_api *curl;
	CURLM *multi;
	struct curl_slist *headers; /* If-Range */
	char *url, *shown;
	struct http_reply
		first; /* what later ones are compared with; status 0: there is none yet */
	struct lane lanes[LANES];
};

static struct http *of_source(struct range_source *source)
{
	return (struct http *)(void *)source;
}

/* ---- what comes --------------------------------------------------------------------------------- */

static size_t take_header(char *line, size_t size, size_t n, void *user)
{
	struct lane *lane = user;

	http_reply_line(&lane->reply, line, size * n);
	return size * n;
}

/* Nothing of a body that is not the range: not a whole file of a server that knows no ranges, not a page that says why. */
static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
	struct lane *lane = user;
	size_t len = size * n;

	lane->http->source.bytes += len;
	if (lane->reply.status != 206)
		return 0;
	lane->too_long = len > lane->range->len - lane->got;
	if (lane->too_long)
		return 0;
	memcpy((char *)lane->range->buf + lane->got, bytes, len);
	lane->got += (uint32_t)len;
	return len;
}

/* ---- what to say of it -------------------------------------------------------------------------- */

static int fail(const struct http *http, struct sonde_error *err, int code, const char *what)
{
	return sonde_error_set(err, code, "'%.300s': %s", http->shown, what);
}

static int refused(const struct lane *lane, struct sonde_error *err)
{
	unsigned status = lane->reply.status;
	const struct http *http = lane->http;

	if (status == 404 || status == 410)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "'%.300s': the server has no such file (%u)", http->shown,
				       status);
	if (status == 401 || status == 403)
		return sonde_error_set(
			err, SONDE_E_NO_ACCESS,
			"'%.300s': the server refuses access (%u): check the user, the "
			"signature, and whether a presigned URL has run out",
			http->shown, status);
	return sonde_error_set(
		err, status >= 500 || status == 429 ? SONDE_E_IO : SONDE_E_BAD_FORMAT,
		"'%.300s': the server answered %u instead of a range", http->shown, status);
}

static int no_ranges(const struct lane *lane, struct sonde_error *err)
{
	const struct http *http = lane->http;

	if (http->first.status && !http_reply_same(&http->first, &lane->reply))
		return fail(http, err, SONDE_E_CHANGED,
			    "the file on the server has changed: open it anew");
	return fail(http, err, SONDE_E_UNSUPPORTED,
		    "the server sends whole files only, no ranges: download it first "
		    "(curl -O)");
}

static int beyond_end(const struct lane *lane, struct sonde_error *err)
{
	if (!lane->http->first.status)
		return fail(lane->http, err, SONDE_E_BAD_FORMAT, "is empty");
	return fail(lane->http, err, SONDE_E_CHANGED,
		    "the file on the server has become shorter: open it anew");
}

/* The end of the range that was asked for, or of the file. */
static uint64_t wanted_last(const struct lane *lane)
{
	uint64_t last = lane->range->off + lane->range->len - 1;

	return lane->http->first.status || last < lane->reply.total ? last : lane->reply.total - 1;
}

/* A part of the file came. Is it the one that was asked for, of the version that was opened? */
static int judge_part(const struct lane *lane, struct sonde_error *err)
{
	const struct http *http = lane->http;
	const struct http_reply *reply = &lane->reply;

	if (reply->is_encoded)
		return fail(http, err, SONDE_E_UNSUPPORTED,
			    "the server packs what it sends (Content-Encoding): download it first");
	if (reply->has_range != 1 || reply->first > reply->last)
		return fail(http, err, SONDE_E_BAD_FORMAT,
			    "the server's Content-Range is missing or makes no sense");
	if (reply->total == HTTP_TOTAL_UNKNOWN)
		return fail(http, err, SONDE_E_UNSUPPORTED,
			    "the server does not tell the file's size (Content-Range)");
	if (http->first.status &&
	    (reply->total != http->source.size || !http_reply_same(&http->first, reply)))
		return fail(http, err, SONDE_E_CHANGED,
			    "the file on the server has changed: open it anew");
	if (reply->first != lane->range->off || reply->last != wanted_last(lane))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "'%.300s': asked for bytes %llu-%llu, the server's "
				       "Content-Range says %llu-%llu",
				       http->shown, (unsigned long long)lane->range->off,
				       (unsigned long long)wanted_last(lane),
				       (unsigned long long)reply->first,
				       (unsigned long long)reply->last);
	if (lane->too_long || lane->got != reply->last - reply->first + 1)
		return sonde_error_set(
			err, SONDE_E_IO,
			"'%.300s': of the range at %llu came %s bytes than the server "
			"announced",
			http->shown, (unsigned long long)lane->range->off,
			lane->too_long ? "more" : "fewer");
	return 0;
}

static int judge_transport(const struct lane *lane, CURLcode result, struct sonde_error *err)
{
	const struct http *http = lane->http;
	int code = result == CURLE_OPERATION_TIMEDOUT     ? SONDE_E_TIMED_OUT
		   : result == CURLE_COULDNT_RESOLVE_HOST ? SONDE_E_NOT_FOUND
							  : SONDE_E_IO;

	return sonde_error_set(err, code, "'%.250s': %.200s", http->shown,
			       lane->why[0] ? lane->why : http->curl->easy_strerror(result));
}

/* What became of a transfer: 0, or a code. */
static int judge(const struct lane *lane, CURLcode result, struct sonde_error *err)
{
	/* We ended it by CURLE_WRITE_ERROR: the status says why. */
	if (result != CURLE_OK && result != CURLE_WRITE_ERROR && result != CURLE_PARTIAL_FILE)
		return judge_transport(lane, result, err);
	if (lane->reply.status == 200)
		return no_ranges(lane, err);
	if (lane->reply.status == 416)
		return beyond_end(lane, err);
	return lane->reply.status == 206 ? judge_part(lane, err) : refused(lane, err);
}

/* ---- transfers ---------------------------------------------------------------------------------- */

static CURLMcode begin(struct lane *lane, struct image_range *range, unsigned tries)
{
	const struct curl_api *curl = lane->http->curl;
	char bytes[48];

	lane->range = range;
	lane->tries = tries;
	lane->got = 0;
	lane->too_long = 0;
	lane->reply = (struct http_reply){ 0 };
	lane->why[0] = '\0';
	snprintf(bytes, sizeof(bytes), "%llu-%llu", (unsigned long long)range->off,
		 (unsigned long long)(range->off + range->len - 1));
	curl->easy_setopt(lane->easy, CURLOPT_RANGE, bytes);
	curl->easy_setopt(lane->easy, CURLOPT_HTTPHEADER, lane->http->headers);
	lane->http->source.requests++;
	return curl->multi_add_handle(lane->http->multi, lane->easy);
}

static void wait_before_retry(unsigned tries)
{
	struct timespec pause = { .tv_nsec = 100000000L << tries };

	nanosleep(&pause, NULL);
}

/* Returns 1: it is asked for again; 0: it is over. */
static int end(struct lane *lane, CURLcode result, struct sonde_error *err)
{
	struct sonde_error why = { 0 };
	struct image_range *range = lane->range;
	int code = judge(lane, result, &why);

	lane->range = NULL;
	lane->http->curl->multi_remove_handle(lane->http->multi, lane->easy);
	if (code == SONDE_E_IO && lane->tries + 1 < TRIES) {
		wait_before_retry(lane->tries);
		if (begin(lane, range, lane->tries + 1) == CURLM_OK)
			return 1;
		lane->range = NULL;
	}
	range->err = code;
	if (code && err && !err->code)
		*err = why;
	return 0;
}

static struct lane *lane_of(struct http *http, const CURL *easy)
{
	for (size_t i = 0; i < LANES; i++) {
		if (http->lanes[i].easy == easy)
			return &http->lanes[i];
	}
	return NULL;
}

/* Take what has ended; returns how many are under way no longer. */
static size_t reap(struct http *http, struct sonde_error *err)
{
	CURLMsg *message;
	size_t n_over = 0;
	int left;

	while ((message = http->curl->multi_info_read(http->multi, &left))) {
		struct lane *lane = lane_of(http, message->easy_handle);
		if (message->msg == CURLMSG_DONE && lane)
			n_over += !end(lane, message->data.result, err);
	}
	return n_over;
}

/* Give ranges to idle lanes; returns how many went. */
static size_t feed(struct http *http, struct image_range *ranges, size_t n)
{
	size_t n_sent = 0;

	for (size_t i = 0; i < LANES && n_sent < n; i++) {
		if (http->lanes[i].range)
			continue;
		if (begin(&http->lanes[i], &ranges[n_sent], 0) != CURLM_OK) {
			http->lanes[i].range = NULL;
			break;
		}
		n_sent++;
	}
	return n_sent;
}

/* All that is under way is given up. */
static void give_up(struct http *http)
{
	for (size_t i = 0; i < LANES; i++) {
		struct lane *lane = &http->lanes[i];
		if (lane->range)
			http->curl->multi_remove_handle(http->multi, lane->easy);
		lane->range = NULL;
	}
}

/* What answers by a code that may pass (429, 5xx), or breaks off, is asked again twice. */
static int http_fetch(struct range_source *source, struct image_range *ranges, size_t n,
		      struct sonde_error *err)
{
	struct http *http = of_source(source);
	struct sonde_error first = { 0 };
	size_t n_sent = 0, n_under_way = 0;
	CURLMcode code = CURLM_OK;

	for (size_t i = 0; i < n; i++)
		ranges[i].err = NOT_ASKED;
	while (code == CURLM_OK && !first.code && (n_sent < n || n_under_way)) {
		size_t sent = feed(http, ranges + n_sent, n - n_sent);
		int running;
		n_sent += sent;
		n_under_way += sent;
		code = http->curl->multi_perform(http->multi, &running);
		size_t over = reap(http, &first);
		n_under_way -= over;
		if (code == CURLM_OK && !over && n_under_way)
			code = http->curl->multi_poll(http->multi, NULL, 0, 1000, NULL);
		if (!n_under_way && !over && n_sent < n)
			code = CURLM_OUT_OF_MEMORY;
	}
	give_up(http);
	if (code != CURLM_OK && !first.code)
		fail(http, &first, SONDE_E_IO, http->curl->multi_strerror(code));
	for (size_t i = 0; i < n; i++)
		ranges[i].err = ranges[i].err == NOT_ASKED ? first.code : ranges[i].err;
	if (first.code && err)
		*err = first;
	return first.code;
}

/* ---- life --------------------------------------------------------------------------------------- */

/* Seconds without bytes after which a server is taken to be stalled. */
static long stall_seconds(void)
{
	const char *text = getenv("SONDE_HTTP_STALL");
	long seconds = text ? strtol(text, NULL, 10) : 0;

	return seconds >= 1 && seconds <= 3600 ? seconds : STALL_SECONDS;
}

static int open_lane(struct http *http, struct lane *lane)
{
	const struct curl_api *curl = http->curl;
	CURL *easy = curl->easy_init();

	lane->http = http;
	lane->easy = easy;
	if (!easy)
		return SONDE_E_NO_MEMORY;
	curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl->easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS);
	curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl->easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl->easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, stall_seconds());
	curl->easy_setopt(easy, CURLOPT_TIMEOUT, TOTAL_SECONDS);
	curl->easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl->easy_setopt(easy, CURLOPT_USERAGENT, "sonde");
	curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, lane->why);
	curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl->easy_setopt(easy, CURLOPT_HEADERDATA, lane);
	curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl->easy_setopt(easy, CURLOPT_WRITEDATA, lane);
	return curl->easy_setopt(easy, CURLOPT_URL, http->url) == CURLE_OK ? 0 : SONDE_E_NO_MEMORY;
}

static int open_lanes(struct http *http)
{
	int r = 0;

	http->multi = http->curl->multi_init();
	if (!http->multi)
		return SONDE_E_NO_MEMORY;
	http->curl->multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)LANES * 2);
	for (size_t i = 0; r == 0 && i < LANES; i++)
		r = open_lane(http, &http->lanes[i]);
	return r;
}

/* From here on every request says which version it is about. */
static int keep_version(struct http *http, const struct http_reply *reply)
{
	const char *validator = http_reply_validator(reply);
	char line[HTTP_VALIDATOR_MAX + 16];

	http->first = *reply;
	http->source.size = reply->total;
	if (!validator)
		return 0;
	snprintf(line, sizeof(line), "If-Range: %s", validator);
	http->headers = http->curl->slist_append(NULL, line);
	return http->headers ? 0 : SONDE_E_NO_MEMORY;
}

static void http_close(struct range_source *source)
{
	struct http *http = of_source(source);

	for (size_t i = 0; i < LANES; i++) {
		if (http->lanes[i].easy)
			http->curl->easy_cleanup(http->lanes[i].easy);
	}
	if (http->multi)
		http->curl->multi_cleanup(http->multi);
	http->curl->slist_free_all(http->headers);
	free(http->url);
	free(http->shown);
	free(http);
}

static int64_t fetch_head(struct http *http, void *head, uint32_t cap, struct sonde_error *err)
{
	struct image_range range = { .len = cap, .buf = head };
	int r = http_fetch(&http->source, &range, 1, err);

	if (r < 0)
		return r;
	if (keep_version(http, &http->lanes[0].reply) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	return http->lanes[0].got;
}

static const struct range_source_ops ops = { .how = "HTTP ranges",
					     .fetch = http_fetch,
					     .close = http_close };

int64_t http_open(const char *url, const char *shown, void *head, uint32_t cap,
		  struct range_source **ret, struct sonde_error *err)
{
	const struct curl_api *curl = curl_api(err);
	struct http *http = curl ? calloc(1, sizeof(*http)) : NULL;

	if (!http)
		return curl ? sonde_error_set(err, SONDE_E_NO_MEMORY, NULL) : SONDE_E_UNSUPPORTED;
	http->source.ops = &ops;
	http->curl = curl;
	http->url = strdup(url);
	http->shown = strdup(shown);
	int64_t n = http->url && http->shown && open_lanes(http) == 0
			    ? fetch_head(http, head, cap, err)
			    : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	if (n < 0) {
		http_close(&http->source);
		return n;
	}
	*ret = &http->source;
	return n;
}

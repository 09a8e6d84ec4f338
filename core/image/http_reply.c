/* SPDX-License-Identifier: MIT */
#include "image/http_reply.h"

#include <string.h>
#include <strings.h>

/* A line that is being taken apart. */
struct scan {
	const char *at, *end;
};

static int is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct scan trim(struct scan s)
{
	while (s.at < s.end && is_space(*s.at))
		s.at++;
	while (s.at < s.end && is_space(s.end[-1]))
		s.end--;
	return s;
}

/* Is text next? Then it is taken. */
static int take(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(s->end - s->at) < len || strncasecmp(s->at, text, len) != 0)
		return 0;
	s->at += len;
	return 1;
}

/* Digits, at least one, that fit. */
static int take_number(struct scan *s, uint64_t *ret)
{
	const char *first = s->at;
	uint64_t value = 0;

	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s->at - '0'), &value))
			return 0;
	}
	*ret = value;
	return s->at > first;
}

/* "HTTP/1.1 206 Partial Content" */
static int status_line(struct http_reply *reply, struct scan s)
{
	uint64_t status;

	if (!take(&s, "HTTP/"))
		return 0;
	*reply = (struct http_reply){ 0 };
	while (s.at < s.end && *s.at != ' ')
		s.at++;
	s = trim(s);
	if (take_number(&s, &status) && status >= 100 && status <= 999)
		reply->status = (unsigned)status;
	return 1;
}

static int range_of(struct http_reply *reply, struct scan *s)
{
	if (take(s, "*")) {
		reply->first = 1;
		reply->last = 0;
		return 1;
	}
	return take_number(s, &reply->first) && take(s, "-") && take_number(s, &reply->last) &&
	       reply->first <= reply->last;
}

static int total_of(struct http_reply *reply, struct scan *s)
{
	reply->total = HTTP_TOTAL_UNKNOWN;
	if (take(s, "*"))
		return 1;
	return take_number(s, &reply->total) && reply->total != HTTP_TOTAL_UNKNOWN &&
	       (reply->first > reply->last || reply->last < reply->total);
}

/* "bytes 0-65535/553783787", "bytes 0-65535/" and '*', "bytes " '*' "/553783787" */
static void content_range(struct http_reply *reply, struct scan s)
{
	int sound = take(&s, "bytes") && s.at < s.end && is_space(*s.at);

	s = trim(s);
	sound = sound && range_of(reply, &s) && take(&s, "/") && total_of(reply, &s) &&
		s.at == s.end && reply->has_range == 0;
	reply->has_range = sound ? 1 : -1;
}

/* One that does not fit, or holds what no header may, is none. */
static void validator(char *to, struct scan s)
{
	size_t len = (size_t)(s.end - s.at);

	to[0] = '\0';
	if (len >= HTTP_VALIDATOR_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
			return;
	}
	memcpy(to, s.at, len);
	to[len] = '\0';
}

void http_reply_line(struct http_reply *reply, const char *line, size_t len)
{
	struct scan s = trim((struct scan){ line, line + len });

	if (status_line(reply, s))
		return;
	if (take(&s, "Content-Range:"))
		content_range(reply, trim(s));
	else if (take(&s, "ETag:"))
		validator(reply->etag, trim(s));
	else if (take(&s, "Last-Modified:"))
		validator(reply->modified, trim(s));
	else if (take(&s, "Content-Encoding:"))
		reply->is_encoded = !take((s = trim(s), &s), "identity") || s.at != s.end;
}

const char *http_reply_validator(const struct http_reply *reply)
{
	if (reply->etag[0] == '"')
		return reply->etag;
	return reply->modified[0] ? reply->modified : NULL;
}

int http_reply_same(const struct http_reply *a, const struct http_reply *b)
{
	if (a->etag[0] && b->etag[0])
		return strcmp(a->etag, b->etag) == 0;
	return !a->modified[0] || !b->modified[0] || strcmp(a->modified, b->modified) == 0;
}

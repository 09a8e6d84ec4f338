/* SPDX-License-Identifier: MIT */
/*
 * What a client of 'sonde serve' sends: a negotiation, then requests, of which each is answered as if it had been worked on.
 * The first byte chooses whether TLS is on; STARTTLS counts as done.
 */
#include "../../tools/sonde/serve/failures.h"
#include "../../tools/sonde/serve/handshake.h"
#include "../../tools/sonde/serve/proto.h"
#include "../../tools/sonde/serve/request.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define RAM (SONDE_REGION_RAM | SONDE_REGION_READ)
static struct export_region regions[] = {
	{ 0x1000, 0x3000, RAM },
	{ 0x4000, 0x100, RAM | SONDE_REGION_WRITE },
	{ 0x1000000000, 0x2000000000, RAM },
};
static const struct export export = { .name = "memory",
				      .description = "physical memory: of a fuzzer",
				      .size = 0x3000000000,
				      .writable = true,
				      .regions = regions,
				      .n_regions = 3 };

/* Extents cover all that was asked for, or as much as there is room for, and neighbours differ or are as long as can be. */
static void check_status(const struct request *request, uint32_t context)
{
	enum { CAP = 3 };
	struct export_extent extents[CAP];
	uint8_t out[24 + 8 * CAP];
	uint64_t covered = 0;
	size_t n = export_status(&export, context, request->off, request->len, extents, CAP);

	if (n < 1 || n > CAP || reply_status(out, request, true, context, extents, n) > sizeof(out))
		abort();
	for (size_t i = 0; i < n; i++) {
		covered += extents[i].len;
		if (extents[i].len == 0 || (i && extents[i].flags == extents[i - 1].flags &&
					    extents[i - 1].len != 0xfffff000))
			abort();
	}
	if (covered > request->len || (n < CAP && covered != request->len))
		abort();
}

/* A read of which what the request's bytes say has failed: its stretches tile it, or it is lost. */
static void check_stretches(const struct request *request)
{
	struct failures failures = { 0 };
	uint32_t next = 0, off = 0, failed = 0;
	uint64_t random = request->cookie;

	for (uint32_t at = 0; at < request->len && random; random >>= 8) {
		uint32_t n = (uint32_t)(random & 0xff) + 1;
		n = n < request->len - at ? n : request->len - at;
		if (random & 1)
			failures_add(&failures, at, n,
				     random & 2 ? SONDE_E_IO : SONDE_E_NOT_MAPPED);
		failed += random & 1 ? n : 0;
		at += n;
	}
	failures_seal(&failures, request->len, request->len - failed);
	while (off < request->len && !failures.is_lost) {
		struct stretch s = failures_stretch(&failures, off, request->len, &next);
		if (s.off != off || s.len == 0 || s.len > request->len - off)
			abort();
		off += s.len;
	}
	failures_finish(&failures);
}

static void check_heads(const struct request *request)
{
	uint8_t out[REPLY_HEAD_MAX];

	if (reply_simple(out, request, NBD_EIO) > sizeof(out) ||
	    reply_data(out, request, true, request->off, request->len) > sizeof(out) ||
	    reply_hole(out, request, false, request->off, request->len) > sizeof(out) ||
	    reply_error(out, request, true, NBD_EIO, "why", &request->off) > sizeof(out))
		abort();
}

static void try_requests(const uint8_t *bytes, size_t len, const struct request_terms *terms)
{
	struct request request;

	while (len >= REQUEST_BYTES && request_parse(bytes, &request)) {
		uint32_t error = request_check(&request, &export, terms);
		check_heads(&request);
		if (!error && request.command == NBD_CMD_READ)
			check_stretches(&request);
		for (uint32_t context = 1; !error && context <= EXPORT_REGIONS; context <<= 1)
			if (request.command == NBD_CMD_BLOCK_STATUS)
				check_status(&request, context);
		size_t all = REQUEST_BYTES + (size_t)request_payload(&request);
		if (all > len)
			return;
		bytes += all;
		len -= all;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct handshake *h = calloc(1, sizeof(*h));
	enum handshake_step step = HANDSHAKE_MORE;

	if (len > 0) {
		h->tls = bytes[0] & 1 ? HANDSHAKE_TLS_MUST : HANDSHAKE_TLS_NONE;
		h->is_full = bytes[0] & 2;
		bytes++;
		len--;
	}
	h->export = &export;
	handshake_begin(h);
	while (step < HANDSHAKE_GO) {
		size_t need = handshake_need(h);
		if (need > HANDSHAKE_OPTION_MAX)
			abort();
		if (need > len)
			break;
		uint8_t *taken = malloc(need + !need); /* so that one byte more is seen */
		memcpy(taken, bytes, need);
		step = handshake_take(h, taken);
		free(taken);
		bytes += need;
		len -= need;
		if (h->n_answer > HANDSHAKE_ANSWER_MAX)
			abort();
		if (step == HANDSHAKE_SECURE)
			handshake_secured(h);
	}
	if (step == HANDSHAKE_GO && (h->tls == HANDSHAKE_TLS_MUST || h->is_full))
		abort();
	const struct request_terms terms = { h->structured, h->contexts };
	if (step == HANDSHAKE_GO)
		try_requests(bytes, len, &terms);
	free(h);
	return 0;
}

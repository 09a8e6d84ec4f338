/* SPDX-License-Identifier: MIT */
/* Requests of the transmission phase taken apart, and what is answered to them put together: bytes only. */
#ifndef SONDE_SERVE_REQUEST_H
#define SONDE_SERVE_REQUEST_H

#include "export.h"

enum {
	REQUEST_BYTES = 28,
	REPLY_TEXT_MAX = 200, /* bytes of text for a person in an error            */
	REPLY_HEAD_MAX = 40 + REPLY_TEXT_MAX, /* of any one of the heads below      */
	STATUS_EXTENTS_MAX = 1024,            /* of one context in one reply               */
};

struct request {
	uint64_t cookie; /* the client's, handed back                            */
	uint64_t off;
	uint32_t len;
	uint16_t command; /* enum nbd_command, or another number */
	uint16_t flags;   /* enum nbd_command_flag               */
};

/* Returns false where the bytes [REQUEST_BYTES] are no request: the client is lost. */
bool request_parse(const uint8_t *bytes, struct request *ret);

/* What a client agreed on with this server. */
struct request_terms {
	bool structured;
	uint32_t contexts; /* enum export_context */
};

/* Can it be begun with? Returns 0, or the enum nbd_error that answers it. */
uint32_t request_check(const struct request *request, const struct export *export,
		       const struct request_terms *terms);

/* Bytes that follow the request, whatever becomes of it. */
uint32_t request_payload(const struct request *request);

/* The NBD's word for an enum sonde_err. */
uint32_t request_error(int32_t err);

/* Each of these writes the head of a reply, or of a chunk of one, and gives its length; what follows it is said. */
size_t reply_simple(uint8_t *out, const struct request *request, uint32_t error); /* data */
size_t reply_data(uint8_t *out, const struct request *request, bool last, uint64_t off,
		  uint32_t len); /* len bytes */
size_t reply_hole(uint8_t *out, const struct request *request, bool last, uint64_t off,
		  uint32_t len); /* nothing */
/* off NULL: the error is of all of the request. Whole, with text, which is cut behind REPLY_TEXT_MAX bytes. */
size_t reply_error(uint8_t *out, const struct request *request, bool last, uint32_t error,
		   const char *text, const uint64_t *off);
/* A chunk of NBD_REPLY_TYPE_BLOCK_STATUS, whole: at most 24 + 8 * n bytes. */
size_t reply_status(uint8_t *out, const struct request *request, bool last, uint32_t context,
		    const struct export_extent *extents, size_t n);

#endif

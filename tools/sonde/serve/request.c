/* SPDX-License-Identifier: MIT */
/* Source: NetworkBlockDevice/nbd doc/proto.md, "Transmission", "Structured reply chunk message". */
#include "request.h"

#include "proto.h"

#include <sonde/error.h>
#include <string.h>

bool request_parse(const uint8_t *bytes, struct request *ret)
{
	if (nbd_take(&bytes, 4) != NBD_REQUEST_MAGIC)
		return false;
	ret->flags = (uint16_t)nbd_take(&bytes, 2);
	ret->command = (uint16_t)nbd_take(&bytes, 2);
	ret->cookie = nbd_take(&bytes, 8);
	ret->off = nbd_take(&bytes, 8);
	ret->len = (uint32_t)nbd_take(&bytes, 4);
	return true;
}

/* The flags that a command may carry. */
static uint16_t flags_allowed(uint16_t command, const struct request_terms *terms)
{
	switch (command) {
	case NBD_CMD_READ:
		return terms->structured ? NBD_CMD_FLAG_DF : 0;
	case NBD_CMD_WRITE_ZEROES:
		return NBD_CMD_FLAG_NO_HOLE;
	case NBD_CMD_BLOCK_STATUS:
		return NBD_CMD_FLAG_REQ_ONE;
	default:
		return 0;
	}
}

static bool is_inside(const struct request *request, const struct export *export)
{
	return request->len > 0 && request->off <= export->size &&
	       request->len <= export->size - request->off;
}

uint32_t request_check(const struct request *request, const struct export *export,
		       const struct request_terms *terms)
{
	bool inside = is_inside(request, export);

	if (request->flags & ~flags_allowed(request->command, terms))
		return NBD_EINVAL;
	switch (request->command) {
	case NBD_CMD_READ:
		return inside && request->len <= EXPORT_PAYLOAD_MAX ? 0 : NBD_EINVAL;
	case NBD_CMD_CACHE:
		return inside ? 0 : NBD_EINVAL;
	case NBD_CMD_BLOCK_STATUS:
		return inside && terms->contexts ? 0 : NBD_EINVAL;
	case NBD_CMD_FLUSH:
		return export->writable ? 0 : NBD_EINVAL;
	case NBD_CMD_WRITE:
	case NBD_CMD_WRITE_ZEROES:
		return !export->writable ? NBD_EPERM : inside ? 0 : NBD_ENOSPC;
	default:
		return NBD_EINVAL;
	}
}

uint32_t request_payload(const struct request *request)
{
	return request->command == NBD_CMD_WRITE ? request->len : 0;
}

uint32_t request_error(int32_t err)
{
	switch (err) {
	case SONDE_OK:
		return NBD_SUCCESS;
	case SONDE_E_NO_ACCESS:
	case SONDE_E_READ_ONLY:
		return NBD_EPERM;
	case SONDE_E_NO_MEMORY:
		return NBD_ENOMEM;
	case SONDE_E_UNSUPPORTED:
		return NBD_ENOTSUP;
	case SONDE_E_GONE:
		return NBD_ESHUTDOWN;
	default:
		return NBD_EIO;
	}
}

size_t reply_simple(uint8_t *out, const struct request *request, uint32_t error)
{
	uint8_t *at = nbd_put(out, 4, NBD_SIMPLE_REPLY_MAGIC);

	at = nbd_put(at, 4, error);
	return (size_t)(nbd_put(at, 8, request->cookie) - out);
}

/* The head of every chunk; len bytes are to follow it. */
static uint8_t *chunk(uint8_t *at, const struct request *request, bool last, uint32_t type,
		      uint32_t len)
{
	at = nbd_put(at, 4, NBD_STRUCTURED_REPLY_MAGIC);
	at = nbd_put(at, 2, last ? NBD_REPLY_FLAG_DONE : 0);
	at = nbd_put(at, 2, type);
	at = nbd_put(at, 8, request->cookie);
	return nbd_put(at, 4, len);
}

size_t reply_data(uint8_t *out, const struct request *request, bool last, uint64_t off,
		  uint32_t len)
{
	uint8_t *at = chunk(out, request, last, NBD_REPLY_OFFSET_DATA, 8 + len);

	return (size_t)(nbd_put(at, 8, off) - out);
}

size_t reply_hole(uint8_t *out, const struct request *request, bool last, uint64_t off,
		  uint32_t len)
{
	uint8_t *at = chunk(out, request, last, NBD_REPLY_OFFSET_HOLE, 12);

	at = nbd_put(at, 8, off);
	return (size_t)(nbd_put(at, 4, len) - out);
}

size_t reply_error(uint8_t *out, const struct request *request, bool last, uint32_t error,
		   const char *text, const uint64_t *off)
{
	uint32_t n = (uint32_t)strnlen(text, REPLY_TEXT_MAX);
	uint8_t *at = chunk(out, request, last, off ? NBD_REPLY_ERROR_OFFSET : NBD_REPLY_ERROR,
			    6 + n + (off ? 8 : 0));

	at = nbd_put(at, 4, error);
	at = nbd_put(at, 2, n);
	memcpy(at, text, n);
	at += n;
	return (size_t)((off ? nbd_put(at, 8, *off) : at) - out);
}

size_t reply_status(uint8_t *out, const struct request *request, bool last, uint32_t context,
		    const struct export_extent *extents, size_t n)
{
	uint8_t *at = chunk(out, request, last, NBD_REPLY_BLOCK_STATUS, (uint32_t)(4 + 8 * n));

	at = nbd_put(at, 4, context);
	for (size_t i = 0; i < n; i++) {
		at = nbd_put(at, 4, extents[i].len);
		at = nbd_put(at, 4, extents[i].flags);
	}
	return (size_t)(at - out);
}

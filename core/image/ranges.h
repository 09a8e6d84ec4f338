/* SPDX-License-Identifier: MIT */
/* Ranges of one file of a server, whatever protocol it speaks: http.c, ninep.c. */
#ifndef SONDE_IMAGE_RANGES_H
#define SONDE_IMAGE_RANGES_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

/* [off, off + len) of the file, len > 0. */
struct image_range {
	uint64_t off;
	uint32_t len;
	int32_t err; /* out: 0: all of it is in buf; else a code                              */
	void *buf;   /* [len]                                                                 */
};

struct range_source;

struct range_source_ops {
	const char *how; /* one line for a person: struct sonde_image_figures */
	/*
	 * Fetch all of ranges, at once as far as that goes. One thread at a time.
	 *
	 * Returns   0; the code of the first failure, and err says what it was: SONDE_E_CHANGED (it is not the
	 *           file that was opened any more), those of opening.
	 */
	int (*fetch)(struct range_source *source, struct image_range *ranges, size_t n,
		     struct sonde_error *err);
	void (*close)(struct range_source *source);
};

/* What every source begins with. */
struct range_source {
	const struct range_source_ops *ops;
	uint64_t size;     /* of the file                                 */
	uint64_t requests; /* those repeated counted again                */
	uint64_t bytes;    /* of the file, that came                      */
};

/*
 * Open a source, and take its first bytes, cap at most. shown: what the file is called in messages.
 *
 * Returns   how many came: the whole file where they are fewer than cap;
 *           SONDE_E_NOT_FOUND, _NO_ACCESS, _UNSUPPORTED, _BAD_FORMAT (an empty file, an answer that is none),
 *           _TIMED_OUT, _GONE, _IO.
 * Owns      *ret: its close.
 */
typedef int64_t range_source_open_fn(const char *url, const char *shown, void *head, uint32_t cap,
				     struct range_source **ret, struct sonde_error *err);

/* http://, https://: also UNSUPPORTED where there is no libcurl. */
range_source_open_fn http_open;
/* 9p:// */
range_source_open_fn ninep_open;

#endif

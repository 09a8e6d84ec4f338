/* SPDX-License-Identifier: MIT */
/* Scans of one byte over all of an image, by one thread or by two. */
#include <errno.h>
#include <sonde/scan.h>
#include <stdlib.h>

#include "contenders.h"
#include "ours.h"
#include "scan.h"

struct scanning {
	struct ours *ours;
	uint64_t len, n_hits; /* that there are */
	uint32_t n_threads;
};

static int count(void *user, const struct sonde_scan_hit *hit)
{
	(void)hit;
	++*(uint64_t *)user;
	return 0;
}

static int scan(const struct scanning *scanning, uint32_t n_threads, uint64_t *ret_hits)
{
	static const uint8_t byte = SCAN_BYTE;
	const struct sonde_pattern pattern = { .bytes = &byte, .len = 1 };
	struct sonde_scan_options options = { .size = sizeof(options),
					      .n_threads = n_threads,
					      .last = scanning->len - 1 };

	*ret_hits = 0;
	return ours_errno(sonde_scan(scanning->ours->space, &pattern, 1, &options, count, ret_hits,
				     NULL, NULL));
}

static int open_scan(const struct contender *contender, struct work *work, void **ret)
{
	struct scanning *scanning = calloc(1, sizeof(*scanning));

	if (!scanning)
		return -ENOMEM;
	scanning->len = scan_len(work);
	scanning->n_threads = (uint32_t)atoi(contender->arg);
	int r = ours_borrow(contender, "auto", work->file, &scanning->ours);
	/* The first time makes every page present. */
	if (r == 0)
		r = scan(scanning, 1, &scanning->n_hits);
	if (r != 0)
		free(scanning);
	else
		*ret = scanning;
	return r;
}

static int measure(void *state, struct work *work, struct sample *ret)
{
	const struct scanning *scanning = state;
	uint64_t start = sonde_now_ns(), n = 0;

	(void)work;
	int r = scan(scanning, scanning->n_threads, &n);
	ret->wall_ns = scan_per_mib(sonde_now_ns() - start, scanning->len);
	return r == 0 && n != scanning->n_hits ? -EILSEQ : r;
}

const struct contender contenders_scan[] = {
	{ .name = "scan.1thread",
	  .arg = "1",
	  .open = open_scan,
	  .measure = measure,
	  .close = free },
	{ .name = "scan.2threads",
	  .arg = "2",
	  .open = open_scan,
	  .measure = measure,
	  .close = free },
	{ 0 },
};

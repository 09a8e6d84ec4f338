/* SPDX-License-Identifier: MIT */
/* A call that fails, fails its pieces alone. Between two ranges of memory nothing is ever asked for:
 * devices lie there, and reading them would do something to the guest. */
#include "peek.h"

#include <stdlib.h>
#include <string.h>

int peek_init(struct peek *ret, struct hypervisor *hv, int (*same)(void *user), void *user)
{
	ret->hv = hv;
	ret->same = same;
	ret->user = user;
	ret->n = 0;
	ret->bounce = malloc(PEEK_MAX);
	return ret->bounce ? 0 : SONDE_E_NO_MEMORY;
}

void peek_finish(struct peek *peek)
{
	free(peek->bounce);
	peek->bounce = NULL;
}

static int by_addr(const void *a, const void *b)
{
	const struct peek_piece *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* How many pieces from k on one call can fetch, and how many bytes that are. */
static size_t find_run(const struct peek *peek, size_t k, uint32_t *ret_len)
{
	const struct peek_piece *first = &peek->pieces[k];
	size_t end = k + 1;

	*ret_len = first->len;
	for (; end < peek->n; end++) {
		const struct peek_piece *next = &peek->pieces[end];
		uint64_t ahead = next->addr - first->addr;
		if (next->limit != first->limit || ahead > PEEK_MAX - next->len)
			break;
		if (ahead + next->len > *ret_len)
			*ret_len = (uint32_t)ahead + next->len;
	}
	return end - k;
}

static int32_t fetch(struct peek *peek, uint64_t addr, uint32_t len)
{
	const struct api *api = &peek->hv->api;

	if (api->virDomainMemoryPeek(peek->dom, addr, len, peek->bounce, VIR_MEMORY_PHYSICAL) < 0)
		return hypervisor_code(peek->hv);
	return peek->same(peek->user) ? 0 : SONDE_E_GONE;
}

static void tell_run(struct peek *peek, const struct peek_piece *pieces, size_t n, uint32_t len)
{
	const struct sonde_host *host = peek->hv->host;
	uint64_t start = pieces[0].addr;
	int32_t err = fetch(peek, start, len);

	for (size_t k = 0; k < n; k++) {
		const struct peek_piece *p = &pieces[k];
		if (err == 0)
			memcpy((uint8_t *)p->io->xfers[p->i].buf + p->off,
			       peek->bounce + (p->addr - start), p->len);
		sonde_progress(host, p->io, p->i, p->off, p->len, err);
	}
}

void peek_flush(struct peek *peek)
{
	uint32_t len;

	qsort(peek->pieces, peek->n, sizeof(peek->pieces[0]), by_addr);
	for (size_t k = 0, n; k < peek->n; k += n) {
		n = find_run(peek, k, &len);
		tell_run(peek, &peek->pieces[k], n, len);
	}
	peek->n = 0;
}

void peek_add(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
	      const struct memory_range *range, uint64_t addr)
{
	struct peek *peek = user;
	uint32_t step;

	if (io->op == SONDE_IO_WRITE) {
		sonde_progress(peek->hv->host, io, i, off, len, SONDE_E_READ_ONLY);
		return;
	}
	for (; len > 0; off += step, addr += step, len -= step) {
		step = len < PEEK_MAX ? len : PEEK_MAX;
		if (peek->n == PEEK_BATCH)
			peek_flush(peek);
		peek->pieces[peek->n++] =
			(struct peek_piece){ .io = io,
					     .i = i,
					     .off = off,
					     .len = step,
					     .addr = addr,
					     .limit = range->addr + (range->len - 1) };
	}
}

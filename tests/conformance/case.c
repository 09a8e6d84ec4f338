/* SPDX-License-Identifier: MIT */
/* The table of cases, the oracle (byte by byte over the subject's map), and the comparison. */
#include "case.h"

#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define R SONDE_IO_READ
#define W SONDE_IO_WRITE
#define EDGE 16 /* bytes around each buffer that must not change */

const struct test_case cases[] = {
	{ "first byte", R, { { 0, 1 } } },
	{ "last byte", R, { { 0xffff, 1 } } },
	{ "a whole page", R, { { 0x1000, 0x1000 } } },
	{ "across a page", R, { { 0x0ff8, 16 } } },
	{ "odd address, odd length", R, { { 0x1001, 4093 } } },
	{ "several pages", R, { { 0x4ffe, 0x3004 } } },
	{ "a hole", R, { { 0x3100, 64 } } },
	{ "exactly the hole", R, { { 0x3000, 0x1000 } } },
	{ "last byte before the hole", R, { { 0x2fff, 1 } } },
	{ "first byte behind the hole", R, { { 0x4000, 1 } } },
	{ "into the hole", R, { { 0x2ff8, 16 } } },
	{ "out of the hole", R, { { 0x3ff8, 16 } } },
	{ "hole in the middle", R, { { 0x2f00, 0x1200 } } },
	{ "everything", R, { { 0, 0x10000 } } },
	{ "runs off the end", R, { { 0xfff0, 32 } } },
	{ "just behind the end", R, { { 0x10000, 8 } } },
	{ "the address space wraps", R, { { UINT64_MAX - 3, 8 } }, .absolute = 1 },
	{ "the last byte of all", R, { { UINT64_MAX, 1 } }, .absolute = 1 },
	{ "no piece", R, { { 0, 0 } } },
	{ "two pieces, one bad", R, { { 0x3000, 8 }, { 0x5000, 8 } } },
	{ "overlapping pieces",
	  R,
	  { { 0x5000, 64 }, { 0x5010, 64 }, { 0x4ff0, 64 }, { 0x5000, 64 } } },
	{ "the same piece four times",
	  R,
	  { { 0x8000, 8 }, { 0x8000, 8 }, { 0x8000, 8 }, { 0x8000, 8 } } },
	{ "pieces that abut, backwards",
	  R,
	  { { 0x6030, 16 }, { 0x6020, 16 }, { 0x6010, 16 }, { 0x6000, 16 } } },
	{ "ten thousand scattered pieces", R, .n = 10000, .rule = SCATTERED },
	{ "a thousand descending pieces", R, .n = 1000, .rule = DESCENDING },
	{ "a thousand times the same piece", R, .n = 1000, .rule = ALIKE },
	{ "write one byte", W, { { 0x7000, 1 } } },
	{ "write across a page", W, { { 0x7ff8, 16 } } },
	{ "write two pages", W, { { 0x9000, 0x2000 } } },
	{ "write into a hole", W, { { 0x3100, 64 } } },
	{ "write over a hole", W, { { 0x2ff0, 0x1020 } } },
	{ "write off the end", W, { { 0xfff8, 16 } } },
	{ "write where the address space wraps", W, { { UINT64_MAX - 3, 8 } }, .absolute = 1 },
	{ "write no piece", W, { { 0, 0 } } },
	{ "write scattered pieces",
	  W,
	  { { 0xb000, 8 }, { 0x3000, 8 }, { 0xc004, 3 }, { 0x4000, 9 } } },
	{ "all of what was written", R, { { 0, 0x10000 } } },
};
const unsigned n_cases = sizeof(cases) / sizeof(cases[0]);

static uint32_t count_pieces(const struct test_case *c)
{
	uint32_t n = 0;

	if (c->n)
		return c->n;
	while (n < 4 && c->pieces[n].len)
		n++;
	return n;
}

static void piece_of(const struct test_case *c, uint32_t i, uint64_t *addr, uint32_t *len)
{
	if (!c->n) {
		*addr = c->pieces[i].addr;
		*len = c->pieces[i].len;
		return;
	}
	*len = 1 + i % 24;
	*addr = c->rule == SCATTERED    ? (uint64_t)i * 40503 % (SUBJECT_SIZE + 64)
		: c->rule == DESCENDING ? SUBJECT_SIZE - 60 * (uint64_t)i
					: 0x2ffc;
}

/* What should become of one piece, byte by byte. */
static void expect(struct sonde_xfer *want, const struct sonde_xfer *x, uint32_t op,
		   const struct subject *subject)
{
	uint8_t *bytes = want->buf;

	want->err_off = x->len;
	for (uint32_t i = 0; i < x->len; i++) {
		uint64_t addr = x->addr + i;
		int there = addr >= x->addr && subject_has(subject, addr - subject->base);
		int32_t err = !there                          ? SONDE_E_NOT_MAPPED
			      : op == W && subject->read_only ? SONDE_E_READ_ONLY
							      : 0;
		if (op == R)
			bytes[i] = err ? 0 : subject->model[addr - subject->base];
		want->done += err == 0;
		if (err && !want->err) {
			want->err = err;
			want->err_off = i;
		}
	}
}

int run_make(struct run *run, const struct test_case *c, struct subject *subject)
{
	uint32_t n = count_pieces(c);
	size_t total = 0, at = 0;

	memset(run, 0, sizeof(*run));
	run->n = n;
	run->op = c->op;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr;
		uint32_t len;
		piece_of(c, i, &addr, &len);
		total += len;
	}
	run->xfers = calloc(n + 1, sizeof(*run->xfers));
	run->want = calloc(n + 1, sizeof(*run->want));
	run->first = calloc(n + 1, sizeof(*run->first));
	run->told = calloc(1, total + 1);
	run->bytes = malloc(2 * (total + (size_t)n * 2 * EDGE) + 1);
	if (!run->xfers || !run->want || !run->first || !run->told || !run->bytes)
		return SONDE_E_NO_MEMORY;
	uint8_t *expected = run->bytes + total + (size_t)n * 2 * EDGE;
	memset(run->bytes, 0xa5, total + (size_t)n * 2 * EDGE);
	for (uint32_t i = 0; i < n; i++) {
		struct sonde_xfer *x = &run->xfers[i];
		piece_of(c, i, &x->addr, &x->len);
		x->addr += c->absolute ? 0 : subject->base;
		x->buf = run->bytes + at + (2 * i + 1) * EDGE;
		x->done = 12345;
		x->err = 12345;
		run->first[i] = (uint32_t)at;
		run->want[i].buf = expected + at;
		for (uint32_t k = 0; c->op == W && k < x->len; k++)
			((uint8_t *)x->buf)[k] = (uint8_t)(k * 7 + i + 1);
		memcpy(run->want[i].buf, x->buf, x->len);
		expect(&run->want[i], x, c->op, subject);
		run->want_full += run->want[i].err == 0;
		at += x->len;
	}
	return 0;
}

void run_free(struct run *run)
{
	free(run->xfers);
	free(run->want);
	free(run->first);
	free(run->told);
	free(run->bytes);
}

void run_fragment(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct run *run = io->user;

	if (f->piece >= io->n || f->off > io->xfers[f->piece].len ||
	    f->len > io->xfers[f->piece].len - f->off || f->len == 0) {
		snprintf(run->fault, sizeof(run->fault),
			 "got a fragment of piece %u, %u bytes at %u", f->piece, f->len, f->off);
		return;
	}
	for (uint32_t i = 0; i < f->len; i++) {
		uint8_t *told = &run->told[run->first[f->piece] + f->off + i];
		*told += 1;
		if (*told > 1)
			snprintf(run->fault, sizeof(run->fault),
				 "got byte %u of piece %u in two fragments", f->off + i, f->piece);
	}
}

static void check_edges(const struct run *run, uint32_t i, char *text, size_t cap)
{
	const uint8_t *buf = run->xfers[i].buf;

	for (uint32_t k = 0; k < EDGE; k++) {
		if (buf[-1 - (int)k] != 0xa5 || buf[run->xfers[i].len + k] != 0xa5)
			snprintf(text, cap, "piece %u: got a byte written outside its buffer", i);
	}
}

static void check_piece(const struct run *run, uint32_t i, char *text, size_t cap)
{
	const struct sonde_xfer *x = &run->xfers[i], *want = &run->want[i];

	if (x->done != want->done || x->err != want->err || x->err_off != want->err_off) {
		snprintf(text, cap,
			 "piece %u (0x%llx, %u bytes): got %u bytes, %s at %u; want %u bytes, %s "
			 "at %u",
			 i, (unsigned long long)x->addr, x->len, x->done, sonde_error_name(x->err),
			 x->err_off, want->done, sonde_error_name(want->err), want->err_off);
		return;
	}
	for (uint32_t k = 0; k < x->len; k++) {
		if (((uint8_t *)x->buf)[k] != ((uint8_t *)want->buf)[k]) {
			snprintf(text, cap, "piece %u, byte %u: got 0x%02x, want 0x%02x", i, k,
				 ((uint8_t *)x->buf)[k], ((uint8_t *)want->buf)[k]);
			return;
		}
	}
	check_edges(run, i, text, cap);
}

void run_check(const struct run *run, int32_t result, int fragments, char *text, size_t cap)
{
	*text = 0;
	if (result != run->want_full) {
		snprintf(text, cap, "got %d pieces in full, want %d", result, run->want_full);
		return;
	}
	for (uint32_t i = 0; i < run->n && !*text; i++)
		check_piece(run, i, text, cap);
	if (*text || !fragments)
		return;
	snprintf(text, cap, "%s", run->fault);
	for (uint32_t i = 0; i < run->n && !*text; i++) {
		for (uint32_t k = 0; k < run->xfers[i].len && !*text; k++) {
			if (run->told[run->first[i] + k] != 1)
				snprintf(text, cap, "piece %u, byte %u: got no fragment, want one",
					 i, k);
		}
	}
}

void run_apply(const struct run *run, struct subject *subject)
{
	if (run->op != W || subject->read_only)
		return;
	for (uint32_t i = 0; i < run->n; i++) {
		const struct sonde_xfer *x = &run->xfers[i];
		for (uint32_t k = 0; k < x->len; k++) {
			uint64_t addr = x->addr + k, off = addr - subject->base;
			if (addr >= x->addr && subject_has(subject, off))
				subject->model[off] = ((const uint8_t *)x->buf)[k];
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 *   magic version [configuration] { section } end of RAM ...
 *   section:  type  id [name instance version]  body  [footer id]
 *   RAM body: { (offset | flags) [block] [page] } EOS
 *
 * All numbers are big-endian. A failure sticks: everything read behind it is 0, and the loops look at it.
 */
#include "ram_stream.h"

#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAGIC 0x5145564du /* "QEVM" */
#define FILE_VERSION 3
#define BUFFER_LEN ((size_t)4 * RAM_STREAM_PAGE_MAX)
#define DEFAULT_PAGE 4096u

enum section { START = 1, PART, END, FULL, SUBSECTION, CONFIGURATION = 7, COMMAND, FOOTER = 0x7e };

enum ram_flag {
	RAM_FILL = 0x02, /* a byte that fills the page */
	RAM_BLOCKS = 0x04,
	RAM_PAGE = 0x08,
	RAM_EOS = 0x10,
	RAM_SAME_BLOCK = 0x20,
	RAM_XBZRLE = 0x40,
	RAM_HOOK = 0x80,
	RAM_ZLIB = 0x100,
	RAM_MULTIFD = 0x200,
};
#define XBZRLE_ENCODING 1u

enum command { POSTCOPY_LISTEN = 4, PACKAGED = 8, ENABLE_COLO = 10 };

struct reader {
	const struct ram_stream_ends *ends;
	uint8_t *buf;     /* [BUFFER_LEN] */
	size_t pos, used; /* of buf       */
	uint64_t at;      /* of buf[0], in the stream */
	int code;         /* 0, or the first failure  */
	struct ram_stream_end *end;
	uint32_t page_len;
	uint32_t ram_id;                 /* section of the RAM; valid once n is above 0 */
	int has_ram, has_addrs;          /* has_addrs: "x-ignore-shared" adds one to each block */
	struct ram_stream_block *blocks; /* [n]    */
	size_t n, current;
};

static void fail_about(struct reader *r, int code, const char *why, const char *about)
{
	if (r->code < 0)
		return;
	r->code = code;
	r->end->why = why;
	r->end->at = r->at + r->pos;
	snprintf(r->end->about, sizeof(r->end->about), "%s", about);
}

static void fail(struct reader *r, int code, const char *why)
{
	fail_about(r, code, why, "");
}

/* ---- bytes -------------------------------------------------------------------------------------- */

/* 1 where len bytes stand at pos. */
static int fill(struct reader *r, size_t len)
{
	if (r->code < 0)
		return 0;
	if (r->used - r->pos >= len)
		return 1;
	memmove(r->buf, r->buf + r->pos, r->used - r->pos);
	r->at += r->pos;
	r->used -= r->pos;
	r->pos = 0;
	while (r->used < len) {
		size_t n = r->ends->read(r->ends->user, r->buf + r->used, BUFFER_LEN - r->used);
		if (n == 0 || n > BUFFER_LEN - r->used) {
			fail(r, SONDE_E_TRUNCATED, "ends before its RAM does");
			return 0;
		}
		r->used += n;
	}
	return 1;
}

/* The next len bytes, at most BUFFER_LEN, until more are taken; NULL after a failure. */
static const uint8_t *take(struct reader *r, size_t len)
{
	if (!fill(r, len))
		return NULL;
	r->pos += len;
	return r->buf + r->pos - len;
}

static uint64_t number(struct reader *r, size_t len)
{
	const uint8_t *p = take(r, len);
	uint64_t value = 0;

	for (size_t i = 0; p && i < len; i++)
		value = value << 8 | p[i];
	return value;
}

static uint8_t byte(struct reader *r)
{
	return (uint8_t)number(r, 1);
}

static uint32_t word(struct reader *r)
{
	return (uint32_t)number(r, 4);
}

static void skip(struct reader *r, uint64_t len)
{
	while (len > 0 && r->code == 0) {
		size_t step = len < BUFFER_LEN ? (size_t)len : BUFFER_LEN;
		take(r, step);
		len -= step;
	}
}

/* A counted name; NUL ends it here, whatever its count. */
static void name(struct reader *r, char ret[256])
{
	size_t len = byte(r);
	const uint8_t *p = take(r, len);

	if (p)
		memcpy(ret, p, len);
	ret[p ? len : 0] = '\0';
}

/* ---- configuration -------------------------------------------------------------------------------- */

static void page_bits(struct reader *r)
{
	uint32_t bits = word(r);

	if (r->code == 0 && (bits < 10 || bits > 16))
		fail(r, SONDE_E_BAD_FORMAT, "has pages of a size that no machine has");
	else
		r->page_len = 1u << bits;
}

/* Only those that change how RAM is written stand here. */
static void capabilities(struct reader *r)
{
	char text[256];
	uint32_t n = word(r);

	for (uint32_t i = 0; i < n && r->code == 0; i++) {
		name(r, text);
		if (strcmp(text, "x-ignore-shared") == 0)
			r->has_addrs = 1;
		else if (r->code == 0)
			fail_about(r, SONDE_E_UNSUPPORTED,
				   "was written with a capability unknown here", text);
	}
}

static void subsection(struct reader *r)
{
	char text[256];

	name(r, text);
	word(r); /* its version */
	if (strcmp(text, "configuration/target-page-bits") == 0)
		page_bits(r);
	else if (strcmp(text, "configuration/capabilities") == 0)
		capabilities(r);
	else if (strcmp(text, "configuration/uuid") == 0)
		skip(r, 16);
	else
		fail_about(r, SONDE_E_UNSUPPORTED, "has a configuration unknown here", text);
}

static void machine_name(struct reader *r)
{
	uint32_t len = word(r), kept = len < sizeof(r->end->machine) ? len : 0;
	const uint8_t *p = take(r, kept);

	if (p)
		memcpy(r->end->machine, p, kept);
	skip(r, len - kept);
}

/* The machine's name, then subsections, which do not say how long they are. What was read by it holds to the end. */
static void configuration(struct reader *r)
{
	if (r->has_ram)
		fail(r, SONDE_E_BAD_FORMAT, "has a configuration behind the beginning of its RAM");
	machine_name(r);
	while (fill(r, 1) && r->buf[r->pos] == SUBSECTION) {
		byte(r);
		subsection(r);
	}
}

/* ---- RAM -------------------------------------------------------------------------------------------- */

static struct ram_stream_block *new_block(struct reader *r)
{
	if (r->n == RAM_STREAM_BLOCKS_MAX) {
		fail(r, SONDE_E_LIMIT, "has too many blocks of RAM");
		return NULL;
	}
	return &r->blocks[r->n++];
}

/* total: the sum of the blocks' lengths, and there is no other end of them. */
static void block_list(struct reader *r, uint64_t total)
{
	if (r->n > 0)
		fail(r, SONDE_E_BAD_FORMAT, "lists its blocks of RAM twice");
	while (total > 0 && r->code == 0) {
		struct ram_stream_block *block = new_block(r);
		if (!block)
			return;
		name(r, block->id);
		block->len = number(r, 8);
		if (r->has_addrs)
			number(r, 8);
		if (block->len > total || block->len % r->page_len != 0)
			fail(r, SONDE_E_BAD_FORMAT, "has a block of RAM of an impossible length");
		total -= r->code == 0 ? block->len : 0;
	}
	if (r->code == 0 && r->n == 0)
		fail(r, SONDE_E_BAD_FORMAT, "lists no RAM");
	int end = r->code == 0 ? r->ends->begin(r->ends->user, r->blocks, r->n) : 0;
	if (end < 0)
		fail(r, end, NULL);
}

static void choose_block(struct reader *r)
{
	char id[256];

	name(r, id);
	for (size_t i = 0; i < r->n && r->code == 0; i++) {
		if (strcmp(r->blocks[i].id, id) == 0) {
			r->current = i;
			return;
		}
	}
	fail(r, SONDE_E_BAD_FORMAT, "has a page of a block that it did not list");
}

/* What a page of this kind has behind its block; its count in front is checked. */
static void page_bytes(struct reader *r, struct ram_stream_page *page, uint32_t flags)
{
	uint32_t len = r->page_len, most = r->page_len;

	page->kind = RAM_STREAM_PLAIN;
	if (flags & RAM_ZLIB) {
		page->kind = RAM_STREAM_ZLIB;
		len = word(r);
		most += r->page_len / 1024 +
			16; /* bytes that do not compress grow: zlib.h, compressBound() */
	} else if (flags & RAM_XBZRLE) {
		page->kind = RAM_STREAM_XBZRLE;
		if (byte(r) != XBZRLE_ENCODING)
			fail(r, SONDE_E_BAD_FORMAT,
			     "has a difference of pages in no known encoding");
		len = (uint32_t)number(r, 2);
	}
	if (len > most)
		fail(r, SONDE_E_BAD_FORMAT, "has a packed page that is longer than a page");
	page->n_bytes = r->code == 0 ? len : 0;
	page->bytes = take(r, page->n_bytes);
}

static void page(struct reader *r, uint64_t off, uint32_t flags)
{
	struct ram_stream_page page = { .off = off, .len = r->page_len, .kind = RAM_STREAM_FILL };

	if (!(flags & RAM_SAME_BLOCK))
		choose_block(r);
	page.block = r->current;
	if (r->code == 0 &&
	    (page.block >= r->n || off >= r->blocks[page.block].len)) /* both multiples of a page */
		fail(r, SONDE_E_BAD_FORMAT, "has a page outside its block");
	if (flags & RAM_FILL)
		page.fill = byte(r);
	else
		page_bytes(r, &page, flags);
	page.at = r->at + r->pos - page.n_bytes;
	int end = r->code == 0 ? r->ends->page(r->ends->user, &page) : 0;
	if (end < 0)
		fail(r, end, NULL);
}

static void refuse_flags(struct reader *r, uint32_t flags)
{
	if (flags & RAM_HOOK)
		fail_about(r, SONDE_E_UNSUPPORTED, "has pages that went another way", "rdma");
	else if (flags & RAM_MULTIFD)
		fail_about(r, SONDE_E_UNSUPPORTED, "has pages that went through other channels",
			   "multifd");
	else if (flags & (RAM_XBZRLE | RAM_ZLIB))
		fail_about(r, SONDE_E_UNSUPPORTED,
			   "has packed pages: switch this capability off and write it again",
			   flags & RAM_ZLIB ? "compress" : "xbzrle");
	else
		fail(r, SONDE_E_BAD_FORMAT, "has a page of no known kind");
}

static void ram(struct reader *r)
{
	while (r->code == 0) {
		uint64_t head = number(r, 8);
		uint32_t flags = (uint32_t)head & (r->page_len - 1);
		uint32_t kind = flags & ~(uint32_t)RAM_SAME_BLOCK;
		uint64_t off = head - flags;
		if (r->code < 0 || kind == RAM_EOS)
			return;
		if (kind == RAM_BLOCKS)
			block_list(r, off);
		else if (kind == RAM_FILL || kind == RAM_PAGE ||
			 (r->ends->packed && (kind == RAM_ZLIB || kind == RAM_XBZRLE)))
			page(r, off, flags);
		else
			refuse_flags(r, flags);
	}
}

/* ---- sections ------------------------------------------------------------------------------------------ */

static void footer(struct reader *r, uint32_t id)
{
	if (!fill(r, 1) || r->buf[r->pos] != FOOTER) /* machines before 2.4 have none */
		return;
	byte(r);
	if (word(r) != id)
		fail(r, SONDE_E_BAD_FORMAT, "has a section that ends as another one");
}

static void first_section(struct reader *r)
{
	uint32_t id = word(r);
	char text[256];

	name(r, text);
	word(r); /* instance */
	word(r); /* version  */
	if (r->code < 0)
		return;
	if (strcmp(text, "ram") != 0 || r->has_ram) {
		fail_about(r, SONDE_E_UNSUPPORTED,
			   "has a section in front of its RAM that cannot be passed over", text);
		return;
	}
	r->has_ram = 1;
	r->ram_id = id;
	ram(r);
	footer(r, id);
}

static void next_section(struct reader *r)
{
	uint32_t id = word(r);

	if (r->code == 0 && (!r->has_ram || id != r->ram_id)) {
		fail(r, SONDE_E_BAD_FORMAT, "goes on with a section that did not begin");
		return;
	}
	ram(r);
	footer(r, id);
}

/* Those behind which the stream is another one are refused; the rest are passed over. */
static void command(struct reader *r)
{
	uint64_t kind = number(r, 2);

	if (kind >= POSTCOPY_LISTEN && kind <= PACKAGED)
		fail_about(r, SONDE_E_UNSUPPORTED, "was written while the guest ran elsewhere",
			   "postcopy-ram");
	if (kind == ENABLE_COLO)
		fail_about(r, SONDE_E_UNSUPPORTED, "is one of many that belong together", "x-colo");
	skip(r, number(r, 2));
}

/* r->end->at: of the section that is no RAM any more. */
static void sections(struct reader *r)
{
	while (r->code == 0) {
		r->end->at = r->at + r->pos;
		uint8_t type = byte(r);
		switch (type) {
		case CONFIGURATION:
			configuration(r);
			break;
		case START:
			first_section(r);
			break;
		case PART:
			next_section(r);
			break;
		case END:
			next_section(r);
			r->end->at = r->code == 0 ? r->at + r->pos : r->end->at;
			return;
		case FULL: /* a device: a background snapshot ends its RAM without an END */
			return;
		case COMMAND:
			command(r);
			break;
		default:
			fail(r, SONDE_E_BAD_FORMAT,
			     "has something else where its RAM should go on");
		}
	}
}

static void whole(struct reader *r)
{
	uint32_t magic = word(r), version = word(r);

	if (r->code == 0 && magic != FILE_MAGIC)
		fail(r, SONDE_E_BAD_FORMAT, "is no migration stream");
	if (r->code == 0 && version != FILE_VERSION)
		fail(r, SONDE_E_UNSUPPORTED, "is a migration stream of another version");
	sections(r);
	if (r->code == 0 && r->n == 0)
		fail(r, SONDE_E_BAD_FORMAT, "lists no RAM");
}

int ram_stream_probe(const uint8_t *head, size_t len)
{
	return len >= 8 && memcmp(head, "QEVM\0\0\0\3", 8) == 0;
}

int ram_stream_read(const struct ram_stream_ends *ends, struct ram_stream_end *ret)
{
	struct reader r = {
		.ends = ends,
		.end = ret,
		.buf = malloc(BUFFER_LEN),
		.blocks = calloc(RAM_STREAM_BLOCKS_MAX, sizeof(*r.blocks)),
		.page_len = DEFAULT_PAGE,
	};

	*ret = (struct ram_stream_end){ 0 };
	if (r.buf && r.blocks)
		whole(&r);
	else
		fail(&r, SONDE_E_NO_MEMORY, "needs memory that is not there");
	free(r.buf);
	free(r.blocks);
	ret->page_len = r.page_len;
	return r.code;
}

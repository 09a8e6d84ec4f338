/* SPDX-License-Identifier: MIT */
#include "synth/hiberfil.h"

#include "synth/elf.h"
#include "synth/xpress.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define SET_PAGES 16u
#define FIRST_PAGE 3u /* of the first set or table */
#define SET_BYTES ((size_t)SET_PAGES * PAGE)
/* 2021-02-20 10:15:02 UTC as FILETIME. */
#define TIME UINT64_C(132582897020000000)

static const struct header {
	uint32_t length, word;
	size_t page_size, time, first_table, n_boot, boot, kernel, n_kernel;
} headers[] = {
	{ SYNTH_WINDOWS_7, 8, 0x18, 0x20, 0x60, 0, 0, 0, 0 },
	{ SYNTH_WINDOWS_7_32, 4, 0x14, 0x18, 0x4c, 0, 0, 0, 0 },
	{ SYNTH_WINDOWS_81, 8, 0x18, 0x20, 0, 0x58, 0x60, 0x68, 0x1c8 },
	{ SYNTH_WINDOWS_10, 8, 0x18, 0x20, 0, 0x58, 0x68, 0x70, 0x230 },
	{ SYNTH_WINDOWS_10_32, 4, 0x14, 0x18, 0, 0x48, 0x50, 0x54, 0x210 },
};

/* What is written, and what of the pages is next. */
struct writer {
	const struct header *header;
	const struct synth_hiber_run *runs, *end;
	uint64_t page; /* of *runs, the next one */
	FILE *out;
	uint64_t at;
	unsigned n_sets;
	uint8_t pages[SYNTH_XPRESS_ROOM(65536)], packed[SYNTH_XPRESS_ROOM(65536)];
};

static void put(uint8_t *at, size_t len, uint64_t value)
{
	synth_put(at, 0, (int)len, value);
}

static void emit(struct writer *w, const void *bytes, size_t len)
{
	fwrite(bytes, 1, len, w->out);
	w->at += len;
}

static void pad_to(struct writer *w, uint64_t unit)
{
	static const uint8_t zeros[PAGE];

	emit(w, zeros, (size_t)(-w->at % unit));
}

/* Pages that follow each other, max at most. Returns how many; 0: there are no more. */
static uint32_t take(struct writer *w, uint32_t max, uint64_t *ret_page, uint8_t *bytes)
{
	if (w->runs == w->end)
		return 0;
	uint64_t left = w->runs->n - w->page;
	uint32_t n = left < max ? (uint32_t)left : max;
	*ret_page = w->runs->page + w->page;
	memcpy(bytes, w->runs->bytes + w->page * PAGE, (size_t)n * PAGE);
	w->page += n;
	if (w->page == w->runs->n) {
		w->runs++;
		w->page = 0;
	}
	return n;
}

/* Which way a set went: 0, 1 plain; 2, 3 Huffman, with more effort or less; -1 not packed. */
static int pack(struct writer *w, size_t size, int may_huffman, size_t *ret_len)
{
	unsigned turn = w->n_sets++ % 5;
	int way = turn == 4 ? -1 : may_huffman ? 3 - (int)turn : 0;

	*ret_len = way >= 2   ? synth_xpress_huffman(w->pages, size, w->packed)
		   : way >= 0 ? synth_xpress_plain(w->pages, size, w->packed)
			      : size;
	if (way >= 0 && *ret_len < size)
		return way;
	memcpy(w->packed, w->pages, size);
	*ret_len = size;
	return -1;
}

/* ---- Windows 8 and later --------------------------------------------------------------------------- */

static uint64_t put_set(struct writer *w)
{
	uint8_t head[4 + SET_PAGES * 8];
	size_t word = w->header->word, len;
	uint32_t n = 0, n_pages = 0, got;
	uint64_t page;

	while (n_pages < SET_PAGES &&
	       (got = take(w, SET_PAGES - n_pages, &page, w->pages + (size_t)n_pages * PAGE))) {
		put(head + 4 + n++ * word, word, page << 4 | (got - 1));
		n_pages += got;
	}
	if (!n)
		return 0;
	int way = pack(w, (size_t)n_pages * PAGE, 1, &len);
	put(head, 4, n | len << 8 | (uint64_t)(way < 0 ? 0 : way) << 30);
	emit(w, head, 4 + n * word);
	emit(w, w->packed, len);
	return n_pages;
}

static uint64_t put_sets(struct writer *w, const struct synth_hiber_run *end)
{
	uint64_t n_pages = 0, n;

	w->end = end;
	pad_to(w, PAGE);
	while ((n = put_set(w)) != 0)
		n_pages += n;
	return n_pages;
}

static void put_restoration(struct writer *w, const struct synth_hiber *spec, uint8_t *head)
{
	const struct header *h = w->header;

	put(head + h->boot, h->word, w->at / PAGE);
	put(head + h->n_boot, 8, put_sets(w, spec->runs + spec->n_runs / 2));
	put(head + h->kernel, h->word, (w->at + PAGE - 1) / PAGE);
	put(head + h->n_kernel, 8, put_sets(w, spec->runs + spec->n_runs));
}

/* ---- Windows 7 ------------------------------------------------------------------------------------- */

/* A block of the pages that are gathered. */
static void put_block(struct writer *w, FILE *blocks, uint32_t n_pages)
{
	uint8_t head[32] = "\x81\x81xpress", zeros[8] = { 0 };
	size_t len;

	pack(w, (size_t)n_pages * PAGE, 0, &len);
	put(head + 8, 4, (len - 1) << 10 | (n_pages - 1));
	fwrite(head, 1, sizeof(head), blocks);
	fwrite(w->packed, 1, len, blocks);
	fwrite(zeros, 1, -len % 8, blocks);
}

/* Fill a table, its pages into blocks. Ranges have up to 70 pages, so that blocks hold several and ranges lie in several. */
static uint32_t put_ranges(struct writer *w, uint8_t *table, FILE *blocks)
{
	size_t word = w->header->word;
	uint32_t max = PAGE / (2 * (uint32_t)word) - 1, n = 0, n_pages = 0, got;
	uint64_t page = 0, last = 0, range = 0;

	for (;;) {
		uint32_t room = range && range < 70 ? (uint32_t)(70 - range) : n < max ? 70 : 0;
		room = room < SET_PAGES - n_pages ? room : SET_PAGES - n_pages;
		if (!room || !(got = take(w, room, &page, w->pages + (size_t)n_pages * PAGE)))
			break;
		if (!range || page != last || range >= 70) {
			put(table + ++n * 2 * word, word, page);
			range = 0;
		}
		range += got;
		last = page + got;
		put(table + n * 2 * word + word, word, last);
		n_pages += got;
		if (n_pages == SET_PAGES) {
			put_block(w, blocks, n_pages);
			n_pages = 0;
		}
		if (n == max && (range >= 70 || !w->page))
			break; /* what comes next needs a range of its own */
	}
	if (n_pages)
		put_block(w, blocks, n_pages);
	return n;
}

static void put_table(struct writer *w)
{
	uint8_t table[PAGE] = { 0 };
	char *bytes;
	size_t len;
	FILE *blocks = open_memstream(&bytes, &len);
	uint32_t n = put_ranges(w, table, blocks);

	fclose(blocks);
	put(table + w->header->word, 4, n);
	if (w->runs != w->end)
		put(table, w->header->word, w->at / PAGE + 1 + (len + PAGE - 1) / PAGE);
	emit(w, table, PAGE);
	emit(w, bytes, len);
	pad_to(w, PAGE);
	free(bytes);
}

static void put_tables(struct writer *w, const struct synth_hiber *spec, uint8_t *head)
{
	put(head + w->header->first_table, w->header->word, w->at / PAGE);
	w->end = spec->runs + spec->n_runs;
	while (w->runs != w->end)
		put_table(w);
}

/* ---- all ------------------------------------------------------------------------------------------- */

static const struct header *header_of(uint32_t length)
{
	size_t i = 0;

	while (headers[i].length != length)
		i++;
	return &headers[i];
}

void synth_hiber(const struct synth_hiber *spec, FILE *out)
{
	static uint8_t head[FIRST_PAGE * PAGE];
	struct writer *w = calloc(1, sizeof(*w));

	w->header = header_of(spec->length);
	w->runs = spec->runs;
	w->out = out;
	memset(head, 0, sizeof(head));
	memcpy(head, spec->signature ? spec->signature : "HIBR", 4);
	put(head + 0xc, 4, spec->length);
	put(head + w->header->page_size, 4, PAGE);
	put(head + w->header->time, 8, TIME);
	if (spec->processor)
		memcpy(head + PAGE, spec->processor, PAGE);
	emit(w, head, sizeof(head));
	if (w->header->first_table)
		put_tables(w, spec, head);
	else
		put_restoration(w, spec, head);
	fseeko(out, 0, SEEK_SET);
	fwrite(head, 1, sizeof(head), out);
	fseeko(out, 0, SEEK_END);
	free(w);
}

uint8_t *synth_hiber_bytes(const struct synth_hiber *spec, size_t *ret_size)
{
	FILE *file = tmpfile();

	synth_hiber(spec, file);
	long size = ftell(file);
	uint8_t *bytes = malloc((size_t)size);
	rewind(file);
	*ret_size = fread(bytes, 1, (size_t)size, file);
	fclose(file);
	return bytes;
}

void synth_processor(const struct synth_processor *spec, uint8_t page[4096])
{
	/* CONTEXT of AMD64: where each of sonde_cpu.general is. */
	static const uint16_t general[16] = { 0x78, 0x90, 0x80, 0x88, 0xa8, 0xb0, 0x98, 0xa0,
					      0xb8, 0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0 };
	uint8_t *context = page + spec->context;

	memset(page, 0, PAGE);
	put(page, 8, spec->cr[0]);
	put(page + 8, 8, spec->cr[2]);
	put(page + 0x10, 8, spec->cr[3]);
	put(page + 0x18, 8, spec->cr[4]);
	put(page + 0x58, 8, spec->gdt);
	put(page + 0x68, 8, spec->idt);
	put(page + 0xa8, 8, spec->gs);
	put(page + 0xb0, 8, spec->kernel_gs);
	put(context + 0x30, 4, 0x10001f);
	for (int i = 0; i < 16; i++)
		put(context + general[i], 8, spec->general[i]);
	put(context + 0x44, 4, spec->flags);
	put(context + 0xf8, 8, spec->pc);
}

/* SPDX-License-Identifier: MIT */
/*
 * Files that hold migration streams: any bytes as one; its frame, its index, its devices, its layout, its first pages. What
 * each hands out must keep the promises of its header.
 */
#include "../../connectors/migration/devices.h"
#include "../../connectors/migration/image.h"
#include "../../connectors/migration/layout.h"
#include "../../connectors/migration/ram.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static void check_spans(const struct spans *spans)
{
	uint64_t at = 0;

	for (size_t i = 0; i < spans->n; i++) {
		if (spans->spans[i].at != at || !spans->spans[i].len)
			abort();
		at += spans->spans[i].len;
	}
	if (at != spans->len)
		abort();
}

/* Sorted; nothing in two runs but for differences. */
static void check_index(const struct page_index *index)
{
	for (size_t i = 0; i < index->n; i++) {
		const struct page_run *run = &index->runs[i];
		if (!run->n || (uint64_t)run->page + run->n > index->n_pages)
			abort();
		if (i && run->kind != RAM_STREAM_XBZRLE && run->page < run[-1].page + run[-1].n)
			abort();
		if (i && run->kind == RAM_STREAM_XBZRLE && run->page < run[-1].page + run[-1].n - 1)
			abort();
	}
}

static void read_pages(struct ram *ram)
{
	uint8_t *page = malloc(ram->end.page_len);

	for (uint64_t i = 0; i < ram->index.n_pages && i < 16; i++)
		ram_read_page(ram, i * ram->end.page_len, page, ram->end.page_len);
	free(page);
}

static void check_layout(const struct ram *ram, const struct devices *devices)
{
	struct layout_facts facts = { ram->end.machine, devices->arch, devices->below_4g,
				      devices->above_4g };
	struct memory_map map;
	uint64_t total = 0;

	for (size_t i = 0; i < ram->n_blocks; i++)
		total += ram->blocks[i].len;
	if (layout_make(&map, &facts, ram->blocks, ram->n_blocks) == 0) {
		for (size_t i = 0; i < map.n; i++) {
			const struct memory_range *range = &map.ranges[i];
			if (range->off > total || range->len > total - range->off ||
			    range->addr + (range->len - 1) < range->addr)
				abort();
		}
	}
	memory_map_finish(&map);
}

static void read_devices(struct ram *ram, struct devices *devices)
{
	uint64_t left = ram->spans->len - ram->end.at;
	size_t len = left < 1 << 20 ? (size_t)left : 1 << 20;
	uint8_t *bytes = malloc(len ? len : 1);
	int64_t n = spans_read(ram->spans, ram->end.at, bytes, len);
	struct fault fault = { 0 };
	int r = devices_read(devices, bytes, n < 0 ? 0 : (size_t)n, &fault);

	if (r < 0 && (!fault.why || fault.code != r || fault.at > len))
		abort();
	free(bytes);
}

static void read_stream(struct spans *spans)
{
	struct devices devices = { 0 };
	struct ram ram;
	int r = ram_open(&ram, spans, -1);

	if (r == 0) {
		if (ram.end.at > spans->len)
			abort();
		check_index(&ram.index);
		read_pages(&ram);
		if (!ram.damage)
			read_devices(&ram, &devices);
		check_layout(&ram, &devices);
	}
	devices_finish(&devices);
	ram_finish(&ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct synth_image file = { bytes, len };
	struct image image;
	struct fault fault = { 0 };
	struct source source = { .read = read_bytes, .user = &file, .size = len };
	int r = image_open(&image, &source, NULL, &fault);

	if (r < 0 && (!fault.why || fault.code != r))
		abort();
	if (r == 0) {
		check_spans(&image.spans);
		read_stream(&image.spans);
	}
	image_close(&image);
	return 0;
}

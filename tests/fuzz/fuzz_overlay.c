/* SPDX-License-Identifier: MIT */
/*
 * Files of overlays (records.h says how the input is one). Where one can be read a write is added to it, and the file has
 * to give both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../plugins/layers/overlay/overlay.h"
#include "records.h"
#include "space/backed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGES_MAX = 256 };

static int64_t told_note(void *below, const char *name, void *buf, size_t cap)
{
	(void)below;
	if (strcmp(name, SONDE_NOTE_IDENTITY) != 0 || cap < 4)
		return SONDE_E_NOT_FOUND;
	memcpy(buf, "this", 4);
	return 4;
}

static int open_file(struct overlay *overlay, struct sonde_host *host, const char *path, int write)
{
	struct sonde_error err = { 0 };

	*overlay = (struct overlay){ .host = host, .write = write };
	if (pages_init(&overlay->pages, PAGES_MAX) < 0)
		abort();
	int r = keep_open(overlay, path, &err);
	if (r < 0 && (err.code != r || err.text[0] == '\0'))
		abort();
	return r;
}

static void close_file(struct overlay *overlay)
{
	keep_close(overlay);
	pages_finish(&overlay->pages);
}

/* Is every byte that one holds also in the other, at its place? */
static void check_held(const struct overlay_pages *pages, const struct overlay_pages *others)
{
	uint64_t *numbers = pages_sorted(pages);

	for (uint64_t i = 0; numbers && i < pages->n; i++) {
		const struct overlay_page *page = pages_find(pages, numbers[i]);
		const struct overlay_page *other = pages_find(others, numbers[i]);
		if (!page || !other || memcmp(page->mask, other->mask, sizeof(page->mask)) != 0 ||
		    memcmp(page->bytes, other->bytes, sizeof(page->bytes)) != 0)
			abort();
	}
	free(numbers);
}

static void add_one(struct sonde_host *host, const char *path)
{
	static struct overlay one, again;
	const uint8_t bytes[] = { 'n', 'e', 'w' };
	uint32_t stored;

	if (open_file(&one, host, path, 1) == 0 &&
	    overlay_store(&one, UINT64_MAX - 2, bytes, 3, &stored) == 0) {
		if (keep_write(&one, UINT64_MAX - 2, bytes, 3) < 0)
			abort();
		if (open_file(&again, host, path, 0) < 0 || again.pages.n != one.pages.n ||
		    again.pages.n_bytes != one.pages.n_bytes)
			abort();
		check_held(&one.pages, &again.pages);
		close_file(&again);
	}
	close_file(&one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sonde_host host = space_host;
	static struct overlay overlay;
	int fd = records_file(RECFILE_OVERLAY, data, size);
	char path[64];

	if (fd < 0)
		return 0;
	host.note = told_note;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = open_file(&overlay, &host, path, 0);
	if (overlay.pages.n > PAGES_MAX)
		abort();
	close_file(&overlay);
	if (r == 0)
		add_one(&host, path);
	close(fd);
	return 0;
}

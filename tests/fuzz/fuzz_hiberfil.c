/* SPDX-License-Identifier: MIT */
/*
 * Hibernation files of Windows: any bytes as a file; the header, the index of sets, and what the first sets unpack to. What the
 * parser hands out must keep the promises of hiber_file.h.
 */
#include "../../connectors/common/unpack.h"
#include "../../connectors/hiberfil/hiber_file.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static void check_runs(const struct hiber_file *file)
{
	uint64_t end = 0;

	if (!file->n_runs)
		abort();
	for (size_t i = 0; i < file->n_runs; i++) {
		const struct hiber_run *run = &file->runs[i];
		if (!run->n || run->set >= file->n_sets || run->page < end ||
		    run->page + run->n > UINT64_C(1) << 52 ||
		    run->first + run->n > file->sets[run->set].n)
			abort();
		end = run->page + run->n;
		if (hiber_file_find(file, run->page) != i || hiber_file_find(file, end - 1) != i)
			abort();
	}
}

static void check_set(const struct hiber_set *set, uint64_t size)
{
	if (!set->n || set->n > HIBER_SET_PAGES || !set->len || set->len > HIBER_PACKED_MAX ||
	    set->off > size || set->cut != (set->len > size - set->off) ||
	    (set->packed == PACK_NONE && set->len != set->n * HIBER_PAGE))
		abort();
}

/* The first sets, each into a place that is exactly as large as it says. */
static void unpack_some(const struct hiber_file *file, struct unpacker *unpacker)
{
	for (size_t i = 0; i < file->n_sets; i++) {
		const struct hiber_set *set = &file->sets[i];
		check_set(set, file->source->size);
		if (i >= 8 || set->cut || set->packed == PACK_NONE)
			continue;
		uint8_t *packed = malloc(set->len), *pages = malloc(set->n * HIBER_PAGE);
		if (source_read(file->source, set->off, packed, set->len) < 0)
			abort();
		unpack(unpacker, set->packed, packed, set->len, pages, set->n * HIBER_PAGE);
		free(packed);
		free(pages);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct unpacker *unpacker;
	struct synth_image image = { bytes, len };
	struct source source = { .read = read_bytes, .user = &image, .size = len };
	struct hiber_file file;

	if (!unpacker)
		unpacker = unpacker_create();
	int r = hiber_file_read(&file, &source);
	if (r < 0 ? !file.why[0] : r > 0)
		abort();
	if (r == 0) {
		check_runs(&file);
		unpack_some(&file, unpacker);
	}
	hiber_file_finish(&file);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * kdump: kdump-compressed dumps: makedumpfile's, and those of QEMU's dump-guest-memory -z, -l, -s.
 *
 *	spool      a pipe becomes a file
 *	flattened  pieces become a dump (common)
 *	dump       parts of a split dump come together
 *	kdump_file heads: where each page lies; bitmap: which there are
 *	pages      where each lies, for common/blocks, which cuts requests at them and unpacks each once
 */
#include "../common/note.h"

#include <sonde/plugin.h>

#include <stdio.h>
#include <stdlib.h>

#include "dump.h"
#include "kdump_format.h"
#include "pages.h"

#define KEEP_DEFAULT (8u << 20)

struct kdump {
	const struct sonde_host *host;
	struct dump dump;
	struct pages pages;
	struct blocks *blocks;
	char detail[320];
};

/* ---- what it is ----------------------------------------------------------------------------------- */

static const char *packing(uint32_t status)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} ways[] = {
		{ KDUMP_ZLIB, "zlib" },
		{ KDUMP_LZO, "lzo" },
		{ KDUMP_SNAPPY, "snappy" },
		{ KDUMP_ZSTD, "zstd" },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (status & ways[i].bit)
			return ways[i].name;
	}
	return "not packed";
}

static void describe(struct kdump *kdump)
{
	const struct kdump_file *file = &kdump->dump.files[0];
	uint64_t n_saved = 0;
	char pages[32] = "";
	uint32_t n_cpus = elf_core_cpu_count(&file->notes);
	char parts[80] = "", left[80] = "";
	int cut = 0;

	for (size_t i = 0; i < kdump->dump.n; i++) {
		n_saved += kdump->dump.files[i].n_saved;
		cut |= kdump->dump.files[i].cut || kdump->dump.parts[i].flat.cut;
	}
	if (file->counted)
		snprintf(pages, sizeof(pages), "%llu ", (unsigned long long)n_saved);
	if (file->split)
		snprintf(parts, sizeof(parts), ", %zu part%s", kdump->dump.n,
			 kdump->dump.n == 1 ? "" : "s");
	if (file->n_all > n_saved)
		snprintf(left, sizeof(left), ", %llu pages in parts that are not here",
			 (unsigned long long)(file->n_all - n_saved));
	snprintf(kdump->detail, sizeof(kdump->detail),
		 "kdump-compressed dump, version %u, %s, %u CPU%s, %spages of %u bytes%s%s%s%s",
		 file->version, packing(file->status), n_cpus, n_cpus == 1 ? "" : "s", pages,
		 file->page_size, kdump->dump.parts[0].is_flat ? ", flattened" : "", parts, left,
		 cut                               ? ", cut off"
		 : file->status & KDUMP_INCOMPLETE ? ", not finished by its writer"
						   : "");
}

static void kdump_info(void *conn, struct sonde_target_info *ret)
{
	struct kdump *kdump = conn;
	const struct kdump_file *file = &kdump->dump.files[0];

	ret->detail = kdump->detail;
	ret->arch = file->arch;
	ret->flags = SONDE_TARGET_PHYSICAL;
	ret->n_cpus = elf_core_cpu_count(&file->notes);
}

/* ---- life ----------------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
	const struct kdump_file *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static void kdump_close(void *conn)
{
	struct kdump *kdump = conn;

	blocks_destroy(kdump->blocks);
	dump_close(&kdump->dump);
	free(kdump);
}

static int refuse_writing(const struct sonde_host *host, const char *path, struct sonde_error *err)
{
	return host->error_set(
		err, SONDE_E_READ_ONLY,
		"kdump: '%.300s': packed pages cannot be written: put an overlay in front, "
		"'kdump:%.100s|overlay'",
		path, path);
}

static int start(struct kdump *kdump, const struct sonde_host *host, uint64_t keep,
		 struct sonde_error *err)
{
	qsort(kdump->dump.files, kdump->dump.n, sizeof(*kdump->dump.files), by_first);
	describe(kdump);
	kdump->pages.files = kdump->dump.files;
	kdump->pages.n = kdump->dump.n;
	struct block_map map = pages_map(&kdump->pages);
	int r = blocks_create(&kdump->blocks, &map, blocks_threads(), keep);
	return r < 0 ? host->error_set(err, r, NULL) : 0;
}

static int kdump_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		      struct sonde_error *err)
{
	const char *path = image_file_path(host, args, "kdump", err);
	const char *parts = host->arg(args, "parts");
	uint64_t keep = KEEP_DEFAULT >> 20;

	if (!path)
		return SONDE_E_BAD_ARG;
	if (parts && strcmp(parts, "all") != 0 && strcmp(parts, "one") != 0)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "kdump: parts=%.40s: write parts=all or parts=one", parts);
	int r = blocks_keep(host, args, "kdump", &keep, err);
	if (r < 0)
		return r;
	if (host->arg_write(args))
		return refuse_writing(host, path, err);
	struct kdump *kdump = calloc(1, sizeof(*kdump));
	if (!kdump)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	kdump->host = host;
	r = dump_open(&kdump->dump, host, args, path, parts && strcmp(parts, "one") == 0, err);
	if (r == 0)
		r = start(kdump, host, keep << 20, err);
	if (r < 0) {
		kdump_close(kdump);
		return r;
	}
	*ret_conn = kdump;
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void kdump_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct kdump *kdump = conn;

	blocks_transfer(kdump->blocks, kdump->host, ios, n);
}

/* Memory that can be read: what was saved, and zeros that were left out and are known to be zeros. */
static int kdump_regions(void *conn, sonde_region_fn *fn, void *user)
{
	const struct kdump_file *file = &((struct kdump *)conn)->dump.files[0];
	struct bitmap *bits = file->level == KDUMP_LEVEL_ZERO ? file->memory : file->saved;
	int r = 0;

	for (uint64_t at = 0, end = 0; r == 0; at = end) {
		r = bitmap_next(bits, 1, at, &at);
		if (r < 0 || at == file->n_pages)
			break;
		r = bitmap_next(bits, 0, at, &end);
		if (r < 0)
			break;
		struct sonde_region region = {
			.addr = at << file->page_shift,
			.len = (end - at) << file->page_shift,
			.flags = SONDE_REGION_READ | SONDE_REGION_RAM,
			.name = "",
		};
		r = fn(user, &region);
	}
	return r;
}

static int kdump_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	const struct elf_core *notes = &((struct kdump *)conn)->dump.files[0].notes;

	return elf_core_cpu_count(notes) ? elf_core_cpu(notes, index, ret) : SONDE_E_UNSUPPORTED;
}

/* What there is of each kind of page. A bitmap is 1/32768 of the memory. */
struct counts {
	uint64_t memory, saved, elsewhere; /* elsewhere: in parts that are not here */
	int has_memory, cut;
};

/*
 * All of memory is counted where its bitmap lies here, is small, or comes all the same, for regions: who asks for facts asks for
 * those.
 */
static int count_pages(struct kdump *kdump, struct counts *ret)
{
	const struct kdump_file *first = &kdump->dump.files[0];
	int r = 0;

	*ret = (struct counts){ .has_memory = !first->source.ahead ||
					      first->level == KDUMP_LEVEL_ZERO ||
					      first->n_pages <= KDUMP_COUNTED_MAX };
	for (size_t i = 0; r == 0 && i < kdump->dump.n; i++) {
		struct kdump_file *file = &kdump->dump.files[i];
		r = kdump_file_count(file);
		ret->saved += file->n_saved;
		ret->cut |= file->cut || kdump->dump.parts[i].flat.cut;
	}
	ret->elsewhere = first->n_all > ret->saved ? first->n_all - ret->saved : 0;
	return r == 0 && ret->has_memory ? bitmap_count(first->memory, &ret->memory) : r;
}

static int64_t tell_facts(struct kdump *kdump, void *buf, size_t cap)
{
	int zeros = kdump->dump.files[0].level == KDUMP_LEVEL_ZERO;
	char text[256], memory[64] = "", left[64] = "", elsewhere[64] = "";
	struct counts n;
	int r = count_pages(kdump, &n);

	if (r < 0)
		return r;
	uint64_t saved = n.saved + n.elsewhere;
	if (n.has_memory)
		snprintf(memory, sizeof(memory), "pages=%llu\n", (unsigned long long)n.memory);
	if (n.has_memory && n.memory >= saved)
		snprintf(left, sizeof(left), "pages_%s=%llu\n", zeros ? "zero" : "left_out",
			 (unsigned long long)(n.memory - saved));
	if (n.elsewhere)
		snprintf(elsewhere, sizeof(elsewhere), "pages_in_other_parts=%llu\n",
			 (unsigned long long)n.elsewhere);
	snprintf(text, sizeof(text), "%spages_saved=%llu\n%s%s%s", memory,
		 (unsigned long long)n.saved, left, elsewhere, n.cut ? "cut_off=1\n" : "");
	return note_text(text, buf, cap);
}

static int64_t kdump_note(void *conn, const char *name, void *buf, size_t cap)
{
	if (strcmp(name, SONDE_NOTE_FACTS) == 0)
		return tell_facts(conn, buf, cap);
	const struct kdump_file *file = &((struct kdump *)conn)->dump.files[0];

	if (strcmp(name, "VMCOREINFO") == 0 && file->info_len)
		return note_bytes(file->info, file->info_len, buf, cap);
	return elf_core_note(&file->notes, name, buf, cap);
}

static int kdump_probe(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	size_t at = flattened_start(head, head_len);

	(void)file_size;
	return head_len - at >= KDUMP_SIGNATURE_SIZE &&
			       memcmp(head + at, KDUMP_SIGNATURE, KDUMP_SIGNATURE_SIZE) == 0
		       ? 90
		       : 0;
}

static const struct sonde_connector_ops kdump_ops = {
	.size = sizeof(kdump_ops),
	.open = kdump_open,
	.close = kdump_close,
	.info = kdump_info,
	.transfer = kdump_transfer,
	.regions = kdump_regions,
	.cpu = kdump_cpu,
	.note = kdump_note,
	.probe = kdump_probe,
};

SONDE_PLUGIN(.name = "kdump", .summary = "kdump-compressed dump of a machine, plain or flattened",
	     .main_arg = "path",
	     .args_help = "path=FILE  the dump to read, its URL, or - standard input (required)\n"
			  "parts=all|one  of a split dump: also the parts beside it (all)\n"
			  "keep=MB  unpacked pages that are kept (8)\n",
	     .connector = &kdump_ops);

/* SPDX-License-Identifier: MIT */
/*
 * hiberfil: what Windows wrote to hiberfil.sys as it hibernated. hiber_file.c indexes which page lies in which packed set;
 * common/blocks unpacks those that are asked for.
 */
#include "../common/blocks.h"
#include "../common/image_file.h"
#include "../common/note.h"
#include "../common/note_lines.h"
#include "../common/win_context.h"
#include "hiber_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_DEFAULT UINT64_C(32) /* MiB */

struct hiberfil {
	const struct sonde_host *host;
	struct image_file image;
	struct source source;
	struct hiber_file file;
	struct blocks *blocks;
	struct note_lines facts;
	char detail[256];
};

/* ---- its sets as blocks --------------------------------------------------------------------------- */

/* Nothing from the address on, up to the run i or the end of all. */
static void no_page(const struct hiber_file *file, size_t i, uint64_t addr, struct block *ret)
{
	uint64_t left =
		i < file->n_runs ? file->runs[i].page * HIBER_PAGE - addr : UINT64_MAX - addr;

	ret->size = left == 0 ? 1 : left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	ret->err = SONDE_E_NOT_MAPPED;
}

static void set_at(void *user, uint64_t addr, struct block *ret)
{
	const struct hiber_file *file = &((const struct hiberfil *)user)->file;
	size_t i = hiber_file_find(file, addr / HIBER_PAGE);
	const struct hiber_run *run = i < file->n_runs ? &file->runs[i] : NULL;

	if (!run || run->page > addr / HIBER_PAGE) {
		no_page(file, i, addr, ret);
		return;
	}
	uint32_t into = (uint32_t)(addr - run->page * HIBER_PAGE);
	ret->run = run->n * HIBER_PAGE - into;
	if (file->sets[run->set].cut) {
		ret->size = ret->run;
		ret->err = SONDE_E_TRUNCATED;
		return;
	}
	ret->id = run->set;
	ret->size = file->sets[run->set].n * HIBER_PAGE;
	ret->inside = run->first * HIBER_PAGE + into;
}

static int place(void *user, uint64_t id, struct block_place *ret)
{
	const struct hiberfil *h = user;
	const struct hiber_set *set = &h->file.sets[id];

	*ret = (struct block_place){
		.source = &h->source, .off = set->off, .len = set->len, .packed = set->packed
	};
	return 0;
}

/* ---- what it is ------------------------------------------------------------------------------------ */

static void describe(struct hiberfil *h)
{
	const struct hiber_file *file = &h->file;
	char missing[64] = "", twice[64] = "";

	if (file->n_missing)
		snprintf(missing, sizeof(missing), ", %" PRIu64 " pages missing", file->n_missing);
	if (file->n_twice)
		snprintf(twice, sizeof(twice), ", %" PRIu64 " pages told twice", file->n_twice);
	snprintf(h->detail, sizeof(h->detail),
		 "hibernation file of Windows %s, %u bits, %s, %" PRIu64 " pages in %zu sets%s%s%s",
		 hiber_windows(file), hiber_bits(file), hiber_state(file), file->n_pages,
		 file->n_sets, missing, twice, file->cut ? ", cut off" : "");
}

static int tell_facts(struct hiberfil *h)
{
	char time[32];
	int r = note_lines_open(&h->facts);

	if (r < 0)
		return r;
	fprintf(h->facts.out, "hibernation_state=%s\n", hiber_state(&h->file));
	win_time_text(h->file.time, time);
	if (time[0])
		fprintf(h->facts.out, "system_time=%s\n", time);
	return note_lines_close(&h->facts);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void hiberfil_close(void *conn)
{
	struct hiberfil *h = conn;

	blocks_destroy(h->blocks);
	note_lines_finish(&h->facts);
	hiber_file_finish(&h->file);
	image_file_close(&h->image);
	free(h);
}

static int open_all(struct hiberfil *h, uint64_t keep, struct sonde_error *err)
{
	struct block_map map = { .user = h,
				 .size_max = HIBER_SET_MAX,
				 .packed_max = HIBER_PACKED_MAX,
				 .at = set_at,
				 .place = place };

	h->source = image_file_source(&h->image);
	int r = hiber_file_read(&h->file, &h->source);
	if (r < 0)
		return image_file_refuse(&h->image, "hiberfil", r, h->file.why, err);
	describe(h);
	r = tell_facts(h);
	if (r == 0)
		r = blocks_create(&h->blocks, &map, blocks_threads(), keep);
	return r < 0 ? h->host->error_set(err, r, NULL) : 0;
}

static int hiberfil_open(const struct sonde_host *host, const struct sonde_args *args,
			 void **ret_conn, struct sonde_error *err)
{
	uint64_t keep = KEEP_DEFAULT;
	int r = blocks_keep(host, args, "hiberfil", &keep, err);

	if (r < 0)
		return r;
	if (host->arg_write(args))
		return host->error_set(
			err, SONDE_E_READ_ONLY,
			"hiberfil: packed memory cannot be written: put an overlay in "
			"front, 'hiberfil:FILE|overlay'");
	struct hiberfil *h = calloc(1, sizeof(*h));
	if (!h)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	h->host = host;
	r = image_file_open(&h->image, host, args, "hiberfil", err);
	if (r == 0)
		r = open_all(h, keep << 20, err);
	if (r < 0) {
		hiberfil_close(h);
		return r;
	}
	*ret_conn = h;
	return 0;
}

static void hiberfil_info(void *conn, struct sonde_target_info *ret)
{
	const struct hiberfil *h = conn;

	ret->detail = h->detail;
	ret->arch = h->file.cpu.arch;
	ret->flags = SONDE_TARGET_PHYSICAL;
	ret->n_cpus = h->file.cpu.valid != 0;
}

static void hiberfil_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct hiberfil *h = conn;

	blocks_transfer(h->blocks, h->host, ios, n);
}

/* Runs that touch are one region. */
static int hiberfil_regions(void *conn, sonde_region_fn *fn, void *user)
{
	const struct hiber_file *file = &((const struct hiberfil *)conn)->file;
	int r = 0;

	for (size_t i = 0; r == 0 && i < file->n_runs;) {
		uint64_t page = file->runs[i].page, end = page;
		for (; i < file->n_runs && file->runs[i].page == end; i++)
			end += file->runs[i].n;
		struct sonde_region region = { .addr = page * HIBER_PAGE,
					       .len = (end - page) * HIBER_PAGE,
					       .flags = SONDE_REGION_READ | SONDE_REGION_RAM,
					       .name = "" };
		r = fn(user, &region);
	}
	return r;
}

static int hiberfil_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	const struct sonde_cpu *cpu = &((const struct hiberfil *)conn)->file.cpu;

	if (!cpu->valid)
		return SONDE_E_UNSUPPORTED;
	if (index)
		return SONDE_E_NOT_FOUND;
	*ret = *cpu;
	return 0;
}

static int64_t hiberfil_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct hiberfil *h = conn;

	if (strcmp(name, SONDE_NOTE_FACTS) != 0)
		return SONDE_E_NOT_FOUND;
	return note_bytes(h->facts.text, h->facts.len, buf, cap);
}

static int hiberfil_is(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return hiber_probe(head, head_len) ? 90 : 0;
}

static const struct sonde_connector_ops hiberfil_ops = {
	.size = sizeof(hiberfil_ops),
	.open = hiberfil_open,
	.close = hiberfil_close,
	.info = hiberfil_info,
	.transfer = hiberfil_transfer,
	.regions = hiberfil_regions,
	.cpu = hiberfil_cpu,
	.note = hiberfil_note,
	.probe = hiberfil_is,
};

SONDE_PLUGIN(.name = "hiberfil", .summary = "hibernation file of Windows (hiberfil.sys)",
	     .main_arg = "path",
	     .args_help = "path=FILE  the file to read, or its URL (required)\n"
			  "keep=MB  unpacked memory that is kept (32)\n",
	     .connector = &hiberfil_ops);

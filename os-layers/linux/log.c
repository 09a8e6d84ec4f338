/* SPDX-License-Identifier: MIT */
/*
 * Fetching the kernel's log: in four trips where the kernel has a ring of records (v5.10 and
 * later), in two where it has one buffer. log_parse.c makes records of the bytes.
 */
#include <stdlib.h>

#include "linux/linux.h"
#include "linux/log.h"

#define COUNT_BITS_MAX 24u            /* 16 M records                  */
#define SIZE_BITS_MAX 30u             /* LOG_BUF_LEN_MAX is 2 GiB; none has it */
#define BYTES_MAX (UINT64_C(1) << 30) /* of one array  */

struct fetch {
	struct linux_os *lx;
	struct sonde_batch *batch;
	struct arena arena;
	uint64_t ring;
	uint64_t descs, infos, data; /* addresses       */
	uint32_t n_bad;              /* of three arrays */
	int32_t err;
};

/* The place of a bit field. */
static struct bits find_bits(const struct linux_os *lx, const char *type, const char *member)
{
	struct sonde_member m;
	uint32_t id;

	if (!lx->os.types || !sonde_type_find(lx->os.types, type, &id) ||
	    !sonde_type_member(lx->os.types, id, member, &m) || m.bit_off > 1u << 16 ||
	    m.bit_size > 8 || m.bit_off % 8 + m.bit_size > 8)
		return (struct bits){ 0 };
	return (struct bits){ (uint32_t)m.bit_off / 8, m.bit_off % 8, (uint32_t)m.bit_size };
}

/* Run what was asked for; r is what asking said. */
static int run(struct fetch *f, int r)
{
	int ran = sonde_batch_run(f->batch);

	return r == SONDE_OK && ran < 0 ? ran : r;
}

/* What describes the ring: sizes, addresses, first and last id. */
static int read_ring(struct fetch *f, struct log_ring *ring)
{
	const struct layout *l = &f->lx->layout;
	struct field count_bits = inside(l->prb_desc_ring, l->ring_count_bits);
	struct field descs = inside(l->prb_desc_ring, l->ring_descs);
	struct field infos = inside(l->prb_desc_ring, l->ring_infos);
	struct field head = inside(l->prb_desc_ring, l->ring_head_id);
	struct field tail = inside(l->prb_desc_ring, l->ring_tail_id);
	struct field size_bits = inside(l->prb_data_ring, l->data_size_bits);
	struct field data = inside(l->prb_data_ring, l->data_data);
	uint64_t n = 0, size = 0;
	struct plan plan = { 0 };
	struct rows rows;

	plan_add(&plan, count_bits);
	plan_add(&plan, descs);
	plan_add(&plan, infos);
	plan_add(&plan, head);
	plan_add(&plan, tail);
	plan_add(&plan, size_bits);
	plan_add(&plan, data);
	int r = rows_init(&rows, &plan, 1);
	if (r == SONDE_OK)
		r = rows_want(&rows, 0, f->ring, f->lx->os.kernel_memory, f->batch);
	r = run(f, r);
	if (r == SONDE_OK && ((r = rows_u64(&rows, 0, count_bits, &n)) < 0 ||
			      (r = rows_u64(&rows, 0, descs, &f->descs)) < 0 ||
			      (r = rows_u64(&rows, 0, infos, &f->infos)) < 0 ||
			      (r = rows_u64(&rows, 0, head, &ring->head_id)) < 0 ||
			      (r = rows_u64(&rows, 0, tail, &ring->tail_id)) < 0 ||
			      (r = rows_u64(&rows, 0, size_bits, &size)) < 0))
		n = size = 0;
	else if (r == SONDE_OK)
		r = rows_u64(&rows, 0, data, &f->data);
	rows_finish(&rows);
	if (r == SONDE_OK && (n > COUNT_BITS_MAX || size > SIZE_BITS_MAX || size < 3 ||
			      (UINT64_C(1) << n) * l->desc_size > BYTES_MAX ||
			      (UINT64_C(1) << n) * l->info_size > BYTES_MAX))
		r = SONDE_E_CORRUPT;
	ring->count_bits = (uint32_t)n;
	ring->size_bits = (uint32_t)size;
	return r;
}

static int want_array(struct fetch *f, uint64_t addr, uint64_t len, const uint8_t **ret,
		      int32_t *ret_err)
{
	uint8_t *bytes = arena_alloc(&f->arena, len + 1);

	*ret = bytes;
	if (!bytes)
		return SONDE_E_NO_MEMORY;
	*ret_err = SONDE_E_CORRUPT;
	if (!linux_pointer_plausible(f->lx, addr & ~UINT64_C(7)) || !len)
		return SONDE_OK;
	return sonde_batch_add(f->batch, f->lx->os.kernel_memory, addr, bytes, len, ret_err);
}

/* All three arrays whole. What cannot be read of them is zero, and no record then. */
static int read_arrays(struct fetch *f, struct log_ring *ring)
{
	const struct layout *l = &f->lx->layout;
	uint64_t n = UINT64_C(1) << ring->count_bits;
	int32_t errs[3] = { 0 };
	int r = want_array(f, f->descs, n * l->desc_size, &ring->descs, &errs[0]);

	if (r == SONDE_OK)
		r = want_array(f, f->infos, n * l->info_size, &ring->infos, &errs[1]);
	if (r == SONDE_OK)
		r = want_array(f, f->data, UINT64_C(1) << ring->size_bits, &ring->data, &errs[2]);
	r = run(f, r);
	for (int i = 0; i < 3; i++) {
		f->err = f->err ? f->err : errs[i];
		f->n_bad += errs[i] != 0;
	}
	return r;
}

static int log_ring(struct fetch *f, uint64_t symbol, struct sonde_log *list)
{
	struct log_ring ring = {
		.layout = &f->lx->layout,
		.level = find_bits(f->lx, "struct printk_info", "level"),
	};
	uint32_t lost = 0;
	int r = sonde_space_u64(f->lx->os.kernel_memory, symbol, &f->ring);

	if (r == SONDE_OK && !linux_pointer_plausible(f->lx, f->ring))
		r = SONDE_E_CORRUPT;
	if (r == SONDE_OK)
		r = read_ring(f, &ring);
	if (r == SONDE_OK)
		r = read_arrays(f, &ring);
	if (r == SONDE_OK)
		r = log_parse_ring(&ring, list, &lost);
	if (r == SONDE_OK && f->err && list->n == 0)
		r = f->err;
	if (r == SONDE_OK && f->err)
		LIST_DAMAGE(
			list,
			"%u of the log's 3 arrays could not be read whole: %s; records are missing",
			f->n_bad, sonde_strerror(f->err));
	else if (r == SONDE_OK && lost)
		LIST_DAMAGE(list, "%u records have no text where they say it is", lost);
	return r;
}

static int want_variable(struct fetch *f, const char *name, uint8_t *buf, size_t len,
			 int32_t *ret_err)
{
	uint64_t at;

	if (!linux_symbol(f->lx, name, &at))
		return SONDE_E_NOT_FOUND;
	return sonde_batch_add(f->batch, f->lx->os.kernel_memory, at, buf, len, ret_err);
}

static int log_buffer(struct fetch *f, struct sonde_log *list)
{
	struct linux_os *lx = f->lx;
	uint8_t buf[8] = { 0 }, len[4] = { 0 }, first[4] = { 0 }, next[4] = { 0 }, seq[8] = { 0 };
	struct log_buffer log = {
		.layout = &lx->layout,
		.level = find_bits(lx, "struct printk_log", "level"),
	};
	int32_t errs[4] = { 0 };
	uint32_t lost = 0;
	int r = want_variable(f, "log_buf", buf, sizeof(buf), &errs[0]);

	if (r == SONDE_OK)
		r = want_variable(f, "log_buf_len", len, sizeof(len), &errs[1]);
	if (r == SONDE_OK)
		r = want_variable(f, "log_first_idx", first, sizeof(first), &errs[2]);
	if (r == SONDE_OK)
		r = want_variable(f, "log_next_idx", next, sizeof(next), &errs[3]);
	/* Only numbers the records, and is not always told. */
	if (r == SONDE_OK &&
	    (r = want_variable(f, "log_first_seq", seq, sizeof(seq), NULL)) == SONDE_E_NOT_FOUND)
		r = SONDE_OK;
	r = run(f, r);
	for (int i = 0; i < 4 && r == SONDE_OK; i++)
		r = errs[i];
	log.len = sonde_le32(len);
	log.first = sonde_le32(first);
	log.next = sonde_le32(next);
	log.first_seq = sonde_le64(seq);
	if (r == SONDE_OK && (!log.len || log.len > BYTES_MAX))
		r = SONDE_E_CORRUPT;
	if (r == SONDE_OK)
		r = want_array(f, sonde_le64(buf), log.len, &log.bytes, &f->err);
	r = run(f, r);
	if (r == SONDE_OK)
		r = log_parse_buffer(&log, list, &lost);
	if (r == SONDE_OK && f->err && list->n == 0)
		r = f->err;
	if (r == SONDE_OK && f->err)
		LIST_DAMAGE(list,
			    "the log's buffer could not be read whole: %s; records are missing",
			    sonde_strerror(f->err));
	else if (r == SONDE_OK && lost)
		LIST_DAMAGE(list, "the log breaks off behind %zu records", list->n);
	return r;
}

int linux_log(struct sonde_os *os, struct sonde_log *list, struct sonde_error *err)
{
	struct fetch f = { .lx = linux_of(os) };
	const struct layout *l = &f.lx->layout;
	bool ring = has(l->prb_desc_ring) && has(l->prb_data_ring);
	uint64_t symbol = 0;
	int r = SONDE_E_NO_MEMORY;

	if (ring ? !linux_symbol(f.lx, "prb", &symbol) : !has(l->record_len))
		return sonde_error_set(
			err, SONDE_E_UNSUPPORTED,
			"linux: log: this kernel's symbols and types describe neither a "
			"printk ring buffer (prb) nor log_buf");
	f.batch = sonde_batch_create(f.lx->loop);
	if (f.batch)
		r = ring ? log_ring(&f, symbol, list) : log_buffer(&f, list);
	sonde_batch_destroy(f.batch);
	arena_finish(&f.arena);
	if (r < 0)
		return sonde_error_set(
			err, r, "linux: log: the %s at 0x%llx: %s", ring ? "ring" : "buffer",
			(unsigned long long)(ring ? f.ring : symbol), sonde_strerror(r));
	return SONDE_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Structure reads. Fields near each other travel together in a run, so that a structure costs few
 * pieces; the runs of all structures are one batch. A run that failed somewhere says only where it
 * first did, so its fields are read again, each as a piece of its own.
 */
#include <sonde/error.h>
#include <sonde/fields.h>
#include <stdbool.h>

#include "base/mem.h"

#define GAP 192u                    /* fields closer than this travel together   */
#define WINDOW (UINT32_C(16) << 20) /* bytes that one trip may take up           */
#define FEW_XFERS 8u
#define FEW_BYTES 512u

struct run {
	uint32_t off, len; /* of the structure  */
	uint32_t at;       /* in its row        */
};

/* How one structure is read. */
struct plan {
	const struct sonde_fields *fields;
	uint8_t order[SONDE_FIELDS_MAX];  /* [n] fields that are there, by off   */
	uint8_t run_of[SONDE_FIELDS_MAX]; /* by field                           */
	struct run runs[SONDE_FIELDS_MAX];
	uint32_t n, n_runs;
	uint32_t row; /* bytes of all runs */
};

/* Room for one trip. */
struct window {
	struct sonde_xfer *xfers; /* [rows * fields]  */
	uint8_t *bytes;           /* [rows * row]     */
	size_t rows;
};

/* ---- the plan --------------------------------------------------------------------------------- */

static bool integer_ok(const struct sonde_field *f)
{
	bool host =
		f->host_size == 1 || f->host_size == 2 || f->host_size == 4 || f->host_size == 8;

	return host && f->size <= f->host_size && f->order <= SONDE_BIG;
}

static bool field_ok(const struct sonde_fields *fields, const struct sonde_field *f)
{
	if (f->host_size == 0 || f->host_off > fields->host_size ||
	    f->host_size > fields->host_size - f->host_off)
		return false;
	if (f->off > INT32_MAX || f->size > INT32_MAX - f->off)
		return false;
	switch (f->kind) {
	case SONDE_FIELD_UNSIGNED:
	case SONDE_FIELD_SIGNED:
		return integer_ok(f);
	case SONDE_FIELD_BYTES:
		return f->size <= f->host_size;
	default:
		return f->kind == SONDE_FIELD_TEXT;
	}
}

static void sort_in(struct plan *plan, uint32_t i)
{
	const struct sonde_field *at = plan->fields->at;
	uint32_t place = plan->n++;

	while (place > 0 && at[plan->order[place - 1]].off > at[i].off) {
		plan->order[place] = plan->order[place - 1];
		place--;
	}
	plan->order[place] = (uint8_t)i;
}

static void make_runs(struct plan *plan)
{
	struct run *run = NULL;

	for (uint32_t k = 0; k < plan->n; k++) {
		const struct sonde_field *f = &plan->fields->at[plan->order[k]];
		if (!run || f->off > run->off + run->len + GAP) {
			run = &plan->runs[plan->n_runs++];
			*run = (struct run){ .off = f->off, .at = plan->row };
		}
		uint32_t len = f->off + f->size - run->off;
		if (len > run->len) {
			plan->row += len - run->len;
			run->len = len;
		}
		plan->run_of[plan->order[k]] = (uint8_t)(plan->n_runs - 1);
	}
}

static int make_plan(struct plan *plan, const struct sonde_fields *fields)
{
	uint64_t most = 0;

	if (!fields->at || fields->n - 1 >= SONDE_FIELDS_MAX)
		return SONDE_E_BAD_ARG;
	plan->fields = fields;
	plan->n = plan->n_runs = plan->row = 0;
	for (uint32_t i = 0; i < fields->n; i++) {
		if (!field_ok(fields, &fields->at[i]))
			return SONDE_E_BAD_ARG;
		most += (uint64_t)fields->at[i].size + GAP;
		if (fields->at[i].size)
			sort_in(plan, i);
	}
	if (most > INT32_MAX)
		return SONDE_E_BAD_ARG;
	make_runs(plan);
	return SONDE_OK;
}

/* ---- one structure on the host's side ------------------------------------------------------------ */

static void put_integer(const struct sonde_field *f, char *to, const uint8_t *bytes)
{
	uint64_t value = sonde_load(bytes, f->size, f->order);

	if (f->kind == SONDE_FIELD_SIGNED)
		value = (uint64_t)sonde_sign_extend(value, f->size);
	if (f->host_size == 8)
		memcpy(to, &value, 8);
	else if (f->host_size == 4)
		memcpy(to, &(uint32_t){ (uint32_t)value }, 4);
	else if (f->host_size == 2)
		memcpy(to, &(uint16_t){ (uint16_t)value }, 2);
	else
		*to = (char)value;
}

static void put_field(const struct sonde_struct *s, const struct sonde_field *f,
		      const uint8_t *bytes)
{
	char *to = (char *)s->host + f->host_off;
	uint32_t len = f->size;

	if (f->kind <= SONDE_FIELD_SIGNED) {
		put_integer(f, to, bytes);
		return;
	}
	if (f->kind == SONDE_FIELD_TEXT) {
		const uint8_t *end = mem_find(bytes, 0, len);
		len = end ? (uint32_t)(end - bytes) : len;
		len = len < f->host_size ? len : f->host_size - 1;
	}
	memcpy(to, bytes, len);
}

/* Everything is missing until it has been read. */
static void reset(const struct sonde_fields *fields, struct sonde_struct *s, int32_t err)
{
	for (uint32_t i = 0; i < fields->n; i++)
		memset((char *)s->host + fields->at[i].host_off, 0, fields->at[i].host_size);
	s->missing = UINT64_MAX >> (SONDE_FIELDS_MAX - fields->n);
	s->err = err;
	s->err_field = err ? 0 : fields->n;
}

static void arrived(const struct plan *plan, struct sonde_struct *s, uint32_t i,
		    const uint8_t *bytes)
{
	put_field(s, &plan->fields->at[i], bytes);
	s->missing &= ~(UINT64_C(1) << i);
}

static void failed(struct sonde_struct *s, uint32_t i, int32_t err)
{
	if (s->err)
		return; /* fields come by rising offset: the first one is the lowest */
	s->err = err;
	s->err_field = i;
}

/* ---- trips ---------------------------------------------------------------------------------------- */

/* Where in a row the bytes of a field lie. */
static uint8_t *bytes_of(const struct plan *plan, uint8_t *row, uint32_t i)
{
	const struct run *run = &plan->runs[plan->run_of[i]];

	return row + run->at + (plan->fields->at[i].off - run->off);
}

/* What lies behind 2^64 is a hole, and not what lies at 0. */
static bool in_reach(const struct sonde_struct *s, uint32_t off)
{
	return s->addr <= UINT64_MAX - off;
}

static size_t ask_for_runs(const struct plan *plan, struct window *w, struct sonde_struct *structs)
{
	size_t n = 0;

	for (size_t k = 0; k < w->rows; k++) {
		uint8_t *row = w->bytes + k * plan->row;
		for (uint32_t i = 0; i < plan->n_runs; i++) {
			const struct run *run = &plan->runs[i];
			if (in_reach(&structs[k], run->off))
				w->xfers[n++] =
					(struct sonde_xfer){ .addr = structs[k].addr + run->off,
							     .buf = row + run->at,
							     .len = run->len };
		}
	}
	return n;
}

/* The fields below the lowest byte that failed are good. What is behind it is not known yet. */
static bool take_runs(const struct plan *plan, struct window *w, struct sonde_struct *structs)
{
	const struct sonde_xfer *x = w->xfers;
	bool all = true;

	for (size_t k = 0; k < w->rows; k++) {
		uint8_t *row = w->bytes + k * plan->row;
		uint32_t at = 0;
		for (uint32_t i = 0; i < plan->n_runs && in_reach(&structs[k], plan->runs[i].off);
		     i++, x++) {
			uint32_t good = plan->runs[i].off + x->err_off;
			for (; at < plan->n && plan->run_of[plan->order[at]] == i; at++) {
				const struct sonde_field *f = &plan->fields->at[plan->order[at]];
				if (f->off + f->size <= good)
					arrived(plan, &structs[k], plan->order[at],
						bytes_of(plan, row, plan->order[at]));
			}
		}
		for (uint32_t i = 0; i < plan->n; i++)
			all = all && !(structs[k].missing >> plan->order[i] & 1);
	}
	return all;
}

static bool is_open(const struct sonde_struct *s, uint32_t i)
{
	return s->missing >> i & 1;
}

static size_t ask_for_fields(const struct plan *plan, struct window *w,
			     struct sonde_struct *structs)
{
	size_t n = 0;

	for (size_t k = 0; k < w->rows; k++) {
		uint8_t *row = w->bytes + k * plan->row;
		for (uint32_t at = 0; at < plan->n; at++) {
			uint32_t i = plan->order[at];
			const struct sonde_field *f = &plan->fields->at[i];
			if (is_open(&structs[k], i) && in_reach(&structs[k], f->off))
				w->xfers[n++] =
					(struct sonde_xfer){ .addr = structs[k].addr + f->off,
							     .buf = bytes_of(plan, row, i),
							     .len = f->size };
		}
	}
	return n;
}

static void take_fields(const struct plan *plan, struct window *w, struct sonde_struct *structs)
{
	const struct sonde_xfer *x = w->xfers;

	for (size_t k = 0; k < w->rows; k++) {
		for (uint32_t at = 0; at < plan->n; at++) {
			uint32_t i = plan->order[at];
			if (!is_open(&structs[k], i))
				continue;
			if (!in_reach(&structs[k], plan->fields->at[i].off)) {
				failed(&structs[k], i, SONDE_E_NOT_MAPPED);
				continue;
			}
			if (x->err)
				failed(&structs[k], i, x->err);
			else
				arrived(plan, &structs[k], i, x->buf);
			x++;
		}
	}
}

static int read_window(struct sonde_space *space, const struct plan *plan, struct window *w,
		       struct sonde_struct *structs)
{
	for (size_t k = 0; k < w->rows; k++)
		reset(plan->fields, &structs[k], SONDE_OK);
	int r = sonde_space_read(space, w->xfers, ask_for_runs(plan, w, structs));
	if (r < 0 || take_runs(plan, w, structs))
		return r;
	r = sonde_space_read(space, w->xfers, ask_for_fields(plan, w, structs));
	if (r >= 0)
		take_fields(plan, w, structs);
	return r;
}

/* Room for as many rows as there are, or as one trip or the memory that is left allow. */
static void *open_window(const struct plan *plan, struct window *w, size_t n)
{
	size_t row = plan->row + plan->n * sizeof(struct sonde_xfer) + 1;
	size_t most = WINDOW / row ? WINDOW / row : 1;
	void *room = NULL;

	w->rows = n < most ? n : most;
	while (w->rows && !(room = mem_resize(NULL, w->rows, row)))
		w->rows /= 2;
	w->xfers = room;
	w->bytes = room ? (uint8_t *)room + w->rows * plan->n * sizeof(struct sonde_xfer) : NULL;
	return room;
}

static int read_all(struct sonde_space *space, const struct plan *plan, struct window *w,
		    struct sonde_struct *structs, size_t n)
{
	size_t done = 0, rows = w->rows;
	int r = rows ? 0 : SONDE_E_NO_MEMORY, full = 0;

	while (done < n && r >= 0) {
		w->rows = n - done < rows ? n - done : rows;
		r = read_window(space, plan, w, structs + done);
		if (r >= 0)
			done += w->rows;
	}
	for (size_t k = 0; k < done; k++)
		full += structs[k].err == 0;
	for (; done < n; done++)
		reset(plan->fields, &structs[done], r);
	return r < 0 ? r : full;
}

/* Few fields need no memory but this, which a task's stack has room for. */
static int read_few(struct sonde_space *space, const struct plan *plan,
		    struct sonde_struct *structs, size_t n)
{
	struct sonde_xfer xfers[FEW_XFERS];
	uint8_t bytes[FEW_BYTES];
	struct window w = { .xfers = xfers, .bytes = bytes, .rows = n };

	return read_all(space, plan, &w, structs, n);
}

int sonde_structs_read(struct sonde_space *space, const struct sonde_fields *fields,
		       struct sonde_struct *structs, size_t n)
{
	struct window w;
	struct plan plan;
	int r = make_plan(&plan, fields);

	if (r < 0 || n > INT32_MAX)
		return SONDE_E_BAD_ARG;
	for (size_t k = 0; k < n; k++) {
		if (!structs[k].host)
			return SONDE_E_BAD_ARG;
	}
	if (n == 0)
		return 0;
	if (n <= FEW_XFERS && n * plan.n <= FEW_XFERS && n * plan.row <= FEW_BYTES)
		return read_few(space, &plan, structs, n);
	void *room = open_window(&plan, &w, n);
	r = read_all(space, &plan, &w, structs, n);
	mem_release(room);
	return r;
}

int sonde_struct_read(struct sonde_space *space, const struct sonde_fields *fields, uint64_t addr,
		      void *host, uint64_t *ret_missing)
{
	struct sonde_struct one = { .addr = addr, .host = host };
	int r = sonde_structs_read(space, fields, &one, 1);

	if (r >= 0 && ret_missing)
		*ret_missing = one.missing;
	return r < 0 ? r : one.err;
}

size_t sonde_structs_array(struct sonde_struct *structs, size_t n, uint64_t addr, uint64_t stride,
			   void *host, size_t host_stride)
{
	for (size_t k = 0; k < n; k++) {
		structs[k].addr = addr;
		structs[k].host = (char *)host + k * host_stride;
		if (stride > UINT64_MAX - addr)
			return k + 1;
		addr += stride;
	}
	return n;
}

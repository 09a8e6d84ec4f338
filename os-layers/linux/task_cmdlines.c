/* SPDX-License-Identifier: MIT */
/* Command lines: of all processes in one trip, of a guest that runs until they are found twice. */
#include <stdlib.h>
#include <string.h>

#include "linux/task.h"

#define CMDLINE_MAX (UINT64_C(1) << 20)    /* of one process  */
#define CMDLINES_MAX (UINT64_C(256) << 20) /* of all together */

/* One process's arguments on their way. */
struct cmdline {
	struct sonde_process *p;
	struct sonde_space *space;
	uint64_t start, len;
	char *bytes;  /* [len], then [one page] of the second try */
	bool title;   /* may end within its last page, where the stack does */
	bool settled; /* read twice, and the same */
	int32_t err, again_err;
};

static bool arg_range(struct tasks *f, size_t i, struct sonde_process *p, struct cmdline *c)
{
	const struct layout *l = &f->lx->layout;
	uint64_t start, end;

	if (!p->page_table ||
	    !task_take(&f->mm, i, l->mm_arg_start, p, SONDE_PROCESS_CMDLINE, &start) ||
	    !task_take(&f->mm, i, l->mm_arg_end, p, SONDE_PROCESS_CMDLINE, &end))
		return false;
	if (end <= start)
		return false;
	if (end - start > CMDLINE_MAX || f->cmdline_bytes + (end - start) > CMDLINES_MAX) {
		task_fail(p, SONDE_PROCESS_CMDLINE, SONDE_E_LIMIT);
		return false;
	}
	f->cmdline_bytes += end - start;
	c->start = start;
	c->len = end - start;
	c->p = p;
	return true;
}

static int want_cmdline(struct tasks *f, struct cmdline *c)
{
	int r = linux_user_space(f->lx, c->p->page_table, &c->space);

	if (r < 0)
		return r;
	c->bytes = arena_alloc(&f->list->arena, (size_t)c->len + 1);
	if (!c->bytes)
		return SONDE_E_NO_MEMORY;
	return sonde_batch_add(f->batch, c->space, c->start, c->bytes, (size_t)c->len, &c->err);
}

/*
 * A process that wrote over its arguments, the last byte included, has set a title: one string, which
 * may go on behind them (linux v6.6 fs/proc/base.c get_mm_proctitle).
 */
static bool is_title(const struct cmdline *c)
{
	return !c->err && c->bytes[c->len - 1] != 0;
}

static int want_title(struct tasks *f, struct cmdline *c)
{
	const size_t page = (size_t)1 << linux_page_shift(f->lx);

	c->bytes = arena_alloc(&f->list->arena, page + 1);
	if (!c->bytes)
		return SONDE_E_NO_MEMORY;
	c->len = page;
	/* The stack may end within the page: what is not there reads as the zero that ends the title. */
	return sonde_batch_add(f->batch, c->space, c->start, c->bytes, page, NULL);
}

static void set_cmdline(struct cmdline *c)
{
	struct sonde_process *p = c->p;

	if (c->err) {
		task_fail(p, SONDE_PROCESS_CMDLINE, c->err);
		return;
	}
	p->cmdline = c->bytes;
	p->cmdline_len = c->title ? strnlen(c->bytes, c->len) : c->len;
	if (c->title && p->cmdline_len < c->len)
		p->cmdline_len++;
}

/*
 * Of a guest that runs a page may have changed hands between its entry and its bytes: a process that forks keeps copies of what
 * it writes to, and the page it had becomes the child's, and then anybody's. What is found twice in a row counts.
 */
static int read_again(struct tasks *f, struct cmdline *c, size_t n, char *again)
{
	int r = SONDE_OK;

	for (size_t i = 0; i < n && r >= 0; again += c[i++].len) {
		if (c[i].settled)
			continue;
		sonde_space_invalidate(c[i].space);
		r = sonde_batch_add(f->batch, c[i].space, c[i].start, again, (size_t)c[i].len,
				    c[i].title ? NULL : &c[i].again_err);
	}
	return r < 0 ? r : sonde_batch_run(f->batch);
}

/* Returns how many were found changed. */
static size_t compare_again(struct cmdline *c, size_t n, const char *again)
{
	size_t n_changed = 0;

	for (size_t i = 0; i < n; again += c[i++].len) {
		if (c[i].settled)
			continue;
		c[i].settled = !c[i].again_err && memcmp(c[i].bytes, again, c[i].len) == 0;
		if (!c[i].settled && !c[i].again_err)
			memcpy(c[i].bytes, again, c[i].len);
		n_changed += !c[i].settled;
	}
	return n_changed;
}

static int check_cmdlines(struct tasks *f, struct cmdline *c, size_t n)
{
	enum { TRIES = 3 };
	size_t total = 0, left = n;
	int r = SONDE_OK;

	for (size_t i = 0; i < n; i++) {
		total += c[i].len;
		c[i].settled = c[i].err != 0;
	}
	char *again = malloc(total + 1);
	if (!again)
		return SONDE_E_NO_MEMORY;
	for (int i = 0; i < TRIES && left > 0 && r >= 0; i++) {
		r = read_again(f, c, n, again);
		left = r < 0 ? 0 : compare_again(c, n, again);
	}
	free(again);
	for (size_t i = 0; i < n && r >= 0; i++)
		c[i].err = c[i].settled ? c[i].err : SONDE_E_CHANGED;
	return r;
}

static int run_cmdlines(struct tasks *f, struct cmdline *c, size_t n)
{
	int r = SONDE_OK;

	for (size_t i = 0; i < n && r == SONDE_OK; i++)
		r = want_cmdline(f, &c[i]);
	if (r == SONDE_OK)
		r = sonde_batch_run(f->batch);
	for (size_t i = 0; i < n && r >= 0; i++) {
		c[i].title = is_title(&c[i]);
		if (c[i].title)
			r = want_title(f, &c[i]);
	}
	if (r >= 0)
		r = sonde_batch_run(f->batch);
	if (r >= 0 && f->lx->is_live)
		r = check_cmdlines(f, c, n);
	for (size_t i = 0; i < n && r >= 0; i++)
		set_cmdline(&c[i]);
	return r;
}

int task_cmdlines(struct tasks *f)
{
	struct cmdline *c = calloc(f->n + 1, sizeof(*c));
	size_t n = 0;

	if (!c)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < f->n; i++) {
		struct sonde_process *p = &f->list->items[i];
		if (arg_range(f, i, p, &c[n]))
			n++;
	}
	int r = run_cmdlines(f, c, n);
	for (size_t i = 0; i < n; i++)
		sonde_space_close(c[i].space);
	free(c);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* The bytes that every case begins with, and bringing them back. */
#include "store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "synth/page_tables.h"

#define AROUND UINT64_C(64) /* bytes on either side of what was written that are looked at too */

static struct {
	uint8_t *bytes; /* [STORE_BIG] */
	uint64_t root[2];
} pristine;

/* ---- what is in it -------------------------------------------------------------------------- */

/* Runs of pages that lie together, single ones, the same frame twice, missing and swapped ones. */
static uint64_t page_entry(uint64_t page)
{
	uint64_t pa = STORE_FIRST / 2 + (page < 12 ? page : page * 7 % 18) * PAGE;

	if (page % 9 == 4)
		return 0;
	if (page % 11 == 6)
		return 0x5000;
	if (page % 13 == 5)
		return (~pa & UINT64_C(0x000ffffffffff000)) |
		       0x100; /* PROT_NONE, as Linux has it */
	return pa | 3;
}

static uint64_t build(uint64_t at, unsigned levels, uint64_t *ret_end)
{
	struct page_tables t;

	tables_build(&t, pristine.bytes, TABLES_END, at, levels, "");
	for (uint64_t page = 0; page < VA_N_PAGES; page++)
		*tables_entry(&t, VA_PAGES + page * PAGE, 0) = page_entry(page);
	*tables_entry(&t, VA_LARGE, 1) = 0x83;
	*tables_entry(&t, VA_HUGE, 2) = 0x83;
	*tables_entry(&t, VA_ODD, 1) = UINT64_C(0x123456003);          /* outside of memory      */
	*tables_entry(&t, VA_ODD + 0x200000, 1) = t.root | 3;          /* the root is no such    */
	*tables_entry(&t, VA_ODD + 0x400000, 1) = STORE_FIRST / 2 | 3; /* bytes, not entries     */
	*tables_entry(&t, VA_ODD + 0x600000, 1) = (STORE_FIRST - PAGE) | 3;
	for (uint64_t page = 0; page < 4 && levels == 4; page++)
		*tables_entry(&t, VA_HIGH + page * PAGE, 0) = (STORE_FIRST - page * PAGE) | 3;
	*ret_end = t.next;
	return t.root;
}

static void make_pristine(void)
{
	uint64_t end = TABLES_AT;

	if (pristine.bytes)
		return;
	pristine.bytes = malloc(STORE_BIG);
	if (!pristine.bytes)
		abort();
	for (uint64_t i = 0; i < STORE_BIG; i++)
		pristine.bytes[i] = (uint8_t)(1 + (i * UINT64_C(0x9e3779b97f4a7c15) >> 40) % 255);
	for (unsigned i = 0; i < 2; i++)
		pristine.root[i] = build(end, 4 + i, &end);
}

uint64_t store_root(unsigned levels)
{
	make_pristine();
	return pristine.root[levels - 4];
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int new_file(bool on_disk)
{
	int fd = on_disk ? open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

	return fd >= 0 ? fd : memfd_create("property", MFD_CLOEXEC);
}

static bool fill_files(struct store *store)
{
	uint64_t first = store->size < STORE_BIG ? STORE_FIRST : STORE_BIG;
	uint64_t second = store->size - first, len = store->file_len;

	return store->fd[0] >= 0 && store->fd[1] >= 0 &&
	       pwrite(store->fd[0], pristine.bytes, len, 0) == (ssize_t)len &&
	       pwrite(store->fd[1], pristine.bytes + first, second, 0) == (ssize_t)second;
}

bool store_open(struct store *store, uint64_t size, bool in_files, bool on_disk, uint64_t file_len)
{
	make_pristine();
	*store = (struct store){ .size = size, .file_len = file_len, .fd = { -1, -1 } };
	store->dirty = store->tables = size;
	store->now_len = store->was_len = file_len;
	store->model = malloc(size);
	store->mark = calloc(1, size);
	if (!store->model || !store->mark)
		return false;
	memcpy(store->model, pristine.bytes, size);
	if (!in_files) {
		store->bytes = malloc(size);
		if (store->bytes)
			memcpy(store->bytes, pristine.bytes, size);
		return store->bytes;
	}
	store->fd[0] = new_file(on_disk);
	store->fd[1] = new_file(on_disk);
	return fill_files(store);
}

void store_close(struct store *store)
{
	free(store->bytes);
	free(store->model);
	free(store->mark);
	for (int i = 0; i < 2; i++) {
		if (store->fd[i] >= 0)
			close(store->fd[i]);
	}
}

/* ---- who has to do with it ---------------------------------------------------------------------- */

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* Of each byte only these bits stay, and those are set. */
static void change_marks(uint8_t *at, uint64_t len, uint8_t stay, uint8_t set)
{
	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		word = (word & EACH_BYTE * stay) | EACH_BYTE * set;
		memcpy(at, &word, 8);
	}
	for (; len; at++, len--)
		*at = (*at & stay) | set;
}

void store_mark(struct store *store, uint64_t off, uint32_t len, uint8_t mark)
{
	change_marks(store->mark + off, len, 0xff, mark);
	if (store->n_marked < STORE_MARKED) {
		store->marked[store->n_marked].off = off;
		store->marked[store->n_marked++].len = len;
		return;
	}
	/* No room: the last one grows to hold this one, too. */
	struct store_range *last = &store->marked[STORE_MARKED - 1];
	uint64_t end = last->off + last->len > off + len ? last->off + last->len : off + len;
	last->off = off < last->off ? off : last->off;
	last->len = end - last->off;
}

void store_mark_table(struct store *store, uint64_t off, uint32_t len)
{
	change_marks(store->mark + off, len, 0xff, MARK_TABLE);
	store->tables = off < store->tables ? off : store->tables;
	store->tables_end = off + len > store->tables_end ? off + len : store->tables_end;
}

bool store_is_marked(const struct store *store, uint64_t off, uint32_t len, uint8_t mark)
{
	const uint8_t *at = store->mark + off;
	uint64_t any = 0;

	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		any |= word;
	}
	for (; len; at++, len--)
		any |= *at;
	return any & EACH_BYTE * mark;
}

void store_settle(struct store *store)
{
	for (unsigned i = 0; i < store->n_marked; i++)
		change_marks(store->mark + store->marked[i].off, store->marked[i].len, MARK_TABLE,
			     0);
	store->n_marked = 0;
	store->was_len = store->now_len;
}

void store_written(struct store *store, uint64_t off, uint32_t len)
{
	store->dirty = off < store->dirty ? off : store->dirty;
	store->dirty_end = off + len > store->dirty_end ? off + len : store->dirty_end;
}

static bool is_second(const struct store *store, uint64_t off)
{
	return store->size < STORE_BIG && off >= STORE_FIRST;
}

/* Moves [off, off + len) of the files, as far as they go; false: the host did not. */
static bool move_files(const struct store *store, bool write, uint64_t off, uint8_t *at,
		       uint64_t len)
{
	while (len) {
		bool second = is_second(store, off);
		uint64_t begin = second ? STORE_FIRST : 0, part = len;
		uint64_t end = second ? store->size : write ? store->file_len : store->now_len;
		if (!second && store->size < STORE_BIG && part > STORE_FIRST - off)
			part = STORE_FIRST - off;
		uint64_t n = off >= end ? 0 : part < end - off ? part : end - off;
		off_t from = (off_t)(off - begin);
		ssize_t r = write ? pwrite(store->fd[second], at, n, from)
				  : pread(store->fd[second], at, n, from);
		if (r != (ssize_t)n)
			return false;
		off += part;
		at += part;
		len -= part;
	}
	return true;
}

void store_peek(const struct store *store, uint64_t off, uint8_t *to, uint32_t len)
{
	memcpy(to, store->model + off, len); /* what lies behind the end of the file */
	if (store->bytes)
		memcpy(to, store->bytes + off, len);
	else
		move_files(store, false, off, to, len);
}

bool store_cut(struct store *store, uint64_t len)
{
	if (len >= store->now_len)
		return true;
	store->now_len = len;
	return ftruncate(store->fd[0], (off_t)len) == 0;
}

/* ---- the end of a case ---------------------------------------------------------------------------- */

static bool is_same(const struct store *store, uint64_t first, const uint8_t *is, uint64_t len,
		    uint64_t *ret_off)
{
	if (memcmp(is, store->model + first, len) == 0)
		return true;
	for (uint64_t i = 0; i < len; i++) {
		if (is[i] != store->model[first + i]) {
			*ret_off = first + i;
			return false;
		}
	}
	return true;
}

bool store_verify(struct store *store, uint64_t *ret_off)
{
	uint64_t first = store->dirty > AROUND ? store->dirty - AROUND : 0;
	uint64_t end = store->dirty_end + AROUND;

	end = end > store->size ? store->size : end;
	if (store->dirty >= store->dirty_end)
		return true;
	if (store->bytes)
		return is_same(store, first, store->bytes + first, end - first, ret_off);
	uint8_t *is = malloc(end - first);
	if (!is)
		abort();
	store_peek(store, first, is, (uint32_t)(end - first));
	bool same = is_same(store, first, is, end - first, ret_off);
	free(is);
	return same;
}

static bool restore_files(struct store *store)
{
	uint64_t from = store->dirty, end = store->dirty_end;

	if (store->now_len < store->file_len) {
		from = store->now_len < from ? store->now_len : from;
		end = store->file_len > end ? store->file_len : end;
	}
	store->now_len = store->was_len = store->file_len;
	return from >= end || move_files(store, true, from, pristine.bytes + from, end - from);
}

bool store_restore(struct store *store)
{
	uint64_t from = store->dirty, end = store->dirty_end;
	bool fine = true;

	if (!store->bytes)
		fine = restore_files(store);
	if (from < end) {
		memcpy(store->model + from, pristine.bytes + from, end - from);
		if (store->bytes)
			memcpy(store->bytes + from, pristine.bytes + from, end - from);
	}
	store_settle(store);
	if (store->tables < store->tables_end)
		memset(store->mark + store->tables, 0, store->tables_end - store->tables);
	store->dirty = store->tables = store->size;
	store->dirty_end = store->tables_end = 0;
	return fine;
}

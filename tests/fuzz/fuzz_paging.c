/* SPDX-License-Identifier: MIT */
/*
 * Page tables of every format, as hostile as they come: random entries that point into a small memory, at each
 * other and at themselves. The batched walk, once cold and twice out of its store of translations, over mapped memory
 * and over such as is read by calls, and the walk of one address must tell what the naive walks of
 * tests/synth/naive_walk.h do, each byte and each flag; and so must the enumeration of all that is mapped, as far as it
 * goes: such tables share each other until a limit ends it.
 *
 * Input: a byte that chooses the format, one that says how many addresses there are, the addresses, then entries:
 * where (2 bytes, in entries) and what (8 bytes).
 */
#include <stdio.h>
#include <stdlib.h>

#include "arch/paging.h"
#include "io/request.h"
#include "space/backed.h"
#include "../synth/naive_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MEM_BITS 18u /* some tables of 64 KiB fit */
#define MEM (1u << MEM_BITS)
#define ROOT 0x10000u
#define HIGH_ROOT 0x20000u
#define ADDRESSES_MAX 32u
#define PIECE_MAX 32u

/* ---- formats ---------------------------------------------------------------------------------------- */

enum kind { X86_64, X86_32, PAE, RISCV64, ARM64, EPT, NPT, RISCV64_GUEST };

static const struct format {
	enum kind kind;
	uint32_t a, b; /* levels; va_bits; granule, va_bits */
	bool wide;     /* EPT: with accessed and dirty bits */
} formats[] = {
	{ X86_64, 4, 0, false },
	{ X86_64, 5, 0, false },
	{ X86_32, 0, 0, false },
	{ PAE, 0, 0, false },
	{ RISCV64, 39, 0, false },
	{ RISCV64, 48, 0, false },
	{ RISCV64, 57, 0, false },
	{ ARM64, 12, 39, false },
	{ ARM64, 12, 48, false },
	{ ARM64, 12, 39, true },
	{ ARM64, 12, 48, true },
	{ ARM64, 12, 52, true },
	{ ARM64, 14, 36, false },
	{ ARM64, 14, 47, false },
	{ ARM64, 14, 48, false },
	{ ARM64, 14, 47, true },
	{ ARM64, 14, 48, true },
	{ ARM64, 14, 52, true },
	{ ARM64, 16, 42, false },
	{ ARM64, 16, 48, false },
	{ ARM64, 16, 48, true },
	{ ARM64, 16, 52, true },
	{ EPT, 4, 0, false },
	{ EPT, 5, 0, true },
	{ NPT, 4, 0, false },
	{ NPT, 5, 0, false },
	{ RISCV64_GUEST, 39, 0, false },
	{ RISCV64_GUEST, 48, 0, false },
	{ RISCV64_GUEST, 57, 0, false },
};
#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

static const struct paging *paging_of(const struct format *f)
{
	switch (f->kind) {
	case X86_64:
		return paging_x86_64(f->a);
	case X86_32:
		return paging_x86_32(false);
	case PAE:
		return paging_x86_32(true);
	case RISCV64:
		return paging_riscv64(f->a);
	case EPT:
		return paging_ept(f->a, f->wide);
	case NPT:
		return paging_npt(f->a);
	case RISCV64_GUEST:
		return paging_riscv64_guest(f->a);
	default:
		return paging_arm64(f->a, f->b, f->wide);
	}
}

static struct naive_walk naive_of(const struct format *f, const struct naive_memory *m, uint64_t va)
{
	struct naive_arm64 regime = { f->a, f->b, f->wide, { ROOT, HIGH_ROOT } };

	switch (f->kind) {
	case X86_64:
		return naive_x86_64(m, ROOT, f->a, va);
	case X86_32:
		return naive_x86_32(m, ROOT, va);
	case PAE:
		return naive_pae(m, ROOT, va);
	case RISCV64:
		return naive_riscv64(m, ROOT, f->a, va);
	case EPT:
		return naive_ept(m, ROOT | (f->a - 1) << 3 | (f->wide ? 1 << 6 : 0), va);
	case NPT:
		return naive_npt(m, ROOT, f->a, va);
	case RISCV64_GUEST:
		return naive_riscv64_guest(m, ROOT, f->a, va);
	default:
		return naive_arm64(m, &regime, va);
	}
}

/* ---- the memory ---------------------------------------------------------------------------------------- */

static void close_nothing(void *conn)
{
	(void)conn;
}

static int tell_extents(void *conn, sonde_extent_fn *add, void *user, struct sonde_error *err)
{
	struct sonde_extent extent = { .addr = 0,
				       .len = MEM,
				       .kind = SONDE_EXTENT_MEMORY,
				       .flags = SONDE_REGION_READ,
				       .ptr = conn };

	(void)err;
	return add(user, &extent);
}

/* The same bytes by calls: nothing of it is mapped, so every entry and every byte is asked for. */
static void transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++) {
			const struct sonde_xfer *x = &ios[i]->xfers[k];
			uint64_t room = x->addr < MEM ? MEM - x->addr : 0;
			uint32_t there = x->len < room ? x->len : (uint32_t)room;
			if (there) {
				memcpy(x->buf, (const uint8_t *)conn + x->addr, there);
				io_account(ios[i], k, 0, there, SONDE_OK);
			}
			if (there < x->len)
				io_account(ios[i], k, there, x->len - there, SONDE_E_NOT_MAPPED);
		}
	}
}

/* Most entries point into the memory and have no bit that is reserved, or nearly all would lead nowhere. */
static uint64_t confine(const struct format *f, uint64_t entry, uint16_t where, bool root)
{
	bool riscv = f->kind == RISCV64 || f->kind == RISCV64_GUEST;
	uint64_t address = riscv ? UINT64_C(0x003ffffffffffc00) : UINT64_C(0x000ffffffffff000);
	uint64_t inside = riscv ? (MEM - 1) >> 2 : MEM - 1;

	if (where & 0xc000)
		entry &= ~(address & ~inside);
	if (where & 0x3000 && riscv)
		entry &= ~(UINT64_C(0x7f) << 54);
	if (where & 0x3000 && f->kind == EPT)
		entry &= ~UINT64_C(0x38);
	if (where & 0x3000 && f->kind == NPT)
		entry |= 4;
	if (where & 0x3000 && f->wide && f->kind == ARM64)
		entry &= ~UINT64_C(0x300) & (f->a == 16 ? ~UINT64_C(0xf000) : UINT64_MAX);
	if (where & 0x3000 && f->kind == PAE && root)
		entry &= UINT64_C(0x000fffffffffffff) & ~UINT64_C(0x1e6);
	return entry;
}

struct input {
	const uint8_t *at, *end;
};

static bool take(struct input *in, void *to, size_t len)
{
	if ((size_t)(in->end - in->at) < len)
		return false;
	memcpy(to, in->at, len);
	in->at += len;
	return true;
}

#define NEAR 4u /* words at the begin of each page, and at its end */

static void fill_memory(const struct format *f, struct input *in, uint8_t *memory)
{
	uint32_t size = paging_of(f)->entry_size;
	uint16_t where;
	uint64_t entry;

	while (take(in, &where, sizeof(where)) && take(in, &entry, sizeof(entry))) {
		uint32_t page = where >> 3 & (MEM / 4096 - 1), word = where & 7;
		uint32_t in_page = word < NEAR ? word * size : 4096 - (8 - word) * size;
		entry = confine(f, entry, where, page == ROOT / 4096);
		memcpy(memory + page * 4096 + in_page, &entry, size);
	}
}

/* ---- comparing --------------------------------------------------------------------------------------- */

struct check {
	const struct format *format;
	struct naive_memory memory;
	struct paging_map map;
	struct sonde_space *phys, *space;
	struct sonde_space *calls, *far; /* the same by calls, the long way */
	uint64_t addresses[ADDRESSES_MAX];
	uint32_t n;
};

static void differs(const struct check *c, const char *what, uint64_t va)
{
	fprintf(stderr, "%s: %s of %#llx differs\n", c->map.paging->name, what,
		(unsigned long long)va);
	abort();
}

static void check_translation(const struct check *c, uint64_t va)
{
	struct naive_walk want = naive_of(c->format, &c->memory, va);
	struct sonde_translation got;

	if (paging_translate(c->phys, c->map, va, &got) != want.err)
		differs(c, "outcome", va);
	if (want.err)
		return;
	if (got.pa != want.pa || got.page_size != want.page_size)
		differs(c, "page", va);
	if (got.flags != want.flags)
		differs(c, "what is said", va);
}

/* What the byte at va should be; its error if there is none. */
static int32_t naive_byte(const struct check *c, uint64_t base, uint32_t off, uint8_t *ret)
{
	struct naive_walk walk = { .err = SONDE_E_NOT_MAPPED };

	if (base + off >= base)
		walk = naive_of(c->format, &c->memory, base + off);
	if (!walk.err && walk.pa >= c->memory.size)
		walk.err = SONDE_E_NOT_MAPPED;
	*ret = walk.err ? 0 : c->memory.bytes[walk.pa];
	return walk.err;
}

static void check_piece(const struct check *c, const struct sonde_xfer *x)
{
	const uint8_t *got = x->buf;
	uint32_t done = 0, err_off = x->len;
	int32_t err = 0;

	for (uint32_t off = 0; off < x->len; off++) {
		uint8_t want;
		int32_t e = naive_byte(c, x->addr, off, &want);
		if (got[off] != want)
			differs(c, "a byte", x->addr + off);
		done += e == 0;
		if (e && !err) {
			err = e;
			err_off = off;
		}
	}
	if (x->done != done || x->err != err || x->err_off != err_off)
		differs(c, "the account", x->addr);
}

static void check_batch(const struct check *c, struct sonde_space *space)
{
	static uint8_t bufs[ADDRESSES_MAX][PIECE_MAX];
	struct sonde_xfer xfers[ADDRESSES_MAX];

	for (uint32_t i = 0; i < c->n; i++) {
		memset(bufs[i], 0xee, PIECE_MAX);
		xfers[i] = (struct sonde_xfer){ .addr = c->addresses[i],
						.buf = bufs[i],
						.len = 1 + i * 7 % PIECE_MAX };
	}
	if (c->n && sonde_space_read(space, xfers, c->n) < 0)
		abort();
	for (uint32_t i = 0; i < c->n; i++)
		check_piece(c, &xfers[i]);
}

/* ---- all that is mapped --------------------------------------------------------------------------------- */

#define RUNS_MAX (1u << 11)
#define CARE                                                                                       \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC | SONDE_PAGE_USER |                  \
	 SONDE_PAGE_PRESENT)

/* One address of a run is as the naive walk has it. */
static void check_run_at(const struct check *c, const struct sonde_page_run *run, uint64_t va)
{
	struct naive_walk want = naive_of(c->format, &c->memory, va);
	uint64_t off = va - run->va;

	if (run->flags & SONDE_PAGE_SAME)
		off &= run->page_size - 1;
	if (want.err || want.pa != run->pa + off ||
	    (want.flags & CARE) != (run->flags & ~(uint32_t)SONDE_PAGE_SAME))
		differs(c, "a run", va);
}

/* Runs rise and do not touch where they could be one; ends and middles are right. */
static int check_runs(const struct check *c, uint64_t first, uint64_t last,
		      struct sonde_page_run *runs, uint32_t *ret_n)
{
	struct sonde_pages *pages;
	uint32_t n = 0;
	int r;

	if (paging_pages(c->phys, c->map, first, last, CARE, &pages) < 0)
		abort();
	while (n < RUNS_MAX && (r = sonde_pages_next(pages, &runs[n])) > 0) {
		const struct sonde_page_run *run = &runs[n];
		if (n && run->va - 1 < runs[n - 1].va + (runs[n - 1].len - 1))
			differs(c, "the order of runs", run->va);
		if (n < 256) {
			check_run_at(c, run, run->va);
			check_run_at(c, run, run->va + run->len / 2);
			check_run_at(c, run, run->va + (run->len - 1));
		}
		n++;
	}
	if (n < RUNS_MAX && r != 0 && r != SONDE_E_LIMIT)
		differs(c, "the end of runs", 0);
	sonde_pages_close(pages);
	*ret_n = n;
	return n < RUNS_MAX ? r : 1;
}

/*
 * What the naive walk finds is in a run, and where it finds nothing there is none; as far as runs were told. how: all
 * there is, or what lies around one of the addresses.
 */
static void check_visit(const struct check *c, uint32_t how)
{
	static struct sonde_page_run runs[RUNS_MAX];
	uint64_t first = 0, last = UINT64_MAX;
	uint32_t n;

	if (how && c->n) {
		uint64_t around = (UINT64_C(1) << (12 + 4 * how)) - 1;
		first = c->addresses[0] & ~around;
		last = c->addresses[0] | around;
	}
	int r = check_runs(c, first, last, runs, &n);

	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t va = c->addresses[i];
		struct naive_walk want = naive_of(c->format, &c->memory, va);
		uint32_t at = 0;
		if (va < first || va > last)
			continue;
		while (at < n && runs[at].va + (runs[at].len - 1) < va)
			at++;
		bool told = at < n && runs[at].va <= va;
		if ((r == 0 || at < n) && told != !want.err)
			differs(c, "what is mapped", va);
		if (told)
			check_run_at(c, &runs[at], va);
	}
}

/* Nearly all addresses make sense, and touch the entries that fill_memory makes. */
static uint64_t address_of(const struct paging *paging, uint64_t raw)
{
	uint32_t spare = 64 - paging->va_bits;
	uint64_t va = raw >> 8;

	if ((raw & 7) == 0)
		return raw;
	for (uint32_t level = 0; level < paging->n_levels; level++) {
		const struct paging_level *lv = &paging->levels[level];
		uint64_t mask = (UINT64_C(1) << lv->bits) - 1, index = va >> lv->shift & mask;
		uint64_t close = raw & 8 << level ? index % NEAR : (mask - index % NEAR) & mask;
		va = (va & ~(mask << lv->shift)) | close << lv->shift;
	}
	if (paging->range == PAGING_UNSIGNED)
		return va << spare >> spare;
	if (paging->range == PAGING_SIGNED)
		return (uint64_t)((int64_t)(va << spare) >> spare);
	va = va << spare >> spare;
	return raw & 2 ? va : va | UINT64_MAX << paging->va_bits;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static uint8_t memory[MEM];
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = close_nothing,
					   .extents = tell_extents };
	struct sonde_connector_ops call_ops = { .size = sizeof(call_ops),
						.close = close_nothing,
						.transfer = transfer };
	struct input in = { bytes, bytes + len };
	struct check c = { .memory = { memory, MEM } };
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_SYNC };
	struct sonde_loop *loop;
	uint8_t head[2];

	if (!take(&in, head, sizeof(head)))
		return 0;
	c.format = &formats[head[0] % N_FORMATS];
	c.map = (struct paging_map){ paging_of(c.format), ROOT, HIGH_ROOT };
	while (c.n < head[1] % ADDRESSES_MAX && take(&in, &c.addresses[c.n], 8)) {
		c.addresses[c.n] = address_of(c.map.paging, c.addresses[c.n]);
		c.n++;
	}
	memset(memory, 0, sizeof(memory));
	fill_memory(c.format, &in, memory);
	if (sonde_loop_create(&options, &loop, NULL) < 0 ||
	    space_from_connector(loop, &ops, memory, &c.phys, NULL) < 0 ||
	    space_from_connector(loop, &call_ops, memory, &c.calls, NULL) < 0 ||
	    paging_space(c.phys, c.map, 0, &c.space) < 0 ||
	    paging_space(c.calls, c.map, 0, &c.far) < 0)
		abort();
	for (uint32_t i = 0; i < c.n; i++)
		check_translation(&c, c.addresses[i]);
	for (int round = 0; round < 3; round++) {
		check_batch(&c, c.space);
		check_batch(&c, c.far);
	}
	check_visit(&c, head[1] / ADDRESSES_MAX);
	sonde_space_close(c.space);
	sonde_space_close(c.far);
	sonde_space_close(c.phys);
	sonde_space_close(c.calls);
	sonde_loop_destroy(loop);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * kallsyms: fetch the tables whose addresses vmcoreinfo told, and decode tables from wherever.
 * kallsyms_find.c finds them without vmcoreinfo's help.
 *
 * Every name is a row of bytes, each the number of a token (a piece of text); the text that comes
 * out is one letter of type and the name.
 *
 * Source: linux v6.1 kernel/kallsyms.c (kallsyms_expand_symbol, kallsyms_sym_address),
 * v6.0 kernel/crash_core.c (which addresses are exported), v5.10 and v6.12 scripts/kallsyms.c
 * (write_src).
 */
#include "linux/kallsyms_internal.h"

#include "base/arena.h"
#include "linux/vmcoreinfo.h"
#include "sym/symbols.h"
#include <sonde/types.h>
#include <string.h>

#define PAGE_ROUND 4096u
#define TOKEN_TABLE_GUESS 4096u    /* about 1 KiB in real kernels               */
#define TOKEN_TABLE_MAX (1u << 16) /* token_index has 16 bits                 */
#define NAMES_EACH 16u             /* bytes of a row, generously on average     */

static uint64_t word_at(const uint8_t *p, uint32_t word_size)
{
	return word_size == 8 ? sonde_le64(p) : sonde_le32(p);
}

static uint64_t align_up(uint64_t value, uint32_t align)
{
	return (value + align - 1) & ~(uint64_t)(align - 1);
}

/* --- addresses ------------------------------------------------------------------------------ */

uint32_t kallsyms_entry_size(const struct kallsyms_tables *t)
{
	return t->form == KALLSYMS_ABSOLUTE ? t->word_size : 4;
}

uint64_t kallsyms_address(const struct kallsyms_tables *t, uint32_t i)
{
	const uint8_t *entry = t->addresses + (size_t)i * kallsyms_entry_size(t);

	if (t->form == KALLSYMS_ABSOLUTE)
		return word_at(entry, t->word_size);

	uint32_t value = sonde_le32(entry);
	uint64_t extended = (uint64_t)(int64_t)(int32_t)value;
	uint64_t addr;
	switch (t->form) {
	case KALLSYMS_RELATIVE:
		addr = t->relative_base + value;
		break;
	case KALLSYMS_PERCPU:
		addr = (int32_t)value >= 0 ? value : t->relative_base - 1 - extended;
		break;
	default:
		addr = t->addresses_va + 4 * (uint64_t)i + extended;
		break;
	}
	return t->word_size == 8 ? addr : (uint32_t)addr;
}

/* Every kernel lies in the upper half of its address space. */
int kallsyms_base_plausible(uint64_t base, uint32_t word_size)
{
	return word_size == 8 ? base >> 56 == 0xff : base >= 0x40000000;
}

int kallsyms_settle_form(struct kallsyms_tables *t, uint32_t form)
{
	t->form = form;
	size_t there = t->addresses_len / kallsyms_entry_size(t);
	uint32_t n = there < t->n ? (uint32_t)there : t->n;

	if (!n)
		return 0;
	uint64_t last = kallsyms_address(t, 0);
	/* The kernel's text, which comes first, lies below its read-only data. */
	if (form == KALLSYMS_SELF_RELATIVE &&
	    (last >= t->addresses_va || !kallsyms_base_plausible(last, t->word_size)))
		return 0;
	for (uint32_t i = 1; i < n; i++) {
		uint64_t addr = kallsyms_address(t, i);
		if (addr < last)
			return 0;
		last = addr;
	}
	return kallsyms_base_plausible(last, t->word_size);
}

/* Per-CPU symbols come first, so whether the last entry is negative tells the two apart. */
int kallsyms_settle_base(struct kallsyms_tables *t)
{
	size_t there = t->addresses_len / 4;
	size_t n = there < t->n ? there : t->n;

	if (!n || !kallsyms_base_plausible(t->relative_base, t->word_size))
		return 0;
	int negative = t->addresses[(n - 1) * 4 + 3] & 0x80;
	return kallsyms_settle_form(t, negative ? KALLSYMS_PERCPU : KALLSYMS_RELATIVE);
}

/* --- fetch ---------------------------------------------------------------------------------- */

int kallsyms_from_vmcoreinfo(const struct vmcoreinfo *info, struct kallsyms_addresses *ret)
{
	struct kallsyms_addresses a = { 0 };

	vmcoreinfo_symbol(info, "kallsyms_num_syms", &a.num_syms);
	vmcoreinfo_symbol(info, "kallsyms_names", &a.names);
	vmcoreinfo_symbol(info, "kallsyms_token_table", &a.token_table);
	vmcoreinfo_symbol(info, "kallsyms_token_index", &a.token_index);
	vmcoreinfo_symbol(info, "kallsyms_offsets", &a.offsets);
	vmcoreinfo_symbol(info, "kallsyms_relative_base", &a.relative_base);
	vmcoreinfo_symbol(info, "kallsyms_addresses", &a.addresses);
	*ret = a;
	return a.num_syms && a.names && a.token_table && a.token_index &&
	       (a.offsets || a.addresses);
}

struct fetch {
	const struct kallsyms_addresses *where;
	struct kallsyms_tables *tables;
	struct arena *arena;
	kallsyms_read_fn read;
	void *user;
	struct sonde_error *err;
};

static int read_failed(const struct fetch *f, const char *what, const struct sonde_xfer *x)
{
	return sonde_error_set(f->err, x->err, "kallsyms: %s: at 0x%llx: %s", what,
			       (unsigned long long)(x->addr + x->err_off), sonde_strerror(x->err));
}

/* Everything of a fixed size, and the token table, in one trip. */
static int fetch_small(const struct fetch *f)
{
	static const char *const what[] = { "num_syms", "token_index", "token_table",
					    "relative_base" };
	const struct kallsyms_addresses *w = f->where;
	struct kallsyms_tables *t = f->tables;
	/* Wraps when the index comes first: then it is above the bound. */
	uint64_t distance = w->token_index - w->token_table;
	size_t table_len = distance <= TOKEN_TABLE_MAX && distance ? distance : TOKEN_TABLE_GUESS;
	uint8_t n_bytes[4], base_bytes[8] = { 0 };
	uint8_t *index = arena_alloc(f->arena, KALLSYMS_INDEX_SIZE);
	uint8_t *table = arena_alloc(f->arena, table_len);

	if (!index || !table)
		return sonde_error_set(f->err, SONDE_E_NO_MEMORY, "kallsyms: no memory");
	struct sonde_xfer x[4] = {
		{ .addr = w->num_syms, .buf = n_bytes, .len = sizeof(n_bytes) },
		{ .addr = w->token_index, .buf = index, .len = KALLSYMS_INDEX_SIZE },
		{ .addr = w->token_table, .buf = table, .len = (uint32_t)table_len },
		{ .addr = w->relative_base, .buf = base_bytes, .len = t->word_size },
	};
	size_t n_x = w->relative_base ? 4 : 3;
	int r = f->read(f->user, x, n_x);
	if (r < 0)
		return sonde_error_set(f->err, r, "kallsyms: %s", sonde_strerror(r));
	for (size_t i = 0; i < n_x; i++) {
		/*
		 * A guessed length may reach past the end of mapped memory; decoding tells
		 * whether it matters.
		 */
		if (x[i].err < 0 && (i != 2 || !x[i].err_off))
			return read_failed(f, what[i], &x[i]);
	}
	t->n = sonde_le32(n_bytes);
	t->token_index = index;
	t->token_table = table;
	t->token_table_len = x[2].err < 0 ? x[2].err_off : table_len;
	t->relative_base = word_at(base_bytes, t->word_size);
	if (t->n < KALLSYMS_MIN_SYMBOLS || t->n > KALLSYMS_MAX_SYMBOLS)
		return sonde_error_set(f->err, SONDE_E_CORRUPT,
				       "kallsyms: num_syms: %u is out of %u to %u", t->n,
				       KALLSYMS_MIN_SYMBOLS, KALLSYMS_MAX_SYMBOLS);
	return 0;
}

/* The names' length is written nowhere: they end before the next table, or later than guessed. */
static size_t guess_names_len(const struct fetch *f)
{
	uint64_t distance = f->where->token_table - f->where->names;
	uint64_t guess = (uint64_t)f->tables->n * NAMES_EACH + PAGE_ROUND;

	return distance && distance < 2 * guess ? (size_t)distance : (size_t)guess;
}

/* Bytes that all rows take; 0 when len does not hold them all. */
static size_t measure_names(const uint8_t *names, size_t len, uint32_t n)
{
	size_t off = 0, first, count;

	for (uint32_t i = 0; i < n; i++) {
		off = kallsyms_row(names, len, off, &first, &count);
		if (!off)
			return 0;
	}
	return off;
}

/*
 * The two long tables in one trip. Unreadable ends are left to the decoder, which names the
 * symbol.
 */
static int fetch_long(const struct fetch *f)
{
	const struct kallsyms_addresses *w = f->where;
	struct kallsyms_tables *t = f->tables;
	size_t names_len = guess_names_len(f);
	/* Room for the relative base, which follows the offsets, should vmcoreinfo lack it. */
	size_t addresses_len = (size_t)t->n * (w->offsets ? 4 : t->word_size);
	size_t tail = w->offsets && !w->relative_base ? 16 : 0;
	uint8_t *names = arena_alloc(f->arena, names_len);
	uint8_t *addresses = arena_alloc(f->arena, addresses_len + tail);

	if (!names || !addresses)
		return sonde_error_set(f->err, SONDE_E_NO_MEMORY, "kallsyms: no memory");
	struct sonde_xfer x[2] = {
		{ .addr = w->names, .buf = names, .len = (uint32_t)names_len },
		{ .addr = w->offsets ? w->offsets : w->addresses,
		  .buf = addresses,
		  .len = (uint32_t)(addresses_len + tail) },
	};
	int r = f->read(f->user, x, 2);
	if (r < 0)
		return sonde_error_set(f->err, r, "kallsyms: %s", sonde_strerror(r));
	if (x[0].err < 0 && !x[0].err_off)
		return read_failed(f, "names", &x[0]);
	if (x[1].err < 0 && !x[1].err_off)
		return read_failed(f, "addresses", &x[1]);
	size_t there = x[1].err < 0 ? x[1].err_off : addresses_len + tail;
	t->names = names;
	t->names_len = x[0].err < 0 ? x[0].err_off : names_len;
	t->addresses = addresses;
	t->addresses_va = x[1].addr;
	t->addresses_len = there < addresses_len ? there : addresses_len;
	if (tail && there >= addresses_len + tail) {
		uint64_t base = align_up(x[1].addr + addresses_len, t->word_size) - x[1].addr;
		t->relative_base = word_at(addresses + base, t->word_size);
	}
	return 0;
}

/*
 * A third trip, for rows longer than any real kernel's average: as many bytes as they could ever
 * take.
 */
static int fetch_more_names(const struct fetch *f)
{
	struct kallsyms_tables *t = f->tables;
	size_t len = t->names_len;

	while (!measure_names(t->names, len, t->n) && len < (size_t)t->n * KALLSYMS_ROW_MAX) {
		if (len != t->names_len)
			return 0; /* the last trip met unreadable memory */
		len *= 2;
		uint8_t *names = arena_alloc(f->arena, len);
		if (!names)
			return sonde_error_set(f->err, SONDE_E_NO_MEMORY, "kallsyms: no memory");
		struct sonde_xfer x = { .addr = f->where->names,
					.buf = names,
					.len = (uint32_t)len };
		int r = f->read(f->user, &x, 1);
		if (r < 0)
			return sonde_error_set(f->err, r, "kallsyms: %s", sonde_strerror(r));
		t->names = names;
		t->names_len = x.err < 0 ? x.err_off : len;
	}
	return 0;
}

static int settle_fetched(const struct fetch *f)
{
	struct kallsyms_tables *t = f->tables;

	if (!f->where->offsets) {
		if (kallsyms_settle_form(t, KALLSYMS_ABSOLUTE))
			return 0;
	} else if (kallsyms_settle_base(t) ||
		   (!f->where->relative_base && kallsyms_settle_form(t, KALLSYMS_SELF_RELATIVE))) {
		return 0;
	}
	return sonde_error_set(f->err, SONDE_E_CORRUPT,
			       "kallsyms: addresses: do not rise in any form that is known");
}

int kallsyms_fetch(const struct kallsyms_addresses *where, uint32_t word_size,
		   kallsyms_read_fn read, void *user, struct arena *arena,
		   struct kallsyms_tables *ret, struct sonde_error *err)
{
	struct kallsyms_tables tables = { .word_size = word_size };
	struct fetch f = { where, &tables, arena, read, user, err };

	if (word_size != 4 && word_size != 8)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "kallsyms: words of %u bytes",
				       word_size);
	int r = fetch_small(&f);
	if (r == 0)
		r = fetch_long(&f);
	if (r == 0)
		r = settle_fetched(&f);
	if (r == 0)
		r = fetch_more_names(&f);
	if (r == 0)
		*ret = tables;
	return r;
}

/* --- decode --------------------------------------------------------------------------------- */

/* Tokens made quick to copy: nearly all are up to 8 bytes long, and those go as one store. */
struct tokens {
	uint64_t head[KALLSYMS_TOKENS];
	const uint8_t *text[KALLSYMS_TOKENS];
	uint16_t len[KALLSYMS_TOKENS]; /* at most KALLSYMS_NAME_LEN, too long for any name */
};

static int load_tokens(const struct kallsyms_tables *t, struct tokens *ret, struct sonde_error *err)
{
	for (unsigned i = 0; i < KALLSYMS_TOKENS; i++) {
		size_t off = sonde_le16(t->token_index + 2 * i);
		if (off >= t->token_table_len)
			return sonde_error_set(err, SONDE_E_CORRUPT,
					       "kallsyms: token_index: token %u at %zu lies past "
					       "the table's end (%zu bytes)",
					       i, off, t->token_table_len);
		const uint8_t *text = t->token_table + off;
		size_t room = t->token_table_len - off;
		size_t max = room < KALLSYMS_NAME_LEN ? room : KALLSYMS_NAME_LEN;
		const uint8_t *end = memchr(text, '\0', max);
		if (!end && max < KALLSYMS_NAME_LEN)
			return sonde_error_set(err, SONDE_E_CORRUPT,
					       "kallsyms: token_table: token %u runs past the "
					       "table's end",
					       i);
		ret->text[i] = text;
		ret->len[i] = (uint16_t)(end ? (size_t)(end - text) : max);
		ret->head[i] = 0;
		memcpy(&ret->head[i], text, ret->len[i] < 8 ? ret->len[i] : 8);
	}
	return 0;
}

/* A row to text; buf has 8 bytes beyond KALLSYMS_NAME_LEN. Returns its length, 0 when too long. */
static size_t expand(const struct tokens *tokens, const uint8_t *row, size_t count, char *buf)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned token = row[i];
		size_t token_len = tokens->len[token];
		if (token_len >= KALLSYMS_NAME_LEN - len)
			return 0;
		memcpy(buf + len, &tokens->head[token], 8);
		if (token_len > 8)
			memcpy(buf + len, tokens->text[token], token_len);
		len += token_len;
	}
	return len;
}

struct decode {
	const struct kallsyms_tables *tables;
	struct tokens tokens;
	struct sonde_symbols *symbols;
	struct sonde_error *err;
};

static int bad_symbol(const struct decode *d, const char *table, uint32_t i, const char *why)
{
	return sonde_error_set(d->err, SONDE_E_CORRUPT, "kallsyms: %s: symbol %u of %u: %s", table,
			       i, d->tables->n, why);
}

static int decode_all(const struct decode *d)
{
	const struct kallsyms_tables *t = d->tables;
	uint64_t n_addresses = t->addresses_len / kallsyms_entry_size(t);
	char text[KALLSYMS_NAME_LEN + 8];
	size_t off = 0, first, count;

	for (uint32_t i = 0; i < t->n; i++) {
		if (i >= n_addresses)
			return bad_symbol(d, "addresses", i, "runs past the table's end");
		off = kallsyms_row(t->names, t->names_len, off, &first, &count);
		if (!off)
			return bad_symbol(d, "names", i, "runs past the table's end");
		size_t len = expand(&d->tokens, t->names + first, count, text);
		if (len < 2)
			return bad_symbol(d, "names", i, "is empty or too long");
		int r = symbols_add(d->symbols, kallsyms_address(t, i), text[0], text + 1, len - 1,
				    SYMBOLS_KERNEL);
		if (r < 0)
			return sonde_error_set(d->err, r, "kallsyms: %s", sonde_strerror(r));
	}
	return 0;
}

int kallsyms_decode(const struct kallsyms_tables *tables, struct sonde_symbols **ret,
		    struct sonde_error *err)
{
	struct decode d = { .tables = tables, .err = err };

	*ret = NULL;
	if (tables->n > KALLSYMS_MAX_SYMBOLS)
		return sonde_error_set(err, SONDE_E_LIMIT, "kallsyms: %u symbols", tables->n);
	int r = load_tokens(tables, &d.tokens, err);
	if (r < 0)
		return r;
	/*
	 * The longest name is bounded by the bytes there are, so a lying n asks for no more than
	 * they can fill.
	 */
	size_t n_hint = tables->n < tables->names_len ? tables->n : tables->names_len;
	d.symbols = symbols_create(n_hint, n_hint * 24);
	if (!d.symbols)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "kallsyms: no memory");
	r = decode_all(&d);
	int sealed = symbols_seal(d.symbols);
	if (sealed < 0 || !sonde_symbol_count(d.symbols)) {
		symbols_destroy(d.symbols);
		return sealed < 0 ? sonde_error_set(err, sealed, "kallsyms: no memory") : r;
	}
	*ret = d.symbols;
	return r;
}

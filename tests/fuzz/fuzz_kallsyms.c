/* SPDX-License-Identifier: MIT */
/*
 * kallsyms: the first byte chooses the word size and the way to the tables; the rest is an image
 * to search, or an image after eight little-endian words that say where vmcoreinfo claims them.
 */
#include "base/arena.h"
#include "linux/kallsyms.h"
#include "sym/symbols.h"

#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_VA UINT64_C(0xffffffff81000000)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct image {
	const uint8_t *bytes;
	size_t len;
};

/* As a space would: what lies in the image comes, the rest is a hole. */
static int read_image(void *user, struct sonde_xfer *xfers, size_t n)
{
	const struct image *image = user;
	int whole = 0;

	for (size_t i = 0; i < n; i++) {
		struct sonde_xfer *x = &xfers[i];
		uint64_t off = x->addr - IMAGE_VA;
		uint64_t there = off < image->len ? image->len - off : 0;
		x->done = there < x->len ? (uint32_t)there : x->len;
		x->err = x->done < x->len ? SONDE_E_NOT_MAPPED : 0;
		x->err_off = x->done;
		memset(x->buf, 0, x->len);
		if (x->done)
			memcpy(x->buf, image->bytes + off, x->done);
		whole += !x->err;
	}
	return whole;
}

static void decode(const struct kallsyms_tables *tables)
{
	struct sonde_symbols *symbols;
	struct sonde_symbol symbol;
	struct sonde_error err;
	int r = kallsyms_decode(tables, &symbols, &err);

	if (!symbols) {
		if (!r)
			abort();
		return;
	}
	if (!sonde_symbol_get(symbols, sonde_symbol_count(symbols) / 2, &symbol) ||
	    !sonde_symbol_find(symbols, symbol.name, &symbol) ||
	    !sonde_symbol_at(symbols, symbol.addr, &symbol))
		abort();
	symbols_destroy(symbols);
}

static void fetch(const uint8_t *bytes, size_t len, uint32_t word_size)
{
	struct kallsyms_addresses where;
	struct kallsyms_tables tables;
	struct arena arena = { 0 };
	struct sonde_error err;
	uint64_t words[7];

	if (len < sizeof(words))
		return;
	for (size_t i = 0; i < 7; i++)
		words[i] = sonde_le64(bytes + 8 * i);
	where = (struct kallsyms_addresses){ words[0], words[1], words[2], words[3],
					     words[4], words[5], words[6] };
	struct image image = { bytes + sizeof(words), len - sizeof(words) };
	if (kallsyms_fetch(&where, word_size, read_image, &image, &arena, &tables, &err) == 0)
		decode(&tables);
	arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct kallsyms_tables tables;
	struct sonde_error err;

	if (!len)
		return 0;
	uint32_t word_size = bytes[0] & 1 ? 4 : 8;
	if (bytes[0] & 2)
		fetch(bytes + 1, len - 1, word_size);
	else if (kallsyms_find(bytes + 1, len - 1, IMAGE_VA, word_size, &tables, &err) == 0)
		decode(&tables);
	return 0;
}

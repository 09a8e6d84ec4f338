/* SPDX-License-Identifier: MIT */
#include "synth/minidump.h"

#include "synth/elf.h"

#include <stdlib.h>
#include <string.h>

static size_t room(struct synth_minidump *d, size_t len)
{
	size_t at = d->size;

	d->bytes = realloc(d->bytes, at + len);
	memset(d->bytes + at, 0, len);
	d->size = at + len;
	return at;
}

static void put(struct synth_minidump *d, size_t at, int size, uint64_t value)
{
	synth_put(d->bytes + at, 0, size, value);
}

/* The next entry of the directory, of a stream that begins here and has len bytes. */
static size_t begin(struct synth_minidump *d, int n, uint32_t type, size_t len)
{
	size_t at = room(d, len), entry = 32 + 12 * (size_t)n;

	put(d, entry, 4, type);
	put(d, entry + 4, 4, len);
	put(d, entry + 8, 4, at);
	d->entry[type] = entry;
	d->at[type] = at;
	return at;
}

static size_t string(struct synth_minidump *d, const char *text)
{
	size_t at = room(d, 4 + 2 * strlen(text) + 2);

	put(d, at, 4, 2 * strlen(text));
	for (size_t i = 0; text[i]; i++)
		put(d, at + 4 + 2 * i, 2, (uint8_t)text[i]);
	return at;
}

static size_t memory(struct synth_minidump *d, uint64_t addr, size_t len)
{
	size_t at = room(d, len);

	for (size_t i = 0; i < len; i++)
		d->bytes[at + i] = (uint8_t)((addr + i) / 16);
	return at;
}

static size_t context(struct synth_minidump *d, uint64_t pc)
{
	size_t at = room(d, 0x4d0); /* CONTEXT of AMD64 */

	put(d, at + 0x30, 4, 0x10000f);
	put(d, at + 0x78, 8, 0x1234); /* rax */
	put(d, at + 0x98, 8, MINI_LOW + 0x100);
	put(d, at + 0xf8, 8, pc);
	return at;
}

static void put_threads(struct synth_minidump *d, int n, size_t pad)
{
	size_t at = begin(d, n, 3, 4 + pad + 2 * 48);

	put(d, at, 4, 2);
	for (size_t i = 0; i < 2; i++) {
		size_t thread = at + 4 + pad + 48 * i, where = context(d, MINI_PC + i);
		put(d, thread, 4, 7 + i);
		put(d, thread + 40, 4, 0x4d0);
		put(d, thread + 44, 4, where);
	}
}

static void put_modules(struct synth_minidump *d, int n, size_t pad)
{
	static const char *const names[] = { "C:\\synth.exe", "C:\\windows\\system32\\ntdll.dll" };
	size_t at = begin(d, n, 4, 4 + pad + 2 * 108);

	put(d, at, 4, 2);
	for (size_t i = 0; i < 2; i++) {
		size_t module = at + 4 + pad + 108 * i, name = string(d, names[i]);
		put(d, module, 8, MINI_MODULE + i * 0x100000);
		put(d, module + 8, 4, 0x9000);
		put(d, module + 20, 4, name);
	}
}

static void put_memory(struct synth_minidump *d, int n, size_t pad)
{
	size_t at = begin(d, n, 5, 4 + pad + 16), bytes = memory(d, MINI_LOW, 0x180);

	put(d, at, 4, 1);
	put(d, at + 4 + pad, 8, MINI_LOW);
	put(d, at + 12 + pad, 4, 0x180);
	put(d, at + 16 + pad, 4, bytes);
}

static void put_small(struct synth_minidump *d, int n)
{
	size_t at = begin(d, n, 6, 168); /* exception */

	put(d, at, 4, 7);
	put(d, at + 8, 4, 0xc0000005);
	put(d, at + 24, 8, MINI_PC);
	at = begin(d, n + 1, 7, 56); /* system */
	put(d, at, 2, 9);
	d->bytes[at + 6] = 4;
	put(d, at + 8, 4, 10);
	put(d, at + 16, 4, 19041);
	at = begin(d, n + 2, 15, 24); /* misc */
	put(d, at, 4, 24);
	put(d, at + 4, 4, 3);
	put(d, at + 8, 4, 42);
	put(d, at + 12, 4, 1600000000);
}

static void put_infos(struct synth_minidump *d, int n)
{
	static const struct {
		uint64_t start, size;
		uint32_t state, protect, type;
	} infos[] = { { MINI_LOW, 0x1000, 0x1000, 0x04, 0x20000 },
		      { MINI_LOW + 0x1000, 0x1000, 0x10000, 0x01, 0 },
		      { MINI_MODULE, 0x9000, 0x1000, 0x20, 0x1000000 },
		      { MINI_HIGH, 0x5000, 0x1000, 0x02, 0x40000 } };
	size_t at = begin(d, n, 16, 16 + 4 * 48);

	put(d, at, 4, 16);
	put(d, at + 4, 4, 48);
	put(d, at + 8, 8, 4);
	for (size_t i = 0; i < 4; i++) {
		size_t info = at + 16 + 48 * i;
		put(d, info, 8, infos[i].start);
		put(d, info + 24, 8, infos[i].size);
		put(d, info + 32, 4, infos[i].state);
		put(d, info + 36, 4, infos[i].protect);
		put(d, info + 40, 4, infos[i].type);
	}
}

static void put_memory_64(struct synth_minidump *d, int n)
{
	size_t at = begin(d, n, 9, 16 + 2 * 16);

	put(d, at, 8, 2);
	put(d, at + 16, 8, MINI_HIGH);
	put(d, at + 24, 8, 0x2000);
	put(d, at + 32, 8, MINI_HIGH + 0x4000);
	put(d, at + 40, 8, 0x800);
	put(d, at + 8, 8, memory(d, MINI_HIGH, 0x2000));
	memory(d, MINI_HIGH + 0x4000, 0x800);
}

struct synth_minidump synth_minidump(int padded)
{
	struct synth_minidump d = { 0 };
	size_t pad = padded ? 4 : 0;

	room(&d, 32 + 9 * 12);
	memcpy(d.bytes, "MDMP", 4);
	put(&d, 4, 4, 0xa793);
	put(&d, 8, 4, 9);
	put(&d, 12, 4, 32);
	put(&d, 20, 4, 1613816102);
	put_threads(&d, 0, pad);
	put_modules(&d, 1, pad);
	put_memory(&d, 2, pad);
	put_small(&d, 3);
	put_infos(&d, 6);
	put_memory_64(&d, 7);
	put(&d, 32 + 12 * 8, 4, 0xfff0); /* a stream of somebody's own */
	return d;
}

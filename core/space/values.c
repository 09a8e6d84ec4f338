/* SPDX-License-Identifier: MIT */
/*
 * Single values of a space: a contiguous stretch of any length, integers, C strings. All of it is
 * made of sonde_space_read and sonde_space_write, so it works in plain code and in tasks alike.
 */
#include <sonde/error.h>
#include <sonde/io.h>
#include <sonde/space.h>
#include <sonde/types.h>

#include "base/mem.h"

#define STEP (UINT32_C(1) << 30)

/* One contiguous stretch of any length, in as few pieces as their 31-bit length allows. */
static int contiguous(struct sonde_space *space, uint64_t addr, char *buf, size_t len, uint32_t op)
{
	int first = SONDE_OK;

	if (!len)
		return SONDE_E_BAD_ARG;
	for (size_t off = 0; off < len;) {
		uint32_t step = len - off < STEP ? (uint32_t)(len - off) : STEP;
		struct sonde_xfer x = { .addr = addr + off, .buf = buf + off, .len = step };
		if (addr > UINT64_MAX - off) {
			if (op == SONDE_IO_READ)
				memset(buf + off, 0, len - off);
			return first ? first : SONDE_E_NOT_MAPPED;
		}
		int r = op == SONDE_IO_READ ? sonde_space_read(space, &x, 1)
					    : sonde_space_write(space, &x, 1);
		if (r < 0)
			return r;
		if (!first && x.err)
			first = x.err;
		off += step;
	}
	return first;
}

int sonde_space_get(struct sonde_space *space, uint64_t addr, void *buf, size_t len)
{
	return contiguous(space, addr, buf, len, SONDE_IO_READ);
}

int sonde_space_put(struct sonde_space *space, uint64_t addr, const void *buf, size_t len)
{
	return contiguous(space, addr, (char *)(uintptr_t)buf, len, SONDE_IO_WRITE);
}

int sonde_space_uint(struct sonde_space *space, uint64_t addr, uint32_t size, uint32_t order,
		     uint64_t *ret)
{
	uint8_t bytes[8];

	if (size - 1 >= sizeof(bytes) || order > SONDE_BIG)
		return SONDE_E_BAD_ARG;
	int r = sonde_space_get(space, addr, bytes, size);
	if (r == SONDE_OK)
		*ret = sonde_load(bytes, size, order);
	return r;
}

int sonde_space_put_uint(struct sonde_space *space, uint64_t addr, uint32_t size, uint32_t order,
			 uint64_t value)
{
	uint8_t bytes[8];

	if (size - 1 >= sizeof(bytes) || order > SONDE_BIG)
		return SONDE_E_BAD_ARG;
	sonde_store(bytes, size, order, value);
	return sonde_space_put(space, addr, bytes, size);
}

/* One reader and one writer, by the name's end. */
#define INTEGER(bits, end, order)                                                                  \
	int sonde_space_u##bits##end(struct sonde_space *space, uint64_t addr,                     \
				     uint##bits##_t *ret)                                          \
	{                                                                                          \
		uint64_t value;                                                                    \
		int r = sonde_space_uint(space, addr, bits / 8, order, &value);                    \
                                                                                                   \
		if (r == SONDE_OK)                                                                 \
			*ret = (uint##bits##_t)value;                                              \
		return r;                                                                          \
	}                                                                                          \
                                                                                                   \
	int sonde_space_put_u##bits##end(struct sonde_space *space, uint64_t addr,                 \
					 uint##bits##_t value)                                     \
	{                                                                                          \
		return sonde_space_put_uint(space, addr, bits / 8, order, value);                  \
	}

INTEGER(8, , SONDE_LITTLE)
INTEGER(16, , SONDE_LITTLE)
INTEGER(32, , SONDE_LITTLE)
INTEGER(64, , SONDE_LITTLE)
INTEGER(16, be, SONDE_BIG)
INTEGER(32, be, SONDE_BIG)
INTEGER(64, be, SONDE_BIG)

int sonde_space_string(struct sonde_space *space, uint64_t addr, char *buf, size_t cap)
{
	size_t used = 0;

	if (!cap || cap > INT32_MAX)
		return SONDE_E_BAD_ARG;
	while (used < cap) {
		/* Up to the end of the page: what lies behind it may be a hole the string never reaches. */
		uint64_t at = addr + used;
		if (at < addr) { /* past 2^64 */
			buf[used] = 0;
			return SONDE_E_NOT_MAPPED;
		}
		size_t step = SONDE_PAGE_SIZE - (at & (SONDE_PAGE_SIZE - 1));
		if (step > cap - used)
			step = cap - used;
		struct sonde_xfer x = { .addr = at, .buf = buf + used, .len = (uint32_t)step };
		int r = sonde_space_read(space, &x, 1);
		if (r < 0) {
			buf[used] = 0;
			return r;
		}
		char *end = mem_find(buf + used, 0, x.err_off);
		if (end)
			return (int)(end - buf);
		if (x.err) {
			buf[used + x.err_off] = 0;
			return x.err;
		}
		used += step;
	}
	buf[cap - 1] = 0;
	return SONDE_E_LIMIT;
}

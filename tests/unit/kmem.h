/* SPDX-License-Identifier: MIT */
/*
 * A kernel's memory, made by hand: bytes at KMEM_BASE that tests fill with structures, pages of it
 * missing at will, and a struct linux_os that reads it. Layouts are those of a real kernel or
 * simpler; the code under test knows only what the layout says.
 */
#ifndef TESTS_KMEM_H
#define TESTS_KMEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/linux.h"
#include "space/backed.h"
#include "sym/symbols.h"

#define KMEM_BASE UINT64_C(0xffff888000000000)
#define KMEM_SIZE (1u << 20)
#define KMEM_HOLE (KMEM_BASE + KMEM_SIZE) /* no memory from here on */

struct kmem {
	uint8_t bytes[KMEM_SIZE];
	uint64_t missing; /* address of a page that cannot be read, or 0 */
	size_t trips;     /* batches that came                           */
	uint64_t next;    /* of kmem_new                                 */
	struct sonde_loop *loop;
	struct linux_os lx;
	struct sonde_symbols *symbols;
};

static inline int32_t kmem_at(const struct kmem *k, uint64_t addr)
{
	if (addr - KMEM_BASE >= KMEM_SIZE || (k->missing && addr - k->missing < SONDE_PAGE_SIZE))
		return SONDE_E_NOT_MAPPED;
	return SONDE_OK;
}

static inline void kmem_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct kmem *k = conn;

	k->trips++;
	for (size_t i = 0; i < n; i++) {
		for (uint32_t p = 0; p < ios[i]->n; p++) {
			struct sonde_xfer *x = &ios[i]->xfers[p];
			uint32_t len;
			for (uint32_t off = 0; off < x->len; off += len) {
				uint64_t addr = x->addr + off;
				uint64_t page = SONDE_PAGE_SIZE - addr % SONDE_PAGE_SIZE;
				int32_t err = kmem_at(k, addr);
				len = page < x->len - off ? (uint32_t)page : x->len - off;
				if (!err)
					memcpy((char *)x->buf + off, k->bytes + (addr - KMEM_BASE),
					       len);
				sonde_progress(&space_host, ios[i], p, off, len, err);
			}
		}
	}
}

static inline void kmem_close(void *conn)
{
	(void)conn;
}

static inline void kmem_info(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

/* A setup for cmocka: *state is the new struct kmem. */
static inline int kmem_setup(void **state)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = kmem_close,
					   .info = kmem_info,
					   .transfer = kmem_transfer };
	struct kmem *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	assert_int_equal(sonde_loop_create(NULL, &k->loop, NULL), 0);
	k->next = KMEM_BASE + 256;
	k->symbols = symbols_create(0, 0);
	k->lx.loop = k->loop;
	k->lx.paging = paging_x86_64(4);
	k->lx.os.symbols = k->symbols;
	assert_int_equal(space_from_connector(k->loop, &ops, k, &k->lx.os.kernel_memory, NULL), 0);
	*state = k;
	return 0;
}

static inline int kmem_teardown(void **state)
{
	struct kmem *k = *state;

	sonde_space_close(k->lx.os.kernel_memory);
	sonde_loop_destroy(k->loop);
	symbols_destroy(k->symbols);
	free(k);
	return 0;
}

/* len zeroed bytes, aligned to 256 as maple nodes are. */
static inline uint64_t kmem_new(struct kmem *k, size_t len)
{
	uint64_t addr = k->next;

	k->next += (len + 255) & ~(size_t)255;
	assert_true(k->next <= KMEM_BASE + KMEM_SIZE);
	return addr;
}

/* Not inlined: gcc 12 sees overflows in it that the assertion rules out. */
static __attribute__((noinline, unused)) void kmem_put(struct kmem *k, uint64_t addr,
						       const void *bytes, size_t len)
{
	assert_true(addr >= KMEM_BASE && addr - KMEM_BASE + len <= KMEM_SIZE);
	memcpy(k->bytes + (addr - KMEM_BASE), bytes, len);
}

static inline void kmem_put64(struct kmem *k, uint64_t addr, uint64_t value)
{
	kmem_put(k, addr, &value, sizeof(value));
}

static inline void kmem_put32(struct kmem *k, uint64_t addr, uint32_t value)
{
	kmem_put(k, addr, &value, sizeof(value));
}

static inline void kmem_symbol(struct kmem *k, const char *name, uint64_t addr)
{
	assert_int_equal(symbols_add(k->symbols, addr, 'T', name, strlen(name), 0), 0);
}

#endif

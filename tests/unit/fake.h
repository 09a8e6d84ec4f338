/* SPDX-License-Identifier: MIT */
/*
 * A connector inside the test program: memory whose byte i holds i / 16, with ranges that are
 * missing, moved in each of the three ways a connector can. In the submit way a test may put
 * its own function in the connector's place and so break every rule of the contract.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/backed.h"

struct fake_range {
	uint64_t addr, len;
	int32_t err; /* what a piece meets there */
};

struct fake {
	uint8_t *bytes; /* [size] */
	uint64_t size;
	const struct fake_range *bad; /* [n_bad] */
	size_t n_bad;
	size_t calls, pieces; /* of transfer and submit: how many there were */
	/* submit way; NULL: serve and end all at once, inside the call */
	size_t (*submit)(struct fake *fake, struct sonde_io *const *ios, size_t n);
	void *user;
	struct sonde_space *space;
	struct sonde_loop *loop;
};

static inline uint8_t fake_byte(uint64_t i)
{
	return (uint8_t)(i / 16);
}

/* The outcome at addr and how many of the next max bytes share it. */
static inline int32_t fake_at(const struct fake *fake, uint64_t addr, uint64_t max, uint32_t *ret)
{
	uint64_t len = addr < fake->size ? fake->size - addr : max;
	int32_t err = addr < fake->size ? 0 : SONDE_E_NOT_MAPPED;

	for (size_t i = 0; i < fake->n_bad; i++) {
		const struct fake_range *bad = &fake->bad[i];
		if (addr >= bad->addr && addr - bad->addr < bad->len) {
			err = bad->err;
			len = bad->len - (addr - bad->addr);
		} else if (bad->addr > addr && bad->addr - addr < len) {
			len = bad->addr - addr;
		}
	}
	*ret = (uint32_t)(len < max ? len : max);
	return err;
}

static inline void fake_serve(struct fake *fake, struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		for (uint32_t off = 0, len; off < x->len; off += len) {
			uint64_t addr = x->addr + off;
			int32_t err = SONDE_E_NOT_MAPPED;
			len = x->len - off;
			if (addr >= x->addr)
				err = fake_at(fake, addr, len, &len);
			if (!err && io->op == SONDE_IO_READ)
				memcpy((char *)x->buf + off, fake->bytes + addr, len);
			else if (!err)
				memcpy(fake->bytes + addr, (char *)x->buf + off, len);
			sonde_progress(&space_host, io, i, off, len, err);
		}
	}
}

static inline void fake_transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct fake *fake = conn;

	fake->calls++;
	for (size_t i = 0; i < n; i++) {
		fake->pieces += ios[i]->n;
		fake_serve(fake, ios[i]);
	}
}

static inline size_t fake_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct fake *fake = conn;

	fake->calls++;
	if (fake->submit)
		return fake->submit(fake, ios, n);
	for (size_t i = 0; i < n; i++) {
		fake_serve(fake, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static inline int fake_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct fake *fake = conn;
	int r = 0;

	(void)err;
	for (size_t i = 0; i < fake->n_bad && !r; i++) {
		struct sonde_extent e = { .addr = fake->bad[i].addr,
					  .len = fake->bad[i].len,
					  .kind = SONDE_EXTENT_ABSENT,
					  .err = fake->bad[i].err };
		r = fn(user, &e);
	}
	struct sonde_extent all = { .len = fake->size,
				    .kind = SONDE_EXTENT_MEMORY,
				    .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				    .ptr = fake->bytes };
	return r ? r : fn(user, &all);
}

static inline void fake_conn_close(void *conn)
{
	(void)conn;
}

static inline void fake_info(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

/* ways: one of enum sonde_way. Close with fake_close. */
static inline void fake_open(struct fake *fake, struct sonde_loop *loop, uint64_t size,
			     uint32_t ways)
{
	static const struct sonde_connector_ops base = { .size = sizeof(base),
							 .close = fake_conn_close,
							 .info = fake_info };
	struct sonde_connector_ops ops = base;

	if (ways == SONDE_WAY_EXTENTS)
		ops.extents = fake_extents;
	else if (ways == SONDE_WAY_TRANSFER)
		ops.transfer = fake_transfer;
	else
		ops.submit = fake_submit;
	fake->size = size;
	fake->loop = loop;
	fake->bytes = malloc(size);
	assert_non_null(fake->bytes);
	for (uint64_t i = 0; i < size; i++)
		fake->bytes[i] = fake_byte(i);
	assert_int_equal(space_from_connector(loop, &ops, fake, &fake->space, NULL), 0);
}

static inline void fake_close(struct fake *fake)
{
	sonde_space_close(fake->space);
	free(fake->bytes);
}

static inline struct sonde_loop *loop_new(uint32_t engine, uint32_t depth)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = engine,
					      .depth = depth };
	struct sonde_error err = { 0 };
	struct sonde_loop *loop = NULL;

	if (sonde_loop_create(&options, &loop, &err) < 0)
		fail_msg("%s", err.text);
	return loop;
}

#endif

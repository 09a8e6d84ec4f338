/* SPDX-License-Identifier: MIT */
/* The connectors, and what is right. */
#include "world.h"

#include <sonde/error.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "refuse.h"
#include "space/backed.h"
#include "synth/page_tables.h"

static uint8_t memory[SIZE + TABLES_LEN];
static struct page_tables tables;
static int file = -1;

uint8_t world_byte(uint64_t addr)
{
	return (uint8_t)(1 + addr / 16 % 255);
}

static void make(void)
{
	if (file >= 0)
		return;
	for (uint64_t i = 0; i < SIZE; i++)
		memory[i] = world_byte(i);
	tables_build(&tables, memory, sizeof(memory), TABLES, 4, "");
	for (uint64_t at = 0; at < SIZE; at += 0x1000)
		*tables_entry(&tables, VA + at, 0) = at | 3;
	file = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(pwrite(file, memory, sizeof(memory), 0), sizeof(memory));
}

/* ---- connectors ------------------------------------------------------------------------------ */

static int tell(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	bool in_file = *(const uint32_t *)conn == WAY_FILE;
	struct sonde_extent e = { .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .kind = in_file ? SONDE_EXTENT_FILE : SONDE_EXTENT_MEMORY,
				  .fd = file };
	int r = 0;

	(void)err;
	for (int i = 0; i < 2 && r == 0; i++) {
		e.addr = e.off = i ? HOLE + HOLE_LEN : 0;
		e.len = i ? sizeof(memory) - e.addr : HOLE;
		e.ptr = memory + e.addr;
		r = fn(user, &e);
	}
	return r;
}

static void serve(struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		for (uint32_t off = 0; off < x->len; off++) {
			uint64_t addr = x->addr + off;
			bool there = addr < sizeof(memory) && addr - HOLE >= HOLE_LEN;
			if (there && io->op == SONDE_IO_READ)
				((uint8_t *)x->buf)[off] = memory[addr];
			sonde_progress(&space_host, io, i, off, 1, there ? 0 : SONDE_E_NOT_MAPPED);
		}
	}
}

static void transfer(void *conn, struct sonde_io *const *ios, size_t n)
{
	(void)conn;
	for (size_t i = 0; i < n; i++)
		serve(ios[i]);
}

static size_t submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	transfer(conn, ios, n);
	for (size_t i = 0; i < n; i++)
		space_host.io_done(ios[i]);
	return n;
}

static void leave(void *conn)
{
	(void)conn;
}

static void inform(void *conn, struct sonde_target_info *ret)
{
	(void)conn, (void)ret;
}

int world_open(struct sonde_loop *loop, uint32_t way, struct sonde_space **ret)
{
	static const uint32_t ways[] = { SONDE_WAY_EXTENTS, SONDE_WAY_TRANSFER, SONDE_WAY_SUBMIT,
					 WAY_FILE };
	struct sonde_connector_ops ops = { .size = sizeof(ops), .close = leave, .info = inform };
	unsigned i = 0;

	refuse_pause();
	make();
	refuse_resume();
	while (ways[i] != way)
		i++;
	if (way == SONDE_WAY_EXTENTS || way == WAY_FILE)
		ops.extents = tell;
	else if (way == SONDE_WAY_TRANSFER)
		ops.transfer = transfer;
	else
		ops.submit = submit;
	return space_from_connector(loop, &ops, (void *)(uintptr_t)&ways[i], ret, NULL);
}

int world_open_virtual(struct sonde_space *below, struct sonde_space **ret)
{
	struct sonde_tables own = { .format = "x86-64-4", .root = tables.root };

	return sonde_space_tables(below, &own, ret);
}

int world_loop(uint32_t engine, struct sonde_loop **ret)
{
	struct sonde_loop_options options = {
		.size = sizeof(options), .engine = engine, .depth = 16, .n_threads = 1
	};
	struct sonde_error err = { 0 };
	int r = sonde_loop_create(&options, ret, &err);

	assert_int_equal(r, err.code);
	assert_true(r == 0 || err.text[0]);
	return r;
}

/* ---- what is right --------------------------------------------------------------------------------- */

int world_check(const struct sonde_xfer *xfers, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sonde_xfer *x = &xfers[i];
		for (uint32_t k = 0; k < x->len; k++) {
			uint64_t addr = x->addr + k;
			bool there = addr < SIZE && addr - HOLE >= HOLE_LEN;
			uint8_t got = ((const uint8_t *)x->buf)[k];
			if (x->err == 0 || got)
				assert_int_equal(got, there ? world_byte(addr) : 0);
		}
		if (x->err == 0)
			assert_int_equal(x->done, x->len);
		if (x->err == SONDE_E_NO_MEMORY)
			r = x->err;
		else if (x->err && x->err != SONDE_E_NOT_MAPPED)
			fail_msg("a piece at 0x%llx: %s", (unsigned long long)x->addr,
				 sonde_error_name(x->err));
	}
	return r;
}

int world_read(struct sonde_space *space, uint64_t base, size_t n)
{
	enum { MOST = 700 };
	static struct sonde_xfer xfers[MOST];
	static uint8_t bytes[MOST][16];

	memset(bytes, 0xee, sizeof(bytes));
	for (size_t i = 0; i < n; i++)
		xfers[i] = (struct sonde_xfer){ .addr = base + i * 1237 % SIZE,
						.buf = bytes[i],
						.len = 16 };
	int r = sonde_space_read(space, xfers, n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		xfers[i].addr -= base;
	return world_check(xfers, n);
}

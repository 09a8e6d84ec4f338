/* SPDX-License-Identifier: MIT */
/* What the tests of spaces share: pieces, a space of extents, and a request whose callbacks are counted. */
#ifndef TESTS_SPACES_H
#define TESTS_SPACES_H

#include <sonde/io.h>

#include "fake.h"

static inline struct sonde_xfer piece(uint64_t addr, void *buf, uint32_t len)
{
	return (struct sonde_xfer){ .addr = addr, .buf = buf, .len = len, .done = 77, .err = 77 };
}

static inline void is_zero(const void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const uint8_t *)buf)[i], 0);
}

static inline struct sonde_space *open_extents_of(struct sonde_loop *loop, void *conn,
						  int (*extents)(void *, sonde_extent_fn *, void *,
								 struct sonde_error *))
{
	struct sonde_connector_ops ops = {
		.size = sizeof(ops), .close = fake_conn_close, .info = fake_info, .extents = extents
	};
	struct sonde_space *space = NULL;
	struct sonde_error err = { 0 };

	if (space_from_connector(loop, &ops, conn, &space, &err) < 0)
		fail_msg("%s", err.text);
	return space;
}

struct watch {
	struct sonde_io io;
	int done, fragments;
	uint64_t covered;
	bool inside_submit;
};

static inline void count_fragment(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct watch *watch = (struct watch *)(void *)io;

	assert_false(watch->inside_submit);
	assert_int_equal(watch->done, 0);
	assert_true(f->piece < io->n && f->off + f->len <= io->xfers[f->piece].len);
	watch->fragments++;
	watch->covered += f->len;
}

static inline void count_done(struct sonde_io *io)
{
	struct watch *watch = (struct watch *)(void *)io;

	assert_false(watch->inside_submit);
	assert_int_equal(io->state, SONDE_IO_IDLE);
	watch->done++;
}

static inline int watch_submit(struct watch *watch, struct sonde_space *space)
{
	watch->done = watch->fragments = 0;
	watch->covered = 0;
	watch->io.done = count_done;
	watch->inside_submit = true;
	int r = sonde_io_submit(space, &watch->io);
	watch->inside_submit = false;
	return r;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The outcome of a whole batch in one answer, from the outcomes of its pieces. */
#include <sonde/error.h>
#include <sonde/io.h>
#include <sonde/space.h>

int sonde_xfers_total(const struct sonde_xfer *xfers, size_t n, struct sonde_total *ret)
{
	struct sonde_total total = { .err_piece = n };

	for (size_t i = 0; i < n; i++) {
		const struct sonde_xfer *x = &xfers[i];
		if (x->err && !total.err) {
			total.err = x->err;
			total.err_off = total.len + x->err_off;
			total.err_piece = i;
		}
		total.len += x->len;
		total.done += x->done;
	}
	if (!total.err)
		total.err_off = total.len;
	if (ret)
		*ret = total;
	return total.err;
}

int sonde_io_total(const struct sonde_io *io, struct sonde_total *ret)
{
	if (io->state != SONDE_IO_IDLE)
		return SONDE_E_BUSY;
	return sonde_xfers_total(io->xfers, io->n, ret);
}

int sonde_space_read_all(struct sonde_space *space, struct sonde_xfer *xfers, size_t n)
{
	int r = sonde_space_read(space, xfers, n);

	return r < 0 ? r : sonde_xfers_total(xfers, n, NULL);
}

int sonde_space_write_all(struct sonde_space *space, struct sonde_xfer *xfers, size_t n)
{
	int r = sonde_space_write(space, xfers, n);

	return r < 0 ? r : sonde_xfers_total(xfers, n, NULL);
}

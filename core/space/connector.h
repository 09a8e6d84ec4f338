/* SPDX-License-Identifier: MIT */
/* What the host table needs of connector spaces: a request of theirs has come home. */
#ifndef SONDE_SPACE_CONNECTOR_H
#define SONDE_SPACE_CONNECTOR_H

struct sonde_io;

/* The loop's thread. A request that a layer ends itself takes this way as well. */
void connector_io_done(struct sonde_io *io);

#endif

/* SPDX-License-Identifier: MIT */
/* What a layer plugin reaches through the host table: the space below it. */
#ifndef SONDE_SPACE_LAYER_H
#define SONDE_SPACE_LAYER_H

#include <sonde/plugin.h>

void layer_forward(void *below, struct sonde_io *const *ios, size_t n);
struct sonde_loop *layer_loop(void *below);

#endif

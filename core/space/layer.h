/* SPDX-License-Identifier: MIT */
/* What a layer plugin reaches through the host table: the space below it. */
#ifndef SONDE_SPACE_LAYER_H
#define SONDE_SPACE_LAYER_H

#include <sonde/plugin.h>

void layer_forward(void *below, struct sonde_io *const *ios, size_t n);
struct sonde_loop *layer_loop(void *below);
void layer_follow(struct sonde_io *io, struct sonde_follow *follow);
int layer_issue(void *below, struct sonde_io *io);
int layer_below_resident(void *below);
int layer_below_regions(void *below, sonde_region_fn *fn, void *user);
const void *layer_below_borrow(void *below, uint64_t addr, size_t len);
const void *layer_below_borrow_run(void *below, uint64_t addr, size_t cap, size_t *ret_len);
int layer_below_cpu(void *below, uint32_t index, struct sonde_cpu *ret);
int64_t layer_below_note(void *below, const char *name, void *buf, size_t cap);

#endif
